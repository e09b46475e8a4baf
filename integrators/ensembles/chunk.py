"""Some trajectories of an ensemble, from the first step to the last."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...dynamics import Dynamics, State
from ..advance import Advance
from ..field import Field
from .reductions import Memory, Reduction, results_of
from .saved import TILE, Saved
from .schedule import Schedule

_ROWS = 64  # saved states in a block, at most
_HELD = 2**21  # numbers in a block of a tile of trajectories
_PATIENCE = 0.25  # seconds between two looks at the keyboard


def rows_for(width: int) -> int:
    """How many saved states of `width` numbers a trajectory are reduced at once.

    It depends on nothing else: so the blocks, and with them the last bits of sums over saved
    times, are those of any other chunk.
    """
    return max(1, min(_ROWS, _HELD // (TILE * max(1, width))))


class Chunk:
    """Trajectories that run at once: their states, and what the reductions remember of them."""

    def __init__(
        self,
        dynamics: Dynamics,
        landscape: Field,
        s: State,
        plan: Schedule,
        reductions: Sequence[Reduction],
        keep: Callable[[int, Saved], None],
    ) -> None:
        """`keep` is told of saved states, and which number the first of them has."""
        self._dynamics, self._landscape, self._s, self._plan = dynamics, landscape, s, plan
        self._reductions, self._keep = reductions, keep
        size = s.x.shape[-1]
        self.stopped_at = torch.full((size,), -1, dtype=torch.int64, device=s.x.device)
        first = self._present(0)
        self._memories: list[Memory] = [reduction.begin(first) for reduction in reductions]
        self._seen = 0  # how many states were saved
        self._show(first)

    def run(self, engine: Advance, tell: Callable[[int], Any]) -> None:
        """Take all steps; `tell` hears how many at a time."""
        _hold_memory()
        plan, s, done, filled, pace = self._plan, self._s, 0, 0, 64
        numbers = {name: getattr(s, name) for name in self._dynamics.variables}
        width = sum(value.numel() for value in numbers.values()) // max(1, s.x.shape[-1])
        rows = max(1, min(rows_for(width), plan.steps // plan.every))
        block = {name: value.new_empty((rows, *value.shape)) for name, value in numbers.items()}
        all_lost = False
        while done < plan.steps and not all_lost:
            # until the block is full, or it is time to look at the keyboard
            steps = min((rows - filled) * plan.every - done % plan.every, plan.steps - done, pace)
            began = time.monotonic()
            free = {name: value[filled:] for name, value in block.items()}
            engine.advance(s, done, steps, self.stopped_at, plan.every, free)
            pace = _faster(pace, steps, time.monotonic() - began)
            filled += (done + steps) // plan.every - done // plan.every
            done += steps
            all_lost = bool((self.stopped_at >= 0).all())
            if filled and (filled == rows or done == plan.steps or all_lost):
                self._show_block({name: value[:filled] for name, value in block.items()})
                filled = 0
            tell(steps)
        tell(plan.steps - done)
        if missing := plan.saved - self._seen:  # the last one, or all if all are lost
            self._seen += missing - 1
            self._show(self._present(plan.steps))

    def results(self) -> dict[str, np.ndarray]:
        """Of every reduction, and where trajectories were lost."""
        found = {"stopped_at": self.stopped_at.cpu().numpy()}
        for reduction, memory in zip(self._reductions, self._memories, strict=True):
            for name, value in results_of(reduction, memory, len(self.stopped_at)).items():
                found[name] = value.double().cpu().numpy()
        return found

    def _present(self, index: int) -> Saved:
        """The state as it is, that after `index` steps."""
        return Saved.of(
            self._dynamics, self._landscape, self._s, self._plan.step, index, self.stopped_at
        )

    def _show_block(self, states: Mapping[str, Tensor]) -> None:
        every, count = self._plan.every, len(states["x"])
        indices = range(self._seen * every, (self._seen + count) * every, every)
        self._show(
            Saved(
                self._dynamics, self._landscape, self._plan.step, indices, states, self.stopped_at
            )
        )

    def _show(self, saved: Saved) -> None:
        for reduction, memory in zip(self._reductions, self._memories, strict=True):
            reduction.update(memory, saved)
        self._keep(self._seen, saved)
        self._seen += len(saved.times)


@cache
def _hold_memory() -> None:
    """Let glibc keep what is freed, not fetch it from the system again for every operation.

    It keeps blocks as large as the largest one it has given back, up to 32 MiB; without this,
    operations on blocks of a megabyte take several times as long. Elsewhere it does nothing.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)


def _faster(pace: int, steps: int, seconds: float) -> int:
    """How many steps to take at once, so that a call lasts about as long as one waits."""
    if steps < pace:  # the block was full: this says nothing of the pace
        return pace
    return max(1, min(8 * steps, int(steps * _PATIENCE / max(seconds, 1e-6))))
