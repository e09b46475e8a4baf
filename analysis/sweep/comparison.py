"""The tables of a sweep as numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean, stdev
from typing import Any

from .differences import Difference
from .folders import Row
from .head import Head
from .inside import Inside
from .sensitivity import Width


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation over seeds (None of a single one), and what lies between."""

    mean: float
    deviation: float | None
    low: float
    high: float
    seeds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread | None":
        if not values:
            return None
        deviation = stdev(values) if len(values) > 1 else None
        return cls(fmean(values), deviation, min(values), max(values), len(values))


@dataclass(frozen=True)
class Compared:
    """One row of the comparison: an optimizer (a word, a factor of lr) over its report seeds.

    best        of the validation metric in each run; a run that diverged later keeps its best
    difference  to the reference
    steps       until the target, over the seeds; median, lowest and highest, infinity of a run that
                never came there; None where none did
    reached     runs that came there
    seconds     of the median steps, at the speed of this row; None where that is infinite
    ms_per_step of training, see `target.ms_per_step`
    unfinished  runs that are still to be done, and count for nothing
    """

    label: str
    seeds: int
    unfinished: int
    diverged: int
    best: Spread | None
    difference: Difference | None
    test: Spread | None
    reached: int
    steps: tuple[float, float, float] | None
    seconds: float | None
    ms_per_step: float | None
    state_bytes: int | None
    hyperparameters: Mapping[str, float]
    inside: Inside | None


@dataclass(frozen=True)
class Searched:
    """The trials of an optimizer: how they ended, the chosen one, what k of them would find."""

    label: str
    trials: int
    unfinished: int
    diverged: int
    pruned: int
    chosen: int | None
    best: float | None
    median: float | None
    curve: tuple[float, ...]


@dataclass(frozen=True)
class Scanned:
    """Best validation value by lr, all else fixed (None: diverged), and the width of the good.

    chosen  lr of the comparison; that of `width` is the best one here
    """

    label: str
    chosen: float
    values: Mapping[float, float | None]
    width: Width | None


@dataclass(frozen=True)
class Comparison:
    """All tables of a sweep; see the classes of their rows."""

    head: Head
    reference: str
    target: float | None
    tolerance: float
    compared: Sequence[Compared]
    searched: Sequence[Searched]
    scanned: Sequence[Scanned]
    rows: Sequence[Row] = field(repr=False)
    reported: Mapping[str, Sequence[Row]] = field(repr=False)
    planned: Mapping[str, Sequence[int]] = field(repr=False)

    @property
    def lr_name(self) -> str:
        """What the lr of the comparison is called."""
        return "given" if self.head.search is None else "chosen"

    @property
    def missing(self) -> dict[str, list[int]]:
        """Row -> seeds whose run is not over, of those that were asked for or that others have."""
        waiting = {one.label for one in self.searched if one.chosen is None}
        rows = (*self.planned, *(one.label for one in self.searched))
        over: dict[str, set[int]] = {name: set() for name in rows if name not in waiting}
        for label, some in self.reported.items():
            over[label] = {row.settings.seed for row in some if row.is_over}
        every = set().union(*over.values(), *self.planned.values())
        return {label: sorted(every - seeds) for label, seeds in over.items() if every - seeds}

    def as_json(self) -> dict[str, Any]:
        return {
            "head": asdict(self.head),
            "reference": self.reference,
            "target": self.target,
            "tolerance": self.tolerance,
            "compared": [asdict(one) for one in self.compared],
            "searched": [asdict(one) for one in self.searched],
            "scanned": [
                {**asdict(one), "values": list(one.values.items())} for one in self.scanned
            ],
            "runs": [row.as_json for row in self.rows],
        }
