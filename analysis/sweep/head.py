"""What a folder of runs is about."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from ..training.task import Setting, Task
from .plan import Sweep


@dataclass(frozen=True)
class Head:
    """What all runs of a folder have in common, so that they can be compared.

    common  fields of `Settings`; search  fields of `Tune`, None without a search
    device  "cpu" or "cuda"; None in folders of versions that did not note it
    The others are of the task.
    """

    task: str
    setting: Setting
    name: str
    source: str
    is_standin: bool
    metric: str
    larger_is_better: bool
    has_test: bool
    common: Mapping[str, Any]
    search: Mapping[str, Any] | None
    device: str | None = None

    def cost(self, value: float) -> float:
        """The value, or its negative where larger is better: the least cost is the best."""
        return -value if self.larger_is_better else value

    @classmethod
    def of(cls, sweep: Sweep, task: Task, device: str = "cpu") -> "Head":
        """More trials, seeds and optimizers may join later; nothing else may change."""
        later = ("trials", "factors")
        how = None if sweep.tune is None else {**asdict(sweep.tune), "seeds": [*sweep.tune.seeds]}
        return cls(
            task=sweep.task,
            setting=sweep.setting,
            name=task.name,
            source=task.source,
            is_standin=task.is_standin,
            metric=task.metric,
            larger_is_better=task.larger_is_better,
            has_test=task.has_test,
            common=dict(sweep.common),
            search=None if how is None else {k: v for k, v in how.items() if k not in later},
            device=torch.device(device).type,
        )
