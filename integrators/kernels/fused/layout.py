"""How a kernel walks through tensors: in the order of memory where all of a parameter agree."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import is_

import torch
from torch import Tensor

Tensors = Mapping[str, Sequence[Tensor]]


class Layout:
    """The variables of some parameters, x first, as they lie in memory.

    Where a parameter is dense and its variables have its strides, the order of memory is the order
    of the walk (channels_last, transposed weights); a tensor that differs, such as a part of a
    larger one, is copied before the walk and back after it.

    in_rows   whether the walk has to be along rows: contiguous
    """

    def __init__(self, variables: Tensors, in_rows: bool) -> None:
        self._variables = {name: list(tensors) for name, tensors in variables.items()}
        params = variables["x"]
        self._facts = _facts(variables)
        self._order = [self._order_of(i, in_rows) for i in range(len(params))]
        self._is_plain = all(t.is_contiguous() for ts in variables.values() for t in ts)

    def _order_of(self, i: int, in_rows: bool) -> tuple[int, ...]:
        """The strides of the walk through a parameter."""
        whole = self._variables["x"][i]
        mine = [ts[i] for ts in self._variables.values() if ts[i].shape == whole.shape]
        agreed = is_dense(whole) and all(t.stride() == whole.stride() for t in mine)
        return whole.stride() if agreed and not in_rows else row_major(whole)

    def holds(self, variables: Tensors) -> bool:
        """Whether these are the tensors it was made for."""
        return all(
            len(tensors) == len(known) and all(map(is_, tensors, known))
            for tensors, known in zip(variables.values(), self._variables.values(), strict=True)
        )

    def fits(self, variables: Tensors) -> bool:
        """Whether tensors that may have been given other memory still lie in the same way."""
        return _facts(variables) == self._facts

    @contextmanager
    def walked(self, variables: Tensors, grads: Sequence[Tensor]) -> Iterator[Tensors]:
        """The tensors as they can be walked through; what is written to copies goes back."""
        tensors = {**variables, "g": grads}
        if self._is_plain and all(map(Tensor.is_contiguous, grads)):
            yield tensors
            return
        walked = {
            name: [self._in_order(t, i) for i, t in enumerate(ts)] for name, ts in tensors.items()
        }
        yield walked
        for name in variables:
            for own, copy in zip(variables[name], walked[name], strict=True):
                if own is not copy:
                    own.copy_(copy)

    def _in_order(self, t: Tensor, i: int) -> Tensor:
        is_whole = t.shape == self._variables["x"][i].shape
        order = self._order[i] if is_whole else row_major(t)
        if t.stride() == order or (t.is_contiguous() and order == row_major(t)):
            return t
        return torch.empty_strided(t.shape, order, dtype=t.dtype, device=t.device).copy_(t)


def _facts(variables: Tensors) -> list[object]:
    return [(t.dtype, t.shape, t.stride(), t.device) for ts in variables.values() for t in ts]


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
