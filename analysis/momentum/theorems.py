"""Kovachki and Stuart's theorems on momentum methods, measured.

The scheme runs as a word, and the equations it is compared with are dynamics under `solve`:
see `iterates` and `dashpot.dynamics.FixedMomentum`.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from ...dynamics import Dynamics, FixedMomentum, GradientFlow, ModifiedMomentum, UniformMomentum
from ...integrators import solve
from ...landscapes import DoubleWell, GradientPenalty, Landscape, Quadratic
from .scheme import contraction, iterates

Window = Literal["all", "late"]

_SMALL = (2e-3, 1e-3, 5e-4, 2.5e-4)  # h/(1 − λ)², the small number of all three theorems
_QUICK = (4e-3, 2e-3, 1e-3)
_TOLERANCE = 1e-14  # of the equations' solutions
_STILL = 1e-7  # a |∇f| from which errors of second order, |∇f| times 1e-7, are below it


@dataclass(frozen=True)
class Claim:
    """One statement of a theorem: what it predicts and what was measured.

    theorem    "i" gradient flow, "ii" second-order equations, "iii" manifold and reduced flow;
               other equations by name (`momentum_equations`)
    method     "heavy ball" or "Nesterov"
    momentum   its λ; None where it is not one number for all steps
    quantity   what is measured; slopes are between the two smallest steps
    steps      the scheme's steps h, decreasing; for slopes only, with the largest `errors`
    """

    theorem: str
    method: str
    momentum: float | None
    quantity: str
    predicted: float
    measured: float
    steps: tuple[float, ...] = ()
    errors: tuple[float, ...] = ()


@dataclass(frozen=True)
class _Slope:
    """A comparison: the scheme from one start with one equation, over one window of time."""

    theorem: str
    model: str
    manifold: bool
    window: Window
    order: int
    text: str


_SLOPES = (
    _Slope("i", "rescaled", False, "all", 1, "gradient flow u̇ = −λ̄∇Φ"),
    _Slope("ii", "published", False, "late", 1, "published velocity, t ≥ T/2"),
    _Slope("ii", "matched", False, "all", 1, "matched velocity, all t"),
    _Slope("ii", "matched", False, "late", 2, "matched velocity, t ≥ T/2"),
    _Slope("ii", "uniform", False, "all", 2, "uniform equation, all t"),
    _Slope("iii", "reduced", False, "late", 1, "modified loss from u₀, t ≥ T/2"),
    _Slope("iii", "shadow", False, "late", 2, "from the shadow point, t ≥ T/2"),
    _Slope("iii", "reduced", True, "all", 2, "scheme on the manifold, all t"),
)


def kovachki_stuart(
    landscape: Landscape | None = None,
    x0: Any = None,
    *,
    momenta: Sequence[float] = (0.5, 0.9),
    until: float = 0.5,
    quick: bool = False,
) -> list[Claim]:
    """Measure theorems (i) to (iii) for heavy ball and Nesterov, from an empty buffer (d₀ = 0).

    The scheme's small number is h/(1 − λ)²: steps are (1 − λ)² times 2e-3 ... 2.5e-4 (`quick`:
    4e-3 ... 1e-3), up to the time t = (1 − λ)·`until`, when the rescaled gradient flow has run
    for `until`. Errors are Euclidean, the largest over the window. Ten seconds, quick five.

    landscape, x0   None: DoubleWell(2) from its start, where curvatures are 11 and 1
    Returns the claims, theorem by theorem for each method. Raises ValueError if a run fails, and
    for a stationary start.
    """
    landscape = DoubleWell(2) if landscape is None else landscape
    point = landscape.start if x0 is None else torch.as_tensor(x0, dtype=torch.float64)
    slope = landscape.gradient(point).norm().item()
    if slope < _STILL:
        raise ValueError(
            f"x0 = {point.tolist()} is a stationary point of {landscape.name} (|∇f| = {slope:.1g})"
            ": nothing moves from there, so there is nothing to measure; give another x0"
        )
    claims = []
    for momentum, nesterov in itertools.product(momenta, (False, True)):

        def scheme(h: float, m: float = momentum, n: bool = nesterov) -> FixedMomentum:
            return FixedMomentum(h, m, n)

        unit = (1 - momentum) ** 2
        schemes = [scheme(small * unit) for small in (_QUICK if quick else _SMALL)]
        claims += [
            _displacement(scheme(1e-5 * unit), landscape, point),
            *_slopes(schemes, landscape, point, until * (1 - momentum)),
            _penalty(scheme(1e-3 * unit)),
            _attraction(scheme(1e-4), landscape, point),
            _contraction(scheme(1e-2), landscape, point),
        ]
    return claims


def _method(scheme: FixedMomentum) -> tuple[str, float]:
    return "Nesterov" if scheme.nesterov else "heavy ball", scheme.momentum


def _transient(scheme: FixedMomentum, remainder: float) -> int:
    """Steps after which λⁿ has fallen below `remainder`."""
    return math.ceil(math.log(remainder) / math.log(scheme.momentum))


def _flow(dynamics: Dynamics, landscape: Landscape, start: Any, times: Tensor) -> Tensor:
    until = times[-1].item()
    run = solve(dynamics, landscape, start, until=until, times=times, rtol=1e-11, atol=_TOLERANCE)
    if run.status != "finished":
        raise ValueError(f"{dynamics!r} was not solved: {run.message}")
    return run["x"]


def _largest(difference: Tensor) -> float:
    return torch.linalg.vector_norm(difference.flatten(1), dim=1).max().item()


def _displacement(scheme: FixedMomentum, landscape: Landscape, x0: Tensor) -> Claim:
    """Theorem (i): the error of the gradient flow is what the transient loses, h λ λ̄² |g|."""
    steps = _transient(scheme, 1e-6)  # the error peaks where the transient ends
    times = scheme.h * torch.arange(steps + 1, dtype=torch.float64)
    flow = _flow(GradientFlow(scheme.gain), landscape, x0, times)
    error = _largest(iterates(scheme, landscape, x0, steps=steps) - flow)
    lost = scheme.momentum * scheme.gain**2 * landscape.gradient(x0).norm().item()
    text = f"error/h of the gradient flow at h = {scheme.h:.1e}"
    return Claim("i", *_method(scheme), text, lost, error / scheme.h)


def _slopes(
    schemes: Sequence[FixedMomentum], landscape: Landscape, x0: Tensor, until: float
) -> list[Claim]:
    errors = [_errors(scheme, landscape, x0, until) for scheme in schemes]
    h = tuple(scheme.h for scheme in schemes)
    claims = []
    for comparison in _SLOPES:
        series = tuple(found[comparison] for found in errors)
        slope = math.log(series[-2] / series[-1]) / math.log(h[-2] / h[-1])
        text = f"slope: {comparison.text}"
        claims.append(
            Claim(comparison.theorem, *_method(schemes[0]), text, _order(comparison, schemes[0]),
                  slope, h, series)
        )  # fmt: skip
    return claims


def _order(comparison: _Slope, scheme: FixedMomentum) -> int:
    """Its order; the published velocity is the matched one for Nesterov at λ = ½."""
    lucky = math.isclose(scheme.published(1.0), scheme.matched(1.0), abs_tol=1e-12)
    return 2 if comparison.model == "published" and lucky else comparison.order


def _errors(
    scheme: FixedMomentum, landscape: Landscape, x0: Tensor, until: float
) -> dict[_Slope, float]:
    steps = round(until / scheme.h)
    gradient = landscape.gradient(x0)
    on_manifold = scheme.slow(gradient, landscape.hvp(x0, gradient))
    d0 = torch.stack((torch.zeros_like(x0), on_manifold))
    runs = iterates(scheme, landscape, torch.stack((x0, x0)), d0, steps=steps)
    # every step of the transient, then a few hundred
    fast = min(_transient(scheme, 1e-6), steps)
    rest = torch.linspace(fast, steps, 200, dtype=torch.float64).round().long()
    index = torch.cat((torch.arange(fast), rest)).unique()
    late = int((2 * index < steps).sum())
    times = scheme.h * index.to(torch.float64)
    flows: dict[str, Tensor] = {}
    for dynamics, field, starts in _models(scheme, landscape, x0, gradient):
        batch = {
            k: torch.stack([start[k] for start in starts.values()]) for k in dynamics.variables
        }
        flows |= zip(starts, _flow(dynamics, field, batch, times).unbind(1), strict=True)
    found = {}
    for comparison in _SLOPES:
        difference = runs[index, int(comparison.manifold)] - flows[comparison.model]
        found[comparison] = _largest(difference[late if comparison.window == "late" else 0 :])
    return found


def _models(
    scheme: FixedMomentum, landscape: Landscape, x0: Tensor, gradient: Tensor
) -> list[tuple[Dynamics, Landscape, dict[str, dict[str, Tensor]]]]:
    """The equations to compare with, each with its landscape and its starts by name."""
    constants = (scheme.h, scheme.momentum, scheme.nesterov)
    rescaled = GradientFlow(scheme.gain)
    modified, uniform = ModifiedMomentum(*constants), UniformMomentum(*constants)
    penalised = GradientPenalty(landscape, scheme.h * scheme.kappa)
    velocities = ("published", "matched")
    return [
        (rescaled, landscape, {"rescaled": {"x": x0}}),
        (modified, landscape, {name: modified.start(x0, gradient, name) for name in velocities}),
        (uniform, landscape, {"uniform": uniform.start(x0, gradient)}),
        (rescaled, penalised, {"reduced": {"x": x0}, "shadow": {"x": scheme.shadow(x0, gradient)}}),
    ]


def _penalty(scheme: FixedMomentum) -> Claim:
    """Theorem (iii): κ from the slow decay u ~ e^{−λ̄(k + hκk²)t} at curvature k = 1."""
    one = torch.ones(1, dtype=torch.float64)
    settled = _transient(scheme, 1e-16)
    u = iterates(scheme, Quadratic(1.0), one, scheme.slow(one, one), steps=2 * settled)
    rate = -math.log(u[-1] / u[settled]) / (settled * scheme.h * scheme.gain)
    text = f"κ of the modified loss at h = {scheme.h:.0e}"
    return Claim("iii", *_method(scheme), text, scheme.kappa, (rate - 1) / scheme.h)


def _attraction(scheme: FixedMomentum, landscape: Landscape, x0: Tensor) -> Claim:
    """Theorem (iii): what separates two runs across the manifold shrinks by λ + O(h) a step."""
    curvatures, modes = torch.linalg.eigh(landscape.hessian(x0))
    gradient = landscape.gradient(x0)
    slow = scheme.slow(gradient, landscape.hvp(x0, gradient))
    away = 1e-3 * slow.norm() * modes[:, -1].reshape(x0.shape)
    pair = torch.stack((x0, x0)), torch.stack((slow, slow + away))
    u = iterates(scheme, landscape, *pair, steps=5)
    g = landscape.gradient(u[1:])
    off = u.diff(dim=0) / scheme.h - scheme.slow(g, landscape.hvp(u[1:], g))
    distance = torch.linalg.vector_norm((off[:, 1] - off[:, 0]).flatten(1), dim=1)
    measured = (distance[-1] / distance[0]).item() ** (1 / (len(distance) - 1))
    text = f"attraction per step at h = {scheme.h:.0e}"
    predicted = scheme.attraction(curvatures[-1].item())
    return Claim("iii", *_method(scheme), text, predicted, measured)


def _contraction(scheme: FixedMomentum, landscape: Landscape, x0: Tensor) -> Claim:
    """Phase space: heavy ball is conformally symplectic, Nesterov contracts with the curvature."""
    whole = torch.eye(landscape.dimension, dtype=torch.float64)
    if scheme.nesterov:
        whole = whole - scheme.h * landscape.hessian(x0)
    predicted = torch.linalg.det(scheme.momentum * whole).item()
    measured = contraction(scheme, landscape, x0, 0.1 * torch.ones_like(x0))
    text = f"determinant of a step at h = {scheme.h:.0e}"
    return Claim("iii", *_method(scheme), text, predicted, measured)
