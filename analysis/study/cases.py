"""The cases of the decay section: which dynamics, on which landscapes, at which scales."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...dynamics import CADAM, CD, IKFAD, KFAD, LDHD, Dynamics
from ...landscapes import DoubleWell, Landscape, LogisticRegression, Quadratic, Rosenbrock

LANDSCAPES: dict[str, Callable[[], Landscape]] = {
    "quadratic": lambda: Quadratic([1.0, 2.0, 4.0]),
    "rosenbrock": lambda: Rosenbrock(2),
    "double well": lambda: DoubleWell(1),
    "breast cancer": LogisticRegression.breast_cancer,
}
DYNAMICS: dict[str, Callable[..., Dynamics]] = {
    "LDHD": LDHD,
    "KFAD": KFAD,
    "IKFAD": IKFAD,
    "CD": CD,
    "CADAM": CADAM,
}


@dataclass(frozen=True)
class Scale:
    """How a landscape is studied: linear friction, times, steps and hyperparameters that suit it.

    until     final time of the runs with friction
    long      final time of those without that decay like 1/t, which takes longer to show
    step      step size h of the words; `fine` for CADAM, whose drift stiffens, and for LDHD at
              γ = 0, whose energy a coarse step does not keep
    compared  up to which time a reference solution is computed
    """

    gamma: float
    until: float
    long: float
    step: float
    fine: float
    compared: float
    hyperparameters: dict[str, dict[str, float]]


def _values(alpha: float, mu: float, c: float, adam: dict[str, float]) -> dict[str, Any]:
    friction = {"alpha": alpha, "mu": mu}
    return {"LDHD": {}, "KFAD": friction, "IKFAD": friction, "CD": {"c": c}, "CADAM": adam}


# On the separable landscapes ε is small enough to leave CADAM on its own law, down to the floor
# its step puts under it; where modes mix coordinates only the law of a larger ε is known.
_SMALL_EPS = _values(1.0, 1.0, 1.0, {"alpha": 0.4, "c": 1.0, "eps": 1e-8})
_UNIT_EPS = _values(1.0, 1.0, 1.0, {"alpha": 0.4, "c": 1.0, "eps": 1.0})
_SOFT = _values(1.0, 0.01, 100.0, {"alpha": 0.1, "c": 1.0, "eps": 0.1})

SCALES = {
    "quadratic": Scale(0.3, 100.0, 2000.0, 0.05, 0.01, 100.0, _SMALL_EPS),
    "rosenbrock": Scale(0.2, 200.0, 1000.0, 0.01, 0.004, 40.0, _UNIT_EPS),
    "double well": Scale(0.3, 100.0, 1500.0, 0.05, 0.01, 100.0, _SMALL_EPS),
    "breast cancer": Scale(0.05, 500.0, 4000.0, 0.2, 0.1, 300.0, _SOFT),
}
SAVED = 4000  # states of a run that the fit sees, about
KEPT = 1000  # and those that are written to disk
QUICK = {("quadratic", True), ("quadratic", False), ("double well", True), ("rosenbrock", True)}
STILL = 0.25  # runs that do not decay at all last this fraction of the long time


@dataclass(frozen=True)
class Case:
    """One row: a dynamics with its hyperparameters on a landscape."""

    dynamics: str
    landscape: str
    gamma: float
    step: float
    until: float
    compared: float

    @property
    def stem(self) -> str:
        friction = "" if self.gamma else "_gamma0"
        return f"{self.landscape.replace(' ', '_')}_{self.dynamics}{friction}"

    def build(self) -> tuple[Dynamics, Landscape]:
        values = SCALES[self.landscape].hyperparameters[self.dynamics]
        return DYNAMICS[self.dynamics](gamma=self.gamma, **values), LANDSCAPES[self.landscape]()


def cases(quick: bool) -> list[Case]:
    """Every dynamics on every landscape, with friction and without.

    A quick study has the landscapes of QUICK only (name, with friction or not), and compares
    with the reference for a quarter of the time.
    """
    found = []
    for landscape, scale in SCALES.items():
        for name in DYNAMICS:
            for gamma in (scale.gamma, 0.0):
                if quick and (landscape, bool(gamma)) not in QUICK:
                    continue
                slow = gamma == 0 and name not in ("LDHD", "CADAM")
                fine = name == "CADAM" or (name == "LDHD" and gamma == 0)
                until = scale.until if gamma else scale.long * (1.0 if slow else STILL)
                compared = min(scale.compared * (0.25 if quick else 1.0), until)
                step = scale.fine if fine else scale.step
                found.append(Case(name, landscape, gamma, step, until, compared))
    return found
