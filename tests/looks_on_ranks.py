"""Trainings on two processes that are looked at, to be compared with the same on one."""

from pathlib import Path
from typing import Any

from small_training import Sine, settings

from dashpot.analysis.training.trainer import train

RUNS: dict[str, dict[str, Any]] = {
    "ddp": {"clip": 0.3},
    "fsdp": {"parallel": "fsdp", "optimizer": "IKFAD", "accumulate": 2},
    "fsdp AdamW": {"parallel": "fsdp", "optimizer": "AdamW"},
}


def looked_at(folder: Path, name: str) -> None:
    train(Sine(), settings(look_every=2, steps=12, **RUNS[name]), folder / name)


def on_a_rank(rank: int, folder: Path) -> dict[str, float]:
    for name in RUNS:
        looked_at(folder / "two", name)
    return {}
