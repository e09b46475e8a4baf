"""What a reduction sees: the states of some trajectories at successive saved times."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor

from ...dynamics import Dynamics, State
from ..field import Field

_TILE = 64  # points: in whole tiles the last bit of f does not depend on a point's place


class Saved:
    """Saved states of n trajectories at T successive times, the same for all of them.

    Attributes
        times              [T], float64: index of the step times h
        state              variables with coordinates first, [*shape, T, n]; NaN where a trajectory
                           was lost to overflow by then
        mechanical_energy  [T, n], E = f − f* + ½|p|², as in `Trajectory`
        energy             [T, n], the dynamics' Lyapunov energy
        dynamics           with the hyperparameters of these trajectories, one number each, [n]
        landscape          on which they run
    """

    def __init__(
        self,
        dynamics: Dynamics,
        landscape: Field,
        step: float,
        indices: Sequence[int],
        states: Mapping[str, Tensor],
        stopped_at: Tensor,
    ) -> None:
        """`states` by name, [T, *shape, n]; `stopped_at` [n], −1 for those that were not lost."""
        self.dynamics, self.landscape = dynamics, landscape
        numbers = torch.tensor(list(indices), dtype=torch.int64, device=stopped_at.device)
        self.times = numbers.to(torch.float64) * step
        self._states = states
        self._lost = (stopped_at >= 0) & (stopped_at <= numbers[:, None])  # [T, n]

    @cached_property
    def state(self) -> State:
        any_lost = bool(self._lost.any())
        variables = {}
        for name, value in self._states.items():
            value = value.movedim(0, value.ndim - 2)
            variables[name] = torch.where(self._lost, math.nan, value) if any_lost else value
        return State(variables, len(self.landscape.shape))

    def stored(self, name: str) -> Tensor:
        """A variable as it is stored, [T, n, *shape]."""
        value = getattr(self.state, name)
        axes = value.ndim - 2
        return value.movedim(tuple(range(axes)), tuple(range(-axes, 0))) if axes else value

    @cached_property
    def potential(self) -> Tensor:
        """f − f* (f* = 0 where it is not known), [T, n]."""
        value = _in_tiles(self.landscape.f, self.state.x, self.state.rank)
        return value - (self.landscape.minimum or 0.0)

    @cached_property
    def mechanical_energy(self) -> Tensor:
        return self.dynamics.mechanical_energy(self.state, self.potential)

    @cached_property
    def energy(self) -> Tensor:
        return self.dynamics.energy(self.state, self.potential)


def _in_tiles(function: Callable[[Tensor], Tensor], x: Tensor, rank: int) -> Tensor:
    """function(x), [*batch], of x [*shape, *batch], on a whole number of tiles of points.

    A library's sum over coordinates rounds differently in the last, incomplete vector of points.
    """
    points, batch = x.flatten(rank), x.shape[rank:]
    missing = -points.shape[-1] % _TILE
    whole = torch.cat((points, points[..., -1:].expand(*x.shape[:rank], missing)), dim=rank)
    return function(whole)[: points.shape[-1]].reshape(batch)
