"""One step of a word: the loop that the simulator and the optimizers share."""

from collections.abc import Callable, Iterable
from typing import Any

from ..dynamics import NoisyPart, Part, State

Draw = Callable[[int], Iterable[tuple[Any, Any]]]
"""Times and normal numbers (time, z) with which the noisy part at a place of the word flows."""


def apply(
    pieces: Iterable[tuple[Part, Any]],
    s: State,
    gradient: Callable[[Any], Any],
    after: Callable[[Part, State], None] | None = None,
    draw: Draw | None = None,
) -> None:
    """Apply each part for its own time, in order, to the state `s`; `after` sees it in between.

    The gradient is computed when a part reads it, and kept until a part moves x. A variable
    keeps its dtype: a part that computes with float64 scalars does not promote a float32 state.
    A part with noise flows for the times and with the numbers that `draw` gives for its place.
    """
    for place, (part, time) in enumerate(pieces):
        provide(part, s, gradient)
        before = {name: getattr(s, name) for name in part.writes}
        if isinstance(part, NoisyPart):
            if draw is None:
                raise TypeError(f"{part} has noise, and nobody draws normal numbers for it here")
            for duration, z in draw(place):
                part.flow(s, duration, z)
        else:
            part.flow(s, time)
        for name, old in before.items():
            new = getattr(s, name)
            if new.dtype != old.dtype:
                setattr(s, name, new.to(old.dtype))
        if "x" in part.writes:
            s.g = None
        if after is not None:
            after(part, s)


def provide(part: Part, s: State, gradient: Callable[[Any], Any]) -> None:
    """See to it that the state has the gradient, if the part reads it."""
    if "g" in part.reads and s.g is None:
        s.g = gradient(s.x)
