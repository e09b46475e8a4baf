"""How long until a run is good enough, and how fast it is."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np


class Look(NamedTuple):
    """A look at the validation data: after so many steps and seconds of training."""

    step: int
    seconds: float
    value: float


def steps_to_target(looks: Iterable[Look], target: float, larger_is_better: bool) -> float:
    """The step of the first look that is as good as the target; infinity where there is none."""
    for look in looks:
        if look.value >= target if larger_is_better else look.value <= target:
            return look.step
    return float("inf")


def worst_of_the_best(values: Sequence[float], larger_is_better: bool) -> float | None:
    """The best target that all runs reach, given the best value of each."""
    return (min if larger_is_better else max)(values, default=None)


def ms_per_step(runs: Iterable[Sequence[Look]]) -> float | None:
    """The lowest decile over the intervals between looks: other work on a machine only slows."""
    pairs = (pair for looks in runs for pair in pairwise(looks))
    speeds = [1e3 * (b.seconds - a.seconds) / (b.step - a.step) for a, b in pairs]
    return float(np.quantile(speeds, 0.1)) if speeds else None
