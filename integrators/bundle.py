"""A list of tensors that computes like one: how a flow runs over all parameters of a group."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from ..dynamics import elements


class Sums(Protocol):
    """How sums are taken of tensors of which this process has only a part."""

    def totals(self, sums: list[Tensor]) -> list[Tensor]:
        """0-dim sums of what is here, one for each tensor: sums of everything."""
        ...

    def mean(self, tensor: Tensor, place: int, axes: tuple[int, ...]) -> Tensor:
        """The mean over the whole of some axes, kept, of the tensor number `place`."""
        ...


class Bundle:
    """Tensors of any shapes under elementwise arithmetic, by torch's `_foreach_` functions.

    The other operand is a Bundle of the same length (its tensors are broadcast, one to one), a
    number, or a 0-dim tensor. `total` sums over every element of every tensor, in float64.

    sums     for tensors that are parts of larger ones
    foreach  False: tensor by tensor, with the same results
    """

    def __init__(
        self, tensors: Sequence[Tensor], sums: Sums | None = None, foreach: bool = True
    ) -> None:
        self.tensors, self._sums, self._foreach = list(tensors), sums, foreach

    def like(self, tensors: Sequence[Tensor]) -> "Bundle":
        """Other tensors that are computed with in the same way."""
        return Bundle(tensors, self._sums, self._foreach)

    # --- arithmetic ---------------------------------------------------------------------------

    def _with(self, other: Any, name: str) -> "Bundle":
        if isinstance(other, Bundle):
            operand: Any = other.tensors
        elif isinstance(other, Tensor):
            operand = [other.to(t.device) for t in self.tensors]
        else:
            operand = other
        if self._foreach:
            return self.like(getattr(torch, f"_foreach_{name}")(self.tensors, operand))
        operands = operand if isinstance(operand, list) else [operand] * len(self.tensors)
        pairs = zip(self.tensors, operands, strict=True)
        return self.like([getattr(torch, name)(a, b) for a, b in pairs])

    def _map(self, name: str) -> "Bundle":
        if self._foreach:
            return self.like(getattr(torch, f"_foreach_{name}")(self.tensors))
        return self.like([getattr(torch, name)(t) for t in self.tensors])

    def __add__(self, other: Any) -> "Bundle":
        return self._with(other, "add")

    def __sub__(self, other: Any) -> "Bundle":
        return self._with(other, "sub")

    def __mul__(self, other: Any) -> "Bundle":
        return self._with(other, "mul")

    def __truediv__(self, other: Any) -> "Bundle":
        return self._with(other, "div")

    def __pow__(self, other: Any) -> "Bundle":
        return self._with(other, "pow")

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> "Bundle":
        return self._map("neg")

    def __rsub__(self, other: Any) -> "Bundle":
        return -self + other

    def __rtruediv__(self, other: Any) -> "Bundle":
        inverse = self._map("reciprocal")
        return inverse if isinstance(other, float) and other == 1.0 else inverse * other

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """tensor * bundle: what Python would do by itself, which torch's compiler does not."""
        name = _WITH_TENSOR.get(func.__name__)
        return getattr(args[1], name)(args[0]) if name else NotImplemented

    # --- element functions, as dashpot.dynamics.elements calls them ---------------------------

    def exp(self) -> "Bundle":
        return self._map("exp")

    def sqrt(self) -> "Bundle":
        return self._map("sqrt")

    def abs(self) -> "Bundle":
        return self._map("abs")

    def log1p(self) -> "Bundle":
        return self._map("log1p")

    def sin(self) -> "Bundle":
        return self._map("sin")

    def cos(self) -> "Bundle":
        return self._map("cos")

    def tanh(self) -> "Bundle":
        return self._map("tanh")

    def maximum(self, bound: float) -> "Bundle":
        return self._with(bound, "clamp_min")

    def nonzero(self) -> "Bundle":
        return self.like([elements.nonzero(t) for t in self.tensors])

    def phi1(self) -> "Bundle":
        return self.like([elements.phi1(t) for t in self.tensors])

    def tanh_gap(self) -> "Bundle":
        return self.like([elements.tanh_gap(t) for t in self.tensors])

    # a tensor's own axes are its coordinates: matrices and vectors may stand side by side

    def rowmean(self) -> "Bundle":
        if self._sums is None:
            return self.like([_or_zero(t, elements.rowmean(t, t.ndim)) for t in self.tensors])
        mean = self._sums.mean
        return self.like([mean(t, i, tuple(range(1, t.ndim))) for i, t in enumerate(self.tensors)])

    def colmean(self) -> "Bundle":
        if self._sums is None:
            return self.like([_or_zero(t, elements.colmean(t, t.ndim)) for t in self.tensors])
        mean = self._sums.mean
        return self.like([mean(t, i, tuple(range(t.ndim))[:1]) for i, t in enumerate(self.tensors)])

    def where_matrix(self, otherwise: "Bundle") -> "Bundle":
        pairs = zip(self.tensors, otherwise.tensors, strict=True)
        return self.like([elements.where_matrix(a, b, a.ndim) for a, b in pairs])

    def total(self) -> Tensor:
        sums = [t.sum(dtype=torch.float64) for t in self.tensors]
        sums = sums if self._sums is None else self._sums.totals(sums)
        return torch.stack([t.to(sums[0].device) for t in sums]).sum()

    # --- what the step loop asks of a variable ------------------------------------------------

    @property
    def dtype(self) -> tuple[torch.dtype, ...]:
        return tuple(t.dtype for t in self.tensors)

    def to(self, dtypes: Sequence[torch.dtype]) -> "Bundle":
        return self.like([t.to(dtype) for t, dtype in zip(self.tensors, dtypes, strict=True)])


_WITH_TENSOR = {  # the last two are what the compiler makes of bundle - tensor, bundle / tensor
    "add": "__radd__",
    "sub": "__rsub__",
    "mul": "__rmul__",
    "div": "__rtruediv__",
    "__rsub__": "__sub__",
    "__rdiv__": "__truediv__",
}


def _or_zero(tensor: Tensor, mean: Tensor) -> Tensor:
    """A mean over nothing is 0: a tensor without elements has no NaN in its friction either."""
    return mean if tensor.numel() else torch.zeros_like(mean)


def copy_into(kept: list[Tensor], values: list[Tensor]) -> None:
    """Put values into the tensors that keep them, all at once."""
    torch._foreach_copy_(kept, values)  # type: ignore[reportPrivateImportUsage]
