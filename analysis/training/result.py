"""What comes out of a training run."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from ...integrators.files import atomic
from .folder import read_json

Status: TypeAlias = Literal["finished", "diverged", "interrupted"]
_NAME = "result.json"


@dataclass(frozen=True)
class Result:
    """What came out of a run; its curves are in the log.

    status       "diverged" at a loss, or last weights, not finite; the last good checkpoint stays
    steps        that were made, with finite losses
    metric       of the task, by which the best was chosen
    best         the best validation value of it, at the step `best_step`
    validation   all that was measured then
    test         the same of the test data with those weights; None where it was not asked for
    seconds      of training, evaluation and looks, all sessions together; not of writing files
    ms_per_step  of training alone
    state_bytes  memory of the optimizer's state, over all processes that share it
    peak_bytes   most memory that tensors took on the CUDA device in the last session
    unwritten    files that could not be written, on a full disk
    """

    status: Status
    steps: int
    metric: str
    best: float | None
    best_step: int | None
    validation: dict[str, float] | None
    test: dict[str, float] | None
    seconds: float
    ms_per_step: float | None
    state_bytes: int
    peak_bytes: int | None = None
    unwritten: tuple[str, ...] = ()

    def write(self, folder: Path) -> None:
        """Into result.json of a folder."""
        with atomic(folder / _NAME, "w") as handle:
            json.dump(asdict(self), handle, indent=1)

    @classmethod
    def read(cls, folder: Path) -> "Result | None":
        """From result.json of a folder; None where no run has come to its end."""
        path = folder / _NAME
        if not path.exists():
            return None
        found = read_json(path)
        return cls(**{**found, "unwritten": tuple(found["unwritten"])})


def state_bytes(optimizer: torch.optim.Optimizer) -> int:
    """Memory of the optimizer's state, of one within another too; whole tensors where sharded."""

    def size(value: Any) -> int:
        if isinstance(value, Tensor):
            return value.numel() * value.element_size()
        if isinstance(value, dict):
            return sum(map(size, value.values()))
        return sum(map(size, value)) if isinstance(value, list | tuple) else 0

    return size(optimizer.state_dict()["state"])
