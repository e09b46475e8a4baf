"""Telling the class of an input, whatever the inputs are."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ....landscapes import Split
from ....landscapes.data import Images, Sentences
from ..order import Shuffled, generator_of_step
from ..task import Batch, Part, Plan, Setting, Task

Data = TypeVar("Data", Images, Sentences)


class ClassificationTask(Task):
    """Tells the class of each input; accuracy is the fraction in [0, 1] that is right.

    build    a network from the number of classes
    at_once  examples of a batch that is evaluated
    """

    metric, larger_is_better = "accuracy", True

    def __init__(
        self,
        name: str,
        setting: Setting,
        data: Images | Sentences,
        plan: Plan,
        build: Callable[[int], nn.Module],
        *,
        at_once: int = 500,
    ) -> None:
        super().__init__(name, setting, plan, data.source, data.is_standin)
        self._data, self._build, self._at_once = data, build, at_once
        self._order = Shuffled(len(data.train.targets), plan.batch_size, 0)

    def network(self) -> nn.Module:
        return self._build(self._data.classes)

    def batch(self, step: int, size: int, seed: int) -> Batch:
        if (self._order.size, self._order.seed) != (size, seed):
            self._order = Shuffled(self._order.examples, size, seed)
        chosen, train = self._order.indices(step), self._data.train
        inputs = self._augmented(train.inputs[chosen], generator_of_step(seed, step))
        return self._shortened(inputs), train.targets[chosen]

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        inputs, targets = batch
        return cross_entropy(network(inputs), targets)

    def evaluate(self, network: nn.Module, part: Part, device: torch.device) -> dict[str, float]:
        split: Split = getattr(self._data, part)
        sums = torch.zeros(2, dtype=torch.float64, device=device)
        for inputs, targets in zip(
            split.inputs.split(self._at_once), split.targets.split(self._at_once), strict=True
        ):
            scores, wanted = network(self._shortened(inputs).to(device)), targets.to(device)
            losses = cross_entropy(scores, wanted, reduction="none")
            right = scores.argmax(-1) == wanted
            sums += torch.stack([losses.sum(dtype=torch.float64), right.sum()])
        loss, accuracy = (sums / len(split.targets)).tolist()
        return {"loss": loss, "accuracy": accuracy}

    def _augmented(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """What training sees of its examples."""
        return inputs

    def _shortened(self, inputs: Tensor) -> Tensor:
        """The inputs without what is empty in all of them."""
        return inputs


def epochs(data: Images | Sentences, number: int, batch_size: int, looks: int = 1) -> Plan:
    """So many times over the training data, with so many looks at the validation data in each."""
    steps = Shuffled(len(data.train.targets), batch_size, 0).steps
    return Plan(batch_size, steps=number * steps, evaluate_every=max(1, steps // looks))


def at_most(data: Data, train: int, validation: int, test: int) -> Data:
    """The first examples of each part, where there are more."""
    limits = {"train": train, "validation": validation, "test": test}
    parts = {name: Split(*(t[:most] for t in getattr(data, name))) for name, most in limits.items()}
    sizes = ", ".join(f"{len(split.targets)} {name}" for name, split in parts.items())
    return replace(data, **parts, source=f"{data.source}; of them {sizes}")
