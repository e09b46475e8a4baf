"""What happened to the coordinates of a network, from the looks at its runs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from pathlib import Path
from statistics import fmean
from typing import Any

from ...dynamics import Kick
from ..training.log import lines
from ..training.looks.spells import frozen_spells

_Fractions = tuple[float, float]


@dataclass(frozen=True)
class Inside:
    """Of the looks at a run, or at several: see `training.looks`.

    frozen, capped  fractions of the coordinates that are frozen, and that feel the cubic cap: mean
                    over the looks (and the runs), and most; None for an optimizer that has none
    longest         steps for which a coordinate that was followed stayed frozen, at most
    taken           by letter: the kinetic energy that it took away, of that which the kicks gave
                    (mean over the runs); a negative one gave some too
    """

    frozen: _Fractions | None
    capped: _Fractions | None
    longest: int
    taken: Mapping[str, float]

    @classmethod
    def of_run(cls, folder: Path) -> "Inside | None":
        """None where nobody looked, or where nothing damps."""
        looks = list(lines(folder, "look"))
        frozen, capped = (
            _fractions(look.get(name) for look in looks) for name in ("frozen", "capped")
        )
        if frozen is None and capped is None:
            return None
        longest = max((spell.steps for spell in frozen_spells(folder)), default=0)
        return cls(frozen, capped, longest, _taken(looks))

    @classmethod
    def of_runs(cls, runs: Iterable["Inside | None"]) -> "Inside | None":
        some = [one for one in runs if one is not None]
        if not some:
            return None
        frozen, capped = (
            _together([getattr(one, name) for one in some]) for name in ("frozen", "capped")
        )
        letters = dict.fromkeys(letter for one in some for letter in one.taken)
        taken = {letter: fmean(one.taken.get(letter, 0.0) for one in some) for letter in letters}
        return cls(frozen, capped, max(one.longest for one in some), taken)


def _fractions(values: Iterable[float | None]) -> _Fractions | None:
    known = [value for value in values if value is not None]
    return (fmean(known), max(known)) if known else None


def _together(of_runs: Iterable[_Fractions | None]) -> _Fractions | None:
    known = [one for one in of_runs if one is not None]
    return (fmean(mean for mean, _ in known), max(most for _, most in known)) if known else None


def _taken(looks: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Nothing where the kicks gave nothing; looks with a number that is not finite are left out."""
    changes = [look.get("letters", {}) for look in looks]
    seen = [some for some in changes if some and None not in some.values()]
    letters = dict.fromkeys(
        letter for some in seen for letter in some
    )  # a first step may lack some
    whole = {letter: fsum(some.get(letter, 0.0) for some in seen) for letter in letters}
    given = whole.pop(Kick.letter, 0.0)
    return {letter: -change / given for letter, change in whole.items() if change and given > 0}
