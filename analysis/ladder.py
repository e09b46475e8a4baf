"""The network's side of boundedness: words trained at multiples of the tuned learning rate."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from .training.digits import TrainingRun, train, tuned

WORDS = ("BACD", "BCDA")
FACTORS = (1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True)
class LadderRow:
    """One training run.

    factor               the learning rate over the tuned one
    train_loss           the last finite cross-entropy on the training split
    untrained_loss       the same before the first step
    validation_accuracy  fraction in [0, 1]
    status               "finished"; "lost": the loss ended above the untrained network's;
                         "diverged": it was not finite
    """

    word: str
    factor: float
    seed: int
    train_loss: float
    untrained_loss: float
    validation_accuracy: float
    status: Literal["finished", "lost", "diverged"]


def learning_rate_ladder(
    name: str = "CD",
    words: Sequence[str] = WORDS,
    factors: Sequence[float] = FACTORS,
    *,
    seeds: Iterable[int] = (0, 1),
    epochs: int = 12,
) -> list[LadderRow]:
    """Train the digits network with each word at `factors` times the tuned lr (the step size h).

    The other hyperparameters are kept: they were tuned for the default word, so at factor 1 it
    has the advantage. The test split is not looked at. Raises ValueError for names, words and
    sizes that do not fit.
    """
    chosen = tuned(name)
    return [
        _row(
            train(name, {**chosen, "lr": x * chosen["lr"]}, seed, word=word, epochs=epochs), word, x
        )
        for seed in seeds
        for word in words
        for x in factors
    ]


def _row(run: TrainingRun, word: str, factor: float) -> LadderRow:
    loss, untrained = run.train_loss, run.losses[0]
    status = "lost" if run.status == "finished" and loss > untrained else run.status
    return LadderRow(word, factor, run.seed, loss, untrained, run.validation_accuracy, status)
