"""One step of a run, recorded: what it makes of a state, of hyperparameters and of noise."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ....dynamics import Dynamics, NoisyPart, State
from ... import schemes
from ...field import Field
from ...noise.draws import SchemeNoise, Source, WordNoise
from ...noise.noise import channel_of
from ...step import apply
from ...words.word import Word
from .carried import Carried, carry
from .expression import Graph, Kind, Node
from .landscape import trace_landscape
from .symbols import Symbols


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

    Raises `NotTraceableError` for a landscape that cannot be recorded; whatever a part raises that
    does not run on symbols.
    """
    graph = Graph()
    rank, shape = s.rank, tuple(s.x.shape[: s.rank])
    values = _RunTime(graph, rank, tuple(s.x.shape[rank:]))
    bound = dynamics.bind({k: values.symbols(k, v) for k, v in dynamics.hyperparameters.items()})
    h = values.symbols("h", step)
    field = trace_landscape(landscape, graph, s.x.dtype)
    values.uniform |= field.constants
    before = {
        name: Symbols.inputs(graph, name, dynamics.shape_of(name, shape), _kind(dynamics, name))
        for name in dynamics.variables
    }
    moving = State(before, rank)
    noise = None if source is None else _RecordedSource(source, graph, h)
    if word is None:
        drawn = SchemeNoise(noise).at(0) if noise else {}
        schemes.SCHEMES[method](bound, moving, h, field.df, drawn)
        per_step = dict.fromkeys(drawn, source.per_step or 1) if source else {}
    else:
        substeps = Word(word.text, bound).substeps
        plan = WordNoise(noise, substeps) if noise else None
        pieces = [(u.part, float(u.fraction) * h) for u in substeps]
        apply(pieces, moving, field.df, draw=plan and plan.at(0))
        windows = plan.windows.values() if plan else ()
        per_step = {window.part.driver: window.per_step for window in windows}
    after = {name: getattr(moving, name) for name in before}
    draws = noise.recorded(per_step) if noise else ()
    carried, after = carry(graph, before, after)
    return StepTrace(graph, before, after, carried, draws, values.uniform, values.columns)


def _kind(dynamics: Dynamics, name: str) -> Kind:
    return "scalar" if name in dynamics.scalars else "element"


class _RunTime:
    """Numbers that a kernel is given when it runs, as inputs and as values."""

    def __init__(self, graph: Graph, rank: int, batch: tuple[int, ...]) -> None:
        self._graph, self._rank, self._batch = graph, rank, batch
        self.uniform: dict[str, float] = {}
        self.columns: dict[str, Tensor] = {}

    def symbols(self, name: str, value: Any) -> Symbols:
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
            nodes[index] = self._input(f"{name}_{place}" if shape else name, rows[place])
        return Symbols(self._graph, nodes)

    def _input(self, name: str, row: Tensor) -> Node:
        if row.numel() == 1:
            self.uniform[name] = row.item()
            return self._graph.input(name, "uniform")
        self.columns[name] = row.broadcast_to(self._batch)
        return self._graph.input(name, "column")


class _RecordedSource(Source):
    """A source of symbols instead of numbers, which remembers what was asked for."""

    def __init__(self, source: Source, graph: Graph, h: Symbols) -> None:
        self.noise, self.dynamics, self.per_step = source.noise, source.dynamics, source.per_step
        self.step: Any = h
        self._kinds = source._kinds
        self._graph = graph
        self._asked: list[tuple[str, int, int, tuple[Node, ...]]] = []

    @property
    def tick(self) -> Any:
        return self.step / (self.per_step or 1)

    def normals(self, part: NoisyPart, tick: int, count: int) -> Any:
        shape, _ = self._kinds[part.noisy]
        kind = _kind(self.dynamics, part.noisy)
        name = f"z{len(self._asked)}"
        z = [Symbols.inputs(self._graph, f"{name}_{k}", shape, kind) for k in range(count)]
        nodes = tuple(node for each in z for node in each.nodes)
        self._asked.append((part.driver, count, tick, nodes))
        return z

    def recorded(self, per_step: Mapping[str, int]) -> tuple[Draw, ...]:
        return tuple(
            Draw(channel_of(driver), count, len(nodes) // count, tick, per_step[driver], nodes)
            for driver, count, tick, nodes in self._asked
        )
