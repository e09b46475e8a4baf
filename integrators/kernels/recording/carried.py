"""What a step computes at its end and the next one at its beginning, computed once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .expression import Graph, Node, in_order
from .symbols import Symbols

COST = {"div": 4, "sqrt": 5, "exp": 10, "expm1": 12, "log": 12, "log1p": 14, "sin": 12, "cos": 12,
        "tanh": 15, "phi1": 15, "soft_cap": 15, "tanh_gap": 25, "pow": 40}  # fmt: skip
"""Roughly, in multiplications; what is not named costs 1."""

_WORTH = 4  # less than that is computed again: a carried number takes a register


@dataclass(frozen=True)
class Carried:
    """A number kept from step to step: `place` stands for it in a step, `next` is its new value.

    `first` is its value as an expression of the state, for the first step.
    """

    place: Node
    first: Node
    next: Node


def carry(
    graph: Graph, before: Mapping[str, Symbols], after: Mapping[str, Symbols]
) -> tuple[tuple[Carried, ...], dict[str, Symbols]]:
    """Find what a step needs not compute anew, and the step with that as inputs.

    An expression F(state) at the beginning of a step is there already if the step before had
    computed F(its last state): a gradient kept over the end of a symmetric word, or the second
    damping factor of iKFAD's palindrome, with which the next step begins.
    """
    moved = {
        old: new
        for name in before
        for old, new in zip(before[name].nodes, after[name].nodes, strict=True)
    }
    step = in_order(moved.values())
    known = set(step)
    pure = _of_state_only(step, moved)
    later = graph.replaced(pure, moved)
    kept = {
        node: then
        for node, then in zip(pure, later, strict=True)
        if then in known and then is not node
    }
    users: dict[Node, list[Node]] = {node: [] for node in step}
    for node in step:
        for argument in node.args:
            users[argument].append(node)
    results = set(moved.values())
    chosen = [
        node
        for node in kept
        if (node in results or any(user not in kept for user in users[node]))
        and _cost(node, moved) >= _WORTH
    ]
    if not chosen:
        return (), dict(after)
    places = {node: graph.input(f"carried {i}", node.kind) for i, node in enumerate(chosen)}
    ends = graph.replaced([*moved.values(), *(kept[node] for node in chosen)], places)
    news = dict(zip(moved.values(), ends, strict=False))
    carried = tuple(
        Carried(places[node], node, end)
        for node, end in zip(chosen, ends[len(moved) :], strict=True)
    )
    return carried, {
        name: _like(symbols, [news[node] for node in symbols.nodes])
        for name, symbols in after.items()
    }


def _of_state_only(step: Iterable[Node], moved: Mapping[Node, Node]) -> list[Node]:
    """The operations that depend on the state, and on no noise."""
    moving: set[Node] = set(moved)
    noisy: set[Node] = set()
    for node in step:
        if node.op == "input":
            if node not in moved and node.kind in ("scalar", "element"):
                noisy.add(node)
        elif any(a in noisy for a in node.args):
            noisy.add(node)
        elif any(a in moving for a in node.args):
            moving.add(node)
    return [node for node in step if node in moving and node not in moved]


def _cost(node: Node, moved: Mapping[Node, Node]) -> int:
    """Of what depends on the state below a node."""
    moving: set[Node] = set(moved)
    cost = 0
    for each in in_order([node], stop=moved):
        if each not in moved and any(a in moving for a in each.args):
            moving.add(each)
            cost += COST.get(each.op, 1)
    return cost


def _like(symbols: Symbols, nodes: list[Node]) -> Symbols:
    values = symbols.values.copy()
    values.reshape(-1)[:] = nodes
    return Symbols(symbols.graph, values)
