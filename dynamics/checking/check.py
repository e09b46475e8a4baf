"""Does a part keep its word? Its flow, its rate and its declarations compared."""

import math
from dataclasses import MISSING, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..dynamics import Dynamics
from ..noise.noisy import NoisyPart
from ..part import Part
from ..state import State
from . import noise
from .value_types import arguments, clone, errors_of_types, refuse_changes_in_place

_SMALL = 1e-4  # time of the finite differences, fourth order in it
_COLUMNS = 3  # of the matrices
_BACK = (0.1, 1.0, 10.0)  # times for which flows are undone
# beyond this growth or shrinkage rounding alone (ε·_FAR⁴ = 2e-8) may spoil the way back
_FAR = 100.0


def check(part: Part, *, seed: int = 0, coordinates: int = 4, systems: int = 8) -> dict[str, float]:
    """Verify a part on random states and return the errors measured, by property.

    The states are `systems` vectors of `coordinates` numbers, and as many matrices with that many
    rows; the larger error counts.

    * "types": flow and rate give the same on floats, numpy arrays, and symbols that offer only what
      lists of tensors do, as on tensors (relative 1e-10)
    * "rate": d/dh flow(h) at h = 0 equals `rate` (relative 1e-6)
    * "semigroup" of an exact flow: flow(b) flow(a) = flow(a + b) (relative 1e-10), or
      "inverse" of a symmetric one: flow(−h) flow(h) = 1 (relative 1e-10); a flow that is only
      consistent has neither
    * "backward" of both: where flow(−t) is finite, flow(t) undoes it, for t = 0.1, 1 and 10 below
      `backward_limit` (relative 1e-6)
    * of a part with noise instead, by quadrature over its normal numbers: "drift" and "amplitude",
      the growth at h = 0 of mean and variance (relative 1e-6); "law" of an exact flow, mean and
      covariance of flow(b) flow(a) and flow(a + b) (relative 1e-10); "increment", W(h) with mean
      0, variance h, and the amplitude as covariance with the flow (relative 1e-6)
    * "writes": the flow changes what `writes` names and nothing else; `rate` has the same keys
    * "reads", "rate reads": flow and rate depend on no variable declared neither read nor written

    Raises ValueError with the property that fails, the variable, and the size of the failure;
    TypeError for something that is not a part. A part without a flow is checked for its rate only.
    """
    _refuse_what_is_no_part(part)
    part = part.bind(
        {n: torch.as_tensor(v, dtype=torch.float64) for n, v in _several(part).items()}
    )
    first = part.bind({n: v.flatten()[0].item() for n, v in _several(part).items()})
    worst = {"types": errors_of_types(first, _random_state(first, seed, (1,), 1))}
    for shape in ((coordinates,), (coordinates, _COLUMNS)):
        for property, error in _errors(part, _random_state(part, seed, shape, systems)).items():
            worst[property] = max(error, worst.get(property, 0.0))
    return worst


def _refuse_what_is_no_part(part: Any) -> None:
    if isinstance(part, type) and issubclass(part, Part):
        needed = [f"{f.name}=..." for f in fields(part) if f.default is MISSING]
        raise TypeError(
            f"check takes a part, not the class {part.__name__}; "
            f"pass an instance: {part.__name__}({', '.join(needed)})"
        )
    if isinstance(part, Dynamics):
        raise TypeError(
            f"check takes one part, not the dynamics {part.name}; check its parts: "
            "for part in dynamics.parts.values(): check(part)"
        )
    if not isinstance(part, Part):
        raise TypeError(f"check takes a part such as Drift(); got {part!r}")


def _errors(part: Part, start: State) -> dict[str, float]:
    name = type(part).__name__
    errors = {"types": errors_of_types(part, start)}
    rates = part.rate(clone(start))
    if set(rates) != set(part.writes):
        raise ValueError(
            f"{name}: rate returns {sorted(rates)} but writes declares {sorted(part.writes)}"
        )
    refuse_changes_in_place(part, start)
    errors["rate reads"] = _undeclared_reads_of_rate(part, start)
    if not part.has_flow:
        return _judged(name, errors)
    _refuse_idleness(part, start, rates)
    if isinstance(part, NoisyPart):
        errors |= noise.errors_of_noise(part, start)
    else:
        errors |= _errors_of_time(part, start)
    errors["writes"] = _undeclared_writes(part, start)
    errors["reads"] = _undeclared_reads(part, start)
    errors = _judged(name, errors)
    if part.kind != "consistent" and part.reversible:
        errors["backward"] = max(_backward_error(part, start, t) for t in _BACK)
    return errors


def _errors_of_time(part: Part, start: State) -> dict[str, float]:
    errors = {"rate": _rate_error(part, start)}
    if part.kind == "exact":
        there = _flow(part, _flow(part, start, 0.03), 0.05)
        errors["semigroup"] = _distance(part, there, _flow(part, start, 0.08))
    elif part.kind == "symmetric":
        errors["inverse"] = _distance(part, _flow(part, _flow(part, start, 0.05), -0.05), start)
    return errors


def _judged(name: str, errors: dict[str, float]) -> dict[str, float]:
    for property, error in errors.items():
        if not error <= _ALLOWED.get(property, 0.0):  # a NaN fails too
            raise ValueError(f"{name} fails its check: {_MEANING[property]} (error {error:.2g})")
    return errors


