"""Two tasks of GLUE by DistilBERT: SST-2 from random weights, QNLI from pretrained ones."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

from torch import Tensor, nn

from ....landscapes.data import Sentences, glue
from ....landscapes.networks import DistilBERT
from ..task import Plan, Setting
from .classification import ClassificationTask, at_most, epochs

PRETRAINED = "distilbert-base-uncased"  # folder of the data folder
_SMALL = {"SST-2": (20_000, 1000, 2000), "QNLI": (9000, 1000, 2000)}  # train, validation, test


class SentenceTask(ClassificationTask):
    """Tells the class of a sentence, or of a pair; batches are as long as their longest one."""

    def __init__(
        self,
        name: str,
        setting: Setting,
        data: Sentences,
        plan: Plan,
        build: Callable[[int], nn.Module],
    ) -> None:
        super().__init__(name, setting, data, plan, build, at_once=100)
        self._padding = data.padding

    def _shortened(self, inputs: Tensor) -> Tensor:
        return inputs[:, : int((inputs != self._padding).sum(1).max())]


def sst2(setting: Setting, folder: Path | None, *, download: bool = False) -> SentenceTask:
    """DistilBERT from random weights on SST-2: is a film liked? Batches of 16, 2 epochs.

    small: at most 20,000 training sentences, 2 layers of width 128, batches of 32.
    """
    data = _sentences("SST-2", setting, folder, download)
    plan = epochs(data, 2, 32 if setting == "small" else 16, looks=5)
    return SentenceTask("sst2", setting, data, plan, _encoder(setting, data))


def qnli(setting: Setting, folder: Path | None, *, download: bool = False) -> SentenceTask:
    """Pretrained DistilBERT on QNLI: does a sentence answer a question? Batches of 16, 2 epochs.

    full: the weights are read from the folder `distilbert-base-uncased` of the data folder (its
    config.json and model.safetensors, as published). Where it is not there the same network
    starts from random weights, and the task has another name.

    small: at most 9,000 training pairs, 4 epochs, batches of 32; 2 layers of width 128, from random
    weights, which learn little of it.
    """
    data = _sentences("QNLI", setting, folder, download)
    plan = epochs(data, *((4, 32) if setting == "small" else (2, 16)), looks=5)
    weights = None if folder is None or setting != "full" else folder / PRETRAINED
    if data.is_standin or weights is None or not weights.is_dir():
        task = SentenceTask("qnli", setting, data, plan, _encoder(setting, data))
        task.name += ", from random weights"
        task.is_standin |= setting == "full"
        return task
    build = partial(
        DistilBERT, vocabulary=data.vocabulary, padding=data.padding, pretrained=weights
    )
    task = SentenceTask("qnli", setting, data, plan, build)
    task.source += f"; weights: {PRETRAINED}"
    return task


def _encoder(setting: Setting, data: Sentences) -> Callable[[int], nn.Module]:
    layers, heads, width = {"full": (6, 12, 768), "small": (2, 2, 128), "tiny": (1, 2, 16)}[setting]
    return partial(
        DistilBERT,
        vocabulary=data.vocabulary,
        padding=data.padding,
        layers=layers,
        heads=heads,
        width=width,
    )


def _sentences(
    name: Literal["SST-2", "QNLI"], setting: Setting, folder: Path | None, download: bool
) -> Sentences:
    lengths = {"SST-2": {"full": 66, "small": 32}, "QNLI": {"full": 128, "small": 64}}[name]
    data = glue(name, folder, length=lengths.get(setting, 16), download=download)
    if setting == "full":
        return data
    return at_most(data, *(_SMALL[name] if setting == "small" else (256, 64, 64)))
