"""How long until a run is good enough."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Look(NamedTuple):
    """A look at the validation data: after so many steps and seconds of training."""

    step: int
    seconds: float
    value: float


class Reached(NamedTuple):
    """When the target was reached first."""

    steps: int
    seconds: float


def time_to_target(looks: Iterable[Look], target: float, larger_is_better: bool) -> Reached | None:
    """The first look that is as good as the target; None where there is none."""
    for look in looks:
        if look.value >= target if larger_is_better else look.value <= target:
            return Reached(look.step, look.seconds)
    return None


def worst_of_the_best(values: Sequence[float], larger_is_better: bool) -> float | None:
    """The best target that all runs reach, given the best value of each."""
    return (min if larger_is_better else max)(values, default=None)
