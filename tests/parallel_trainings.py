"""Trainings on several processes, to be compared with the same training on one."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_state_dict,
    set_state_dict,
)
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.distributed.tensor import DTensor
from trainings import OPTIMIZERS, SAMPLES, decayed, loss_of, network, optimizer

Layout = Literal["one", "ddp", "fsdp"]
Way = Literal["shards", "whole"]
Weights = dict[str, list[Tensor]]
STEPS = 6
WHOLE = StateDictOptions(full_state_dict=True)


def laid_out(model: nn.Sequential, layout: Layout) -> nn.Module:
    """The model as it is, as a replica on every rank, or in shards of rows."""
    if layout == "ddp":
        return nn.parallel.DistributedDataParallel(model)
    if layout == "fsdp":
        mesh = init_device_mesh("cpu", (dist.get_world_size(),))
        fully_shard(model[2], mesh=mesh)
        fully_shard(model, mesh=mesh)
    return model


def share() -> slice:
    """This rank's part of the samples of a step."""
    if not dist.is_initialized():
        return slice(None)
    size = SAMPLES // dist.get_world_size()
    return slice(dist.get_rank() * size, (dist.get_rank() + 1) * size)


def advance(
    model: nn.Module, optimizer: torch.optim.Optimizer, first: int = 0, steps: int = STEPS
) -> None:
    """Steps with gradients clipped and a step size that shrinks from step to step."""
    for step in range(first, first + steps):
        optimizer.zero_grad()
        loss_of(model, step, share()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        for group in optimizer.param_groups:
            group["lr"] *= 0.9


def weights(model: nn.Module) -> list[Tensor]:
    """The whole parameters, wherever their shards lie."""
    params = [p.detach() for p in model.parameters()]
    return [p.full_tensor() if isinstance(p, DTensor) else p.clone() for p in params]


def trained(names: Sequence[str], steps: int = STEPS) -> Weights:
    """The weights that every optimizer arrives at on one process."""
    result = {}
    for name in names:
        model = network()
        advance(model, optimizer(name, decayed(model)), steps=steps)
        result[name] = weights(model)
    return result


def saved(rank: int, layout: Layout, names: Sequence[str], folder: Path) -> Weights:
    """The weights after twice as many steps, with two checkpoints of the time between."""
    result = {}
    for name in names:
        model = laid_out(network(), layout)
        opt = optimizer(name, decayed(model))
        advance(model, opt)
        save(state_of(model, opt), checkpoint_id=folder / name)
        whole = state_of(model, opt, WHOLE)
        if rank == 0:
            torch.save(whole, folder / f"{name}.pt")
        advance(model, opt, STEPS)
        result[name] = weights(model)
    return result


def resumed(
    _rank: int, jobs: Sequence[tuple[Layout, Way]], names: Sequence[str], folder: Path
) -> list[Weights]:
    """The weights that new jobs arrive at from those checkpoints, in shards or as one file."""
    results = []
    for layout, way in jobs:
        results.append({})
        for name in names:
            model = laid_out(network(seed=1), layout)
            opt = optimizer(name, decayed(model), lr=1.0)
            if way == "shards":
                options, state = None, state_of(model, opt)
                load(state, checkpoint_id=folder / name)
            else:
                options, state = WHOLE, torch.load(folder / f"{name}.pt", weights_only=True)
            set_state_dict(
                model,
                opt,
                model_state_dict=state["model"],
                optim_state_dict=state["optimizer"],
                options=options,
            )
            advance(model, opt, STEPS)
            results[-1][name] = weights(model)
    return results


def split_by_zero(rank: int, names: Sequence[str]) -> list[Weights]:
    """ZeroRedundancyOptimizer: each rank updates its share of the parameters.

    The weights after twice as many steps, then those of a job resumed half way.
    """
    results: list[Weights] = [{}, {}]
    for name in names:
        model = laid_out(network(), "ddp")
        opt = zero(name, model)
        advance(model, opt)
        opt.consolidate_state_dict(to=0)
        kept = [opt.state_dict() if rank == 0 else None]
        dist.broadcast_object_list(kept, src=0)
        assert kept[0] is not None
        again = laid_out(network(seed=1), "ddp")
        again.load_state_dict(model.state_dict())
        other = zero(name, again)
        other.load_state_dict(copy.deepcopy(kept[0]))  # ZeRO takes the tensors themselves
        for result, pair in zip(results, ((model, opt), (again, other)), strict=True):
            advance(*pair, STEPS)
            result[name] = weights(pair[0])
    return results


def zero(name: str, model: nn.Module) -> ZeroRedundancyOptimizer:
    kind, settings = OPTIMIZERS[name]
    first, second = decayed(model)
    opt = ZeroRedundancyOptimizer(
        first["params"], optimizer_class=kind, **settings, weight_decay=first["weight_decay"]
    )
    opt.add_param_group(second)
    return opt


def state_of(
    model: nn.Module, opt: torch.optim.Optimizer, options: StateDictOptions | None = None
) -> dict[str, Any]:
    pair = get_state_dict(model, opt, options=options)
    return dict(zip(("model", "optimizer"), pair, strict=True))
