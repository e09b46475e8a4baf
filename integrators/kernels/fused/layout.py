"""How a kernel walks through tensors: in the order of memory where all of a parameter agree."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor

from ..errors import NoKernelError

Tensors = Mapping[str, Sequence[Tensor]]
"""The variables of some parameters by name, x first, and their gradients `g` last."""

_shape, _dtype = attrgetter("shape"), attrgetter("dtype")


def facts(tensors: Tensors) -> list[list[Any]]:
    """All that a kernel has to know of tensors but where they are.

    This is done at every call: 0.2 µs a tensor. Devices by number are those of one kind or the
    CPU (−1), where tensors without memory (meta) are seen by their address.
    """
    try:
        return [
            [*map(look, ts)]
            for ts in tensors.values()
            for look in (_shape, _dtype, Tensor.get_device, Tensor.stride)
        ]
    except RuntimeError as error:  # a sparse tensor
        raise NoKernelError(f"no kernel for a tensor without strides: {error}") from None


def marks(tensors: Tensors) -> list[list[Any]] | None:
    """By what tensors are known again that were looked at before, at a quarter of the price.

    Together with the addresses of x and the state. The same objects, of the same length, at the
    same place have the same type and device, and while all is contiguous a kernel needs no more.
    None where a parameter or a gradient is not contiguous.
    """
    flat = [tensors["x"], tensors["g"]]
    try:
        whole = [[*map(Tensor.is_contiguous, ts)] for ts in flat]
    except RuntimeError:  # a sparse tensor
        return None
    if not all(map(all, whole)):
        return None
    kept = [ts for name, ts in tensors.items() if name != "g"]
    same = [[*map(look, ts)] for ts in kept for look in (id, Tensor.numel)]
    return [*same, *([*map(look, tensors["g"])] for look in (_shape, _dtype, Tensor.get_device))]


class Layout:
    """The order in which a kernel walks through tensors with certain `facts`.

    Where a parameter is dense and its variables have its strides, the order of memory is the order
    of the walk (channels_last, transposed weights); a tensor that differs, such as a part of a
    larger one, is copied before the walk and back after it.

    in_rows   whether the walk has to be along rows: the first axis is then the outermost one
    copied    by variable, (which parameter, the strides of the copy)
    """

    def __init__(self, tensors: Tensors, in_rows: bool) -> None:
        self.copied: dict[str, list[tuple[int, tuple[int, ...]]]] = {}
        for i in range(len(tensors["x"])):
            mine = {name: ts[i] for name, ts in tensors.items()}
            order = order_of(mine, in_rows)
            for name, t in mine.items():
                walk = _walk_through(t, mine["x"], order)
                if not _lies(t, walk):
                    self.copied.setdefault(name, []).append((i, walk))

    @contextmanager
    def walked(self, tensors: Tensors) -> Iterator[Tensors]:
        """The tensors as they can be walked through; what is written to copies goes back.

        Lists without a copy are those that were given.
        """
        if not self.copied:
            yield tensors
            return
        walked = dict(tensors)
        for name, places in self.copied.items():
            copies = walked[name] = list(tensors[name])
            for i, walk in places:
                own = copies[i]
                copy = torch.empty_strided(own.shape, walk, dtype=own.dtype, device=own.device)
                copies[i] = copy.copy_(own)
        yield walked
        for name, places in self.copied.items():
            for i, _ in places if name != "g" else ():
                tensors[name][i].copy_(walked[name][i])


def order_of(mine: Mapping[str, Tensor], in_rows: bool) -> tuple[int, ...]:
    """The strides of the walk through a parameter, given its variables by name."""
    x = mine["x"]
    whole = [t for name, t in mine.items() if name != "g" and t.shape == x.shape]
    agreed = is_dense(x) and all(_lies(t, x.stride()) for t in whole)
    return x.stride() if agreed and (not in_rows or _has_rows(x)) else row_major(x)


def _walk_through(t: Tensor, x: Tensor, order: tuple[int, ...]) -> tuple[int, ...]:
    """The strides with which one of a parameter's tensors takes part in the walk."""
    if t.shape == x.shape:
        return order
    if t.ndim == x.ndim and t.shape[1:] == x.shape[1:]:  # a number for each column
        return (t.numel(), *order[1:])
    return row_major(t)


def _has_rows(t: Tensor) -> bool:
    """Whether the rows of a dense tensor lie one after the other, each of them dense."""
    return t.ndim < 2 or t.shape[0] == 1 or t.stride(0) == math.prod(t.shape[1:])


def _lies(t: Tensor, strides: Sequence[int]) -> bool:
    """Whether it has these strides; those of axes of length 1 do not matter."""
    triples = zip(t.shape, t.stride(), strides, strict=True)
    return t.numel() == 0 or all(size == 1 or own == other for size, own, other in triples)


def row_major(t: Tensor) -> tuple[int, ...]:
    """The strides of a contiguous tensor of that shape."""
    strides, step = [], 1
    for size in reversed(t.shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


def is_dense(t: Tensor) -> bool:
    """Whether its elements fill their memory, each once, in some order of the axes."""
    expected = 1
    for stride, size in sorted(zip(t.stride(), t.shape, strict=True)):
        if size > 1:
            if stride != expected:
                return False
            expected *= size
    return True
