"""What a reduction sees: the states of some trajectories at successive saved times."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor

from ...dynamics import Dynamics, State
from ..field import Field

TILE = 64  # points: in whole tiles the last bit of f does not depend on a point's place


class Saved:
    """Saved states of n trajectories at T successive times, the same for all of them.

    Attributes
        times              [T], float64: index of the step times h
        state              variables with coordinates first, [*shape, T, n]; NaN where a trajectory
                           was lost to overflow by then
        mechanical_energy  [T, n], E = f − f* + ½|p|² (f + ½|p|² where f* is not known), as in
                           `Trajectory`
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
        self._lost = None
        if bool((stopped_at >= 0).any()):
            self._lost = (stopped_at >= 0) & (stopped_at <= numbers[:, None])  # [T, n]

    @classmethod
    def of(
        cls,
        dynamics: Dynamics,
        landscape: Field,
        s: State,
        step: float = 0.0,
        index: int = 0,
        stopped_at: Tensor | None = None,
    ) -> "Saved":
        """One state, that after `index` steps."""
        if stopped_at is None:
            batch = s.x.shape[s.rank :]
            stopped_at = torch.full(batch, -1, dtype=torch.int64, device=s.x.device)
        states = {name: getattr(s, name)[None] for name in dynamics.variables}
        return cls(dynamics, landscape, step, [index], states, stopped_at)

    @cached_property
    def state(self) -> State:
        variables = {}
        for name, value in self._states.items():
            value = value.movedim(0, value.ndim - 2).contiguous()
            variables[name] = value if self._lost is None else value.where(~self._lost, math.nan)
        return State(variables, len(self.landscape.shape))

    def stored(self, name: str) -> Tensor:
        """A variable as it is stored, [T, n, *shape]."""
        value = getattr(self.state, name)
        axes = value.ndim - 2
        return value.movedim(tuple(range(axes)), tuple(range(-axes, 0))) if axes else value

    @cached_property
    def potential(self) -> Tensor:
        """f − f* (f* = 0 where it is not known), [T, n]."""
        value = in_tiles(self.landscape.f, self.state.x, self.state.rank)
        return value - self.landscape.minimum if self.landscape.minimum else value

    @cached_property
    def mechanical_energy(self) -> Tensor:
        return self.dynamics.mechanical_energy(self.state, self.potential)

    @property
    def last_energy(self) -> Tensor:
        """`mechanical_energy` at the last of the times, [n]; alone, where the others are unused."""
        if "mechanical_energy" in self.__dict__:
            return self.mechanical_energy[-1]
        last = Saved.__new__(Saved)
        last.dynamics, last.landscape, last.times = self.dynamics, self.landscape, self.times[-1:]
        last._states = {name: value[-1:] for name, value in self._states.items()}
        last._lost = None if self._lost is None else self._lost[-1:]
        return last.mechanical_energy[0]

    @cached_property
    def energy(self) -> Tensor:
        return self.dynamics.energy(self.state, self.potential)


def in_tiles(function: Callable[[Tensor], Tensor], x: Tensor, rank: int) -> Tensor:
    """function(x), [*batch], of x [*shape, *batch], on a whole number of tiles of points.

    A library's sum over coordinates rounds differently in the last, incomplete vector of points.
    """
    points, batch = x.flatten(rank), x.shape[rank:]
    missing = -points.shape[-1] % TILE
    if missing:
        more = points[..., -1:].expand(*x.shape[:rank], missing)
        points = torch.cat((points, more), dim=rank)
    return function(points)[: math.prod(batch)].reshape(batch)
