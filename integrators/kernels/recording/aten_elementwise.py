"""What torch's operations are on symbols, element by element: a table by torch's own names."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from ....dynamics import elements
from .symbols import Symbols
from .untraceable import NotTraceableError

Rule = Callable[..., Symbols]
"""From the arguments of one of torch's operators, tensors as symbols, to its result."""


def make(op: str, *values: Symbols | float) -> Symbols:
    """One operation of the graph, with broadcasting; at least one of the values is a symbol."""
    graph = next(v.graph for v in values if isinstance(v, Symbols))
    operands = [v.values if isinstance(v, Symbols) else np.array(v, dtype=object) for v in values]
    return Symbols(graph, np.frompyfunc(partial(graph.make, op), len(values), 1)(*operands))


def _op(name: str) -> Rule:
    return partial(make, name)


where, maximum, minimum, less, equal = map(_op, ("where", "maximum", "minimum", "less", "equal"))
log, expm1, sign = map(_op, ("log", "expm1", "sign"))
exp, sqrt, absolute = elements.exp, elements.sqrt, elements.abs


def differs(a: Any, b: Any) -> Symbols:
    return 1 - equal(a, b)


def power(a: Any, b: Any) -> Symbols:
    """a to the b; products, quotients and roots where b is a number that allows it."""
    if isinstance(b, Symbols):
        return make("pow", a, b)
    if b < 0 and float(2 * b).is_integer():
        return 1 / power(a, -b)
    if b == 0.5:
        return sqrt(a)
    if 4 <= b <= 8 and float(b).is_integer():
        return power(a * a, b // 2) * (a if b % 2 else 1)
    return a**b


def _quotient(a: Any, b: Any, *, rounding_mode: str | None = None) -> Symbols:
    if rounding_mode is not None:
        raise NotTraceableError("a quotient that is rounded has no symbol")
    return a / b


def _clamped(a: Any, low: Any = None, high: Any = None) -> Symbols:
    a = a if low is None else maximum(a, low)
    return a if high is None else minimum(a, high)


def _at_least(a: Any, b: Any) -> Symbols:
    return maximum(less(b, a), equal(a, b))  # false for NaN


def _sinh(a: Any) -> Symbols:
    u = expm1(a)
    return (u + u / (u + 1)) / 2


def _sigmoid(a: Any) -> Symbols:
    return 1 / (1 + exp(-a))


def _softplus(a: Any, beta: float = 1, threshold: float = 20) -> Symbols:
    z = beta * a
    return where(less(threshold, z), a, elements.log1p(exp(z)) / beta)


def _softplus_slope(g: Any, a: Any, beta: float, threshold: float) -> Symbols:
    z = beta * a
    return where(less(threshold, z), g, g * _sigmoid(z))


def _log_add_exp(a: Any, b: Any) -> Symbols:
    gap = where(equal(a, b), 0, absolute(a - b))  # 0 of equal infinities too
    return maximum(a, b) + elements.log1p(exp(-gap))


def _filled(a: Symbols, value: Any) -> Symbols:
    nodes = value.values if isinstance(value, Symbols) else a.graph.constant(value)
    return Symbols(a.graph, np.broadcast_to(np.asarray(nodes, dtype=object), a.shape))


def _converted(a: Any, *, dtype: torch.dtype | None = None, **_: Any) -> Symbols:
    if dtype is torch.bool:
        return differs(a, 0)
    if dtype is not None and not dtype.is_floating_point:
        raise NotTraceableError(f"a conversion to {dtype} has no symbol")
    return a


def _shared(*names: str) -> dict[str, Rule]:
    return {name: getattr(elements, name) for name in names}


ELEMENTWISE: dict[str, Rule] = {
    "add": lambda a, b, *, alpha=1: a + alpha * b,
    "sub": lambda a, b, *, alpha=1: a - alpha * b,
    "rsub": lambda a, b, alpha=1: b - alpha * a,
    "mul": lambda a, b: a * b,
    "div": _quotient,
    "neg": lambda a: -a,
    "pow": power,
    "reciprocal": lambda a: 1 / a,
    "addcmul": lambda a, b, c, *, value=1: a + value * (b * c),
    "addcdiv": lambda a, b, c, *, value=1: a + value * (b / c),
    "lerp": lambda a, b, weight: a + weight * (b - a),
    **_shared("exp", "sqrt", "abs", "log1p", "sin", "cos", "tanh"),
    **{name: _op(name) for name in ("expm1", "log", "maximum", "minimum", "sign", "where")},
    "sgn": sign,
    "exp2": lambda a: make("pow", 2, a),
    "log2": lambda a: log(a) * (1 / math.log(2)),
    "log10": lambda a: log(a) * (1 / math.log(10)),
    "rsqrt": lambda a: 1 / sqrt(a),
    "tan": lambda a: elements.sin(a) / elements.cos(a),
    "sinh": _sinh,
    "cosh": lambda a: (exp(a) + exp(-a)) / 2,
    "tanh_backward": lambda g, y: g * (1 - y * y),
    "sigmoid": _sigmoid,
    "sigmoid_backward": lambda g, y: g * ((1 - y) * y),
    "softplus": _softplus,
    "softplus_backward": _softplus_slope,
    "logaddexp": _log_add_exp,
    "relu": lambda a: maximum(a, 0),
    "threshold_backward": lambda g, a, threshold: where(less(threshold, a), g, 0),
    "clamp": _clamped,
    "clamp_min": maximum,
    "clamp_max": minimum,
    "masked_fill": lambda a, mask, value: where(mask, value, a),
    "fill": _filled,
    "zero": lambda a: _filled(a, 0),
    "gt": lambda a, b: less(b, a),
    "lt": less,
    "ge": _at_least,
    "le": lambda a, b: _at_least(b, a),
    "eq": equal,
    "ne": differs,
    "isnan": lambda a: differs(a, a),
    "isinf": lambda a: equal(absolute(a), math.inf),
    "logical_and": lambda a, b: differs(a, 0) * differs(b, 0),
    "logical_or": lambda a, b: 1 - equal(a, 0) * equal(b, 0),
    "logical_xor": lambda a, b: differs(equal(a, 0), equal(b, 0)),
    "logical_not": lambda a: equal(a, 0),
    "_to_copy": _converted,
}
for _name in ("and", "or", "xor", "not"):  # of truth values; integers that move are only counts
    ELEMENTWISE[f"bitwise_{_name}"] = ELEMENTWISE[f"logical_{_name}"]
