"""All that the result of a training run depends on."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from difflib import get_close_matches
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import nn
from torch.optim import Optimizer

from .methods import METHODS, Parameters
from .task import Setting

Precision: TypeAlias = Literal["float32", "bf16", "fp16"]
Schedule: TypeAlias = Literal["constant", "cosine", "linear"]
Parallel: TypeAlias = Literal["ddp", "fsdp"]

_CHOICES: dict[str, tuple[str, ...]] = {
    "setting": get_args(Setting),
    "schedule": get_args(Schedule),
    "precision": get_args(Precision),
    "parallel": get_args(Parallel),
}
_LEAST = {  # of whole numbers
    "steps": 1,
    "batch_size": 1,
    "evaluate_every": 1,
    "accumulate": 1,
    "warmup": 0,
    "look_every": 0,
    "seed": 0,
}


@dataclass(frozen=True)
class Settings:
    """A training run: what its folder is headed by, and what a resumed run must agree with.

    task, setting    which task, how large: see `tasks.TASKS`; the task's name begins so
    optimizer        a key of `methods.METHODS`
    hyperparameters  what that optimizer wants, lr among them
    word             order of its parts; None: the published one
    seed             of weights, order of examples, augmentation and dropout: 0 ... 2³² − 1
    steps, batch_size, evaluate_every, clip   None: as the task plans; clip = inf: none
    accumulate       parts in which a batch passes through the network, one after the other
    weight_decay     as the optimizer means it: decoupled in ours, AdamW, NAdamW and Muon
    schedule         of lr: "constant", "cosine" or "linear" to `final` of it, after `warmup` steps
    precision        "float32", or "bf16", "fp16" in autocast; parameters are float32
    parallel         under torchrun: "ddp" or "fsdp"
    options          what else the optimizer takes, such as {"scheme": "rotation"}
    look_every       steps between two looks at what moves the network; 0: none

    ValueError for what does not fit, the optimizer's own arguments included.
    """

    task: str
    setting: Setting
    optimizer: str
    hyperparameters: Mapping[str, float]
    word: str | None = None
    seed: int = 0
    steps: int | None = None
    batch_size: int | None = None
    evaluate_every: int | None = None
    clip: float | None = None
    accumulate: int = 1
    weight_decay: float = 0.0
    schedule: Schedule = "constant"
    warmup: int = 0
    final: float = 0.0
    precision: Precision = "float32"
    parallel: Parallel = "ddp"
    options: Mapping[str, Any] = field(default_factory=dict)
    look_every: int = 0

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name} must be one of {', '.join(choices)}; got {getattr(self, name)!r}"
                )
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and (not _is_whole(value) or value < least):
                raise ValueError(f"{name} must be a whole number >= {least}; got {value!r}")
        if self.seed >= 1 << 32:
            raise ValueError(f"seed must be less than 2³²; got {self.seed}")
        for name in ("weight_decay", "final"):
            if not _is_number(value := getattr(self, name)) or not 0 <= value < math.inf:
                raise ValueError(f"{name} must be a finite number >= 0; got {value!r}")
        if self.final and self.schedule == "constant":
            raise ValueError(f"final is for a schedule: cosine or linear; got {self.final!r}")
        if self.clip is not None and not (_is_number(self.clip) and self.clip > 0):
            raise ValueError(f"clip must be a number > 0 (inf: no clipping); got {self.clip!r}")
        self._check_optimizer()

    def _check_optimizer(self) -> None:
        if self.optimizer not in METHODS:
            raise ValueError(
                f"optimizer must be one of {', '.join(METHODS)}; got {self.optimizer!r}"
            )
        method, given = METHODS[self.optimizer], self.hyperparameters
        if not set(method.names) - set(method.defaults) <= set(given) <= set(method.names):
            raise ValueError(
                f"{self.optimizer} takes the hyperparameters {', '.join(method.names)}; got "
                f"{', '.join(given) or 'none'}"
            )
        for name, value in given.items():
            if not _is_number(value) or not math.isfinite(value):
                raise ValueError(f"{name} must be a finite number; got {value!r}")
        if self.word is not None and "word" not in method.others:
            raise ValueError(f"{self.optimizer} has no word: it is torch's own; leave word out")
        for name in {"word", "weight_decay", *given} & set(self.options):
            raise ValueError(f"options: {name} has a place of its own in Settings")
        try:
            json.dumps(dict(self.options), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"options must be plain values that JSON has (a dtype by its name); got "
                f"{dict(self.options)!r}"
            ) from error
        try:
            self.build([("hidden.weight", nn.Parameter(torch.zeros(2, 2)))])
        except (TypeError, ValueError) as error:
            raise ValueError(f"{self.optimizer}: {error}") from error

    def build(self, parameters: Parameters) -> Optimizer:
        """The optimizer of the run."""
        others: dict[str, Any] = {"weight_decay": self.weight_decay, **self.options}
        if self.word is not None:
            others["word"] = self.word
        return METHODS[self.optimizer].build(parameters, {**self.hyperparameters, **others})

    def as_json(self) -> dict[str, Any]:
        """Plain values, None left out; an infinite clip, which JSON has not, is "inf"."""
        values = {name: value for name, value in asdict(self).items() if value is not None}
        return {**values, "clip": "inf"} if self.clip == math.inf else values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Settings":
        """The inverse of `as_json`; what was not known when it was written is as by default."""
        names = [known.name for known in fields(cls)]
        for name in values:
            if name not in names:
                close = get_close_matches(name, names, 1)
                hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}"
                raise ValueError(f"Settings has no {name}; {hint}")
        missing = [name for name in names[:4] if name not in values]
        if missing:
            raise ValueError(f"Settings needs {', '.join(missing)}")
        if values.get("clip") == "inf":
            values = {**values, "clip": math.inf}
        return cls(**values)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
