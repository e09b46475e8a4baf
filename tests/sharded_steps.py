"""Steps of a matrix that is cut in other ways than by rows, on four ranks."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Placement, Replicate, Shard, distribute_tensor

from dashpot.integrators import optim

CUTS: dict[str, tuple[tuple[int, ...], list[Placement]]] = {
    "rows": ((4,), [Shard(0)]),
    "columns": ((4,), [Shard(1)]),
    "both": ((2, 2), [Shard(0), Shard(1)]),
    "columns of copies": ((2, 2), [Replicate(), Shard(1)]),
}
SHAPE = (6, 10)  # neither is divisible by 4


def whole(transposed: bool) -> tuple[Tensor, Tensor]:
    """A matrix and its gradient."""
    random = torch.Generator().manual_seed(0)
    shape = SHAPE[::-1] if transposed else SHAPE
    pair = [torch.randn(shape, generator=random) for _ in range(2)]
    x, grad = (t.t() for t in pair) if transposed else pair
    return x, grad


def stepped(x: Tensor, grad: Tensor, steps: int = 3, **settings: Any) -> tuple[Tensor, Tensor]:
    """Where a parameter and its momentum are after steps down a constant slope."""
    param = nn.Parameter(x)
    optimizer = optim.CD([param], lr=0.1, c=0.8, fused=False, **settings)
    for _ in range(steps):
        param.grad = grad.clone()
        optimizer.step()
    return param.detach(), optimizer.state[param]["p"]


def on_shards(
    _rank: int, transposed: bool, settings: dict[str, Any], replicated: bool
) -> dict[str, tuple[Tensor, Tensor]]:
    """The same with a matrix cut in every way; replicated: with a gradient that is not cut."""
    results = {}
    for name, (shape, cuts) in CUTS.items():
        mesh = init_device_mesh("cpu", shape)
        x, grad = whole(transposed)
        places = [Replicate()] * len(cuts) if replicated else cuts
        cut = distribute_tensor(x.clone(), mesh, cuts), distribute_tensor(grad, mesh, places)
        both = stepped(*cut, **settings)
        results[name] = tuple(t.full_tensor() for t in both if isinstance(t, DTensor))
    return results
