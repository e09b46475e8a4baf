"""Sweeps of a task that takes milliseconds, in the place of one of the toolkit's."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dashpot.analysis.sweep.folders import Row, head_of, rows
from dashpot.analysis.sweep.plan import Sweep, Tune
from dashpot.analysis.sweep.work import Message, Place, Worker
from dashpot.analysis.training.order import generator
from dashpot.analysis.training.task import Batch, Part, Plan, Setting, Task
from dashpot.analysis.training.tasks import TASKS

TUNE = Tune(trials=3, seeds=(100,), pruner="none", factors=(0.5, 2.0))
SWEEP = Sweep("nano", "tiny", seeds=(0, 1), tune=TUNE, optimizers=("CD", "SGD"))
KNOWN = Sweep(
    "nano",
    "tiny",
    seeds=(0, 1),
    known={
        "SGD": ("SGD", {"lr": 0.05, "momentum": 0.5}),
        "slow": ("SGD", {"lr": 0.01, "momentum": 0.0}),
    },
)
STEPS = 40
PAUSE = "PAUSE_OF_A_STEP"  # environment variable, in seconds


class Line(Task):
    """Least squares: y = x·(1, 2, 3, 4) with noise."""

    def __init__(self, name: str, setting: Setting, *, tested: bool = True) -> None:
        plan = Plan(batch_size=8, steps=STEPS, evaluate_every=10)
        super().__init__(name, setting, plan, "a line", is_standin=False)
        self.has_test = tested
        self.tests = 0

    def network(self) -> nn.Module:
        return nn.Linear(4, 1)

    def batch(self, step: int, size: int, seed: int) -> Batch:
        time.sleep(float(os.environ.get(PAUSE, "0")))
        return self._drawn(size, generator(seed, step))

    def _drawn(self, size: int, drawn: torch.Generator) -> Batch:
        x = torch.randn(size, 4, generator=drawn)
        noise = 0.1 * torch.randn(size, 1, generator=drawn)
        return x, x @ torch.arange(1.0, 5.0)[:, None] + noise

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        return (network(batch[0]) - batch[1]).square().mean()

    def evaluate(self, network: nn.Module, part: Part, device: torch.device) -> dict[str, float]:
        self.tests += part == "test"
        drawn = generator(7 if part == "validation" else 8)
        return {"loss": self.loss(network, self._drawn(64, drawn)).item()}


def line(setting: Setting, folder: Path | None, *, download: bool = False) -> Task:
    return Line("nano", setting)


def take_the_place_of(name: str) -> None:
    TASKS[name] = line


@contextmanager
def in_the_place_of(name: str) -> Iterator[None]:
    kept = TASKS[name]
    take_the_place_of(name)
    yield
    TASKS[name] = kept


def place(out: Path, **rest: Any) -> Place:
    return Place(out, str(out / "study.journal"), **rest)


def worker(
    sweep: Sweep, out: Path, tell: Callable[[Message], Any] = lambda message: None, **rest: Any
) -> Worker:
    return Worker(sweep, place(out, **rest), tell)


def all_rows(out: Path) -> list[Row]:
    return list(rows(out, head_of(out)))


def of_sgd(out: Path) -> None:
    """A worker in a process of its own."""
    with in_the_place_of("nano"):
        worker(replace(SWEEP, optimizers=("SGD",)), out).work()
