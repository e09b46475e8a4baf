"""The portions in which a group is moved: intermediate results are of their size, not its own."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Window = tuple[int, int, int]
"""(axis, start, length)"""


def largest(device: torch.device) -> int:
    """Elements of a portion: small enough for a processor's cache, large enough for a GPU's time.

    A dozen tensors of 1 MB are computed with 15 times faster than of 64 MB, on a processor; on a
    GPU an operation on 2²³ elements takes several times as long as its launch.
    """
    return 2**18 if device.type == "cpu" else 2**23


@dataclass(frozen=True)
class Cut:
    """Of the tensor number `place` of a group, what lies in some windows.

    ends  whether nothing of the tensor comes after it
    """

    place: int
    windows: tuple[Window, ...] = ()
    ends: bool = True

    def of(self, tensor: Tensor) -> Tensor:
        for window in self.windows:
            tensor = tensor.narrow(*window)
        return tensor

    def first(self, strides: Sequence[int]) -> int:
        """Where it begins in the memory of the tensor."""
        return sum(start * strides[axis] for axis, start, _ in self.windows)


def cut_up(tensors: Sequence[Tensor], limit: int) -> list[list[Cut]]:
    """Portions of at most `limit` elements, in order, of tensors whose elements move alone."""
    cuts: list[Cut] = []
    sizes: list[int] = []
    for place, tensor in enumerate(tensors):
        windows = [*_windows(tuple(tensor.shape), tensor.stride(), limit)]
        for number, some in enumerate(windows):
            cuts.append(Cut(place, some, number + 1 == len(windows)))
            sizes.append(cuts[-1].of(tensor).numel() if some else tensor.numel())
    return _together(cuts, sizes, limit)


def whole_tensors(sizes: Sequence[int], limit: int) -> list[list[Cut]]:
    """Portions of tensors of so many elements, none of which is cut."""
    return _together([Cut(place) for place in range(len(sizes))], sizes, limit)


def _together(cuts: Sequence[Cut], sizes: Sequence[int], limit: int) -> list[list[Cut]]:
    portions: list[list[Cut]] = [[]]
    filled = 0
    for cut, size in zip(cuts, sizes, strict=True):
        if portions[-1] and filled + size > limit:
            portions.append([])
            filled = 0
        portions[-1].append(cut)
        filled += size
    return portions


def _windows(
    shape: tuple[int, ...], strides: Sequence[int], limit: int
) -> Iterator[tuple[Window, ...]]:
    """Windows of at most `limit` elements, cut along the axis that is outermost in memory."""
    size = math.prod(shape)
    if size <= limit:
        yield ()
        return
    outer = max((axis for axis, n in enumerate(shape) if n > 1), key=lambda axis: strides[axis])
    step = max(1, limit // (size // shape[outer]))
    for start in range(0, shape[outer], step):
        length = min(step, shape[outer] - start)
        inside = (*shape[:outer], length, *shape[outer + 1 :])
        for window in _windows(inside, strides, limit) if length == 1 else ((),):
            yield ((outer, start, length), *window)
