"""Several processes of this machine joined by gloo: what tests of distributed training run in."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch._C._distributed_c10d import FileStore
from torch.multiprocessing.spawn import start_processes

IMPORTS = [
    "dashpot.integrators",
    "torch.distributed.checkpoint.state_dict_loader",
    "torch.distributed.checkpoint.state_dict",
    "torch.distributed.fsdp",
    "torch.distributed.optim",
]
"""What the server of forked processes imports once for all of them."""


def on_ranks(
    work: Callable[..., Any], *args: Any, folder: Path, ranks: int = 2, limit: float = 120.0
) -> list[Any]:
    """What work(rank, *args) returns on every rank of a new process group.

    work lies in a module that a new process can import. Raises what a rank raised, and
    TimeoutError after `limit` seconds, when the ranks are ended.
    """
    shared = tempfile.mkdtemp(dir=folder)  # ranks meet in a file: no port that is in use
    method = "forkserver" if "forkserver" in mp.get_all_start_methods() else "spawn"
    if method == "forkserver":
        mp.set_forkserver_preload(IMPORTS)
    started = start_processes(
        _rank, (work, shared, ranks, args), nprocs=ranks, join=False, start_method=method
    )
    assert started is not None
    end = time.monotonic() + limit
    try:
        while not started.join(timeout=1.0):
            if time.monotonic() > end:
                raise TimeoutError(f"{work.__name__} on {ranks} ranks took over {limit:g} s")
    finally:
        for process in filter(None, started.processes):
            process.kill()  # nothing where it has ended
    return [torch.load(Path(shared) / f"{rank}.pt") for rank in range(ranks)]


def _rank(
    rank: int, work: Callable[..., Any], shared: str, ranks: int, args: tuple[Any, ...]
) -> None:
    torch.set_num_threads(1)
    store = FileStore(f"{shared}/store", ranks)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=ranks)
    try:
        torch.save(work(rank, *args), f"{shared}/{rank}.pt")
    finally:
        dist.destroy_process_group()
