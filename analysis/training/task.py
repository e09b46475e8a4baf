"""A task: a network, its data, and what is measured on them."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

Setting: TypeAlias = Literal["full", "small", "tiny"]
Part: TypeAlias = Literal["validation", "test"]
Batch: TypeAlias = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Plan:
    """How long a task trains, and how it is looked at, unless asked for otherwise.

    batch_size      examples of a step, over all processes
    steps           of a run
    evaluate_every  steps between two looks at the validation data
    clip            largest norm of the gradient of all parameters; None: any
    """

    batch_size: int
    steps: int
    evaluate_every: int
    clip: float | None = None


class Task(ABC):
    """A network, its data, and what is measured on them.

    name        for people; a stand-in for data that are not there never has the task's own name
    setting     "full" (the paper's), "small" (minutes on two cores), "tiny" (seconds, for tests)
    source      which data, from where, and what of them
    is_standin  whether other data take the place of the task's own
    plan        how long, unless asked for otherwise
    metric      the key of what `evaluate` returns by which runs are compared
    larger_is_better  which way
    has_test    whether there are test data; the published split of some tasks has none

    Validation data are never augmented; splits have a seed of their own, the same for every run.
    """

    name: str
    setting: Setting
    source: str
    is_standin: bool
    plan: Plan
    metric: str = "loss"
    larger_is_better: bool = False
    has_test: bool = True

    def __init__(
        self, name: str, setting: Setting, plan: Plan, source: str, is_standin: bool
    ) -> None:
        self.name = f"{name}, stand-in" if is_standin else name
        self.setting, self.plan = setting, plan
        self.source, self.is_standin = source, is_standin

    @abstractmethod
    def network(self) -> nn.Module:
        """A new network, its weights drawn from torch's global generator."""

    @abstractmethod
    def batch(self, step: int, size: int, seed: int) -> Batch:
        """Inputs and targets of a step, of all processes together; depends on these numbers only.

        The first axis counts the examples. On the CPU, augmented where the task does that.
        """

    @abstractmethod
    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """The mean loss of the examples, 0-dim, in nats."""

    @abstractmethod
    def evaluate(self, network: nn.Module, part: Part, device: torch.device) -> dict[str, float]:
        """ "loss", and other numbers by name, of a network in evaluation mode."""

    def is_better(self, value: float, best: float | None) -> bool:
        if best is None:
            return True
        return value > best if self.larger_is_better else value < best
