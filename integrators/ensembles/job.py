"""What an ensemble is to compute: everything but where it is kept and who does it."""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...dynamics import Dynamics, State
from ..advance import Advance, Backend, advancing
from ..field import Field
from ..noise.noise import Noise
from ..trajectory import described
from .chunk import Chunk
from .grid import STEP, Grid, Members
from .reductions import Reduction
from .saved import Saved
from .schedule import Schedule, saved_times
from .storage import Layout

_TILE = 64  # trajectories: a sum over coordinates rounds differently in an incomplete vector
_LARGEST = 2**16  # trajectories in a chunk, unless it is asked for
_NUMBERS = 2**20  # in the state of a chunk


@dataclass(frozen=True)
class Job:
    """The trajectories of a grid.

    start  of one start after the other, coordinates first, [*shape, starts]
    plans  the schedule of each step size
    """

    dynamics: Dynamics
    landscape: Field
    start: State
    grid: Grid
    plans: tuple[Schedule, ...]
    word: str | None
    method: str
    noise: Noise | None
    backend: Backend
    reduce: tuple[Reduction, ...]
    store: tuple[str, ...]

    @property
    def width(self) -> int:
        """Numbers in the state of one trajectory."""
        shapes = (getattr(self.start, name).shape[:-1] for name in self.dynamics.variables)
        return sum(shape.numel() for shape in shapes)

    def decided(self) -> "Job":
        """With the backend that the whole ensemble is worth: the same one in every chunk."""
        work = sum(plan.steps for plan in self.plans) * (1 + self.grid.group // 1000)
        first = self._first()
        engine = self._engine(self.dynamics, first, self.plans[0].step, self.noise, work)
        for plan in self.plans if self.noise else ():  # `finest` must divide every step size
            replace(self, backend="torch")._engine(self.dynamics, first, plan.step, self.noise, 0)
        return replace(self, backend=engine.backend)  # type: ignore[arg-type]

    def chunk_size(self, asked: int | None, ranks: int) -> int:
        """How many trajectories run at once, at most: a whole number of tiles."""
        share = -(-self.grid.group // ranks)
        size = min(_LARGEST, _NUMBERS // self.width, share) if asked is None else asked
        return max(1, -(-size // _TILE)) * _TILE

    def pending(self, size: int, computed: np.ndarray) -> list[tuple[int, int, int]]:
        """The chunks (step size, first, last) that are not computed yet."""
        done = computed.reshape(-1)
        return [
            (run, first, last)
            for run in range(len(self.plans))
            for first in range(0, self.grid.group, size)
            for last in [min(first + size, self.grid.group)]
            if not done[self.grid.members(run, first, last).places].all()
        ]

    def begin(
        self, members: Members, run: int, keep: Callable[[int, Saved], None]
    ) -> tuple[Chunk, Advance]:
        """A chunk at its start, and what takes it through its steps."""
        plan, device = self.plans[run], self.start.x.device
        made = self.dynamics.bind({name: v.to(device) for name, v in members.values.items()})
        starts = members.starts.to(device)
        chosen = {name: getattr(self.start, name)[..., starts] for name in made.variables}
        s = State(chosen, self.start.rank)
        noise = self.noise and replace(self.noise, first=self.noise.first + members.first)
        engine = self._engine(made, s, plan.step, noise, plan.steps)
        return Chunk(made, self.landscape, s, plan, self.reduce, keep), engine

    def layout(self) -> Layout:
        """The arrays of the results."""
        batch = self.grid.batch
        names = ["start"] if len(batch) == 1 else [f"start_{k + 1}" for k in range(len(batch))]
        axes = {name: axis.numpy() for name, axis in self.grid.axes.items()}
        axes |= {name: np.arange(n) for name, n in zip(names, batch, strict=True)}
        times, shape = saved_times(self.plans, several=STEP in axes), self.grid.shape
        values: dict[str, tuple[tuple[int, ...], np.dtype]] = {
            name: (shape, np.dtype(np.float64))
            for reduction in self.reduce
            for name in reduction.names
        }
        values["stopped_at"] = (shape, np.dtype(np.int64))
        values["computed"] = (shape, np.dtype(np.bool_))
        for name in self.store:
            value: Tensor = getattr(self.start, name)
            kind = torch.empty(0, dtype=value.dtype).numpy().dtype
            values[name] = ((times.shape[-1], *shape, *value.shape[:-1]), kind)
        return Layout(axes, values, times, self._settings())

    def _engine(
        self, made: Dynamics, s: State, step: float, noise: Noise | None, steps: int
    ) -> Advance:
        return advancing(
            made, self.landscape, s, step,
            word=self.word, method=self.method, noise=noise, backend=self.backend, steps=steps,
        )  # fmt: skip

    def _first(self) -> State:
        names = self.dynamics.variables
        return State({name: getattr(self.start, name)[..., :1] for name in names}, self.start.rank)

    def _settings(self) -> dict[str, Any]:
        made, first = self.dynamics, self._first()
        saved = Saved(
            made, self.landscape, 0.0, [0],
            {name: getattr(first, name)[None] for name in made.variables},
            torch.full((1,), -1, device=first.x.device),
        )  # fmt: skip
        facts = described(made, self.landscape)
        facts["hyperparameters"] = {
            name: v for name, v in facts["hyperparameters"].items() if name not in self.grid.axes
        }
        return {
            **facts,
            "landscape": repr(self.landscape),
            "minimum": self.landscape.minimum,
            "initial_energy": saved.mechanical_energy.item(),
            "starts": _digest(self.start, made.variables),
            "step": None if STEP in self.grid.axes else self.plans[0].step,
            "steps": [plan.steps for plan in self.plans],
            "every": [plan.every for plan in self.plans],
            "word": self.word,
            "method": self.method,
            "noise": None if self.noise is None else self.noise.as_settings(),
            "dtype": str(self.start.x.dtype).removeprefix("torch."),
            "backend": self.backend,
            "reduce": [re.sub(r" at 0x[0-9a-f]+", "", repr(one)) for one in self.reduce],
        }


def _digest(start: State, names: Sequence[str]) -> str:
    """A fingerprint of the starts."""
    hashed = hashlib.sha256()
    for name in names:
        hashed.update(getattr(start, name).contiguous().cpu().numpy().data)
    return hashed.hexdigest()[:16]
