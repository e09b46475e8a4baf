"""A list of tensors that computes like one: how a flow runs over all parameters of a group."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..dynamics import elements


class Bundle:
    """Tensors of any shapes under elementwise arithmetic, by torch's `_foreach_` functions.

    The other operand is a Bundle of the same length (its tensors are broadcast, one to one), a
    number, or a 0-dim tensor. `total` sums over every element of every tensor, in float64.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self.tensors = list(tensors)

    # --- arithmetic ---------------------------------------------------------------------------

    def _with(self, other: Any, name: str) -> "Bundle":
        if isinstance(other, Bundle):
            operand: Any = other.tensors
        elif isinstance(other, Tensor):
            operand = [other.to(t.device) for t in self.tensors]
        else:
            operand = other
        return Bundle(getattr(torch, f"_foreach_{name}")(self.tensors, operand))

    def _map(self, name: str) -> "Bundle":
        return Bundle(getattr(torch, f"_foreach_{name}")(self.tensors))

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
        return self._map("reciprocal") * other

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return NotImplemented  # so that tensor * bundle falls to Bundle.__rmul__

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
        return Bundle([elements.nonzero(t) for t in self.tensors])

    def phi1(self) -> "Bundle":
        return Bundle([elements.phi1(t) for t in self.tensors])

    def tanh_gap(self) -> "Bundle":
        return Bundle([elements.tanh_gap(t) for t in self.tensors])

    # a tensor's own axes are its coordinates: matrices and vectors may stand side by side

    def rowmean(self) -> "Bundle":
        return Bundle([elements.rowmean(t, t.ndim) for t in self.tensors])

    def colmean(self) -> "Bundle":
        return Bundle([elements.colmean(t, t.ndim) for t in self.tensors])

    def where_matrix(self, otherwise: "Bundle") -> "Bundle":
        pairs = zip(self.tensors, otherwise.tensors, strict=True)
        return Bundle([elements.where_matrix(a, b, a.ndim) for a, b in pairs])

    def total(self) -> Tensor:
        sums = [t.sum(dtype=torch.float64).to(self.tensors[0].device) for t in self.tensors]
        return torch.stack(sums).sum()

    # --- what the step loop asks of a variable ------------------------------------------------

    @property
    def dtype(self) -> tuple[torch.dtype, ...]:
        return tuple(t.dtype for t in self.tensors)

    def to(self, dtypes: Sequence[torch.dtype]) -> "Bundle":
        return Bundle([t.to(dtype) for t, dtype in zip(self.tensors, dtypes, strict=True)])


def step_sizes(values: Sequence[float], tensors: Sequence[Tensor]) -> "float | Bundle":
    """One step size for all tensors, or one each where they differ."""
    if all(value == values[0] for value in values):
        return values[0]
    pairs = zip(values, tensors, strict=True)
    return Bundle([torch.tensor(v, dtype=torch.float64, device=t.device) for v, t in pairs])


def is_zero(h: "float | Bundle") -> bool:
    return not isinstance(h, Bundle) and math.fabs(h) == 0.0
