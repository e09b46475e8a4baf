"""What is measured along a run, and its stationary average."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from ...integrators import Trajectory
from .averages import Average, average

Observable: TypeAlias = str | Callable[[Trajectory], Tensor]
"""A name ("x2", "p2", "energy") or a function of the run that returns [T, *batch]."""

DISCARD = 0.1
"""Fraction of a run that is left out at its start, unless said otherwise."""


def stationary(
    run: Trajectory, observable: Observable = "x2", *, discard: float = DISCARD
) -> Average:
    """The stationary average of an observable along a run, over all its trajectories.

    observable  "x2": |x|²; "p2": |p|²; "energy": f − f* + ½|p|² (`run.mechanical_energy`); or a
                function of the run that gives one number per time and trajectory, [T, *batch],
                for example `lambda run: run["x"][..., 0]`
    discard     fraction of the times left out at the start, which was chosen and not sampled; a
                tenth of a run that is long enough (20 τ) is two autocorrelation times

    Trajectories of the batch count as independent runs of one process; those that were lost are
    left out and reported. τ of the result is in samples, `spacing` the time between two of them.
    Raises ValueError for an unknown name, another shape, or times that are not equally spaced.
    """
    values, spacing = observe(run, observable)
    return average(values, discard=discard, spacing=spacing)


def observe(run: Trajectory, observable: Observable) -> tuple[Tensor, float]:
    """The observable at equally spaced times, [T, *batch], and their spacing."""
    if isinstance(observable, str):
        if observable not in _NAMED:
            known = ", ".join(map(repr, _NAMED))
            raise ValueError(f"no observable {observable!r}; there are {known}, or any function")
        observable = _NAMED[observable]
    values = observable(run)
    wanted = tuple(run.energy.shape)
    if tuple(values.shape) != wanted:
        raise ValueError(
            f"an observable is one number per time and trajectory, shape {wanted}; got "
            f"{tuple(values.shape)} (sum over the coordinates, or take one of them)"
        )
    count, spacing = equally_spaced(run)
    return values[:count], spacing


def equally_spaced(run: Trajectory) -> tuple[int, float]:
    """How many of a run's first times are equally spaced, and by how much.

    The last saved time may come early, if the steps were no multiple of `save_every`.
    """
    gaps = run.times.diff()
    if len(gaps) < 2:
        return len(run), float(gaps[0]) if len(gaps) else 1.0
    uneven = (gaps - gaps[0]).abs() > 1e-9 * run.times.abs().max()
    if bool(uneven[:-1].any()) or float(gaps[-1]) > float(gaps[0]) * (1 + 1e-6):
        raise ValueError(
            "averages over time need equally spaced times, as simulate saves them: of runs that "
            "are joined, all but the last need steps that are a multiple of save_every; give solve "
            "`times` with one spacing"
        )
    return len(run) - int(uneven[-1]), float(gaps[0])


def _squares(run: Trajectory, name: str) -> Tensor:
    values = run[name]
    coordinates = tuple(range(run.energy.ndim, values.ndim))
    return torch.sum(values * values, coordinates)


_NAMED: dict[str, Callable[[Trajectory], Tensor]] = {
    "x2": lambda run: _squares(run, "x"),
    "p2": lambda run: _squares(run, "p"),
    "energy": lambda run: run.mechanical_energy,
}