_ALLOWED = {
    "types": 1e-10,
    "rate": 1e-6,
    "semigroup": 1e-10,
    "inverse": 1e-10,
    "backward": 1e-6,
    **noise.ALLOWED,
}
_MEANING = {
    **noise.MEANING,
    "rate reads": "its rate depends on a variable that neither `reads` nor `writes` names (or its "
    "amplitude does)",
    "rate": "the derivative of flow(h) at h = 0 is not its rate",
    "semigroup": "its flow is declared exact, but flow(a) then flow(b) is not flow(a + b)",
    "inverse": "its flow is declared symmetric, but flow(h) then flow(-h) is not the identity",
    "writes": "its flow changes a variable that `writes` does not name",
    "reads": "its flow depends on a variable that neither `reads` nor `writes` names",
}


def _random_state(part: Part, seed: int, coordinates: tuple[int, ...], systems: int) -> State:
    generator = torch.Generator().manual_seed(seed)

    def draw(name: str) -> Tensor:
        shape = (*part.shape_of(name, coordinates), systems)
        if name in ("x", "p", "g"):
            return torch.randn(shape, generator=generator, dtype=torch.float64)
        return 0.5 + torch.rand(shape, generator=generator, dtype=torch.float64)

    names = dict.fromkeys((*part.reads, *part.writes, "x", "p", "g", "unrelated"))
    return State({n: draw(n) for n in names}, rank=len(coordinates))


def _several(part: Part) -> dict[str, Any]:
    """Hyperparameters that may differ between the systems."""
    values = part.hyperparameters.items()
    return {n: v for n, v in values if isinstance(v, Tensor | np.ndarray | np.generic)}


def _flow(part: Part, s: State, h: float) -> State:
    moved = clone(s)
    part.flow(moved, *arguments(part, s, h))
    return moved


def _difference(a: State, b: State, name: str) -> float:
    u, v = torch.as_tensor(getattr(a, name)), torch.as_tensor(getattr(b, name))
    return ((u - v).abs() / (1 + v.abs())).max().item()


def _distance(part: Part, a: State, b: State) -> float:
    return max(_difference(a, b, name) for name in part.writes)


def _refuse_idleness(part: Part, s: State, rates: dict[str, Any]) -> None:
    moved = _flow(part, s, 0.05)
    for name in part.writes:
        fast = torch.as_tensor(rates[name]).abs().max().item() > _ALLOWED["rate"]
        if fast and _difference(moved, s, name) == 0:
            raise ValueError(
                f"{type(part).__name__} fails its check: its flow leaves {name} as it is, although "
                f"its rate is not 0; assign to the state, s.{name} = …"
            )


def _rate_error(part: Part, s: State) -> float:
    def slope(h: float, name: str) -> Tensor:
        ahead, behind = _flow(part, s, h), _flow(part, s, -h)
        return (getattr(ahead, name) - getattr(behind, name)) / (2 * h)

    rates = part.rate(clone(s))
    worst = 0.0
    for name in part.writes:
        # Richardson: the h² term of the central difference cancels
        measured = (4 * slope(_SMALL / 2, name) - slope(_SMALL, name)) / 3
        exact = torch.as_tensor(rates[name])
        error = ((measured - exact).abs() / (1 + exact.abs())).max().item()
        worst = error if not error <= worst else worst
    return worst


def _backward_error(part: Part, s: State, t: float) -> float:
    """How far flow(t) flow(−t) is from the identity, in the systems in which it can be told."""
    back = _flow(part, s, -t)
    there = _flow(part, back, t)

    def in_all(holds: Tensor) -> Tensor:
        return holds.expand(*holds.shape[:-1], systems).reshape(-1, systems).all(0)

    systems = s.x.shape[-1]
    told = in_all(torch.as_tensor(part.backward_limit(clone(s))) > t)
    for name in part.writes:
        factor = (getattr(back, name) / getattr(s, name)).abs()
        told = told & in_all((factor < _FAR) & (factor > 1 / _FAR))  # of a NaN neither is true
    worst = 0.0
    for name in part.writes:
        start = getattr(s, name)
        error = ((getattr(there, name) - start).abs() / (1 + start.abs()))[..., told]
        if error.numel() and not error.max().item() <= _ALLOWED["backward"]:
            raise ValueError(
                f"{type(part).__name__} fails its check: its flow backwards for t = {t:g} is not "
                f"the inverse (error {error.max().item():.2g} in {name}): return NaN beyond the "
                "time it exists, or give `backward_limit`"
            )
        worst = max(worst, error.max().item() if error.numel() else 0.0)
    return worst


def _undeclared_writes(part: Part, s: State) -> float:
    moved = _flow(part, s, 0.05)
    if set(moved.__dict__) - set(s.__dict__):
        return math.inf  # it made a variable of its own
    others = (n for n in s.__dict__ if n not in (*part.writes, "rank"))
    return max(_difference(moved, s, n) for n in others)


def _with_the_rest_shifted(part: Part, s: State) -> State:
    known = (*part.reads, *part.writes, "rank")
    return clone(s).copy(**{n: v + 1.0 for n, v in s.__dict__.items() if n not in known})


def _undeclared_reads(part: Part, s: State) -> float:
    shifted = _with_the_rest_shifted(part, s)
    return _distance(part, _flow(part, shifted, 0.05), _flow(part, s, 0.05))


def _undeclared_reads_of_rate(part: Part, s: State) -> float:
    shifted = _with_the_rest_shifted(part, s)
    error = _distance(part, State(part.rate(shifted)), State(part.rate(clone(s))))
    if isinstance(part, NoisyPart):
        sigma, same = (State({part.noisy: part.amplitude(at)}) for at in (shifted, clone(s)))
        error = max(error, _difference(sigma, same, part.noisy))
    return error
