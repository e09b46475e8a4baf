"""Which trajectory of an ensemble has which hyperparameters, step size and start."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...dynamics import Dynamics
from ..start import not_a_dynamics

STEP = "step"  # the axis of step sizes, among those of hyperparameters


@dataclass(frozen=True)
class Members:
    """Some trajectories of one step size.

    places  where they stand in the results, as if those had one axis
    starts  which of the starts each has
    values  of the hyperparameters on the grid, one number each, [n], float64
    first   number of the first one; the others follow
    """

    places: np.ndarray
    starts: Tensor
    values: dict[str, Tensor]
    first: int

    def __len__(self) -> int:
        return len(self.places)


@dataclass(frozen=True)
class Grid:
    """Every combination of the values on the axes with every start.

    axes   values by name of a hyperparameter, or "step"; [k], float64
    batch  the shape of the starts

    The trajectories are numbered with the step size as the slowest axis, then the other axes in
    their order, then the starts: so those of one step size follow one another.
    """

    axes: dict[str, Tensor]
    batch: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the results: the axes in order, then the starts."""
        return (*map(len, self.axes.values()), *self.batch)

    @property
    def step_axis(self) -> int | None:
        return list(self.axes).index(STEP) if STEP in self.axes else None

    @property
    def group(self) -> int:
        """How many trajectories have one step size."""
        return math.prod(n for axis, n in enumerate(self.shape) if axis != self.step_axis)

    def members(self, run: int, first: int, last: int) -> Members:
        """The trajectories number first … last − 1 of those with step size number `run`."""
        at, shape = self.step_axis, list(self.shape)
        if at is not None:
            del shape[at]
        index = list(np.unravel_index(np.arange(first, last), shape)) if shape else []
        varied = [name for name in self.axes if name != STEP]
        values = {
            name: axis[torch.from_numpy(where)]
            for name, axis, where in zip(varied, map(self.axes.get, varied), index, strict=False)
            if axis is not None
        }
        starts = np.zeros(last - first, dtype=np.int64)
        if self.batch:
            starts = np.ravel_multi_index(index[len(varied) :], self.batch)
        if at is not None:
            index.insert(at, np.full(last - first, run))
        places = np.zeros(1, dtype=np.int64)
        if index:
            places = np.ravel_multi_index(index, self.shape)
        return Members(places, torch.from_numpy(starts), values, run * self.group + first)


def read_axes(grid: Mapping[str, Any] | None) -> dict[str, Tensor]:
    """The axes of a grid, checked but for what the dynamics says of them."""
    if grid is not None and not isinstance(grid, Mapping):
        raise TypeError(
            'grid must be values by name, such as {"gamma": [0.1, 1.0], "step": [0.01, 0.02]}; '
            f"got {grid!r}"
        )
    axes = {}
    for name, values in (grid or {}).items():
        try:
            given = np.asarray(values)
            if given.dtype.kind in "cSU":  # numpy would drop imaginary parts, and read text
                raise TypeError
            axis = torch.from_numpy(given.astype(np.float64))
        except (TypeError, ValueError):
            raise TypeError(f"grid: {name} must be a list of numbers; got {values!r}") from None
        if axis.ndim != 1 or not len(axis):
            raise ValueError(
                f"grid: {name} must be a list of one number or more; got shape {tuple(axis.shape)}"
            )
        if name == STEP and not bool((axis.isfinite() & (axis > 0)).all()):
            raise ValueError(
                f"grid: step must be finite numbers > 0, step sizes h; got {axis.tolist()}"
            )
        axes[name] = axis
    return axes


def prototype(dynamics: Any, axes: Mapping[str, Tensor]) -> Dynamics:
    """One dynamics of the grid, with its first values; all values are checked.

    `dynamics` is an instance, or a class that is made from values on the grid alone.
    """
    values = {name: axis for name, axis in axes.items() if name != STEP}
    first: dict[str, Any] = {name: axis[0].item() for name, axis in values.items()}
    if isinstance(dynamics, type) and issubclass(dynamics, Dynamics):
        try:
            made = dynamics(**first)
        except TypeError as error:
            raise TypeError(
                f"{dynamics.__name__} cannot be made from what is on the grid "
                f"({', '.join(first) or 'nothing'}): {error}; pass {dynamics.__name__}(...) with "
                "its other hyperparameters"
            ) from None
    elif isinstance(dynamics, Dynamics):
        made = dynamics
    else:
        raise TypeError(not_a_dynamics(dynamics))
    known = made.hyperparameters
    for name in values:
        if name not in known:
            close = get_close_matches(name, [*known, STEP], 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ValueError(
                f"grid: {made.name} has no hyperparameter {name!r}; it has "
                f"{', '.join(known) or 'none'}, and there is 'step'{hint}"
            )
    for part in made.parts.values():
        own = {name: axis for name, axis in values.items() if name in part.hyperparameters}
        for name, axis in own.items():
            replace(part, **{name: axis})  # which checks its range
    for name, value in known.items():
        per_coordinate = name not in values and isinstance(value, Tensor | np.ndarray)
        if per_coordinate and np.prod(np.shape(value), dtype=int) > 1:
            raise ValueError(
                f"{name} of {made.name} has shape {tuple(value.shape)}; in an ensemble every "
                "hyperparameter is one number: put its values on the grid"
            )
    return made.bind(first)
