"""What to keep of a trajectory: a few numbers, updated as its states are saved."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from ...dynamics import State
from ...dynamics.elements import folded
from ..field import Field
from .saved import Saved

Memory = dict[str, Tensor]
"""What a reduction remembers of n trajectories between two blocks of saved states."""


@runtime_checkable
class Reduction(Protocol):
    """A few numbers per trajectory, made from its saved states without keeping them.

        @dataclass(frozen=True)
        class Farthest:
            '''The largest |x|² seen.'''
            names = ("farthest",)

            def begin(self, first):
                return {"far": torch.zeros_like(first.mechanical_energy[0])}

            def update(self, memory, saved):
                far = saved.state.total(saved.state.x ** 2).amax(0)
                memory["far"] = torch.maximum(memory["far"], far)

            def result(self, memory):
                return {"farthest": memory["far"]}

        ensemble(..., reduce=[Farthest()])

    names    of the results, identifiers; no two reductions share one
    begin    what is remembered before any state; `first` has the states at time 0
    update   one block of saved states after the other, that at time 0 included; changes `memory`.
             Which trajectories come together is nobody's promise: let the result not depend on
             it. The blocks of a run are the same in every chunk
    result   one number per trajectory [n] for every name

    Its repr and its attributes, functions among them, are how a saved ensemble knows that it was
    made with the same settings (see `fingerprint`); the code of its methods is not looked at.
    """

    @property
    def names(self) -> tuple[str, ...]: ...
    def begin(self, first: Saved, /) -> Memory: ...
    def update(self, memory: Memory, saved: Saved, /) -> None: ...
    def result(self, memory: Memory, /) -> dict[str, Tensor]: ...


@dataclass(frozen=True)
class FinalEnergy:
    """`final_energy`: E = f − f* + ½|p|² after the last step; NaN for a lost trajectory.

    Where the minimum f* is not known, f + ½|p|².
    """

    @property
    def names(self) -> tuple[str, ...]:
        return ("final_energy",)

    def begin(self, first: Saved) -> Memory:
        return {"last": first.mechanical_energy[-1]}

    def update(self, memory: Memory, saved: Saved) -> None:
        memory["last"] = saved.last_energy.clone()

    def result(self, memory: Memory) -> dict[str, Tensor]:
        return {"final_energy": memory["last"]}


@dataclass(frozen=True)
class LeastEnergy:
    """`least_energy`: the least E = f − f* + ½|p|² among the saved states.

    Where the minimum f* is not known, f + ½|p|².
    """

    @property
    def names(self) -> tuple[str, ...]:
        return ("least_energy",)

    def begin(self, first: Saved) -> Memory:
        return {"least": first.mechanical_energy[0]}

    def update(self, memory: Memory, saved: Saved) -> None:
        energy = saved.mechanical_energy
        least = energy.amin(0)
        at = (least.isnan() & ~energy[0].isnan()).nonzero()[:, 0]  # lost at these times
        least[at] = energy[:, at].nan_to_num(torch.inf).amin(0)
        memory["least"] = torch.fmin(memory["least"], least)

    def result(self, memory: Memory) -> dict[str, Tensor]:
        return {"least_energy": memory["least"]}


@dataclass(frozen=True)
class TimeToTarget:
    """`time_to_target`: the first saved time at which E = f − f* + ½|p|² <= target; NaN if never.

    target  an energy, in the units of f
    name    of the result, for several targets at once

    ValueError, before any work, for a landscape whose minimum f* is not known.
    """

    target: float
    name: str = "time_to_target"

    def __post_init__(self) -> None:
        number = math.nan if isinstance(self.target, str | None) else float(self.target)
        if not math.isfinite(number):
            raise ValueError(f"TimeToTarget takes an energy, a finite number; got {self.target!r}")
        object.__setattr__(self, "target", number)  # what a saved ensemble knows it by

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    def begin(self, first: Saved) -> Memory:
        least_of(first.landscape, self)
        if self.target < 0:
            raise ValueError(f"{self!r}: E = f − f* + ½|p|² is never below 0; give a target >= 0")
        return {"time": torch.full_like(first.mechanical_energy[0], torch.inf, dtype=torch.float64)}

    def update(self, memory: Memory, saved: Saved) -> None:
        energy = saved.mechanical_energy
        # those that reach it now; some, lost at these times, may have
        may = memory["time"].isinf() & ~(energy.amin(0) > self.target) & ~energy[0].isnan()
        at = may.nonzero()[:, 0]
        times = torch.where(energy[:, at] <= self.target, saved.times[:, None], torch.inf)
        memory["time"][at] = times.amin(0)

    def result(self, memory: Memory) -> dict[str, Tensor]:
        return {self.name: torch.where(memory["time"].isinf(), torch.nan, memory["time"])}


@dataclass(frozen=True)
class Mean:
    """The mean of an observable over the saved times from `after` on; NaN if there are none.

    observable  takes a state with coordinates first, `s.x` [*shape, T, n], and returns [T, n];
                for example lambda s: s.total(s.p * s.p) / 2
    name        of the result
    after       a time; what comes before it is left out
    """

    observable: Callable[[State], Tensor] = field(repr=False)
    name: str = "mean"
    after: float = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    def begin(self, first: Saved) -> Memory:
        nothing = torch.zeros_like(first.mechanical_energy[0], dtype=torch.float64)
        return {"sum": nothing, "count": torch.zeros((), dtype=torch.float64)}

    def update(self, memory: Memory, saved: Saved) -> None:
        late = saved.times >= self.after
        values = self.observable(saved.state)
        wanted = (len(late), len(memory["sum"]))
        if not isinstance(values, Tensor) or values.shape != wanted:
            shape = f"shape {tuple(values.shape)}" if isinstance(values, Tensor) else repr(values)
            raise ValueError(
                f"the observable of {self!r} must give one number per saved time and trajectory, "
                f"here a tensor of shape {wanted}; got {shape}"
            )
        memory["sum"] = memory["sum"] + folded(values[late].double())
        memory["count"] = memory["count"] + late.sum()

    def result(self, memory: Memory) -> dict[str, Tensor]:
        return {self.name: memory["sum"] / memory["count"]}


def least_of(landscape: Field, reduction: Reduction) -> float:
    """The minimum f* of a landscape; ValueError where it is not known."""
    if landscape.minimum is None:
        raise ValueError(
            f"{reduction!r} needs E = f − f* + ½|p|², but {landscape.name} has no known minimum "
            "f*. Give the landscape its minimum, or your own estimate: Landscape(f, ..., "
            "minimum=...)"
        )
    return landscape.minimum


def results_of(reduction: Reduction, memory: Memory, size: int) -> dict[str, Tensor]:
    """What a reduction found; ValueError unless it is one number per trajectory for each name."""
    found = reduction.result(memory)
    if not isinstance(found, Mapping):
        raise TypeError(
            f"{reduction!r}: result must return a dict of tensors by name; got {found!r}"
        )
    for name in reduction.names:
        if name not in found:
            raise ValueError(
                f"{reduction!r} must have one number per trajectory as result {name!r}; got "
                f"{'results ' + ', '.join(map(repr, found)) if found else 'no results'}"
            )
        value = found[name]
        if not isinstance(value, Tensor) or value.shape != (size,):
            shape = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value)
            raise ValueError(
                f"{reduction!r} must have one number per trajectory as result {name!r}, a tensor "
                f"of shape ({size},) here; got {shape}"
            )
    return found
