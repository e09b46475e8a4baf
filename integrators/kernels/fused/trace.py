"""One call of an optimizer, recorded: what it makes of a parameter, its gradient and its state.

One symbol stands for all elements of a tensor. Sums over elements cut the record: the sum becomes
an input of what comes after it, and is computed in a pass over memory of its own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ....dynamics import Dynamics, State
from ...step import apply
from ...words.word import Substep
from ..errors import NoKernelError
from ..recording.expression import Graph, Node, in_order, inputs_of
from ..recording.symbols import Symbols

Axes = str
"""What a value has one of for each: "rc" element, "r" row, "c" column, "" tensor.

The elements of a vector are its rows.
"""

SCALE, STEP, LAST = "the scale", "the step", "the last step"
"""Numbers of a call besides hyperparameters: what multiplies the gradient, and the step sizes.

Nobody can give a hyperparameter such a name.
"""

_SHAPES: dict[bool, dict[tuple[int, ...], Axes]] = {
    True: {(5, 7, 3): "rc", (5, 1, 1): "r", (1, 7, 3): "c", (1, 1, 1): "", (): ""},
    False: {(5,): "r", (1,): "", (): ""},
}


@dataclass(frozen=True)
class Sum:
    """A number that takes a pass over memory: `result` stands for it in what comes after.

    over   the axis that is averaged; None: the sum over all tensors of the group
    """

    source: Node
    result: Node
    over: Axes | None


class StreamGraph(Graph):
    """A graph that knows which axes its nodes have, and its sums."""

    def __init__(self, is_matrix: bool) -> None:
        super().__init__()
        self.is_matrix = is_matrix
        self.asked_for_shape = False
        self.sums: dict[tuple[Node, Axes | None], Sum] = {}
        self._axes: dict[Node, Axes] = {}

    def stream(self, name: str, axes: Axes, is_scalar: bool = False) -> "Stream":
        """The elements of a variable."""
        return Stream(self, self._with_axes(f"state {name}", axes, is_scalar))

    def axes_of(self, node: Node) -> Axes:
        if node not in self._axes:
            mine = {axis for arg in node.args for axis in self.axes_of(arg)}
            self._axes[node] = "".join(axis for axis in "rc" if axis in mine)
        return self._axes[node]

    def sum(self, source: Node, over: Axes | None) -> Node:
        if (source, over) not in self.sums:
            left = self.axes_of(source).replace(over, "") if over else ""
            result = self._with_axes(f"sum {len(self.sums)}", left, over is None)
            self.sums[source, over] = Sum(source, result, over)
        return self.sums[source, over].result

    def _with_axes(self, name: str, axes: Axes, is_scalar: bool) -> Node:
        node = self.input(name, "scalar" if is_scalar else "element")
        self._axes[node] = axes
        return node


class Stream(Symbols):
    """All elements of a tensor under one symbol."""

    __slots__ = ()
    graph: StreamGraph

    @property
    def node(self) -> Node:
        return self.nodes[0]

    def total(self) -> "Stream":
        return Stream(self.graph, self.graph.sum(self.node, None))

    def rowmean(self) -> "Stream":
        return self._mean_over("c")

    def colmean(self) -> "Stream":
        return self._mean_over("r")

    def _mean_over(self, axis: Axes) -> "Stream":
        self.graph.asked_for_shape = True
        if axis not in self.graph.axes_of(self.node):
            return self
        return Stream(self.graph, self.graph.sum(self.node, axis))

    def where_matrix(self, otherwise: Any) -> Any:
        self.graph.asked_for_shape = True
        return self if self.graph.is_matrix else otherwise


@dataclass(frozen=True)
class FusedTrace:
    """A call as expressions.

    graph     knows the axes of every node
    inputs    the variables and the gradient `g` before the call, by name
    outputs   what becomes of a variable, where something does
    levels    the sums, in the order in which they can be computed: those of a level in one pass
    uniform   names of the numbers that are given at run time
    by_shape  whether matrices and vectors differ, so that each has a record of its own
    """

    graph: StreamGraph
    inputs: dict[str, Node]
    outputs: dict[str, Node]
    levels: tuple[tuple[Sum, ...], ...]
    uniform: tuple[str, ...]
    by_shape: bool

    @property
    def variables(self) -> dict[Node, str]:
        """The names of the inputs that are variables, or the gradient."""
        return {node: name for name, node in self.inputs.items()}

    @property
    def is_shared(self) -> bool:
        """Whether there is a sum over the whole group."""
        return any(one.over is None for level in self.levels for one in level)

    @property
    def whole(self) -> Axes:
        """The axes of a tensor that is shaped like the parameter."""
        return self.graph.axes_of(self.inputs["x"])

    @property
    def is_flat(self) -> bool:
        """Whether the shape of a tensor does not matter: values are per element or per tensor."""
        nodes = in_order([*self.outputs.values(), *(one.source for one in self.sums)])
        return all(self.graph.axes_of(node) in ("", self.whole) for node in nodes)

    @property
    def has_rest(self) -> bool:
        """Whether something changes that there is not one of for each element."""
        return any(self.graph.axes_of(self.inputs[name]) != self.whole for name in self.outputs)

    @property
    def sums(self) -> list[Sum]:
        return [one for level in self.levels for one in level]


def trace_call(
    dynamics: Dynamics, closing: Sequence[Substep], opening: Sequence[Substep], is_matrix: bool
) -> FusedTrace:
    """Record a call on a matrix, or on a vector; NoKernelError where that cannot be done.

    The numbers given at run time are the hyperparameters, the `STEP`, the `LAST` one of the closing
    pieces, and the `SCALE` by which the gradient is multiplied.
    """
    if dynamics.is_noisy:
        raise NoKernelError(f"{dynamics.name} has noise; a fused step draws no random numbers")
    graph = StreamGraph(is_matrix)
    names = (SCALE, STEP, LAST, *dynamics.hyperparameters)
    given = {name: Stream.inputs(graph, name, (), "uniform") for name in names}
    bound = dynamics.bind(given)
    axes = {name: _axes_of(dynamics, name, is_matrix) for name in dynamics.variables}
    before = {n: graph.stream(n, a, n in dynamics.scalars) for n, a in axes.items()}
    before["g"] = graph.stream("g", axes["x"])
    s = State({**before, "g": given[SCALE] * before["g"]}, 2 if is_matrix else 1)
    timed = [(u, given[LAST]) for u in closing] + [(u, given[STEP]) for u in opening]
    try:
        apply([(bound.letters[u.part.letter], float(u.fraction) * h) for u, h in timed], s, _refuse)
        outputs = {name: getattr(s, name).node for name in axes}
    except NoKernelError:
        raise
    except Exception as error:  # whatever a user's part does that symbols cannot
        raise NoKernelError(f"{dynamics.name} cannot be recorded: {error}") from error
    outputs = {n: node for n, node in outputs.items() if node is not before[n].node}
    for name, node in outputs.items():
        if not set(graph.axes_of(node)) <= set(axes[name]):
            raise NoKernelError(f"a step of {dynamics.name} changes the shape of {name}")
    levels = _levels(graph, outputs.values())
    sources = (one.source for level in levels for one in level)
    used = {node.value for node in inputs_of((*outputs.values(), *sources))}
    uniform = tuple(name for name in names if name in used)
    by_shape = graph.asked_for_shape or not is_matrix
    by_shape |= any(axes[name] != axes["x"] for name in axes if name not in dynamics.scalars)
    inputs = {name: stream.node for name, stream in before.items()}
    return FusedTrace(graph, inputs, outputs, levels, uniform, by_shape)


def _refuse(_: object) -> object:
    raise NoKernelError("the word needs more than one gradient in a step")


def _axes_of(dynamics: Dynamics, name: str, is_matrix: bool) -> Axes:
    shapes = _SHAPES[is_matrix]
    whole = next(iter(shapes))
    shape = tuple(dynamics.shape_of(name, whole))
    if shape not in shapes:
        raise NoKernelError(f"{name} of {dynamics.name} has the shape {shape} where x has {whole}")
    return shapes[shape]


def _levels(graph: StreamGraph, outputs: Iterable[Node]) -> tuple[tuple[Sum, ...], ...]:
    """The sums that matter, each after those it depends on."""
    known = {one.result: one for one in graph.sums.values()}
    depth: dict[Sum, int] = {}

    def measure(node: Node) -> int:
        found = [known[leaf] for leaf in inputs_of([node]) if leaf in known]
        for one in found:
            if one not in depth:
                depth[one] = measure(one.source)
        return max((depth[one] + 1 for one in found), default=0)

    count = max((measure(node) for node in outputs), default=0)
    return tuple(tuple(s for s, d in depth.items() if d == level) for level in range(count))
