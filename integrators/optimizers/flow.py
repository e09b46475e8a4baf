"""One call of `step()` for all groups together, place by place of the word."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ..bundle import Bundle
from ..step import apply
from .group import ActiveGroup


def flow(
    active: Sequence[ActiveGroup],
    closing: int,
    gradient: Callable[[ActiveGroup, Bundle], Bundle] | None = None,
    before: Callable[[ActiveGroup, int], None] | None = None,
    draw: Callable[[ActiveGroup, int], Any] | None = None,
) -> None:
    """One call for all groups together, place by place of the word.

    closing   the number of pieces of the closing piece
    gradient  of a group, where all groups have arrived; for words with several a step
    before    is told where a group is going to flow
    draw      gives the normal numbers of a letter
    """
    for place in range(len(active[0].sizes.pieces) if active else 0):
        for one in active:
            piece = one.sizes.pieces[place]
            if piece is None:
                continue
            if before is not None:
                before(one, place)
            here: Any = None if gradient is None else partial(gradient, one)
            drawn = None if draw is None else partial(_drawn, draw, one, place)
            apply([piece], one.state, here, draw=drawn)
        if place + 1 == closing:
            for one in active:
                one.share_friction()


def _drawn(draw: Callable[[ActiveGroup, int], Any], one: ActiveGroup, place: int, _: int) -> Any:
    return draw(one, place)
