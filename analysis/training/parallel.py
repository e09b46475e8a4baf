"""Several processes that train one network, each on its part of a batch.

Replicas (DDP) and shards (FSDP2) take the same steps as one process with the whole batch, to
rounding; but for dropout, which every process draws for itself, and for batch normalisation, whose
means are those of a process' own examples.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ...integrators.ensembles.ranks import Ranks
from .settings import Parallel
from .task import Batch


def join(device: torch.device) -> tuple[Ranks, torch.device]:
    """The processes of torchrun, and the device of this one."""
    if device.type != "cuda":
        return Ranks(), device
    torch.cuda.set_device(device := own_device(device))
    return Ranks("cpu:gloo,cuda:nccl"), device


def own_device(device: torch.device) -> torch.device:
    """The one of a process: under torchrun its own, where none is named."""
    if device != torch.device("cuda"):
        return device
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", torch.cuda.current_device())))


def lay_out(network: nn.Module, how: Parallel, ranks: Ranks, device: torch.device) -> "Alone":
    """The network on its device, as one of the processes has it."""
    network = network.to(device)
    if ranks.size == 1:
        return Alone(network)
    if how == "ddp":
        return Replicas(network, ranks.size)
    return Shards(network, ranks.size, device)


def shares(batch: Batch, parts: int, ranks: Ranks) -> list[tuple[Batch, float]]:
    """What a process computes of a batch, one after the other, with its part of the examples.

    As many on every process; one for which there is nothing left takes an example with weight 0.
    """
    size, found = len(batch[0]), []
    for inputs, targets in zip(*(t.tensor_split(min(parts, size)) for t in batch), strict=True):
        mine = inputs.tensor_split(ranks.size)[ranks.rank]
        if len(mine):
            share = mine, targets.tensor_split(ranks.size)[ranks.rank]
        else:
            share = inputs[:1], targets[:1]
        found.append((share, len(mine) / size))
    return found


class Alone:
    """A network on one process.

    network    its own parameters and their names
    module     what is called for a loss
    processes  by which a gradient is divided
    """

    processes = 1

    def __init__(self, network: nn.Module) -> None:
        self.network = self.module = network

    def together(self, last: bool) -> AbstractContextManager[Any]:
        """Around forward and backward: gradients need not agree before the last of a step."""
        return nullcontext()

    def weights(self) -> dict[str, Any]:
        """The whole network, on the first process."""
        return self.network.state_dict()

    def load_weights(self, weights: Mapping[str, Any]) -> None:
        self.network.load_state_dict(weights)

    def state(self, optimizer: Optimizer) -> dict[str, Any]:
        """The whole state of the optimizer, on the first process."""
        return optimizer.state_dict()

    def load(self, optimizer: Optimizer, weights: dict[str, Any], state: dict[str, Any]) -> None:
        """Continue with a whole network and state, which all processes have."""
        self.load_weights(weights)
        optimizer.load_state_dict(state)


class Replicas(Alone):
    """DDP: the whole network on every process, the gradients averaged."""

    def __init__(self, network: nn.Module, processes: int) -> None:
        super().__init__(network)
        self.module = nn.parallel.DistributedDataParallel(network)
        self.processes = processes

    def together(self, last: bool) -> AbstractContextManager[Any]:
        return nullcontext() if last else self.module.no_sync()


class Shards(Alone):
    """FSDP2: a part of every parameter on every process; blocks are gathered one by one."""

    def __init__(self, network: nn.Module, processes: int, device: torch.device) -> None:
        from torch.distributed.checkpoint import state_dict
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        self._states = state_dict
        self._whole = state_dict.StateDictOptions(full_state_dict=True, cpu_offload=True)
        mesh = init_device_mesh(device.type, (processes,))
        for block in [*_blocks(network)]:
            fully_shard(block, mesh=mesh)
        self._sharded = fully_shard(network, mesh=mesh)
        super().__init__(network)
        self.processes = processes

    def weights(self) -> dict[str, Any]:
        return self._states.get_model_state_dict(self.network, options=self._whole)

    def load_weights(self, weights: Mapping[str, Any]) -> None:
        self._sharded.reshard()  # a forward pass without gradients leaves the outermost gathered
        self._states.set_model_state_dict(self.network, dict(weights), options=self._whole)

    def state(self, optimizer: Optimizer) -> dict[str, Any]:
        found = self._states.get_optimizer_state_dict(self.network, optimizer, options=self._whole)
        return _renamed(found, {name: i for i, name in enumerate(self._names(optimizer))})

    def load(self, optimizer: Optimizer, weights: dict[str, Any], state: dict[str, Any]) -> None:
        self.load_weights(weights)
        named = _renamed(state, dict(enumerate(self._names(optimizer))))
        self._states.set_optimizer_state_dict(self.network, optimizer, named, options=self._whole)

    def _names(self, optimizer: Optimizer) -> list[str]:
        """Of the parameters, in the order in which an optimizer numbers them."""
        names = {param: name for name, param in self.network.named_parameters()}
        return [names[param] for group in optimizer.param_groups for param in group["params"]]


def _blocks(network: nn.Module) -> Iterator[nn.Module]:
    """What a network is a chain of: composed modules in a row, inner ones first."""
    for row in reversed([*network.modules()]):
        if isinstance(row, nn.Sequential | nn.ModuleList):
            for block in row:
                if any(True for _ in block.children()) and any(True for _ in block.parameters()):
                    yield block


def _renamed(state: Mapping[str, Any], names: Mapping[Any, Any]) -> dict[str, Any]:
    """An optimizer's state with other names, or numbers, for its parameters."""
    if not state:  # not the first process
        return {}
    groups = [
        {**group, "params": [names[one] for one in group["params"]]}
        for group in state["param_groups"]
    ]
    return {
        "state": {names[one]: value for one, value in state["state"].items()},
        "param_groups": groups,
    }


def finite(network: nn.Module, ranks: Ranks) -> bool:
    """Whether all parameters of all processes are finite."""
    here = [getattr(param, "to_local", param.detach)() for param in network.parameters()]
    total = torch.stack([(~torch.isfinite(each)).sum() for each in here]).sum()
    return not ranks.added(total.double()).item()


def mean_losses(losses: list[Tensor], ranks: Ranks) -> list[float]:
    """The losses of some steps, of all processes together."""
    return ranks.added(torch.stack(losses).detach().double().cpu()).tolist()
