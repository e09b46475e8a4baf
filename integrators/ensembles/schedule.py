"""How many steps each step size takes, and which states are saved."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from ..checks import positive, whole

_SAVED = 1000  # states of a run, about, unless `every` says otherwise
_ROUND_OFF = 1e-12  # by which until/h may exceed a whole number that it should be


@dataclass(frozen=True)
class Schedule:
    """The steps of the trajectories of one step size.

    step   h
    steps  how many
    every  states after steps 0, every, 2·every, ... and the last one are saved
    """

    step: float
    steps: int
    every: int

    @property
    def saved(self) -> int:
        """How many states are saved."""
        return 1 + -(-self.steps // self.every)

    @property
    def indices(self) -> list[int]:
        """Of the saved states."""
        last = [] if self.steps % self.every == 0 else [self.steps]
        return [*range(0, self.steps + 1, self.every), *last]


def schedules(
    step: Any, axis: Tensor | None, steps: Any, until: Any, every: Any
) -> tuple[Schedule, ...]:
    """One schedule per step size: as many `steps` for all, or as many as reach the time `until`."""
    if (step is None) == (axis is None):
        raise ValueError(
            "give the step size h once: step=0.01, or grid={'step': [...]}; got "
            + ("neither" if axis is None else "both")
        )
    sizes = [positive("step", step, "the step size h")] if axis is None else axis.tolist()
    if (steps is None) == (until is None):
        raise ValueError(
            "give steps, the same number for every trajectory, or until, the same time; got "
            + ("neither" if steps is None else "both")
        )
    if steps is not None:
        counts = [whole("steps", steps)] * len(sizes)
    else:
        time = positive("until", until)
        if math.isinf(time / min(sizes)):
            raise ValueError(f"until = {time:g} is too many steps of h = {min(sizes):g} away")
        counts = [max(1, math.ceil(time / h * (1 - _ROUND_OFF))) for h in sizes]
    if every is not None:
        every = whole("every", every)
    return tuple(
        Schedule(h, n, every or max(1, n // _SAVED)) for h, n in zip(sizes, counts, strict=True)
    )


def saved_times(plans: tuple[Schedule, ...], several: bool) -> np.ndarray:
    """[T], or with an axis of step sizes [k, T], NaN after the last one of each."""
    rows = [np.array(plan.indices) * plan.step for plan in plans]
    times = np.full((len(rows), max(map(len, rows))), np.nan)
    for row, known in zip(times, rows, strict=True):
        row[: len(known)] = known
    return times if several else times[0]
