"""Linear stability of words: maps over h√k and γh, limits, rates, and optimal parameters."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import differential_evolution

from ...integrators import Word
from .linear import ROUNDING, LinearStep, linear_step, ode_rate, with_dynamics

_HIGHEST = 1e9  # of h√L
_NARROW = 1e-10


@dataclass(frozen=True)
class StabilityMap:
    """A word on one mode over h√k and γh; arrays [len(gamma_h), len(h_sqrt_k)].

    radius    spectral radius of the step
    rate      numerical energy rate −2 ln(radius)/h, in units of √k
    ode_rate  the same of the ODE
    gamma_h   None for a dynamics as it stands: then the arrays are [len(h_sqrt_k)]
    """

    word: str
    dynamics: str
    h_sqrt_k: np.ndarray
    gamma_h: np.ndarray | None
    radius: np.ndarray
    rate: np.ndarray
    ode_rate: np.ndarray

    @property
    def is_stable(self) -> np.ndarray:
        """Where the radius is at most 1, up to rounding."""
        return self.radius <= 1 + ROUNDING

    def __repr__(self) -> str:
        axes = f"h√k {self.h_sqrt_k[0]:g} to {self.h_sqrt_k[-1]:g}"
        if self.gamma_h is not None:
            axes += f", γh {self.gamma_h[0]:g} to {self.gamma_h[-1]:g}"
        stable = f"{np.mean(self.is_stable):.0%} stable"
        return f"StabilityMap({self.dynamics} {self.word}, {axes}: {stable})"


def stability_map(
    word: Word,
    h_sqrt_k: ArrayLike,
    gamma_h: ArrayLike | None = None,
    *,
    step: float | None = None,
) -> StabilityMap:
    """Spectral radius and rate of a word over h√k > 0 and γh >= 0.

    gamma_h  values of γh; the dynamics' other hyperparameters are kept, in the unit of time 1/√k
    step     without gamma_h: keep this h (default 1) and all hyperparameters; k alone varies

    Raises ValueError for axes that do not fit, for both `gamma_h` and `step`, and for `gamma_h`
    where the dynamics has no γ.
    """
    dynamics = with_dynamics(word)
    _refuse_several(gamma_h=gamma_h, step=step)
    root = _axis("h_sqrt_k", h_sqrt_k, least=np.nextafter(0, 1))
    friction = None if gamma_h is None else _axis("gamma_h", gamma_h, least=0.0)
    if friction is not None:
        h, curvature = root, np.ones(1)
        values = _friction(word, friction[:, None] / h)
    else:
        h = _axis("step", [1.0 if step is None else step], least=np.nextafter(0, 1))
        curvature, values = (root / h) ** 2, {}
    radius = linear_step(word, h, curvature, values).radius.numpy()
    with np.errstate(divide="ignore"):
        rate = -2 * np.log(radius) / h
    exact = ode_rate(dynamics, curvature, values).numpy()
    scale = np.sqrt(curvature)
    return StabilityMap(
        word.text, dynamics.name, root, friction, radius, rate / scale, exact / scale
    )


def stability_limit(
    word: Word,
    *,
    gamma_h: float | None = None,
    gamma_over_root: float | None = None,
    step: float | None = None,
    points: int = 20_000,
) -> float:
    """The h√L at which a word first becomes unstable on the mode f = ½Lx²; inf if not below 1e9.

    What is kept fixed while h√L grows:

        gamma_h          γh (other hyperparameters in the unit of time 1/√L)
        gamma_over_root  γ/√L (the same)
        step             h and all hyperparameters, so that L alone grows; the default, at h = 1

    The scan looks at `points` evenly spaced h√L up to 100 and at half as many in every doubling
    from there to 1e9, closer where a root comes and goes again towards ±1, so that narrow gaps
    are seen; then narrows to 1e-10 (relatively, above 1). A word without friction is stable where
    its spectral radius is 1. Raises ValueError for more than one of the three, for numbers out of
    range, and for γ where the dynamics has none.
    """
    _refuse_several(gamma_h=gamma_h, gamma_over_root=gamma_over_root, step=step)
    for name, value in (("gamma_h", gamma_h), ("gamma_over_root", gamma_over_root)):
        _axis(name, [value or 0.0], least=0.0)
    h = _axis("step", [1.0 if step is None else step], least=np.nextafter(0, 1))

    def at(root: np.ndarray) -> LinearStep:
        if gamma_h is None and gamma_over_root is None:
            return linear_step(word, h, (root / h) ** 2)
        gamma = gamma_over_root if gamma_h is None else gamma_h / root
        return linear_step(word, root, values=_friction(word, gamma))

    grid = np.linspace(0.0, 100.0, points + 1)
    while grid[-1] <= _HIGHEST:
        if (failure := _first_failure(at, grid)) is not None:
            return failure
        grid = np.linspace(grid[-1], 2 * grid[-1], points // 2 + 1)
    return math.inf


def scaled_limit(word: Word, step: float) -> tuple[str, float]:
    """What a step's stability depends on as the curvature L grows, and its limit at h = `step`.

    h√L, as in `stability_limit`; for a dynamics without momentum hL.
    """
    limit = stability_limit(word, step=step)
    return ("h√L", limit) if "p" in with_dynamics(word).variables else ("hL", limit**2 / step)


@dataclass(frozen=True)
class OptimalParameters:
    """What makes the slowest mode of [m, L] fastest.

    h_root           h√L
    gamma_over_root  γ/√L
    beta             e^{−γh}
    radius           the spectral radius of the slowest mode, its factor per step
    """

    h_root: float
    gamma_over_root: float
    beta: float
    radius: float


def optimal_parameters(word: Word, condition: float, *, modes: int = 33) -> OptimalParameters:
    """The h√L and γ/√L with the least worst spectral radius over modes between m and L = κm.

    `condition` is κ > 1; `modes` curvatures, spaced evenly in their logarithm, both ends
    included, are looked at. Every LDHD word with one gradient per step reaches Polyak's radius
    r = (√κ − 1)/(√κ + 1) with the same β = r² (Polyak 1964), `BAD` at h = 2/(√L + √m), `BDA` at
    h/r. The function has kinks and is minimised by differential evolution (Storn, Price 1997)
    from a fixed seed, over 0.01 < h√L < 100/r and γh up to 50 times more and less than −2 ln r.
    Raises ValueError for other κ or a dynamics without γ.
    """
    if not (math.isfinite(condition) and condition > 1):
        raise ValueError(f"condition must be a finite number > 1; got {condition}")
    _friction(word, 0.0)
    curvature = np.geomspace(1 / condition, 1.0, modes)[:, None]

    slowness = math.log1p(2 * (math.sqrt(condition) + 1) / (condition - 1))  # −ln r

    def worst(logarithms: np.ndarray) -> np.ndarray:
        h, damping = np.exp(logarithms.reshape(2, -1))
        return linear_step(word, h, curvature, {"gamma": damping / h}).radius.amax(0).numpy()

    middle = math.log(2 * slowness)
    bounds = [
        (math.log(0.01), math.log(100) + slowness),
        (middle - math.log(50), middle + math.log(50)),
    ]
    found = differential_evolution(worst, bounds, vectorized=True, polish=False, **_EVOLUTION)
    h, damping = np.exp(found.x)
    return OptimalParameters(float(h), float(damping / h), math.exp(-damping), float(found.fun))


_EVOLUTION: dict[str, Any] = {
    "seed": 0,  # scipy 1.15 renamed it, and still takes the name that older ones know
    "updating": "deferred",
    "popsize": 20,
    "maxiter": 400,
    "tol": 0.0,
    "atol": 1e-11,
}


def _friction(word: Word, gamma: Any) -> dict[str, Any]:
    dynamics = with_dynamics(word)
    if "gamma" not in dynamics.hyperparameters:
        raise ValueError(
            f"{dynamics.name} has no hyperparameter gamma; leave it out: "
            "with step=h alone the curvature varies at that h"
        )
    return {"gamma": gamma}


def _refuse_several(**given: Any) -> None:
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1:
        raise ValueError(f"give one of {', '.join(given)}; got {' and '.join(names)}")


def _axis(name: str, values: Any, least: float) -> np.ndarray:
    axis = np.asarray(values, dtype=float)
    if axis.ndim != 1 or not len(axis) or not (np.isfinite(axis) & (axis >= least)).all():
        sign = ">" if least else ">="
        raise ValueError(f"{name} must be finite numbers {sign} 0 in one row; got {values}")
    return axis


def _first_failure(at: Callable[[np.ndarray], LinearStep], grid: np.ndarray) -> float | None:
    """Where the step first becomes unstable on the grid, or in a gap of it."""
    scanned = at(grid[1:])
    margin = np.concatenate(([np.inf], scanned.margin.numpy(), [np.inf]))
    failed = ~scanned.is_stable.numpy()
    dips = margin[1:-1] < np.minimum(margin[:-2], margin[2:])
    for i in np.flatnonzero(failed | dips) + 1:
        gap = grid[i - 1], grid[i if failed[i - 1] else min(i + 1, len(grid) - 1)]
        while (inner := _failing_gap(at, *gap)) is not None:
            if inner[1] - inner[0] < _NARROW * max(1.0, inner[1]):
                return inner[1]
            gap = inner
    return None


def _failing_gap(
    at: Callable[[np.ndarray], LinearStep], low: float, high: float
) -> tuple[float, float] | None:
    """The first gap of a finer grid at whose end the step is unstable."""
    grid = np.linspace(low, high, 201)
    failed = np.flatnonzero(~at(grid[1:]).is_stable.numpy())
    return (float(grid[failed[0]]), float(grid[failed[0] + 1])) if len(failed) else None
