"""One small training that every trainer repeats: a network, its data, and every optimizer."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from dashpot.dynamics import Langevin
from dashpot.integrators import optim
from dashpot.integrators.kernels import compiled
from dashpot.integrators.optim import WordOptimizer


class Sampler(WordOptimizer):
    """An optimizer of one's own: Langevin dynamics, with noise that depends on the seed alone."""

    def __init__(
        self, params: Any, lr: float | Tensor, weight_decay: float = 0.0, maximize: bool = False
    ) -> None:
        langevin = Langevin(gamma=0.5, temperature=1e-4)
        super().__init__(
            langevin, params, lr, weight_decay=weight_decay, maximize=maximize, noise=3
        )


def has_compiler() -> bool:
    try:
        compiled.find_compiler()
    except compiled.NoCompilerError:
        return False
    return True


SYMMETRIC = "BCDADCB"
FUSED: dict[str, tuple[Any, dict[str, Any]]] = {
    "CD fused": (optim.CD, {"lr": 0.2, "gamma": 0.5, "c": 3.0, "word": SYMMETRIC, "fused": True}),
    "CADAM fused": (optim.CADAM, {"lr": 0.0215, "c": 1.0, "fused": True}),
}
OPTIMIZERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "LDHD": (optim.LDHD, {"lr": 0.2, "gamma": 0.5}),
    "KFAD": (optim.KFAD, {"lr": 0.2, "gamma": 0.5, "alpha": 1.0, "mu": 0.1}),
    "IKFAD": (optim.IKFAD, {"lr": 0.2, "gamma": 0.5, "mu": 0.5}),
    "IKFAD rotation": (optim.IKFAD, {"lr": 0.2, "gamma": 0.5, "mu": 0.5, "scheme": "rotation"}),
    "RIKFAD": (optim.RIKFAD, {"lr": 0.2, "gamma": 0.5, "mu": 0.5}),
    "CD": (optim.CD, {"lr": 0.2, "gamma": 0.5, "c": 3.0}),
    "CD BCDA": (optim.CD, {"lr": 0.2, "gamma": 0.5, "c": 3.0, "word": "BCDA"}),
    "CD symmetric": (optim.CD, {"lr": 0.2, "gamma": 0.5, "c": 3.0, "word": SYMMETRIC}),
    "CADAM": (optim.CADAM, {"lr": 0.0215, "c": 1.0}),
    "CADAM symmetric": (optim.CADAM, {"lr": 0.0215, "c": 1.0, "word": "EBCDADCBE"}),
    "CADAM corrected": (optim.CADAM, {"lr": 0.1, "c": 1.0, "bias_correction": True}),
    "CD bfloat16": (optim.CD, {"lr": 0.2, "gamma": 0.5, "c": 3.0, "state_dtype": torch.bfloat16}),
    "Langevin": (Sampler, {"lr": 0.2}),
    **(FUSED if has_compiler() else {}),
}
"""Every kind of optimizer, with words that close the last step and words that do not."""

SAMPLES = 8


def rounding(steps: int) -> float:
    """How far the same training may end when its sums are taken in another order, in float64.

    Losses, gradients and means of size 1 then differ by some ten units of 2⁻⁵³ a step, and a step
    enlarges a difference by less than 2.
    """
    return 10 * steps * 2.0 ** (steps - 53)


def optimizer(name: str, params: Iterable[Any], **settings: Any) -> WordOptimizer:
    kind, usual = OPTIMIZERS[name]
    return kind(params, **{**usual, **settings})


def network(seed: int = 0, dtype: torch.dtype = torch.float64) -> nn.Sequential:
    """Rows that do not divide by two, and one row that leaves the second of two shards empty."""
    generator = torch.Generator().manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1)).to(dtype)
    with torch.no_grad():
        for param in model.parameters():
            param.copy_(0.5 * torch.randn(param.shape, generator=generator, dtype=dtype))
    return model


def batch(step: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """The samples of a step: inputs [8, 3] and what the network is to learn of them [8, 1]."""
    generator = torch.Generator().manual_seed(step)
    x = torch.randn(SAMPLES, 3, generator=generator, dtype=dtype)
    return x, x[:, :1].sin() + 0.5 * x[:, 1:2]


def loss_of(model: Callable[[Tensor], Tensor], step: int, part: slice = slice(None)) -> Tensor:
    """The mean square error over some of a step's samples."""
    x, y = batch(step)
    return ((model(x[part]) - y[part]) ** 2).mean()


def decayed(model: nn.Module, weight_decay: float = 0.1) -> list[dict[str, Any]]:
    """Two groups, as trainers make them: matrices with weight decay, vectors without."""
    params = list(model.parameters())
    return [
        {"params": [p for p in params if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in params if p.ndim <= 1], "weight_decay": 0.0},
    ]


def plain_loop(name: str, epochs: int, size: int = SAMPLES) -> list[Tensor]:
    """What trainers do, as a loop: steps on parts of one batch, clipped, lr shrunk by epoch."""
    model = network()
    made = optimizer(name, decayed(model))
    for _ in range(epochs):
        for first in range(0, SAMPLES, size):
            made.zero_grad()
            loss_of(model, 0, slice(first, first + size)).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            made.step()
        for group in made.param_groups:
            group["lr"] *= 0.95
    return [p.detach() for p in model.parameters()]
