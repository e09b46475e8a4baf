"""One step of a run, recorded: what it makes of a state, of hyperparameters and of noise."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from ....dynamics import Dynamics, NoisyPart, State
from ...field import Field
from ...noise.draws import Source
from ...noise.noise import channel_of
from ...words.word import Word
from .carried import Carried, carry
from .expression import Graph, Kind, Node, in_order
from .landscape import TracedLandscape, trace_landscape
from .one_step import OneStep, Recorded, compare
from .symbols import Symbols
from .untraceable import MOST_NODES, too_many


@dataclass(frozen=True)
class Draw:
    """Normal numbers that a step takes: tick `offset + per_step · n` of a channel in step n.

    nodes   the inputs that stand for them, [count · coordinates], those of a place k together
    """

    channel: int
    count: int
    coordinates: int
    offset: int
    per_step: int
    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class StepTrace:
    """A step as expressions.

    before   the state's variables as inputs, by name, shaped like one system's
    after    the same variables one step later
    carried  what the end of a step has computed for the beginning of the next
    draws    the normal numbers of a step
    uniform  the numbers that are given at run time, by the name of their input
    columns  and those that are given for each trajectory, [*batch]
    """

    graph: Graph
    before: dict[str, Symbols]
    after: dict[str, Symbols]
    carried: tuple[Carried, ...]
    draws: tuple[Draw, ...]
    uniform: dict[str, float]
    columns: dict[str, Tensor]

    @property
    def state(self) -> list[tuple[Node, Node]]:
        """(input, its value one step later), coordinate after coordinate."""
        pairs = ((self.before[name].nodes, self.after[name].nodes) for name in self.before)
        return [pair for old, new in pairs for pair in zip(old, new, strict=True)]

    def with_numbers(self, dynamics: Dynamics, s: State, step: float | Tensor) -> Self | None:
        """The same with other values of the hyperparameters and of h, for trajectories like `s`.

        None where what was one number is one for each trajectory now, or the other way round.
        """
        given = _RunTime(Graph(), s)
        given.numbers(dynamics, step)
        known = given.uniform.keys() <= self.uniform.keys()
        if not known or given.columns.keys() != self.columns.keys():
            return None
        return replace(self, uniform=self.uniform | given.uniform, columns=given.columns)


def trace_step(
    dynamics: Dynamics,
    landscape: Field,
    s: State,
    step: float | Tensor,
    word: Word | None,
    method: str,
    source: Source | None,
) -> StepTrace:
    """Record one step of a word, or of the scheme `method`, from a state like `s`.

    The record is compared with the step of torch near `s`, see `compare`.

    Raises `NotTraceableError` for a landscape that cannot be recorded, for a part that does other
    things on symbols than on tensors, and for more than `MOST_NODES` operations; whatever a part
    raises that does not run on symbols.
    """
    graph = Graph()
    shape = tuple(s.x.shape[: s.rank])
    given = _RunTime(graph, s)
    numbers, h = given.numbers(dynamics, step)
    before = {
        name: _inputs(graph, dynamics, f"state {name}", name, shape) for name in dynamics.variables
    }
    one_step, moving = OneStep(dynamics, word, method, source), State(before, s.rank)
    gradients, normals = _Gradients(graph), _Normals(graph, dynamics, shape)
    per_step = one_step.take(numbers, moving, h, gradients, normals)
    after = {name: getattr(moving, name) for name in before}
    _refuse_large(_nodes(after), times=2)
    values = {**given.uniform, **given.columns}
    recorded = Recorded(
        numbers, h, before, after, gradients.taken, [one.z for one in normals.asked], values
    )
    compare(one_step, recorded, s)
    field = trace_landscape(landscape, graph, s.x.dtype)
    after = gradients.replaced(after, field)
    _refuse_large(_nodes(after), times=2)  # what is carried may be half of it
    carried, after = carry(graph, before, after)
    _refuse_large([*_nodes(after), *(node for one in carried for node in (one.first, one.next))])
    draws = tuple(one.draw(per_step) for one in normals.asked)
    uniform = given.uniform | field.constants
    return StepTrace(graph, before, after, carried, draws, uniform, given.columns)


def _kind(dynamics: Dynamics, name: str) -> Kind:
    return "scalar" if name in dynamics.scalars else "element"


def _inputs(
    graph: Graph, dynamics: Dynamics, name: str, variable: str, shape: tuple[int, ...]
) -> Symbols:
    """Inputs shaped like a variable."""
    own = dynamics.shape_of(variable, shape)
    return Symbols.inputs(graph, name, own, _kind(dynamics, variable))


def _nodes(variables: Mapping[str, Symbols]) -> list[Node]:
    return [node for symbols in variables.values() for node in symbols.nodes]


def _refuse_large(nodes: Iterable[Node], times: int = 1) -> None:
    if (count := len(in_order(nodes))) > times * MOST_NODES:
        raise too_many(count, "a step")


class _Gradients:
    """Gradients that are not known yet: inputs of the step, until there is a landscape."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.taken: list[tuple[Symbols, Symbols]] = []

    def __call__(self, x: Symbols) -> Symbols:
        g = Symbols.inputs(self._graph, f"gradient {len(self.taken)}", x.shape, "element")
        self.taken.append((x, g))
        return g

    def replaced(self, after: dict[str, Symbols], field: TracedLandscape) -> dict[str, Symbols]:
        """The same with a landscape's gradients."""
        known: dict[Node, Node] = {}

        def put(symbols: Symbols) -> Symbols:
            nodes = np.fromiter(self._graph.replaced(symbols.nodes, known), dtype=object)
            return Symbols(self._graph, nodes.reshape(symbols.shape))

        for x, g in self.taken:
            df = field.df(put(x))
            known |= zip(g.nodes, df.nodes, strict=True)
            _refuse_large(known.values(), times=2)
        return {name: put(symbols) for name, symbols in after.items()}


