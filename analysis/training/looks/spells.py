"""For how long coordinates are frozen, from the log of a run."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..log import lines


class Spell(NamedTuple):
    """A coordinate was frozen at the looks from `start` on, of `steps` steps in all.

    steps  from the first of these looks to the first one after it that found it thawed, or
           to the last look: as exact as looks are frequent
    ended  whether it has thawed
    """

    coordinate: int
    start: int
    steps: int
    ended: bool


def frozen_spells(folder: Path) -> Iterator[Spell]:
    """Of the coordinates that are followed (`watched`), in the order of their end.

    After a gradient spike, spells start together: their lengths say how soon it is forgotten.
    Nothing where nobody looked.
    """
    since: dict[int, int] = {}
    step = 0
    for look in lines(folder, "look"):
        step, frozen = look["step"], set(look.get("watched", ()))
        for coordinate in sorted(since.keys() - frozen):
            start = since.pop(coordinate)
            yield Spell(coordinate, start, step - start, True)
        for coordinate in frozen - since.keys():
            since[coordinate] = step
    for coordinate, start in sorted(since.items()):
        yield Spell(coordinate, start, step - start, False)
