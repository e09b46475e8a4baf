"""Weak orders: the law after a fixed time on a quadratic, and expectations after one step."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ...dynamics import Dynamics, State
from ...integrators import Word
from ...integrators.schemes import Method
from ..order import ConvergenceOrder, division_counts, fitted_slope, generic_start
from .equation import exact_moments
from .linear import moment_map
from .one_step import OneStep

if TYPE_CHECKING:
    from sympy import Expr

_MOST = 1_000_000  # points of a quadrature


@dataclass(frozen=True)
class WeakOrder(ConvergenceOrder):
    """Errors of expectations for a sequence of step sizes.

    slope     least-squares slope of log error against log h
    order     the weak order: the slope at a fixed time, the slope − 1 after one step
    errors    largest absolute error (at a fixed time relative to 1 + |value|), at each h
    quantity  the expectation that was measured
    """

    order: float
    quantity: str

    def __str__(self) -> str:
        return (
            f"{self.dynamics} {self.word}: weak order {self.order:.2f} by {self.quantity} "
            f"({self.measured})"
        )


def weak_order_linear(
    scheme: Word | Dynamics,
    curvature: float = 1.0,
    *,
    until: float = 1.0,
    divisions: Sequence[int] = (32, 64, 128, 256),
    mean: ArrayLike | Tensor | None = None,
    covariance: ArrayLike | Tensor = 0.0,
    method: Method = "word",
) -> WeakOrder:
    """The weak order on f = ½kx², without sampling: means and covariances at t = `until`.

    Those of the scheme (`moment_map`) are compared with those of the equation (`exact_moments`),
    from a start of given mean (generic where None) and covariance (0: one point).

    Raises ValueError where the moments do not close, for `divisions` that are no two different
    whole numbers >= 1, and where errors are round-off.
    """
    counts = division_counts(divisions)
    step = OneStep(scheme, method)
    if mean is None:
        mean = torch.cat([*generic_start(step.dynamics, (1,)).values()])
    mean = torch.as_tensor(mean, dtype=torch.float64)
    spread = torch.as_tensor(covariance, dtype=torch.float64)
    spread = spread.broadcast_to(*mean.shape, mean.shape[-1])
    exact = exact_moments(step.dynamics, curvature, until, mean, spread)
    steps, errors = [until / n for n in counts], []
    for h, n in zip(steps, counts, strict=True):
        found = moment_map(scheme, h, curvature, method=method).propagate(mean, spread, n)
        differences = (
            ((a - b).abs() / (1 + b.abs())).max() for a, b in zip(found, exact, strict=True)
        )
        errors.append(float(torch.stack([*differences]).max()))
    slope = fitted_slope(np.array(steps), np.array(errors))
    quantity = f"mean and covariance at t = {until:g}"
    return WeakOrder(
        slope, tuple(steps), tuple(errors), step.name, step.dynamics.name, slope, quantity
    )


def local_weak_order(
    scheme: Word | Dynamics,
    potential: "Expr | str",
    functions: "Sequence[Expr | str] | None" = None,
    *,
    at: Mapping[str, float] | None = None,
    steps: Sequence[float] = (1 / 256, 1 / 512, 1 / 1024),
    method: Method = "word",
    nodes: int = 12,
    powers: int = 5,
) -> tuple[WeakOrder, ...]:
    """The weak order from one step in one dimension, nonlinear f included, without sampling.

    For every test function φ the error |E φ(X after one step) − Σ_{j <= powers} hʲ/j! Lʲφ|, with
    L the generator, has slope order + 1. The expectation is a Gauss–Hermite quadrature with
    `nodes` points for every normal number of the step, run by the word's own flows; L is built
    with sympy from `potential` and the dynamics' own rate and amplitudes. Look at several φ: a
    single one may show a higher slope, by accident.

    potential  f as a sympy expression of x, or its text, such as "x**4/4 + x**2/2"
    functions  φ in the dynamics' variables, likewise; None: a few polynomials
    at         the point from which the step starts, by variable; generic where not given

    Raises ValueError for expressions with other symbols, for a quadrature of more than a million
    points, and where errors are round-off.
    """
    errors = one_step_weak_error(
        scheme, potential, functions, at=at, steps=steps, method=method, nodes=nodes, powers=powers
    )
    step = OneStep(scheme, method)
    found = []
    for name, signed in errors.items():
        values = np.abs(signed)
        slope = fitted_slope(np.array(steps), values)
        found.append(
            WeakOrder(
                slope,
                tuple(steps),
                tuple(values.tolist()),
                step.name,
                step.dynamics.name,
                slope - 1,
                f"E[{name}] after one step",
            )
        )
    return tuple(found)


def one_step_weak_error(
    scheme: Word | Dynamics,
    potential: "Expr | str",
    functions: "Sequence[Expr | str] | None" = None,
    *,
    at: Mapping[str, float] | None = None,
    steps: Sequence[float] = (1 / 256, 1 / 512, 1 / 1024),
    method: Method = "word",
    nodes: int = 12,
    powers: int = 5,
) -> dict[str, np.ndarray]:
    """By test function, E φ after one step minus that of the equation, at each h of `steps`.

    The arguments are those of `local_weak_order`.
    """
    from .generator import Generator, read, symbols  # sympy takes 0.3 s to import

    if not steps or not all(math.isfinite(h) and h > 0 for h in steps):
        raise ValueError(f"steps must be finite numbers > 0; got {tuple(steps)}")
    step = OneStep(scheme, method)
    if nodes < 2 or nodes**step.normals > _MOST:
        raise ValueError(
            f"a step of {step.name} takes {step.normals} normal numbers: {nodes} nodes for each "
            f"make {nodes**step.normals} points; take at least 2 nodes and at most {_MOST} points"
        )
    known = symbols(step.dynamics)
    f = read(potential, {"x": known["x"]})
    tests = [read(phi, known) for phi in (functions or _tests(step.dynamics))]
    point = _point(step.dynamics, at)
    generator = Generator(step.dynamics, f)
    slope = _numeric([known["x"]], f.diff(known["x"]))
    z, weights = _quadrature(step.normals, nodes)
    after = []
    for h in steps:
        shape = (1, len(weights))
        s = State({name: torch.full(shape, v, dtype=torch.float64) for name, v in point.items()})
        step(s, float(h), z, slope)
        after.append([getattr(s, name) for name in known])
    errors = {}
    for phi in tests:
        series = generator.series(phi, point, powers)
        value = _numeric([*known.values()], phi)
        expected = [float(value(*end)[0] @ weights) for end in after]
        exact = np.polynomial.polynomial.polyval(np.array(steps), series)
        errors[str(phi)] = np.array(expected) - exact
    return errors


def _tests(dynamics: Dynamics) -> tuple[str, ...]:
    positions = ("x", "x**2", "x**3")
    return (*positions, "p", "p**2", "x*p") if "p" in dynamics.variables else positions


def _point(dynamics: Dynamics, at: Mapping[str, float] | None) -> dict[str, float]:
    generic = {name: float(torch.as_tensor(v)) for name, v in generic_start(dynamics, (1,)).items()}
    unknown = [name for name in at or {} if name not in dynamics.variables]
    if unknown:
        raise ValueError(
            f"{dynamics.name} has no variable {unknown[0]!r}; it has "
            f"{', '.join(dynamics.variables)}"
        )
    whole = {**dict.fromkeys(dynamics.variables, 0.0), **generic, **(at or {})}
    return {name: float(value) for name, value in whole.items()}


def _numeric(arguments: Sequence[Any], expression: "Expr") -> Callable[..., Tensor]:
    import sympy

    made = sympy.lambdify(arguments, expression, "numpy")

    def evaluate(*values: Tensor) -> Tensor:
        found = torch.as_tensor(made(*(v.numpy() for v in values)), dtype=torch.float64)
        return found + torch.zeros_like(values[0])

    return evaluate


def _quadrature(normals: int, nodes: int) -> tuple[Tensor, Tensor]:
    """Points z [normals, 1, nodes^normals] and weights for the mean over normal numbers."""
    points, weights = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(nodes))
    weights = weights / weights.sum()
    places = torch.cartesian_prod(*[torch.arange(nodes)] * normals).reshape(-1, normals).T
    if not normals:
        return torch.zeros(0, 1, 1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    return points[places][:, None], weights[places].prod(0)
