"""A small regression, on which optimizers are compared step by step."""

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


def net(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(
            nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3), nn.LayerNorm(3), nn.Linear(3, 1)
        ).to(dtype)


def run(
    network: nn.Module, *optimizers: Optimizer, steps: int = 5, first: int = 0
) -> list[torch.Tensor]:
    """Steps on a regression, each on data of its own; returns the losses."""
    losses = []
    for step in range(first, first + steps):
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss = loss_of(network, step)
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        losses.append(loss.detach())
    return losses


def loss_of(network: nn.Module, step: int) -> Tensor:
    dtype = next(network.parameters()).dtype
    inputs = torch.randn(64, 4, generator=torch.Generator().manual_seed(step)).to(dtype)
    return (network(inputs)[:, 0] - inputs[:, 0].sin()).square().mean()


def equal(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.equal(p, q) for p, q in pairs)
