"""What a map would take: told before it starts, and refused where it is absurd."""

import math
from dataclasses import dataclass

from .errors import BadCallError

_RESULTS = 7  # numbers of eight bytes kept of a trajectory
_TILE = 64 * 10  # numbers of eight bytes per coordinate in use: 64 trajectories, ten arrays
_MOST_MEMORY = 8 * 2**30  # bytes
_MOST_WORK = 1e15  # coordinates times steps: at a nanosecond each, twelve days
_FEWER = "take fewer --points or --starts"


@dataclass(frozen=True)
class Work:
    """A map of `points` × `points`, with `starts` trajectories at each; `steps` of one of them."""

    points: int
    starts: int
    dimension: int = 1
    steps: float = 1.0

    @property
    def trajectories(self) -> int:
        return self.points**2 * self.starts

    @property
    def memory(self) -> int:
        """Bytes of results, starts and what is computed at once, about."""
        of_starts = self.dimension * (self.starts + _TILE)
        return 8 * (_RESULTS * self.trajectories + of_starts)

    def __str__(self) -> str:
        steps = f"{self.steps:.6g} steps each, {self.trajectories * self.steps:.3g} in all"
        coordinates = f"{self.dimension} coordinate{'s' * (self.dimension > 1)}"
        return f"{self._size} of {coordinates}: {steps}; memory {self.memory / 2**20:.3g} MiB"

    @property
    def _size(self) -> str:
        starts = f" × {self.starts} starts" if self.starts > 1 else ""
        return f"{self.trajectories} trajectories ({self.points} × {self.points}{starts})"

    def refuse(self) -> None:
        """BadCallError if it takes more than anyone can want."""
        if self.memory > _MOST_MEMORY:
            raise BadCallError(
                f"{self._size} need {self.memory / 2**30:.3g} GiB, a map may take "
                f"{_MOST_MEMORY // 2**30}: {_FEWER}"
            )
        work = self.trajectories * self.dimension * self.steps
        if not work <= _MOST_WORK:
            years = work * 1e-9 / (365.25 * 86400)
            told = f"{years:.2g} years" if math.isfinite(years) else "for ever"
            raise BadCallError(
                f"{self}; that takes about {told} at a nanosecond per step and coordinate: "
                f"{_FEWER}, a larger --step or a shorter --until"
            )
