"""What happened to the coordinates of a network, from the looks at its runs."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from ..training.log import lines
from ..training.looks.spells import frozen_spells

_Fractions = tuple[float, float]


@dataclass(frozen=True)
class Inside:
    """Of the looks at a run, or at several: see `training.looks`.

    frozen, capped  fractions of the coordinates that are frozen, and that feel the cubic cap: mean
                    over the looks (and the runs), and most; None for an optimizer that has none
    longest         steps for which a coordinate that was followed stayed frozen, at most
    """

    frozen: _Fractions | None
    capped: _Fractions | None
    longest: int

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
        return cls(frozen, capped, longest)

    @classmethod
    def of_runs(cls, runs: Iterable["Inside | None"]) -> "Inside | None":
        some = [one for one in runs if one is not None]
        if not some:
            return None
        frozen, capped = (
            _together([getattr(one, name) for one in some]) for name in ("frozen", "capped")
        )
        return cls(frozen, capped, max(one.longest for one in some))


def _fractions(values: Iterable[float | None]) -> _Fractions | None:
    known = [value for value in values if value is not None]
    return (fmean(known), max(known)) if known else None


def _together(of_runs: Iterable[_Fractions | None]) -> _Fractions | None:
    known = [one for one in of_runs if one is not None]
    return (fmean(mean for mean, _ in known), max(most for _, most in known)) if known else None
