"""What an ensemble is to compute: everything but where it is kept and who does it."""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...dynamics import Dynamics, State
from ..advance import Advance, Backend, advancing
from ..field import Field
from ..kernels.runs.advance import KernelAdvance
from ..kernels.runs.run_c import PER_THREAD
from ..noise.noise import Noise
from ..trajectory import described
from .chunk import Chunk
from .fingerprint import fingerprint, is_told_by_repr
from .grid import STEP, Grid, Members
from .reductions import Reduction, results_of
from .saved import TILE, Saved, in_tiles
from .schedule import Schedule, saved_times
from .storage import Layout

_PROBES = 8  # starts at which f is compared with that of a saved ensemble, and points around
_CHUNKS = 32  # of a run, where that costs little: Ctrl-C loses what the present one has
_WORTH = 2**27  # numbers times steps in a chunk: a tenth of a second of a simple kernel
_FEWEST = {"c": 2**10, "torch": 2**14, "triton": 2**18}  # numbers in the state of a chunk
_MOST = {"c": 2**13, "torch": 2**18, "triton": 2**20}  # with 64 saved states, what caches hold


@dataclass(frozen=True)
class Job:
    """The trajectories of a grid.

    start    of one start after the other, coordinates first, [*shape, starts]
    plans    the schedule of each step size
    kernels  that there are: a step is recorded once, not for every chunk
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
    kernels: list[KernelAdvance] = field(default_factory=list)

    @property
    def width(self) -> int:
        """Numbers in the state of one trajectory."""
        shapes = (getattr(self.start, name).shape[:-1] for name in self.dynamics.variables)
        return sum(shape.numel() for shape in shapes)

    def decided(self) -> "Job":
        """With the backend that the whole ensemble is worth: the same one in every chunk.

        ValueError for a reduction whose results have another shape than one number per trajectory.
        """
        made, s = self._some(0, 0)
        pair = Saved.of(made, self.landscape, s)
        for reduction in self.reduce:
            memory = reduction.begin(pair)
            reduction.update(memory, pair)
            results_of(reduction, memory, 2)
        work = sum(plan.steps for plan in self.plans) * (1 + self.grid.group // 1000)
        last = self.grid.group - 1
        made, s = self._some(*sorted({0, last // 2, last}))  # a record is compared with three
        for plan in self.plans if self.noise else ():  # `finest` must divide every step size
            replace(self, backend="torch")._engine(made, s, plan.step, self.noise, 0)
        engine = self._engine(made, s, self.plans[0].step, self.noise, work)
        return replace(self, backend=engine.backend)  # type: ignore[arg-type]

    def chunk_size(self, asked: int | None, ranks: int) -> int:
        """How many trajectories run at once, at most: a whole number of tiles."""
        share = -(-self.grid.group // ranks)
        size = self._usual_chunk(share) if asked is None else asked
        return max(1, -(-size // TILE)) * TILE

    def _usual_chunk(self, share: int) -> int:
        """How many of `share` trajectories: few, so that little is lost if a run is broken off."""
        least = max(_FEWEST[self.backend], -(-_WORTH // max(plan.steps for plan in self.plans)))
        if self.backend == "c" and (threads := torch.get_num_threads()) > 1:
            least = max(least, threads * PER_THREAD * self.width)
        most = max(_MOST[self.backend], least)
        wanted = -(-share * len(self.plans) // _CHUNKS)
        return min(share, max(-(-least // self.width), min(most // self.width, wanted)))

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

    def _some(self, *numbers: int) -> tuple[Dynamics, State]:
        """Trajectories of the first step size, by number, at their starts."""
        each = [self.grid.members(0, number, number + 1) for number in numbers]
        values = {name: torch.cat([one.values[name] for one in each]) for name in each[0].values}
        return self._at_start(values, torch.cat([one.starts for one in each]))

    def _at_start(self, values: dict[str, Tensor], starts: Tensor) -> tuple[Dynamics, State]:
        """The dynamics with values of its hyperparameters, and the state at time 0."""
        device = self.start.x.device
        made = self.dynamics.bind({name: v.to(device) for name, v in values.items()})
        starts = starts.to(device)
        chosen = {name: getattr(self.start, name)[..., starts] for name in made.variables}
        return made, State(chosen, self.start.rank)

    def begin(
        self, members: Members, run: int, keep: Callable[[int, Saved], None]
    ) -> tuple[Chunk, Advance]:
        """A chunk at its start, and what takes it through its steps."""
        plan = self.plans[run]
        made, s = self._at_start(members.values, members.starts)
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
        for kernel in self.kernels:
            if (known := kernel.again(made, s, step, noise)) is not None:
                return known
        engine = advancing(
            made, self.landscape, s, step,
            word=self.word, method=self.method, noise=noise, backend=self.backend, steps=steps,
        )  # fmt: skip
        if isinstance(engine, KernelAdvance):
            self.kernels.append(engine)
        return engine

    def _settings(self) -> dict[str, Any]:
        made = self.dynamics
        facts = described(made, self.landscape)
        facts["hyperparameters"] = {
            name: v for name, v in facts["hyperparameters"].items() if name not in self.grid.axes
        }
        return {
            **facts,
            "landscape": repr(self.landscape),
            "minimum": self.landscape.minimum,
            "f": _probed(self.landscape, self.start.x),
            "starts": _digest(self.start, made.variables),
            "step": None if STEP in self.grid.axes else self.plans[0].step,
            "steps": [plan.steps for plan in self.plans],
            "every": [plan.every for plan in self.plans],
            "word": self.word,
            "method": self.method,
            "noise": None if self.noise is None else self.noise.as_settings(),
            "dtype": str(self.start.x.dtype).removeprefix("torch."),
            "backend": self.backend,
            "reduce": [_told(one) for one in self.reduce],
        }


def _digest(start: State, names: Sequence[str]) -> str:
    """A fingerprint of the starts."""
    hashed = hashlib.sha256()
    for name in names:
        hashed.update(getattr(start, name).contiguous().cpu().numpy().data)
    return hashed.hexdigest()[:16]


def _probed(landscape: Field, starts: Tensor) -> list[float]:
    """f at some of the starts, and at random points around the first of them."""
    rank = len(landscape.shape)
    some = starts[..., np.linspace(0, starts.shape[-1] - 1, _PROBES).astype(int)]
    random = np.random.default_rng(0).uniform(-0.5, 0.5, some.shape)
    first = starts[..., :1]
    away = torch.from_numpy(random).to(first) * (1 + first.abs())
    values = in_tiles(landscape.f, torch.cat((some, first + away), dim=rank), rank)
    return values.double().tolist()


def _told(reduction: Reduction) -> str:
    """Its repr, and a fingerprint where that does not say all."""
    text = re.sub(r" at 0x[0-9a-f]+", "", repr(reduction))
    attributes = getattr(reduction, "__dict__", None)  # None with slots
    plain = attributes is not None and all(map(is_told_by_repr, attributes.values()))
    return text if plain else f"{text}, made of {fingerprint(reduction)}"
