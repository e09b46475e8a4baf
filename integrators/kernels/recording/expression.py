"""Arithmetic that was recorded instead of done: the graph from which kernels are generated.

Equal expressions are one node, so that whatever is computed twice is computed once.
"""

import math
import operator
from collections.abc import Collection, Iterable
from typing import Any, Literal

Kind = Literal["uniform", "column", "scalar", "element"]
"""What a value depends on, each with all before it.

    uniform   constants and hyperparameters: one number for everything, float64
    column    one number per system that stays as it is in time, float64
    scalar    one number per system, in motion: a time, the one friction of KFAD; float64
    element   a coordinate: the type of the state
"""

KINDS: tuple[Kind, ...] = ("uniform", "column", "scalar", "element")
_RANK = {kind: rank for rank, kind in enumerate(KINDS)}
_MOST = 3  # whole powers up to it are products, as in torch

ARITHMETIC = ("add", "sub", "mul", "div", "neg", "pow")
FUNCTIONS = (
    "exp", "expm1", "log", "log1p", "sqrt", "abs", "sin", "cos", "tanh", "sign",
    "phi1", "tanh_gap", "nonzero", "soft_cap", "maximum", "minimum", "where", "less", "equal",
    "widen",
)  # fmt: skip


class Node:
    """One operation on other nodes; make it by arithmetic, or by the functions of `Graph`.

    `op` is "constant" (then `value` is a float), "input" (then `value` is its name), or one of
    `ARITHMETIC` and `FUNCTIONS`. `less(a, b)` and `equal(a, b)` are 1 or 0; `where(test, a, b)`
    is a where the test is not 0; `widen(a)` is an element's value as a number of its system.
    """

    __slots__ = ("args", "graph", "kind", "number", "op", "value")
    __array_ufunc__ = None  # numpy leaves arithmetic with it to the methods below

    def __init__(
        self, graph: "Graph", op: str, args: tuple["Node", ...], value: Any, kind: Kind, number: int
    ) -> None:
        self.graph, self.op, self.args, self.value = graph, op, args, value
        self.kind: Kind = kind
        self.number = number  # nodes are numbered as they are made: after all their arguments

    def __add__(self, other: "Node | float") -> "Node":
        return self.graph.make("add", self, other)

    def __sub__(self, other: "Node | float") -> "Node":
        return self.graph.make("sub", self, other)

    def __mul__(self, other: "Node | float") -> "Node":
        return self.graph.make("mul", self, other)

    def __truediv__(self, other: "Node | float") -> "Node":
        return self.graph.make("div", self, other)

    def __pow__(self, other: "Node | float") -> "Node":
        return self.graph.make("pow", self, other)

    def __radd__(self, other: float) -> "Node":
        return self.graph.make("add", other, self)

    def __rsub__(self, other: float) -> "Node":
        return self.graph.make("sub", other, self)

    def __rmul__(self, other: float) -> "Node":
        return self.graph.make("mul", other, self)

    def __rtruediv__(self, other: float) -> "Node":
        return self.graph.make("div", other, self)

    def __rpow__(self, other: float) -> "Node":
        return self.graph.make("pow", other, self)

    def __neg__(self) -> "Node":
        return self.graph.make("neg", self)

    def __bool__(self) -> bool:
        raise TypeError("an expression that is being recorded is neither true nor false")

    def __repr__(self) -> str:
        if self.op in ("constant", "input"):
            return str(self.value)
        return f"{self.op}({', '.join(map(repr, self.args))})"


