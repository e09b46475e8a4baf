"""What torch's sums, products, extremes and matrix products are on symbols."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ....dynamics import elements
from .aten_elementwise import Rule, absolute, differs, equal, exp, log, power, sqrt, where
from .expression import Graph, Node
from .symbols import Symbols
from .untraceable import MOST_NODES, too_many


def symbols(graph: Graph, values: Any) -> Symbols:
    """An array of nodes and numbers as symbols."""
    node = np.frompyfunc(lambda v: v if isinstance(v, Node) else graph.constant(v), 1, 1)
    return Symbols(graph, node(np.asarray(values, dtype=object)))


def _reduction(combine: Callable[[Symbols], Symbols]) -> Rule:
    """The rule of an operator that combines the numbers along some axes, [n, ...] to [...]."""

    def rule(a: Symbols, dim: Any = None, keepdim: bool = False, **_: Any) -> Symbols:
        rank = len(a.shape)
        given = (dim,) if isinstance(dim, int) else tuple(dim or range(rank))
        axes = tuple(axis % rank for axis in given) if rank else ()
        rest = tuple(size for axis, size in enumerate(a.shape) if axis not in axes)
        count = math.prod(a.shape[axis] for axis in axes)
        rows = np.moveaxis(a.values, axes, range(len(axes))).reshape(count, *rest)
        kept = tuple(1 if axis in axes else size for axis, size in enumerate(a.shape))
        result = combine(Symbols(a.graph, rows))
        return Symbols(a.graph, result.values.reshape(kept if keepdim else rest))

    return rule


def _total(rows: Symbols) -> Symbols:
    return symbols(rows.graph, elements.folded(rows.values))


def _mean(rows: Symbols) -> Symbols:
    return _total(rows) / len(rows)


def _product(rows: Symbols) -> Symbols:
    return symbols(rows.graph, np.multiply.reduce(rows.values))


def _largest(rows: Symbols) -> Symbols:
    larger = np.frompyfunc(partial(rows.graph.make, "maximum"), 2, 1)
    return symbols(rows.graph, larger.reduce(rows.values))


def _least(rows: Symbols) -> Symbols:
    return -_largest(-rows)


def _log_of_sum(rows: Symbols) -> Symbols:
    top = _largest(rows)
    shift = where(equal(absolute(top), math.inf), 0, top)
    return shift + log(_total(exp(rows - shift)))


def _norm(a: Symbols, ord: float = 2, dim: Any = None, keepdim: bool = False, **_: Any) -> Symbols:
    def combine(rows: Symbols) -> Symbols:
        if ord == 2:
            return sqrt(_total(rows * rows))
        if math.isinf(ord):
            return (_largest if ord > 0 else _least)(absolute(rows))
        if ord == 0:
            return _total(differs(rows, 0))
        return power(_total(power(absolute(rows), ord)), 1 / ord)

    return _reduction(combine)(a, dim, keepdim)


def _variance(
    a: Symbols, dim: Any = None, *, correction: float | None = None, keepdim: bool = False
) -> Symbols:
    def combine(rows: Symbols) -> Symbols:
        gaps = rows - _mean(rows)
        return _total(gaps * gaps) / max(0, len(rows) - (1 if correction is None else correction))

    return _reduction(combine)(a, dim, keepdim)


def _running(ufunc: np.ufunc) -> Rule:
    def rule(a: Symbols, dim: int, **_: Any) -> Symbols:
        return Symbols(a.graph, ufunc.accumulate(a.values, axis=dim)) if a.shape else a

    return rule


def _matmul(a: Symbols, b: Symbols) -> Symbols:
    if (count := a.values.size * b.shape[-1]) > 2 * MOST_NODES:
        raise too_many(count)
    products = a.values[..., :, :, None] * b.values[..., None, :, :]
    return _total(Symbols(a.graph, np.moveaxis(products, -2, 0)))


def _times_vector(a: Symbols, v: Symbols) -> Symbols:
    return _matmul(a, v.reshape(-1, 1)).reshape(-1)


def _added(product: Rule) -> Rule:
    return lambda a, b, c, *, beta=1, alpha=1: beta * a + alpha * product(b, c)


REDUCTIONS: dict[str, Rule] = {
    "sum": _reduction(_total),
    "mean": _reduction(_mean),
    "prod": _reduction(_product),
    "amax": _reduction(_largest),
    "amin": _reduction(_least),
    "max": lambda a: _reduction(_largest)(a),  # along an axis it also says where: no symbol
    "min": lambda a: _reduction(_least)(a),
    "any": _reduction(lambda rows: _largest(differs(rows, 0))),
    "all": _reduction(lambda rows: 1 - _largest(equal(rows, 0))),
    "logsumexp": _reduction(_log_of_sum),
    "linalg_vector_norm": _norm,
    "norm": _norm,
    "var": _variance,
    "std": lambda *args, **kwargs: sqrt(_variance(*args, **kwargs)),
    "cumsum": _running(np.add),
    "cumprod": _running(np.multiply),
    "dot": lambda a, b: _total(a * b),
    "mv": _times_vector,
    "mm": _matmul,
    "bmm": _matmul,
    "addmv": _added(_times_vector),
    "addmm": _added(_matmul),
    "baddbmm": _added(_matmul),
}
