"""One step of a word: the loop that the simulator and the optimizers share."""

from collections.abc import Callable, Iterable
from typing import Any

from ..dynamics import Part, State


def apply(
    pieces: Iterable[tuple[Part, Any]],
    s: State,
    gradient: Callable[[Any], Any],
    after: Callable[[Part, State], None] | None = None,
) -> None:
    """Apply each part for its own time, in order, to the state `s`; `after` sees it in between.

    The gradient is computed when a part reads it, and kept until a part moves x. A variable
    keeps its dtype: a part that computes with float64 scalars does not promote a float32 state.
    """
    for part, time in pieces:
        provide(part, s, gradient)
        before = {name: getattr(s, name) for name in part.writes}
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