class _RunTime:
    """Numbers that a kernel is given when it runs, as inputs and as values."""

    def __init__(self, graph: Graph, s: State) -> None:
        self._graph, self._rank, self._batch = graph, s.rank, tuple(s.x.shape[s.rank :])
        self.uniform: dict[str, float] = {}
        self.columns: dict[str, Tensor] = {}

    def numbers(
        self, dynamics: Dynamics, step: float | Tensor
    ) -> tuple[dict[str, Symbols], Symbols]:
        """The hyperparameters, and h."""
        numbers = {k: self._symbols(f"number {k}", v) for k, v in dynamics.hyperparameters.items()}
        return numbers, self._symbols("step", step)

    def _symbols(self, name: str, value: Any) -> Symbols:
        """A number, one per trajectory, one per coordinate (or both) as symbols."""
        given = torch.as_tensor(value, dtype=torch.float64)
        axes = self._rank + len(self._batch)
        whole = given.reshape((1,) * (axes - given.ndim) + tuple(given.shape))
        shape = tuple(whole.shape[: self._rank])
        if math.prod(shape) == 1:
            shape = ()
        rows = whole.reshape(math.prod(shape), *whole.shape[self._rank :])
        nodes = np.empty(shape, dtype=object)
        for place, index in enumerate(np.ndindex(*shape)):
            nodes[index] = self._input(f"{name} {place}" if shape else name, rows[place])
        return Symbols(self._graph, nodes)

    def _input(self, name: str, row: Tensor) -> Node:
        if row.numel() == 1:
            self.uniform[name] = row.item()
            return self._graph.input(name, "uniform")
        self.columns[name] = row.broadcast_to(self._batch)
        return self._graph.input(name, "column")


@dataclass(frozen=True)
class _Asked:
    """Normal numbers z, [count] arrays, for a tick of the first step."""

    driver: str
    tick: int
    z: list[Symbols]

    def draw(self, per_step: Mapping[str, int]) -> Draw:
        nodes = tuple(node for each in self.z for node in each.nodes)
        count, channel = len(self.z), channel_of(self.driver)
        coordinates = len(nodes) // count
        return Draw(channel, count, coordinates, self.tick, per_step[self.driver], nodes)


class _Normals:
    """Normal numbers as inputs; remembers what was asked for."""

    def __init__(self, graph: Graph, dynamics: Dynamics, shape: tuple[int, ...]) -> None:
        self._graph, self._dynamics, self._shape = graph, dynamics, shape
        self.asked: list[_Asked] = []

    def __call__(self, part: NoisyPart, tick: int, count: int) -> list[Symbols]:
        name = f"normal {len(self.asked)}"
        z = [
            _inputs(self._graph, self._dynamics, f"{name} {k}", part.noisy, self._shape)
            for k in range(count)
        ]
        self.asked.append(_Asked(part.driver, tick, z))
        return z
