"""A network on handwritten digits under six optimizers, from the same start in the same order.

    train("CD", tuned("CD"), seed=0, evaluate="test")

The network is `landscapes.classifier()`, 64–64–10 with tanh, the loss the cross-entropy in nats.
Hyperparameters come from `benchmarks/tune_digits.py`, which looks at the validation split only.
"""

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from ...integrators import optim
from ...landscapes import Digits, Split, classifier, digits
from .looks.replay import capped
from .methods import METHODS, Hyperparameters, Method
from .search import Search

SPLIT = 1  # the split of seed 0 served to settle epochs, ranges and trials, and was used up
EPOCHS, BATCH_SIZE = 40, 64  # by then the good ones have reached their validation accuracy
CAPPED_EVERY = 10  # steps between two looks at the cap: costs 1% of the run
_ORDER_SEED = 1 << 31  # the order of the batches is drawn apart from the weights


@dataclass(frozen=True)
class TrainingRun:
    """What one training run left.

    epochs, losses      epochs (0: untrained) and cross-entropy on the whole training split
    validation_losses   cross-entropy on the validation split at the same epochs
    validation_accuracy fraction in [0, 1] at the last of them
    test_accuracy       fraction in [0, 1]; None if it was not asked for, or the run diverged
    capped              CD, CADAM: mean fraction of coordinates at which the cubic damping at
                        least halves p², that is 2chp² >= 1 just before it; else NaN
    seconds             wall time of training with these evaluations
    status              "diverged" if a loss was not finite: the run ends at the epoch before
    """

    optimizer: str
    seed: int
    hyperparameters: Hyperparameters
    status: Literal["finished", "diverged"]
    epochs: tuple[int, ...]
    losses: tuple[float, ...]
    validation_losses: tuple[float, ...]
    validation_accuracy: float
    test_accuracy: float | None
    capped: float
    seconds: float

    @property
    def train_loss(self) -> float:
        """The last finite cross-entropy on the whole training split."""
        return self.losses[-1]

    @property
    def validation_loss(self) -> float:
        """The last finite cross-entropy on the validation split."""
        return self.validation_losses[-1]


OPTIMIZERS: dict[str, Method] = {
    name: METHODS[name] for name in ("LDHD", "IKFAD", "CD", "CADAM", "SGD", "Adam")
}
"""The six optimizers of the study by name, each with its default word (the published one)."""

_HEAVY_BALL = {"lr": (0.03, 2.0), "1 - momentum": (0.02, 0.5)}
_ADAM = {"lr": (1e-3, 3e-2), "1 - beta1": (0.02, 0.5), "1 - beta2": (1e-3, 0.1)}
_CAP = {"max_momentum": (1e-3, 1e-2)}
SEARCHES: dict[str, Search] = {
    "LDHD": Search("LDHD", _HEAVY_BALL),
    "IKFAD": Search("IKFAD", {**_HEAVY_BALL, **_CAP, "alpha lr": (0.01, 1.0)}),
    "CD": Search("CD", {**_HEAVY_BALL, **_CAP}),
    # its h, so its p, is ten times smaller
    "CADAM": Search("CADAM", {**_ADAM, "max_momentum": (1e-4, 1e-3)}),
    "SGD": Search("SGD", _HEAVY_BALL),
    "Adam": Search("Adam", _ADAM),
}
"""Where their hyperparameters were sought."""


def tuned(name: str) -> Hyperparameters:
    """The hyperparameters that `benchmarks/tune_digits.py` chose on the validation split."""
    _method(name)
    text = Path(__file__).with_name("digits.json").read_text(encoding="utf-8")
    return dict(json.loads(text)["optimizers"][name]["hyperparameters"])


# --- training -------------------------------------------------------------------------------------


