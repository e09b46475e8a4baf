"""The tables by which torch's operations are recorded.

Names are those of torch's operators (aten), without the underscore of those that write in place.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .aten_elementwise import ELEMENTWISE, Rule
from .aten_sums import REDUCTIONS, symbols
from .symbols import Symbols


def _put(a: Symbols, places: Tensor, values: Symbols, accumulate: bool) -> Symbols:
    """a with values put, or added, to the numbers in these places."""
    flat = a.values.flatten()
    sources = np.broadcast_to(values.values, places.shape).flat
    for place, value in zip(places.flatten().tolist(), sources, strict=True):
        flat[place] = flat[place] + value if accumulate else value
    return Symbols(a.graph, flat.reshape(a.shape))


def _places(shape: Sequence[int]) -> Tensor:
    return torch.arange(math.prod(shape)).reshape(tuple(shape))


def _index_put(
    a: Symbols, indices: Any, values: Symbols, accumulate: bool = False, unsafe: bool = False
) -> Symbols:
    return _put(a, torch.ops.aten.index(_places(a.shape), indices), values, accumulate)


def _index_add(
    a: Symbols, dim: int, index: Tensor, source: Symbols, *, alpha: float = 1
) -> Symbols:
    places = _places(a.shape).index_select(dim, index)
    return _put(a, places, alpha * source, accumulate=True)


def _scatter_add(a: Symbols, dim: int, index: Tensor, source: Symbols) -> Symbols:
    taken = source[tuple(slice(size) for size in index.shape)]
    return _put(a, _places(a.shape).gather(dim, index), taken, accumulate=True)


def _unfold_backward(g: Symbols, sizes: Sequence[int], dim: int, size: int, step: int) -> Symbols:
    zeros = symbols(g.graph, np.zeros(tuple(sizes)))
    return _put(zeros, _places(sizes).unfold(dim, size, step), g, accumulate=True)


PLACED: dict[str, Rule] = {
    "index_put": _index_put,
    "_unsafe_index_put": _index_put,
    "_index_put_impl": _index_put,
    "index_add": _index_add,
    "scatter_add": _scatter_add,
    "unfold_backward": _unfold_backward,
}
"""Rules that are given tensors of integers, or of truth values, as they are."""

RULES = ELEMENTWISE | REDUCTIONS | PLACED

MOVES = frozenset((
    "cat", "stack", "roll", "flip", "clone", "copy", "constant_pad_nd", "tril", "triu", "repeat",
    "select_backward", "slice_backward", "diagonal_backward", "diag_embed", "select_scatter",
    "slice_scatter", "diagonal_scatter",
))  # fmt: skip
"""Operators that only move numbers, and zeros: they are run on the numbers of nodes."""

CHOOSES = frozenset(("index", "_unsafe_index", "index_select", "gather", "take"))
"""Such operators that are told by tensors of integers, or of truth values, what to take."""

SHAPES = frozenset((
    "zeros_like", "ones_like", "full_like", "empty_like", "new_zeros", "new_ones", "new_full",
    "new_empty", "new_empty_strided",
))  # fmt: skip
"""Operators that look at the shape of a tensor only."""
