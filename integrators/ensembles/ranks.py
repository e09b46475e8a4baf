"""The processes that share an ensemble: those of torch.distributed, or this one alone."""

import atexit
import os
import sys
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

_TORCHRUN = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")

Item = TypeVar("Item")


class Ranks:
    """This process among all; alone where torch.distributed does not run.

    Under torchrun the processes find each other with `backend`, unless the program has done so
    itself.
    """

    def __init__(self, backend: str = "gloo") -> None:
        self.rank, self.size = 0, 1
        if not dist.is_available():
            return
        if not dist.is_initialized() and all(name in os.environ for name in _TORCHRUN):
            dist.init_process_group(backend)
            atexit.register(_leave)
            if dist.get_rank() == 0:
                print(f"dashpot: {dist.get_world_size()} processes ({backend})", file=sys.stderr)
        if dist.is_initialized():
            self.rank, self.size = dist.get_rank(), dist.get_world_size()

    def turn(self, items: Sequence[Item]) -> Sequence[Item]:
        """What is this process' of a list that all have: they take items in turn."""
        return items[self.rank :: self.size]

    def wait(self) -> None:
        if self.size > 1:
            dist.barrier()

    def from_first(self, value: Any) -> Any:
        """What the first process has, as a plain value."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def gather(self, array: np.ndarray, mine: np.ndarray) -> None:
        """Fill in, bit for bit, what the others have where `mine` is False and theirs is not.

        `mine` [*axes] says what this process has; `array` is [*axes], or [T, *axes, ...].
        """
        if self.size == 1:
            return
        extra = array.ndim - mine.ndim
        if extra:
            for row in array:  # a time after the other: no copy of everything
                self._gather(row, mine.reshape(*mine.shape, *(1,) * (extra - 1)))
        else:
            self._gather(array, mine)

    def _gather(self, array: np.ndarray, mine: np.ndarray) -> None:
        # every place belongs to one process at most, so that the sum of their bits are its bits
        bits = np.where(mine, array.view(f"i{array.itemsize}").astype(np.int64), 0)
        found = self.added(torch.from_numpy(bits)).numpy().astype(f"i{array.itemsize}")
        theirs = self.added(torch.from_numpy(mine.astype(np.int64))).numpy() > 0
        np.copyto(array, found.view(array.dtype), where=theirs)

    def added(self, value: Tensor) -> Tensor:
        """The sum over the processes."""
        if self.size == 1:
            return value
        own = value.to("cuda" if dist.get_backend() == "nccl" else "cpu", copy=True)
        dist.all_reduce(own)
        return own.cpu()


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
