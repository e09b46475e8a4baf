"""Recorded arithmetic as statements of C, on top of the functions of `elementary.c`.

Values of kind "element" have the type `real`, all others are double; `E(exp)` is the exponential
of a real, `d_exp` that of a double. An operation on coordinates casts its other operands first, as
torch does with the numbers of a step. A sum with a product that nothing else needs is one rounding.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files

from .recording.expression import Node, in_order

_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/"}


@cache
def text(name: str) -> str:
    """A source in C of these kernels, by its path from here."""
    return files("dashpot.integrators.kernels").joinpath(name).read_text(encoding="utf-8")


def statements(nodes: Iterable[Node], names: dict[Node, str], suffix: str = "") -> list[str]:
    """Declarations of everything the nodes are made of that has no name yet; it gets one here.

    The new names end in `suffix`.
    """
    nodes = list(nodes)
    needed = [node for node in in_order(nodes, stop=names) if node not in names]
    products = _products_to_add(needed, nodes)
    lines = []
    for node in needed:
        if node.op == "input":
            raise KeyError(f"the kernel has no value for {node}")
        if node.op == "constant":
            names[node] = literal(node.value)
        elif node not in products.values():
            names[node] = f"v{node.number}{suffix}"
            value = _sum(node, products[node], names) if node in products else _value(node, names)
            lines.append(f"const {type_of(node)} {names[node]} = {value};")
    return lines


def type_of(node: Node) -> str:
    return "real" if node.kind == "element" else "double"


def literal(value: float) -> str:
    """The number, to the last bit."""
    if math.isnan(value):
        return "NAN"
    if math.isinf(value):
        return "INFINITY" if value > 0 else "(-INFINITY)"
    return f"({value!r})" if math.copysign(1.0, value) < 0 else repr(value)


def _value(node: Node, names: Mapping[Node, str]) -> str:
    if node.op == "widen":
        return f"(double){names[node.args[0]]}"
    operands = [_operand(a, node, names) for a in node.args]
    if node.op in _INFIX:
        return f" {_INFIX[node.op]} ".join(operands)
    if node.op == "neg":
        return f"-{operands[0]}"
    function = f"E({node.op})" if node.kind == "element" else f"d_{node.op}"
    return f"{function}({', '.join(operands)})"


def _operand(value: Node, of: Node, names: Mapping[Node, str]) -> str:
    is_cast = of.kind == "element" and value.kind != "element"
    return f"(real){names[value]}" if is_cast else names[value]


def _sum(node: Node, product: Node, names: Mapping[Node, str]) -> str:
    """a·b ± c or c ± a·b, rounded once where the processor can."""
    a, b = (_operand(factor, product, names) for factor in product.args)
    is_first = node.args[0] is product
    rest = _operand(node.args[1 if is_first else 0], node, names)
    if node.op == "sub":
        a, rest = (a, f"-{rest}") if is_first else (f"-{a}", rest)
    return f"E(fma)({a}, {b}, {rest})"


def _products_to_add(needed: Iterable[Node], results: Sequence[Node]) -> dict[Node, Node]:
    """The sums of coordinates of which one term is a product that nothing else needs."""
    needed = list(needed)
    users = Counter(a for node in needed for a in node.args) + Counter(results)
    new = set(needed)
    found: dict[Node, Node] = {}
    for node in needed:
        if node.kind == "element" and node.op in ("add", "sub"):
            terms = [a for a in node.args if a.op == "mul" and a.kind == "element"]
            terms = [a for a in terms if users[a] == 1 and a in new]
            if terms:
                found[node] = max(terms, key=lambda a: a.number)
    return found
