"""The training section: the tuned optimizers on the digits network."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..plots.runs import plot_training
from ..training.digits import OPTIMIZERS, TrainingRun, train, tuned
from .section import Job, Picture, Scope, canvas, finite

SEEDS, QUICK_SEEDS = 5, 2


def jobs(scope: Scope) -> list[Job]:
    """Every optimizer with every seed."""
    seeds = range(scope.seed, scope.seed + (QUICK_SEEDS if scope.quick else SEEDS))
    pairs = [(name, one) for name in OPTIMIZERS for one in seeds]
    return [
        Job("training", place, run_training, (*pair, scope.device))
        for place, pair in enumerate(pairs)
    ]


def run_training(name: str, seed: int, device: str) -> TrainingRun:
    """Train with the tuned hyperparameters and read the test split once, at the end."""
    return train(name, tuned(name), seed, evaluate="test", device=device)


def rows(results: Sequence[TrainingRun]) -> list[dict[str, Any]]:
    """The rows of results.json."""
    return [training_row(run) for run in results]


def training_row(run: TrainingRun) -> dict[str, Any]:
    """One row of results.json."""
    return {
        "optimizer": run.optimizer,
        "seed": run.seed,
        "hyperparameters": run.hyperparameters,
        "train_loss": run.train_loss,
        "test_accuracy": run.test_accuracy,
        "seconds": run.seconds,
        "capped": finite(run.capped),
        "status": run.status,
    }


def pictures(results: Sequence[TrainingRun], runs: Path) -> Iterator[Picture]:
    """Training loss against epochs."""
    if not results:
        return
    with canvas(size=(7.0, 4.2)) as (figure, axes):
        plot_training(results, ax=axes[0, 0])
        yield Picture(
            "training",
            "training",
            "A network on handwritten digits",
            "Training loss of a 64–64–10 network on scikit-learn's handwritten digits: the median "
            "over seeds, and the range as a band. Hyperparameters were chosen on a validation "
            "split with equal trials for every optimizer; a lower training loss is not a better "
            "test score.",
            figure,
        )
