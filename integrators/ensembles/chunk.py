"""Some trajectories of an ensemble, from the first step to the last."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...dynamics import Dynamics, State
from ..advance import Advance
from ..field import Field
from .reductions import Memory, Reduction
from .saved import Saved
from .schedule import Schedule

_HELD = 2**21  # numbers in the block of saved states
_PATIENCE = 0.25  # seconds between two looks at the keyboard


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
        self._memories: list[Memory] = []
        self._indices = plan.indices
        self._seen = 0  # how many states were saved
        self._show(1, {name: getattr(s, name)[None] for name in dynamics.variables})

    def run(self, engine: Advance, tell: Callable[[int], Any]) -> None:
        """Take all steps; `tell` hears how many at a time."""
        plan, s, done, pace = self._plan, self._s, 0, 64
        width = sum(getattr(s, name).numel() for name in self._dynamics.variables)
        rows = max(1, min(_HELD // max(1, width), plan.steps // plan.every))
        saved = {
            name: torch.empty((rows, *getattr(s, name).shape), dtype=getattr(s, name).dtype,
                              device=s.x.device)
            for name in self._dynamics.variables
        }  # fmt: skip
        while done < plan.steps and not bool((self.stopped_at >= 0).all()):
            # until the block is full, or it is time to look at the keyboard
            steps = min(rows * plan.every - done % plan.every, plan.steps - done, pace)
            began = time.monotonic()
            engine.advance(s, done, steps, self.stopped_at, plan.every, saved)
            pace = _faster(pace, steps, time.monotonic() - began)
            count = (done + steps) // plan.every - done // plan.every
            done += steps
            if count:
                self._show(count, {name: value[:count] for name, value in saved.items()})
            tell(steps)
        tell(plan.steps - done)
        if missing := len(self._indices) - self._seen:  # the last one, or all if all are lost
            last = {name: getattr(s, name)[None] for name in self._dynamics.variables}
            self._seen += missing - 1
            self._show(1, last)

    def results(self) -> dict[str, np.ndarray]:
        """Of every reduction, and where trajectories were lost."""
        found = {"stopped_at": self.stopped_at.cpu().numpy()}
        for reduction, memory in zip(self._reductions, self._memories, strict=True):
            made = reduction.result(memory)
            for name in reduction.names:
                found[name] = made[name].double().cpu().numpy()
        return found

    def _show(self, count: int, states: Mapping[str, Tensor]) -> None:
        indices = self._indices[self._seen : self._seen + count]
        saved = Saved(
            self._dynamics, self._landscape, self._plan.step, indices, states, self.stopped_at
        )
        if not self._memories:
            self._memories = [reduction.begin(saved) for reduction in self._reductions]
        for reduction, memory in zip(self._reductions, self._memories, strict=True):
            reduction.update(memory, saved)
        self._keep(self._seen, saved)
        self._seen += count


def _faster(pace: int, steps: int, seconds: float) -> int:
    """How many steps to take at once, so that a call lasts about as long as one waits."""
    if steps < pace:  # the block was full: this says nothing of the pace
        return pace
    return max(1, min(8 * steps, int(steps * _PATIENCE / max(seconds, 1e-6))))
