"""A small task, and what two runs of it must agree in."""

import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dashpot.analysis.training import log
from dashpot.analysis.training.order import Shuffled, generator
from dashpot.analysis.training.settings import Settings
from dashpot.analysis.training.task import Batch, Part, Plan, Task
from dashpot.analysis.training.trainer import Result

EXAMPLES, BATCH = 45, 12  # the last batch of an epoch has 9 examples
STEPS = 24

HYPERPARAMETERS: dict[str, dict[str, float]] = {
    "CD": {"lr": 0.2, "gamma": 0.5, "c": 3.0},
    "IKFAD": {"lr": 0.2, "gamma": 0.5, "alpha": 1.0, "mu": 0.5},
    "CADAM": {"lr": 0.05, "gamma": 1.0, "alpha": 1.0, "c": 1.0},
    "AdamW": {"lr": 0.02, "beta1": 0.9, "beta2": 0.95},
    "Muon": {"lr": 0.02, "momentum": 0.9, "adamw_lr": 0.02},
}


class Sine(Task):
    """Learns sin(x₁) + x₂/2 from samples of x in three dimensions; the loss is the square error.

    evaluated  counts how often each part was looked at
    """

    def __init__(self, dropout: float = 0.0, dtype: torch.dtype = torch.float64) -> None:
        super().__init__("sine", "tiny", Plan(BATCH, STEPS, 6), "made up", False)
        self._dropout, self._dtype = dropout, dtype
        x = torch.randn(3, EXAMPLES, 3, generator=generator(7), dtype=dtype)
        self._x, self._y = x, x[..., :1].sin() + 0.5 * x[..., 1:2]
        self.evaluated = {"validation": 0, "test": 0}

    def network(self) -> nn.Module:
        return nn.Sequential(
            nn.Linear(3, 8),
            nn.Sequential(nn.Sequential(nn.Tanh(), nn.Linear(8, 8)), nn.Dropout(self._dropout)),
            nn.Linear(8, 1),
        ).to(self._dtype)

    def batch(self, step: int, size: int, seed: int) -> Batch:
        chosen = Shuffled(EXAMPLES, size, seed).indices(step)
        return self._x[0, chosen], self._y[0, chosen]

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        inputs, targets = batch
        return (network(inputs) - targets).square().mean()

    def evaluate(self, network: nn.Module, part: Part, device: torch.device) -> dict[str, float]:
        assert not network.training
        self.evaluated[part] += 1
        place = 1 if part == "validation" else 2
        return {"loss": self.loss(network, (self._x[place], self._y[place])).item()}


def settings(optimizer: str = "CD", **changes: Any) -> Settings:
    values: dict[str, Any] = {"hyperparameters": HYPERPARAMETERS[optimizer], **changes}
    return Settings("sine", "tiny", optimizer, **values)


def left(folder: Path) -> dict[str, Any]:
    """All that a run has left, but for times: weights, state, log, best weights, result."""
    kept = torch.load(folder / "checkpoint.pt", weights_only=True)
    result = json.loads((folder / "result.json").read_text())
    best = torch.load(folder / f"best-{result['best_step']}.pt", weights_only=True)
    lines = [{**line, "seconds": 0} for line in log.lines(folder)]
    timed = ("seconds", "ms_per_step")
    return {
        "checkpoint": {k: v for k, v in kept.items() if k not in ("seconds", "log")},
        "best": best,
        "log": lines,
        "result": {name: value for name, value in result.items() if name not in timed},
    }


def same(one: Any, other: Any) -> bool:
    """Bit for bit."""
    if isinstance(one, Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other or (one != one and other != other)


def reached(result: Result) -> float:
    """The best validation value, which there must be."""
    assert result.best is not None and math.isfinite(result.best)
    return result.best
