"""Arrays of symbols: what a part's flow is run on to see what it does."""

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

from ....dynamics import elements
from .expression import Graph, Kind, Node


class Symbols:
    """An array of nodes that computes like an array of numbers, one operation per coordinate.

    It is what `dashpot.dynamics.elements` calls a symbol. The coordinates of a system are its
    axes: `total`, `rowmean` and `colmean` are sums that are written out.
    """

    __slots__ = ("graph", "values")
    __array_ufunc__ = None
    __hash__ = None  # pyright: ignore[reportAssignmentType]  # there is no telling which are equal

    def __init__(self, graph: Graph, values: Any) -> None:
        self.graph = graph
        self.values = np.empty(np.shape(values), dtype=object)  # of nodes, not what they hold
        self.values[...] = values

    @classmethod
    def inputs(cls, graph: Graph, name: str, shape: Sequence[int], kind: Kind) -> Self:
        """New inputs: `name` itself for a number, `name 0`, `name 1`, ... for an array."""
        values = np.empty(tuple(shape), dtype=object)
        for place, index in enumerate(np.ndindex(*shape)):
            values[index] = graph.input(f"{name} {place}" if shape else name, kind)
        return cls(graph, values)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    @property
    def dtype(self) -> None:
        """Symbols have none: a kernel decides."""

    def to(self, dtype: None) -> Self:
        """Itself."""
        return self

    @property
    def nodes(self) -> list[Node]:
        return list(self.values.flat)

    def _op(self, op: str, *others: Any) -> Self:
        """An operation coordinate by coordinate, with broadcasting."""
        arrays = (self.values, *(self._array(other) for other in others))
        operands: list[Any] = list(np.broadcast_arrays(*arrays))
        result = np.empty(operands[0].shape, dtype=object)
        for index in np.ndindex(*result.shape):
            result[index] = self.graph.make(op, *(operand[index] for operand in operands))
        return type(self)(self.graph, result)

    def _array(self, other: Any) -> np.ndarray:
        if isinstance(other, Symbols):
            return other.values
        array = np.empty((), dtype=object)
        array[()] = other if isinstance(other, Node) else self.graph.constant(float(other))
        return array

    def _reflected(self, op: str, other: Any) -> Self:
        return type(self)(self.graph, self._array(other))._op(op, self)

    def __add__(self, other: Any) -> Self:
        return self._op("add", other)

    def __sub__(self, other: Any) -> Self:
        return self._op("sub", other)

    def __mul__(self, other: Any) -> Self:
        return self._op("mul", other)

    def __truediv__(self, other: Any) -> Self:
        return self._op("div", other)

    def __pow__(self, other: Any) -> Self:
        return self._op("pow", other)

    def __radd__(self, other: Any) -> Self:
        return self._reflected("add", other)

    def __rsub__(self, other: Any) -> Self:
        return self._reflected("sub", other)

    def __rmul__(self, other: Any) -> Self:
        return self._reflected("mul", other)

    def __rtruediv__(self, other: Any) -> Self:
        return self._reflected("div", other)

    def __rpow__(self, other: Any) -> Self:
        return self._reflected("pow", other)

    def __neg__(self) -> Self:
        return self._op("neg")

    def maximum(self, bound: Any) -> Self:
        return self._op("maximum", bound)

    def soft_cap(self, a: Any) -> Self:
        return self._reflected("soft_cap", a)

    def __getitem__(self, index: Any) -> Self:
        return type(self)(self.graph, self.values[index])

    def reshape(self, *shape: int) -> Self:
        return type(self)(self.graph, self.values.reshape(*shape))

    def __len__(self) -> int:
        return len(self.values)

    # Sums are those of `elements`, in the same order. A sum over coordinates is a number of the
    # system, in double precision like all of them.

    def total(self) -> Self:
        values = self.values.reshape(-1)
        whole = elements.folded(values) if values.size else self.graph.constant(0.0)
        return type(self)(self.graph, self.graph.make("widen", whole))

    def rowmean(self) -> Self:
        return self._mean(tuple(range(1, self.values.ndim)))

    def colmean(self) -> Self:
        return self._mean((0,) if self.values.ndim else ())

    def _mean(self, axes: tuple[int, ...]) -> Self:
        if not axes:
            return self
        count = int(np.prod([self.shape[axis] for axis in axes]))
        sums = np.add.reduce(self.values, axis=axes, keepdims=True)
        return type(self)(self.graph, sums) / count

    def where_matrix(self, otherwise: Self) -> Self:
        return self if self.values.ndim >= 2 else otherwise

    def _refuse(self, *_: object) -> bool:
        raise TypeError("symbols are neither true nor false: a flow cannot branch on a value")

    __bool__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse


def _function(name: str) -> Callable[[Symbols], Symbols]:
    def apply(self: Symbols) -> Symbols:
        return self._op(name)

    apply.__name__ = name
    return apply


_ELEMENTWISE = (
    "exp", "sqrt", "abs", "log1p", "sin", "cos", "tanh", "phi1", "tanh_gap", "nonzero",
)  # fmt: skip
for _name in _ELEMENTWISE:
    setattr(Symbols, _name, _function(_name))
