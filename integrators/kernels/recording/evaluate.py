"""What recorded expressions are worth: the plain reference of every generated kernel."""

import operator
from collections.abc import Callable, Iterable, Mapping

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
