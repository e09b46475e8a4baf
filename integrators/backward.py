"""Negative fractions: where a word asks a flow for a past that it does not have."""

import math
from collections.abc import Callable, Iterable, Sequence
from decimal import ROUND_DOWN, Context
from typing import Any

import torch
from torch import Tensor

from ..dynamics import State
from .bundle import Bundle
from .step import apply, provide
from .words.composition import shown
from .words.word import Substep


class NoPastError(ValueError):
    """A step that no trajectory can take from its start: flows backwards are missing."""


REMEDY = "take a smaller h, or a word without negative fractions"

_HALVINGS = 40  # of h, before it is said that no step size helps
_BISECTIONS = 12  # of [h, 2h]: to three digits


def may_lack_a_past(substeps: Iterable[Substep]) -> bool:
    """Whether some flow runs backwards that does not do so for ever: only then must one look."""
    return any(u.fraction < 0 and u.part.has_backward_limit for u in substeps)


def careful_step(
    substeps: Iterable[Substep], step: float, s: State, gradient: Callable[[Any], Any]
) -> tuple[Tensor, list[tuple[Substep, Tensor]]]:
    """One step of size h = `step`; a trajectory that asks for more past than it has becomes NaN.

    Returns which trajectories do, and for every flow that ran backwards the share of its time
    for which it exists (at most 1: it does not). Waits for no device.
    """
    lost = torch.zeros(s.x.shape[s.rank :], dtype=torch.bool, device=s.x.device)
    shares: list[tuple[Substep, Tensor]] = []
    for substep in substeps:
        part, time = substep.part, float(substep.fraction) * step
        short = None
        if time < 0 and part.has_backward_limit:
            provide(part, s, gradient)
            share = torch.as_tensor(part.backward_limit(s), device=lost.device) / -time
            shares.append((substep, share))
            short = share <= 1
            if extra := max(0, short.ndim - lost.ndim):
                short = short.flatten(0, extra - 1).any(0)
            lost = lost | short
        apply([(part, time)], s, gradient)
        if short is not None:
            for name in part.writes:
                setattr(s, name, getattr(s, name).masked_fill(short, math.nan))
    return lost, shares


def reason_of(shares: Iterable[tuple[Substep, Any]]) -> str:
    """What to say of the first flow that does not exist; an empty text if all do."""
    return next(filter(None, (missing(substep, share) for substep, share in shares)), "")


def missing(substep: Substep, share: Any, h: Any = None) -> str:
    """What to say if a flow backwards exists for that `share` of its time; "" above 1.

    The smallest share counts. With a number for `h` the h up to which the flow exists is told as
    well, from where it begins now: with another h it would begin somewhere else.
    """
    smallest = _smallest(share)
    if smallest > 1:
        return ""
    part = substep.part
    share = max(smallest, 0.0)
    until = f", up to h = {share * h:.3g} from there" if isinstance(h, float) else ""
    return (
        f"letter {part.letter} ({type(part).__name__}) runs for {shown(substep.fraction)} h in a "
        f"step, and from where it begins its flow backwards exists for at most "
        f"{share:.3g} of that time{until}"
    )


def largest_start(
    substeps: Sequence[Substep], step: float, s: State, gradient: Callable[[Any], Any]
) -> float | None:
    """The largest h below `step` with which every trajectory makes its first step from `s`.

    Found by halving and bisection, rounded down to three digits. None if no h does.
    """
    names = {name for substep in substeps for name in substep.part.writes}

    def works(h: float) -> bool:
        state = s.copy()
        careful_step(substeps, h, state, gradient)
        return all(bool(torch.isfinite(getattr(state, name)).all()) for name in names)

    low = next((h for k in range(1, _HALVINGS) if works(h := step / 2**k)), None)
    if low is None:
        return None
    high = 2 * low
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if works(middle) else (low, middle)
    return float(Context(prec=3, rounding=ROUND_DOWN).create_decimal(low))


def _smallest(value: Any) -> float:
    """The smallest number; what is NaN was lost before."""
    tensors = value.tensors if isinstance(value, Bundle) else [torch.as_tensor(value)]
    return min(
        (
            torch.where(t.isnan(), math.inf, t).min().item()
            for t in tensors
            if t.numel()  # a parameter may be empty
        ),
        default=math.inf,
    )
