"""The training section: the tuned optimizers on the digits network."""

import math
from typing import Any

from ..training import OPTIMIZERS, TrainingRun, train, tuned

SEEDS, QUICK_SEEDS = 5, 2


def jobs(seed: int, quick: bool) -> list[tuple[str, int]]:
    """Every optimizer with every seed."""
    seeds = range(seed, seed + (QUICK_SEEDS if quick else SEEDS))
    return [(name, one) for name in OPTIMIZERS for one in seeds]


def run_training(name: str, seed: int, device: str) -> TrainingRun:
    """Train with the tuned hyperparameters and read the test split once, at the end."""
    return train(name, tuned(name), seed, evaluate="test", device=device)


def training_row(run: TrainingRun) -> dict[str, Any]:
    """One row of results.json."""
    return {
        "optimizer": run.optimizer,
        "seed": run.seed,
        "hyperparameters": run.hyperparameters,
        "train_loss": run.train_loss,
        "test_accuracy": run.test_accuracy,
        "seconds": run.seconds,
        "capped": run.capped if math.isfinite(run.capped) else None,
        "status": run.status,
    }
