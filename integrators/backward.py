"""Negative fractions: where a word asks a flow for a past that it does not have."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch

from ..dynamics import Part, State
from .bundle import Bundle
from .step import apply
from .words.composition import shown
from .words.word import Substep


def may_lack_a_past(substeps: Iterable[Substep]) -> bool:
    """Whether some flow runs backwards that does not do so for ever: only then must one look."""
    return any(u.fraction < 0 and u.part.has_backward_limit for u in substeps)


def obstacle(
    substeps: Iterable[Substep], step: float, s: State, gradient: Callable[[Any], Any]
) -> str:
    """Why a step from `s` does not exist, if a flow backwards is missing; else an empty text.

    `s` is left as it is.
    """
    s = s.copy()
    for substep in substeps:
        if substep.fraction < 0:
            limit = substep.part.backward_limit(s)
            if text := missing(substep, substep.part, limit, step):
                return text
        apply([(substep.part, float(substep.fraction) * step)], s, gradient)
    return ""


def missing(substep: Substep, part: Part, limit: Any, h: Any) -> str:
    """What to say if the flow of a piece does not exist backwards for its |fraction|·h.

    part    the substep's, with the hyperparameters that hold here
    limit   its `backward_limit`: the largest h is limit/|fraction|, the smallest of them counts
    """
    largest = limit / -float(substep.fraction)
    if _smallest(largest / h) > 1:
        return ""
    return (
        f"letter {part.letter} ({type(part).__name__}) runs for {shown(substep.fraction)} h in a "
        f"step, and its flow backwards exists from there only for h < {_smallest(largest):.3g}; "
        "take a smaller h, or a word without negative fractions"
    )


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
