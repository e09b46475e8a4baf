"""Tensors of a group that one kernel takes, as the tables that it reads."""

import ctypes
import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor

from .. import threads
from ..compiled import load, why
from ..errors import NoKernelError
from .flat import flat_source
from .matrix import matrix_source
from .trace import FusedTrace

CHUNK = 16384  # elements; as in fused.c
_HEIGHT = 256  # rows of a chunk of a matrix, at most; there is a sum of each column for it
_AREA = 4096  # elements of such a chunk, at least
_LEAST = 2**17  # elements that are worth a thread


class _Group(ctypes.Structure):
    """`group` of fused.c."""

    _fields_ = [
        ("tensors", ctypes.c_int64),
        *(
            (name, ctypes.c_void_p)
            for name in (
                "begins", "sizes", "columns", "heights", "pointers", "uniform", "sums", "partial",
                "lines", "offsets",
            )
        ),
        ("seed", ctypes.c_uint64),
        ("places", ctypes.c_void_p),
        ("ticks", ctypes.c_void_p),
    ]  # fmt: skip


class Kernel:
    """A compiled call, and the record it was made from."""

    def __init__(self, trace: FusedTrace, dtypes: Mapping[str, str]) -> None:
        source = (flat_source if trace.is_flat else matrix_source)(trace, dtypes)
        library = load(source)
        if library is None:
            raise NoKernelError(f"it cannot be compiled: {why(source)}")
        self.trace = trace
        self.numbers = {one.result: number for number, one in enumerate(trace.sums)}
        levels = range(len(trace.levels))
        self.passes = [_pass(library, f"pass_{k}") for k in levels]
        self.lines = [] if trace.is_flat else [_pass(library, f"lines_{k}") for k in levels]
        self.write, self.finish = _pass(library, "write"), _pass(library, "finish")
        self.add_up = _pass(library, "add_up", ctypes.c_double)


def _pass(library: ctypes.CDLL, name: str, result: Any = None) -> Any:
    function = library[name]
    function.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64]
    function.restype = result
    return function


class Batch:
    """Tensors of one kernel with one last step size.

    places   of its tensors in the group, as an index of numpy
    """

    def __init__(self, kernel: Kernel, params: Sequence[Tensor], places: Any) -> None:
        self.kernel, self.places, self.count = kernel, places, len(params)
        trace, sizes = kernel.trace, [p.numel() for p in params]
        shapes = [_rows_and_columns(p, trace.is_flat) for p in params]
        heights = [CHUNK if trace.is_flat else _height(*shape) for shape in shapes]
        chunks = [-(-m // k) if m * n else 0 for (m, n), k in zip(shapes, heights, strict=True)]
        offsets, length = _offsets(trace, shapes, chunks)
        self._arrays = {
            "begins": np.array([0, *np.cumsum(chunks)], dtype=np.int64),
            "sizes": np.array(sizes, dtype=np.int64),
            "columns": np.array([n for _, n in shapes], dtype=np.int64),
            "heights": np.array(heights, dtype=np.int64),
            "pointers": np.zeros((len(trace.inputs), len(sizes)), dtype=np.int64),
            "uniform": np.zeros(len(trace.uniform)),
            "sums": np.zeros((len(trace.sums), len(sizes))),
            "partial": np.zeros((len(trace.sums), sum(chunks))),
            "lines": np.zeros(length),
            "offsets": offsets,
            "places": np.zeros(len(sizes), dtype=np.int64),
            "ticks": np.zeros(len(sizes), dtype=np.int64),
        }
        self._group = _Group(tensors=len(sizes))
        for name, array in self._arrays.items():
            setattr(self._group, name, array.ctypes.data)
        self._address = ctypes.addressof(self._group)
        self._chunks, self._work = sum(chunks), sum(sizes)

    def fill(
        self,
        pointers: Mapping[str, np.ndarray],
        uniform: Mapping[str, float],
        seed: int,
        places: np.ndarray,
        ticks: np.ndarray,
    ) -> None:
        """Give it the addresses of the group's tensors, and the numbers of this call."""
        arrays = self._arrays
        for slot, name in enumerate(self.kernel.trace.inputs):
            arrays["pointers"][slot] = pointers[name][self.places]
        arrays["uniform"][:] = [uniform[name] for name in self.kernel.trace.uniform]
        self._group.seed = seed % 2**64
        if len(places):
            arrays["places"][:], arrays["ticks"][:] = places[self.places], ticks[self.places]

    def add_up(self, level: int) -> list[float]:
        """The sums of a level; returns those over all its tensors."""
        kernel = self.kernel
        self._side_by_side(kernel.passes[level])
        if kernel.lines:
            kernel.lines[level](self._address, 0, self.count)
            return []
        return [
            kernel.add_up(self._address, kernel.numbers[one.result], one.over is not None)
            for one in kernel.trace.levels[level]
        ]

    def share(self, level: int, totals: Sequence[float]) -> None:
        """Sums over the group, from all its batches."""
        for one, total in zip(self.kernel.trace.levels[level], totals, strict=False):
            if one.over is None:
                self._arrays["sums"][self.kernel.numbers[one.result]] = total

    def write(self) -> None:
        self._side_by_side(self.kernel.write)
        if self.kernel.trace.has_rest:
            self.kernel.finish(self._address, 0, self.count)

    def _side_by_side(self, function: Any) -> None:
        count = threads.count(self._work, _LEAST)
        threads.side_by_side(partial(function, self._address), self._chunks, count)


def _rows_and_columns(param: Tensor, is_flat: bool) -> tuple[int, int]:
    """The first axis and all others; where the shape does not matter, a single column."""
    if is_flat:
        return param.numel(), 1
    return param.shape[0], math.prod(param.shape[1:])


def _height(rows: int, columns: int) -> int:
    """Rows of a chunk: enough to do, for many threads, and so few that sums stay exact."""
    least = -(-_AREA // max(columns, 1))
    return min(_HEIGHT, max(least, -(-rows // 8)))


def _offsets(
    trace: FusedTrace, shapes: Sequence[tuple[int, int]], chunks: Sequence[int]
) -> tuple[np.ndarray, int]:
    """Where the means of rows or columns stand, for each sum and tensor, and how many there are."""
    axes = [trace.graph.axes_of(one.result) for one in trace.sums]
    lengths = [
        {"r": m, "c": n * (1 + k)}.get(axis, 0)
        for axis in axes
        for (m, n), k in zip(shapes, chunks, strict=True)
    ]
    ends = np.cumsum([0, *lengths])
    return ends[:-1].reshape(len(axes), len(shapes)), int(ends[-1])


def run_together(batches: Sequence[Batch]) -> None:
    """All passes of a call; a sum over the group is one over all batches."""
    for level in range(max(len(batch.kernel.trace.levels) for batch in batches)):
        asked = [batch for batch in batches if level < len(batch.kernel.trace.levels)]
        totals = [batch.add_up(level) for batch in asked]
        for batch in asked:
            batch.share(level, [sum(column) for column in zip(*totals, strict=False)])
    for batch in batches:
        batch.write()
