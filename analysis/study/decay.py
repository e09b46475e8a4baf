"""The decay section: energy of every dynamics on four landscapes, beside theory."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...dynamics import CADAM, CD, IKFAD, KFAD, LDHD, Dynamics
from ...integrators import simulate, solve
from ...landscapes import DoubleWell, Landscape, LogisticRegression, Quadratic, Rosenbrock
from ..decay import decay_rate
from ..prediction import predict, provable_rate

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
    """How a landscape is studied: the linear friction, and times and steps that suit it.

    until     final time of the runs with friction, `long` of those without, which decay slower
    step      step size h of the words; CADAM's stiffening drift takes `fine`
    compared  up to which time a reference solution is computed
    """

    gamma: float
    until: float
    long: float
    step: float
    fine: float
    compared: float


SCALES = {
    "quadratic": Scale(0.2, 150.0, 2000.0, 0.05, 0.02, 150.0),
    "rosenbrock": Scale(0.2, 150.0, 2000.0, 0.02, 0.005, 40.0),
    "double well": Scale(0.2, 150.0, 1500.0, 0.05, 0.02, 150.0),
    "breast cancer": Scale(0.05, 500.0, 6000.0, 0.2, 0.1, 300.0),
}
NONLINEAR: dict[str, dict[str, float]] = {
    "LDHD": {},
    "KFAD": {"alpha": 1.0, "mu": 1.0},
    "IKFAD": {"alpha": 1.0, "mu": 1.0},
    "CD": {"c": 1.0},
    "CADAM": {"alpha": 0.1, "c": 1.0, "eps": 1e-8},
}
QUICK = 0.3  # quick runs without friction last this fraction of the time


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
        dynamics = DYNAMICS[self.dynamics](gamma=self.gamma, **NONLINEAR[self.dynamics])
        return dynamics, LANDSCAPES[self.landscape]()


def cases(quick: bool) -> list[Case]:
    """Every dynamics on every landscape, with friction and without."""
    found = []
    for landscape, scale in SCALES.items():
        for name in DYNAMICS:
            step = scale.fine if name == "CADAM" else scale.step
            for gamma in (scale.gamma, 0.0):
                # without friction LDHD and CADAM do not decay: no need for long runs
                slow = gamma == 0 and name not in ("LDHD", "CADAM")
                until = scale.long * (QUICK if quick else 1.0) if slow else scale.until
                compared = min(scale.compared * (0.25 if quick else 1.0), until)
                found.append(Case(name, landscape, gamma, step, until, compared))
    return found


def run_case(case: Case, folder: str, device: str) -> dict[str, Any]:
    """Simulate, solve the reference, fit, and compare with theory; one row of results.json.

    Both runs are saved under `folder`.
    """
    dynamics, landscape = case.build()
    steps = round(case.until / case.step)
    every = max(1, steps // 6000)
    run = simulate(
        dynamics, landscape, step=case.step, steps=steps, save_every=every, device=device
    )
    stop = 1e-10 if case.dynamics == "CADAM" else 1e-14
    reference = solve(
        dynamics, landscape, until=case.compared, rtol=1e-8, atol=1e-11, stop_below=stop
    )
    run.save(Path(folder) / f"{case.stem}.npz")
    reference.save(Path(folder) / f"{case.stem}_reference.npz")
    fit = decay_rate(run)
    final = run["x"][-1]
    near = final if landscape.minimisers is None else _nearest(landscape, final)
    theory = predict(dynamics, landscape, near, step=case.step)
    bound = provable_rate(dynamics, landscape, float(reference.energy[0]))
    return {
        "dynamics": case.dynamics,
        "landscape": case.landscape,
        "word": run.settings["word"],
        "gamma": case.gamma,
        "model": fit.model,
        "rate": _number(fit.rate),
        "rate_low": _number(fit.rate_low),
        "rate_high": _number(fit.rate_high),
        "predicted": _number(theory.rate),
        "bound": bound,
        "reason": fit.reason,
        "hyperparameters": run.settings["hyperparameters"],
        "step": case.step,
        "law": theory.law,
        "floor": _number(fit.floor),
        "window": [_number(t) for t in fit.window],
        "status": run.status,
        "reference": reference.status,
    }


def _nearest(landscape: Landscape, x: Any) -> Any:
    minimisers = landscape.minimisers
    assert minimisers is not None
    distances = (minimisers - x.to(minimisers)).flatten(1).norm(dim=1)
    return minimisers[int(distances.argmin())]


def _number(value: Any) -> float | None:
    """A float that json can hold: no NaN."""
    return float(value) if value is not None and math.isfinite(value) else None
