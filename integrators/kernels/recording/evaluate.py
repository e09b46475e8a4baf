"""What recorded expressions are worth: the plain reference of every generated kernel."""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from ....dynamics import elements
from .expression import Node, in_order


def evaluate(
    nodes: Iterable[Node], values: Mapping[str, Tensor | float], dtype: torch.dtype = torch.float64
) -> list[Tensor]:
    """The values of nodes, operation by operation as torch computes them.

    values   of the inputs by name; tensors are broadcast against each other, and results too
    dtype    the type of elements; all other kinds are float64, and an operation on elements casts
             its other operands first

    Raises KeyError for an input without a value.
    """
    nodes = list(nodes)
    done: dict[Node, Tensor] = {}
    for node in in_order(nodes):
        kind = dtype if node.kind == "element" else torch.float64
        if node.op == "input" and node.value not in values:
            raise KeyError(f"input {node.value!r} has no value; there are {', '.join(values)}")
        if node.op == "input":
            done[node] = torch.as_tensor(values[node.value], dtype=kind)
        elif node.op == "constant":
            done[node] = torch.tensor(node.value, dtype=kind)
        elif node.op == "widen":
            done[node] = done[node.args[0]].to(kind)
        else:
            done[node] = OPERATIONS[node.op](*(done[a].to(kind) for a in node.args))
    return [done[node] for node in nodes]


def agree(
    true: Tensor,
    nodes: Sequence[Node],
    values: Mapping[str, Tensor | float],
    dtype: torch.dtype = torch.float64,
) -> bool:
    """Whether nodes are worth what they should be, [nodes, points], but for rounding.

    The bound, √ε of the largest value and 64 ε of the largest number on the way to it, is far
    above the rounding of another order of operations. What is not finite agrees with its like.
    """
    way = in_order(nodes)
    found = [row.to("cpu", torch.float64) for row in evaluate(way, values, dtype)]
    rows = torch.stack([row.expand(true.shape[1]) for row in found])
    row_of = dict(zip(way, rows, strict=True))
    made, true = torch.stack([row_of[node] for node in nodes]), true.detach().double()
    eps = torch.finfo(dtype).eps
    bound = eps**0.5 * _size(true) + 64 * eps * _size(rows)
    same = ((made - true).abs() <= bound) | ~(made.isfinite() | true.isfinite())
    return bool(same.all())


def _size(values: Tensor) -> Tensor:
    """The largest finite number of each column."""
    return values.abs().nan_to_num(0, 0, 0).amax(0)


def _truth(test: Tensor, like: Tensor) -> Tensor:
    return test.to(like.dtype)


_SHARED = ("exp", "log1p", "sqrt", "abs", "sin", "cos", "tanh", "phi1", "tanh_gap", "nonzero",
           "soft_cap")  # fmt: skip

OPERATIONS: dict[str, Callable[..., Tensor]] = {
    **{name: getattr(operator, name) for name in ("add", "sub", "mul", "neg", "pow")},
    **{name: getattr(elements, name) for name in _SHARED},
    **{name: getattr(torch, name) for name in ("expm1", "log", "sign", "maximum", "minimum")},
    "div": operator.truediv,
    "where": lambda test, a, b: torch.where(test != 0, a, b),
    "less": lambda a, b: _truth(a < b, a),
    "equal": lambda a, b: _truth(a == b, a),
}
"""Every operation but `widen`, on tensors of one type."""