class Graph:
    """The nodes of one kernel, each of them once."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], Node] = {}
        self._inputs: set[str] = set()

    def input(self, name: str, kind: Kind) -> Node:
        """A value that the kernel is given under a name, or that it keeps from step to step.

        Raises ValueError for a name that is taken; those of kernels have a space in them, which no
        name of a user's has.
        """
        if name in self._inputs:
            raise ValueError(f"two values are called {name!r}")
        self._inputs.add(name)
        return self._node("input", (), name, kind)

    def constant(self, value: float) -> Node:
        return self._node("constant", (), float(value), "uniform")

    def make(self, op: str, *given: "Node | float") -> Node:
        """The node of an operation; numbers become constants, trivial operations vanish.

        A quotient a/u by what does not change in time is a·(1/u), rounded once more; it overflows
        where 1/u does: for |u| < 5.6e-309, and for elements in float32 for |u| < 3e-39.
        """
        args = tuple(v if isinstance(v, Node) else self.constant(v) for v in given)
        if op == "pow" and (power := _whole_power(args[1])):
            return math.prod((args[0],) * (power - 1), start=args[0])
        simple = _simpler(op, args)
        if simple is not None:
            return simple
        fixed = op == "div" and args[1].kind in ("uniform", "column")
        if fixed and _RANK[args[0].kind] > _RANK[args[1].kind]:
            return self.make("mul", args[0], self.make("div", 1.0, args[1]))
        if op in ("add", "mul") and args[0].number > args[1].number:
            args = args[::-1]  # a + b is b + a, bit for bit
        kind: Kind = max((a.kind for a in args), key=_RANK.__getitem__)
        kind = "scalar" if op == "widen" else kind
        return self._node(op, args, None, kind)

    def _node(self, op: str, args: tuple[Node, ...], value: Any, kind: Kind) -> Node:
        sign = math.copysign(1.0, value) if isinstance(value, float) else 0.0  # −0.0 is not 0.0
        key = (op, value, sign, kind, *(a.number for a in args))
        if key not in self._known:
            self._known[key] = Node(self, op, args, value, kind, len(self._known))
        return self._known[key]

    def replaced(self, nodes: Iterable[Node], by: dict[Node, Node]) -> list[Node]:
        """The nodes with others put in the place of some inputs (or of any nodes)."""
        nodes = list(nodes)
        done = dict(by)
        for node in in_order(nodes, stop=by):
            if node not in done:
                args = [done[a] for a in node.args]
                changed = any(a is not b for a, b in zip(args, node.args, strict=True))
                done[node] = self.make(node.op, *args) if changed else node
        return [done[node] for node in nodes]


def in_order(nodes: Iterable[Node], stop: Iterable[Node] = ()) -> list[Node]:
    """All that the nodes are made of, arguments first; nothing below the nodes of `stop`."""
    ends = set(stop)
    found: set[Node] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            if node not in ends:
                waiting.extend(node.args)
    return sorted(found, key=lambda node: node.number)


def inputs_of(nodes: Iterable[Node], kinds: Collection[Kind] = KINDS) -> list[Node]:
    """The inputs, of some kinds, that the nodes depend on."""
    return [node for node in in_order(nodes) if node.op == "input" and node.kind in kinds]


def frontier(
    results: Collection[Node], kind: Kind, later: Collection[Kind] | None = None
) -> list[Node]:
    """The nodes of a kind that those of later kinds (None: of all) need directly, and results."""
    later = KINDS[_RANK[kind] + 1 :] if later is None else later
    used = {a for node in in_order(results) if node.kind in later for a in node.args}
    return sorted((n for n in {*used, *results} if n.kind == kind), key=lambda n: n.number)


def _whole_power(exponent: Node) -> int:
    """2 or 3 where the exponent is that constant, else 0."""
    value = exponent.value if exponent.op == "constant" else 0
    return int(value) if value in range(2, _MOST + 1) else 0


def _simpler(op: str, args: tuple[Node, ...]) -> Node | None:
    """What x + 0, 1·x and the like are; the sign of a zero may differ, nothing else."""
    if op == "where" and (args[1] is args[2] or args[0].op == "constant"):
        return args[1] if args[0].value != 0 else args[2]
    if op == "neg" and args[0].op == "neg":
        return args[0].args[0]
    if op == "widen" and args[0].kind != "element":
        return args[0]
    if any(a.op == "constant" for a in args):
        a, b = args[0], args[-1]
        neutral = {"add": 0.0, "mul": 1.0}.get(op)
        if neutral is not None and _is(a, neutral):
            return b
        if (neutral is not None and _is(b, neutral)) or (op == "sub" and _is(b, 0.0)):
            return a
        if op in ("div", "pow") and _is(b, 1.0):
            return a
        if op == "mul" and (_is(a, -1.0) or _is(b, -1.0)):
            return -(b if _is(a, -1.0) else a)
        if op in ARITHMETIC and all(v.op == "constant" for v in args):
            return _folded(op, args)
    return None


def _is(node: Node, value: float) -> bool:
    return node.op == "constant" and node.value == value


def _folded(op: str, args: tuple[Node, ...]) -> Node | None:
    """Arithmetic of constants, where it is an ordinary number."""
    values = [float(a.value) for a in args]
    try:
        result = getattr(operator, _PYTHON[op])(*values)
    except (ArithmeticError, ValueError):
        return None
    ordinary = isinstance(result, float) and math.isfinite(result)
    return args[0].graph.constant(result) if ordinary else None


_PYTHON = {"add": "add", "sub": "sub", "mul": "mul", "div": "truediv", "neg": "neg", "pow": "pow"}
