"""The tasks by name.

    task = TASKS["nano"]("small", Path("data"))

A task looks for its data in the folder; `download=True` fetches into it what has a published
address and is not there. Without data it runs on a stand-in made from installed packages, under
another name.
"""

from functools import wraps
from pathlib import Path
from typing import Protocol, get_args

from ..task import Setting, Task
from .language import gpt2, lstm, nano, owt
from .sentences import qnli, sst2
from .vision import cifar, cnn, vit

__all__ = ["TASKS", "MakeTask"]


class MakeTask(Protocol):
    """A task in a setting, with the data of a folder.

    Raises NotADirectoryError for a folder that is not there, ValueError for wrong files in it and
    for a setting that is none.
    """

    def __call__(
        self, setting: Setting, folder: Path | None, *, download: bool = False
    ) -> Task: ...


def _checked(make: MakeTask) -> MakeTask:
    """A setting that is none is refused before anything is read."""

    @wraps(make)
    def checked(setting: Setting, folder: Path | None, *, download: bool = False) -> Task:
        if setting not in get_args(Setting):
            raise ValueError(
                f"setting must be one of {', '.join(get_args(Setting))}; got {setting!r}"
            )
        return make(setting, folder, download=download)

    return checked


TASKS: dict[str, MakeTask] = {
    "cifar": _checked(cifar),
    "vit": _checked(vit),
    "sst2": _checked(sst2),
    "qnli": _checked(qnli),
    "nano": _checked(nano),
    "owt": _checked(owt),
    "gpt2": _checked(gpt2),
    "lstm": _checked(lstm),
    "cnn": _checked(cnn),
}
"""GPT-2 (owt, gpt2, nano), DistilBERT (sst2, qnli), ResNet-18 (cifar), ViT, an LSTM and a CNN."""
