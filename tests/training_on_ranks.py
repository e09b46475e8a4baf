"""Trainings on two processes, to be compared with the same on one.

Also a program: torchrun --nproc-per-node 2 training_on_ranks.py FOLDER [fsdp]
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from small_training import Sine, settings

from dashpot.analysis.training.parallel import lay_out
from dashpot.analysis.training.trainer import Result, train
from dashpot.integrators.ensembles.ranks import Ranks

RUNS: dict[str, dict[str, Any]] = {
    "ddp": {},
    "ddp accumulate": {"accumulate": 5, "clip": 0.3},
    "ddp IKFAD": {"optimizer": "IKFAD", "batch_size": 22},  # 22, 22, and one example for both
    "fsdp": {"parallel": "fsdp"},
    "fsdp accumulate": {"parallel": "fsdp", "accumulate": 5, "clip": 0.3},
    "fsdp AdamW": {"parallel": "fsdp", "optimizer": "AdamW", "weight_decay": 0.1},
    "fsdp Muon": {"parallel": "fsdp", "optimizer": "Muon", "weight_decay": 0.1},  # one has one row
}
"""By name, what is not as by default."""

LONG: dict[str, Any] = {"steps": 200, "evaluate_every": 100}


def trained(folder: Path, name: str, **more: Any) -> Result:
    return train(Sine(), settings(**RUNS[name]), folder / name, test=True, **more)


def on_a_rank(rank: int, folder: Path) -> dict[str, Any]:
    """All of them, from the start; those of "half" from the checkpoint of one process."""
    found: dict[str, Any] = {}
    for name in RUNS:
        found[name] = trained(folder / "two", name).test
        found[f"half {name}"] = trained(folder / "half", name).test
    for parallel in ("ddp", "fsdp"):
        found[f"{parallel} fp16"] = scaled(folder / f"{parallel} fp16", parallel=parallel).best
    return {**found, "loaded": loaded(), "stopped": interrupted(rank, folder)}


def scaled(folder: Path, **changes: Any) -> Result:
    """In fp16, whose largest number is near: twice the loss, and a step would be left out."""
    task = Sine(dtype=torch.float32)
    return train(task, settings(precision="fp16", evaluate_every=24, **changes), folder)


def loaded() -> float:
    """The validation loss of shards with weights 1, that were looked at with others before."""
    task, cpu = Sine(), torch.device("cpu")
    shards = lay_out(task.network(), "fsdp", Ranks(), cpu)
    ones = {name: torch.ones_like(w) for name, w in task.network().state_dict().items()}
    shards.network.eval()
    with torch.no_grad():
        task.evaluate(shards.network, "validation", cpu)
        shards.load_weights(ones)
        return task.evaluate(shards.network, "validation", cpu)["loss"]


class Asked:
    """SIGTERM after some steps, to this process only."""

    def __init__(self, batches: int) -> None:
        self.left = batches

    def __call__(self, *_: Any) -> None:
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGTERM)


class Interrupted(Sine):
    """Is asked to stop when it gives its n-th batch."""

    def __init__(self, asked: Asked) -> None:
        super().__init__()
        self._asked = asked

    def batch(self, step: int, size: int, seed: int) -> Any:
        self._asked()
        return super().batch(step, size, seed)


def interrupted(rank: int, folder: Path) -> tuple[str, int]:
    """Only the second of the processes is told to stop, at its fourth step."""
    task = Interrupted(Asked(4 if rank else 0))
    result = train(task, settings(**LONG), folder / "stopped")
    return result.status, result.steps


if __name__ == "__main__":
    parallel = "fsdp" if "fsdp" in sys.argv else "ddp"
    print(train(Sine(), settings(parallel=parallel), Path(sys.argv[1])))
