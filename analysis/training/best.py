"""The weights with which the validation data were best so far."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from . import checkpoint
from .task import Task


@dataclass
class Best:
    """Value of the task's metric, the step, and all that was measured then.

    The weights wait in memory until a checkpoint is written, which speaks of those on the disk.
    """

    value: float | None = None
    step: int | None = None
    numbers: dict[str, float] | None = None
    _weights: Mapping[str, Tensor] | None = None
    _before: int | None = None  # the step of those that the last checkpoint speaks of

    def look(
        self,
        task: Task,
        step: int,
        numbers: dict[str, float],
        weights: Callable[[], Mapping[str, Tensor]],
    ) -> None:
        """Take the weights of a step if the validation data say so."""
        value = numbers[task.metric]
        if math.isfinite(value) and task.is_better(value, self.value):
            self.value, self.step, self.numbers = value, step, numbers
            self._weights = {k: v.detach().to("cpu", copy=True) for k, v in weights().items()}

    def as_saved(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"value": self.value, "step": self.step, "numbers": self.numbers}

    def restore(self, saved: Mapping[str, Any]) -> None:
        self.value, self.step, self.numbers = saved["value"], saved["step"], saved["numbers"]
        self._before = self.step

    def write(self, folder: Path) -> None:
        """Weights that are not on the disk yet; OSError if that fails."""
        if self._weights is not None and self.step is not None:
            checkpoint.save_best(folder, self.step, self._weights)
            self._weights = None

    def forget_others(self, folder: Path) -> None:
        """After a checkpoint: neither it nor the one before speaks of other weights."""
        checkpoint.forget_best(folder, but=(self.step, self._before))
        self._before = self.step

    def weights(self, folder: Path) -> Mapping[str, Tensor] | None:
        """On the CPU; None where nothing was finite."""
        if self._weights is not None or self.step is None:
            return self._weights
        return checkpoint.load_best(folder, self.step)
