"""The record of a run: saved times and states, energies, settings and status."""

import json
import os
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..dynamics import Dynamics, State
from .field import Field
from .files import atomic

Status = Literal["finished", "diverged", "underflow", "stopped", "interrupted"]


@dataclass
class Trajectory:
    """Saved times and states of one or many runs; tensors on the CPU, coordinates last.

    Attributes
        times              [T]
        states             by name; `run["x"]` is `[T, *batch, *shape]`, a variable with one
                           number per system (KFAD's xi) `[T, *batch]`, one with a number per
                           row of a matrix (RIKFAD's rows) `[T, *batch, m, 1]`
        energy             [T, *batch], the dynamics' Lyapunov energy (iKFAD: with + μ/2 |ξ|²)
        mechanical_energy  [T, *batch], E = f − f* + ½|p|² (with a mass m, |p|²/(2m); CADAM: H_C);
                           decay rates are of this
        settings           everything that made the run, as plain values; `minimum` is the f*
                           that was subtracted, None if the landscape does not know it (then 0)
        status             "finished"; "diverged" (overflow); "underflow" (no step is small
                           enough); "stopped" (`stop_below` was reached); "interrupted" (Ctrl-C)
        message            what happened, at which step and where
        stopped_at         [*batch] index of the step at which a trajectory was lost to overflow,
                           −1 for those that were not; later saved states of a lost one are NaN
    """

    times: Tensor
    states: dict[str, Tensor]
    energy: Tensor
    mechanical_energy: Tensor
    settings: dict[str, Any] = field(default_factory=dict)
    status: Status = "finished"
    message: str = ""
    stopped_at: Tensor = field(default_factory=lambda: torch.tensor(-1))

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.states:
            raise KeyError(f"no variable {name!r} in this run; it has {', '.join(self.states)}")
        return self.states[name]

    def __len__(self) -> int:
        return len(self.times)

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.states["x"].shape[1:])) or "1"
        label = f"{self.settings.get('dynamics', '?')} on {self.settings.get('landscape', '?')}"
        return f"Trajectory({label}, {len(self)} times, x {shape}, {self.status})"

    def thinned(self, at_most: int) -> "Trajectory":
        """The same run with every n-th saved time, so that about `at_most` remain."""
        every = max(1, len(self) // at_most)
        return replace(
            self,
            times=self.times[::every],
            states={name: value[::every] for name, value in self.states.items()},
            energy=self.energy[::every],
            mechanical_energy=self.mechanical_energy[::every],
        )

    def joined(self, later: "Trajectory") -> "Trajectory":
        """This run and the one that `simulate` continued from its last state, as one.

        Raises ValueError if `later` does not begin where this run ends.
        """
        meets = len(later) and later.states.keys() == self.states.keys()
        meets = meets and torch.equal(later.times[:1], self.times[-1:])
        if not meets or any(
            not torch.equal(later[name][0].nan_to_num(), value[-1].nan_to_num())
            for name, value in self.states.items()
        ):
            raise ValueError(
                f"{later!r} does not go on from the last state of {self!r}; make it with "
                "simulate(dynamics, landscape, run, steps=...)"
            )
        steps = round(later.times[-1].item() / later.settings["step"])
        return replace(
            later,
            times=torch.cat([self.times, later.times[1:]]),
            states={name: torch.cat([v, later[name][1:]]) for name, v in self.states.items()},
            energy=torch.cat([self.energy, later.energy[1:]]),
            mechanical_energy=torch.cat([self.mechanical_energy, later.mechanical_energy[1:]]),
            settings={**later.settings, "steps": steps},
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write everything to an `.npz` file, atomically; returns its path."""
        path = Path(path)
        if path.suffix != ".npz":
            path = path.with_name(path.name + ".npz")
        facts = {"settings": self.settings, "status": self.status, "message": self.message}
        arrays = {f"state_{name}": value for name, value in self.states.items()}
        arrays |= {name: getattr(self, name) for name in _ARRAYS}
        blob: dict[str, Any] = {name: v.detach().numpy() for name, v in arrays.items()}
        with atomic(path) as handle:
            np.savez_compressed(handle, facts=np.array(json.dumps(facts)), **blob)
        return path

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Trajectory":
        """Read a file that `save` wrote. Raises ValueError if it is not one."""
        try:
            with np.load(path, allow_pickle=False) as blob:
                facts = json.loads(str(blob["facts"]))
                arrays = {name: torch.from_numpy(blob[name]) for name in blob if name != "facts"}
                return cls(
                    states={k[6:]: v for k, v in arrays.items() if k.startswith("state_")},
                    **{name: arrays[name] for name in _ARRAYS},
                    **facts,
                )
        except (KeyError, TypeError, ValueError, EOFError, AttributeError, *_DAMAGE) as error:
            raise ValueError(
                f"{path} is not a trajectory saved by dashpot, or it is damaged"
            ) from error


_AT_ONCE = 1_000_000  # coordinates: a network cannot be evaluated at thousands of points at once
_DAMAGE = (zipfile.BadZipFile, zlib.error)
_ARRAYS = ("times", "energy", "mechanical_energy", "stopped_at")


def record(
    dynamics: Dynamics,
    landscape: Field,
    times: Tensor,
    states: Mapping[str, Tensor],
    settings: Mapping[str, Any],
    **outcome: Any,
) -> Trajectory:
    """Make a Trajectory from states `[T, *shape, *batch]` (coordinates before the batch)."""
    rank = len(landscape.shape)
    # energies treat time as one more batch axis, before those of the batch
    axes = {name: len(dynamics.shape_of(name, tuple(landscape.shape))) for name in states}
    s = State({name: value.movedim(0, axes[name]) for name, value in states.items()}, rank)
    minimum = landscape.minimum
    potential = in_pieces(landscape.f, s.x, rank, 0) - (minimum or 0.0)
    return Trajectory(
        times=times.cpu(),
        states={name: outside(value, axes[name], 1).cpu() for name, value in states.items()},
        energy=dynamics.energy(s, potential).cpu(),
        mechanical_energy=dynamics.mechanical_energy(s, potential).cpu(),
        settings={**described(dynamics, landscape), "minimum": minimum, **settings},
        **outcome,
    )


def described(dynamics: Dynamics, landscape: Field) -> dict[str, Any]:
    """What was run, as plain values."""
    return {
        "dynamics": dynamics.name,
        "parts": [repr(part) for part in dynamics.parts.values()],
        "hyperparameters": {k: plain(v) for k, v in dynamics.hyperparameters.items()},
        "landscape": landscape.name,
    }


def in_pieces(function: Callable[[Tensor], Tensor], x: Tensor, rank: int, dim: int) -> Tensor:
    """function(x), some of x [*shape, T, *batch] at a time; `dim` is where the result has time."""
    share = max(1, _AT_ONCE // max(1, x[(slice(None),) * rank + (0,)].numel()))
    return torch.cat([function(piece) for piece in x.split(share, dim=rank)], dim)


def inside(x: Tensor, rank: int) -> Tensor:
    """Coordinates last to coordinates first, each coordinate contiguous."""
    batch = x.ndim - rank
    return x.movedim(tuple(range(batch, x.ndim)), tuple(range(rank))).contiguous()


def outside(x: Tensor, rank: int, first: int = 0) -> Tensor:
    """Coordinates first (after `first` leading axes) to coordinates last."""
    axes = tuple(range(first, first + rank))
    return x.movedim(axes, tuple(range(x.ndim - rank, x.ndim))).contiguous()


def plain(value: Any) -> Any:
    """A hyperparameter as something json can hold."""
    return value.tolist() if isinstance(value, Tensor | np.ndarray | np.generic) else value
