"""Tensors that one Triton kernel takes, and the tables on the device that it reads."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import NoKernelError
from ..triton_code import element_type, kernels
from .layout import Tensors
from .triton_source import BESIDES, FusedText

_BLOCK = 1024  # elements of a program
_WARPS = 4
_SPARE = 4  # tables for calls that are captured, which can make none


class Batch:
    """Tensors of one choice of types.

    members   their places among the parameters `params` of the group
    """

    def __init__(self, text: FusedText, params: Sequence[Tensor], members: Sequence[int]) -> None:
        made = kernels(text.text())
        self._prepare, self._write = made["prepare"], made["write"]
        self._text, self._members = text, members
        self._is_whole = len(members) == len(params)
        first = params[members[0]]
        self._device, self._element = first.device, element_type(first.dtype)
        self._index = torch.tensor(members, device=first.device)
        sizes = [params[i].numel() for i in members]
        self._chunks = self._upload(_chunks(sizes))
        self._programs = len(self._chunks)
        self._spare: list[tuple[Tensor, Tensor]] = []
        self._of_graphs: list[tuple[np.ndarray, Tensor]] = []
        self._read_by_graphs: list[Any] = []  # whose memory must stay
        self._rows = np.zeros((len(sizes), len(text.slots) + len(BESIDES)), dtype=np.int64)
        self._rows[:, len(text.slots)] = sizes
        self._latest = self._rows, self._upload(self._rows)
        self._numbers = Numbers(text, len(sizes), first.device)

    def launch(
        self, tensors: Tensors, given: Mapping[str, Any], last: Sequence[Any] | Tensor,
        found_inf: Tensor | None, seed: int, places: Sequence[int], ticks: Sequence[int],
    ) -> None:  # fmt: skip
        """One call, of the group's tensors and numbers."""
        on_cuda = self._device.type == "cuda"
        is_captured = on_cuda and torch.cuda.is_current_stream_capturing()
        numbers = self._numbers
        if is_captured:
            if self._text.rounded:
                raise NoKernelError("every replay of a CUDA graph would round by the same chance")
            numbers = Numbers(self._text, len(self._rows), self._device)
            self._read_by_graphs.append(numbers)
        with torch.cuda.device(self._device if on_cuda else -1):
            rows = self._filled(tensors, places, ticks)
            is_aligned = not np.any(rows[:, : len(self._text.slots)] % 16)
            table = self._table(rows, is_captured)
            found = numbers.given if found_inf is None else found_inf
            options = {"HAS_FOUND": found_inf is not None}
            if numbers.put([given[name] for name in self._text.given], self._mine(last)):
                self._prepare[(len(rows),)](
                    table, numbers.given, numbers.last, numbers.hoisted, found, num_warps=1,
                    **options,
                )  # fmt: skip
            if self._programs:
                self._write[(self._programs,)](
                    self._chunks, table, numbers.given, numbers.last, numbers.hoisted, found,
                    seed - 2**64 if seed >= 2**63 else seed, BLOCK=_BLOCK, E=self._element,
                    ALIGNED=is_aligned, num_warps=_WARPS, **options,
                )  # fmt: skip

    def _mine(self, values: Sequence[Any] | Tensor) -> Any:
        """Those of a value for each parameter that belong to this batch."""
        if self._is_whole or (isinstance(values, Tensor) and not values.ndim):
            return values
        if isinstance(values, Tensor):
            return values.index_select(0, self._index)
        return [values[i] for i in self._members]

    def _filled(self, tensors: Tensors, places: Sequence[int], ticks: Sequence[int]) -> np.ndarray:
        """The table of a call: pointers, sizes, and what rounding depends on."""
        rows, slots = self._rows.copy(), self._text.slots
        for name, slot in slots.items():
            mine = self._mine(tensors[name])
            rows[:, slot] = np.fromiter(map(Tensor.data_ptr, mine), np.int64, len(rows))
        if self._text.rounded:
            rows[:, len(slots) + 1] = self._mine(places)
            rows[:, len(slots) + 2] = self._mine(ticks)
        return rows

    def _table(self, rows: np.ndarray, is_captured: bool) -> Tensor:
        """The rows on the device, sent there only where something has moved; never overwritten."""
        known = (
            table for at, table in (self._latest, *self._of_graphs) if np.array_equal(rows, at)
        )
        table = next(known, None)
        if table is None and is_captured:
            if not self._spare:
                raise NoKernelError("a call that is captured must come after one that was not")
            pinned, table = self._spare.pop()
            pinned.copy_(torch.from_numpy(rows))
            table.copy_(pinned, non_blocking=True)
            self._read_by_graphs.append(pinned)
        elif table is None:
            table = self._upload(rows)
        if is_captured:
            self._of_graphs.append((rows, table))
        else:
            self._latest = rows, table
            while len(self._spare) < _SPARE:
                self._spare.append((self._pinned(rows), self._upload(rows)))
        return table

    def _pinned(self, array: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(array.copy())
        return tensor.pin_memory() if self._device.type == "cuda" else tensor

    def _upload(self, array: np.ndarray) -> Tensor:
        """A copy on the device, from memory that is not used again before it has arrived."""
        return self._pinned(array).to(self._device, non_blocking=True, copy=True)


def _chunks(sizes: Sequence[int]) -> np.ndarray:
    """(tensor, number of the block in it) for each program."""
    counts = [-(-size // _BLOCK) for size in sizes]
    tensor = np.repeat(np.arange(len(sizes)), counts)
    begin = np.repeat(np.cumsum([0, *counts[:-1]]), counts)
    return np.stack((tensor, np.arange(len(tensor)) - begin), 1).astype(np.int32)


class Numbers:
    """What is the same for all elements of a tensor, on the device.

    given     the numbers of the call, in the order of the text
    last      the last step size of each tensor
    hoisted   what `prepare` makes of them
    """

    def __init__(self, text: FusedText, tensors: int, device: torch.device) -> None:
        self.given = torch.empty(len(text.given), dtype=torch.float64, device=device)
        self.last = torch.empty(tensors, dtype=torch.float64, device=device)
        self.hoisted = self.given.new_empty(tensors, max(1, text.width))
        self._always = text.moves_numbers
        self._known: Any = None  # what was put there last, where all were numbers of Python

    def put(self, given: Sequence[Any], last: Sequence[float] | Tensor) -> bool:
        """Numbers of a call, without waiting; whether `prepare` has anything to do."""
        moving = isinstance(last, Tensor) or any(isinstance(value, Tensor) for value in given)
        now = None if moving else ([float(value) for value in given], list(last))
        if now is not None and now == self._known:
            return self._always
        before = self._known[0] if self._known else [None] * len(given)
        for place, (value, old) in enumerate(zip(given, before, strict=True)):
            if isinstance(value, Tensor):
                self.given[place].copy_(value.reshape(()))
            elif value != old:
                self.given[place].fill_(float(value))
        if isinstance(last, Tensor):
            self.last.copy_(last)
        elif all(one == last[0] for one in last):
            self.last.fill_(last[0])
        else:
            for place, one in enumerate(last):
                self.last[place].fill_(one)
        self._known = now
        return True