def train(
    name: str,
    hyperparameters: Mapping[str, float],
    seed: int,
    *,
    word: str | None = None,
    epochs: int = EPOCHS,
    batch_size: int = BATCH_SIZE,
    evaluate: Literal["validation", "test"] = "validation",
    device: str = "cpu",
    progress: Callable[[int, float], object] | None = None,
) -> TrainingRun:
    """Train the classifier; the start and the order of the batches depend on `seed` alone.

    name             a key of OPTIMIZERS
    hyperparameters  what that optimizer wants, see `Method.names`; `tuned(name)` gives it
    word             another order of the parts than the default; not for SGD and Adam
    evaluate         "test" reads the test split, once, after the last step; "validation" never
    progress         called with (epoch, training loss) after every epoch

    torch's global generator is neither read nor moved. A run that diverges ends early and says
    so in its status. Raises ValueError for names, hyperparameters and sizes that do not fit.
    """
    _check(name, hyperparameters, epochs, batch_size, evaluate)
    if word is not None and not hasattr(optim, name):
        raise ValueError(f"{name} has no word: it is torch's own optimizer; leave word out")
    data = _data()
    training, validation = (_on(split, device) for split in (data.train, data.validation))
    model = classifier(seed=seed).to(device)
    written = {"fused": False} if word is None else {"fused": False, "word": word}
    optimizer = OPTIMIZERS[name].build(model.parameters(), {**hyperparameters, **written})
    order = torch.Generator().manual_seed(seed + _ORDER_SEED)
    started = time.perf_counter()
    curve = [(0, *_evaluate(model, training)[:1], *_evaluate(model, validation))]
    looks: list[Tensor] = []
    status: Literal["finished", "diverged"] = "finished"
    for epoch in range(1, epochs + 1):
        _epoch(model, optimizer, training, order, batch_size, looks)
        loss, validated = _evaluate(model, training)[0], _evaluate(model, validation)
        if not (math.isfinite(loss) and math.isfinite(validated[0])):
            status = "diverged"
            break
        curve.append((epoch, loss, *validated))
        if progress is not None:
            progress(epoch, loss)
    seconds = time.perf_counter() - started
    asked = evaluate == "test" and status == "finished"
    at, losses, validation_losses, accuracies = zip(*curve, strict=True)
    return TrainingRun(
        optimizer=name,
        seed=seed,
        hyperparameters=dict(hyperparameters),
        status=status,
        epochs=at,
        losses=losses,
        validation_losses=validation_losses,
        validation_accuracy=accuracies[-1],
        test_accuracy=_evaluate(model, _on(data.test, device))[1] if asked else None,
        capped=torch.stack(looks).mean().item() if looks else math.nan,
        seconds=seconds,
    )


def _epoch(
    model: nn.Module,
    optimizer: Optimizer,
    data: Split,
    order: torch.Generator,
    batch_size: int,
    looks: list[Tensor],
) -> None:
    """Every sample once, in a new order; `looks` collects the fraction that feels the cap."""
    shuffled = torch.randperm(len(data.targets), generator=order).to(data.targets.device)
    for step, batch in enumerate(shuffled.split(batch_size)):
        optimizer.zero_grad()
        cross_entropy(model(data.inputs[batch]), data.targets[batch]).backward()
        if step % CAPPED_EVERY == 0 and "c" in optimizer.defaults:
            assert isinstance(optimizer, optim.WordOptimizer)
            looks.append(capped(optimizer))
        optimizer.step()


@torch.no_grad()
def _evaluate(model: nn.Module, split: Split) -> tuple[float, float]:
    """Cross-entropy and accuracy on a whole split."""
    scores = model(split.inputs)
    hits = (scores.argmax(1) == split.targets).double().mean()
    return cross_entropy(scores, split.targets).item(), hits.item()


@cache
def _data() -> Digits:
    return digits(SPLIT)


def _on(split: Split, device: str) -> Split:
    return Split(split.inputs.to(device), split.targets.to(device))


def _method(name: str) -> Method:
    if name not in OPTIMIZERS:
        raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}; got {name!r}")
    return OPTIMIZERS[name]


def _check(
    name: str, hyperparameters: Mapping[str, float], epochs: int, batch_size: int, evaluate: str
) -> None:
    names = _method(name).names
    if set(hyperparameters) != set(names):
        raise ValueError(
            f"{name} takes the hyperparameters {', '.join(names)}; "
            f"got {', '.join(hyperparameters) or 'none'}"
        )
    for what, value in (("epochs", epochs), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"{what} must be a whole number >= 1; got {value}")
    if evaluate not in ("validation", "test"):
        raise ValueError(f"evaluate must be 'validation' or 'test'; got {evaluate!r}")
