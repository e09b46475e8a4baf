"""One step of a run, on whatever stands for numbers, and the comparison of two such steps."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ....dynamics import Dynamics, NoisyPart, Part, State
from ... import schemes
from ...noise.draws import SchemeNoise, Source, WordNoise
from ...step import apply
from ...words.word import Word
from .evaluate import agree, evaluate
from .expression import Node
from .symbols import Symbols
from .untraceable import NotTraceableError

Normals = Callable[[NoisyPart, int, int], Any]
"""The normal numbers that a part takes at a tick, as `Source.normals`."""

PART = (
    "write parts with + - * / and the functions of dashpot.dynamics.elements; check(part) tests one"
)
OTHERWISE = "a part does something else on symbols than on tensors"

_DISTANCES = (0.01, 0.1, 0.4)  # from the present state, of the states at which steps are compared


@dataclass(frozen=True)
class OneStep:
    """What a step does: a word's letters, or those of the scheme `method`."""

    dynamics: Dynamics
    word: Word | None
    method: str
    source: Source | None

    def take(
        self, numbers: Mapping[str, Any], s: State, h: Any, gradient: Any, normals: Normals
    ) -> dict[str, int]:
        """Step number 0 in place, with these hyperparameters; how many ticks it has, by driver."""
        bound = self.dynamics.bind(numbers)
        drawn = None if self.source is None else _Given(self.source, h, normals)
        if self.word is None:  # of which all parts are at work at once
            noise: dict[str, Any] = SchemeNoise(drawn).at(0) if drawn else {}
            schemes.SCHEMES[self.method](bound, s, h, gradient, noise)
            return dict.fromkeys(noise, (drawn and drawn.per_step) or 1)
        substeps = Word(self.word.text, bound).substeps
        plan = WordNoise(drawn, substeps) if drawn else None
        pieces = _Pieces([(u.part, float(u.fraction) * h) for u in substeps])
        watch = _Watch(s, self.dynamics.variables)
        try:
            apply(pieces, s, gradient, watch, plan and plan.at(0))
        except NotTraceableError:
            raise
        except Exception as error:
            raise NotTraceableError(f"{pieces.name} does not run: {error}", PART) from error
        windows = plan.windows.values() if plan else ()
        return {window.part.driver: window.per_step for window in windows}


class _Pieces:
    """The parts of a step, and the name of the one at work."""

    def __init__(self, pieces: Sequence[tuple[Part, Any]]) -> None:
        self._pieces = pieces
        self.name = ""

    def __iter__(self) -> Iterator[tuple[Part, Any]]:
        for part, time in self._pieces:
            self.name = _name(part)
            yield part, time


class _Watch:
    """To be told after every part: refuses those that write what they do not name."""

    def __init__(self, s: State, variables: Sequence[str]) -> None:
        self._known = {name: getattr(s, name) for name in variables}

    def __call__(self, part: Part, s: State) -> None:
        for name, old in self._known.items():
            new = self._known[name] = getattr(s, name)
            if new is not old and name not in part.writes:
                raise NotTraceableError(
                    f"{_name(part)} writes {name}, which is not in its writes", PART
                )


def _name(part: Part) -> str:
    return f"letter {part.letter} ({type(part).__name__})"


class _Given(Source):
    """A source whose normal numbers are given."""

    def __init__(self, source: Source, h: Any, normals: Normals) -> None:
        self.noise, self.dynamics, self.per_step = source.noise, source.dynamics, source.per_step
        self.step = h
        self._normals = normals

    def normals(self, part: NoisyPart, tick: int, count: int) -> Any:
        return self._normals(part, tick, count)


@dataclass(frozen=True)
class Recorded:
    """A step on symbols, whose gradients are inputs.

    numbers    the hyperparameters
    before     the variables as inputs
    after      and one step later
    gradients  the points at which gradients were taken, and the inputs that stand for those
    normals    the normal numbers that were asked for, in order: [count] arrays for each time
    values     of the numbers and h, by the names of inputs: one, or one per trajectory [*batch]
    """

    numbers: Mapping[str, Symbols]
    h: Symbols
    before: Mapping[str, Symbols]
    after: Mapping[str, Symbols]
    gradients: Sequence[tuple[Symbols, Symbols]]
    normals: Sequence[Sequence[Symbols]]
    values: Mapping[str, float | Tensor]


def compare(step: OneStep, recorded: Recorded, s: State) -> None:
    """Refuse a record that is worth something else than the step of torch at states near `s`.

    Both are taken in float64 from three states, with the same gradients and normal numbers, made
    up. What a flow draws by itself, counts, or does to tensors only, is found so.
    """
    trajectories = s.x.shape[s.rank :].numel()
    if not trajectories:
        return
    with torch.no_grad(), torch.inference_mode(False), torch.device("cpu"):
        values = _values(recorded, s, trajectories)
        points: list[Tensor] = []
        gradients = [_tensor(g, values) for _, g in recorded.gradients]
        normals = iter([torch.stack([_tensor(z, values) for z in zs]) for zs in recorded.normals])

        def gradient(x: Tensor) -> Tensor:
            points.append(x)
            return gradients[len(points) - 1]

        state = State({n: _tensor(v, values) for n, v in recorded.before.items()}, s.rank)
        numbers = {n: _number(v, values) for n, v in recorded.numbers.items()}
        try:
            step.take(
                numbers, state, _number(recorded.h, values), gradient, lambda *_: next(normals)
            )
            true = [*(getattr(state, name) for name in recorded.after), *points]
            made = [*recorded.after.values(), *(x for x, _ in recorded.gradients)]
            rows = torch.cat([t.reshape(-1, len(_DISTANCES)) for t in true])
            same = agree(rows, [node for each in made for node in each.nodes], values)
        except Exception as error:
            said = f"{OTHERWISE}: {error}"
            raise NotTraceableError(said, PART) from error
    if not same:
        said = "it depends on more than its numbers, the state and the noise, or on their type"
        raise NotTraceableError(f"{OTHERWISE} ({said})", PART)


def _values(recorded: Recorded, s: State, trajectories: int) -> dict[str, Any]:
    """Of all inputs, one for each state; variables move up, so that none changes its sign."""
    generator = torch.Generator().manual_seed(0)

    def some(nodes: Sequence[Node]) -> Tensor:
        size = len(nodes), len(_DISTANCES)
        return torch.rand(size, generator=generator, dtype=torch.float64)

    chosen = torch.tensor([0, trajectories // 2, trajectories - 1])
    values: dict[str, Any] = {
        name: v.reshape(-1)[chosen].cpu() if isinstance(v, Tensor) else v
        for name, v in recorded.values.items()
    }
    for name, symbols in recorded.before.items():
        rows = getattr(s, name).detach().reshape(-1, trajectories)[:, chosen]
        here = rows.to("cpu", torch.float64).nan_to_num()
        moved = here + some(symbols.nodes) * torch.tensor(_DISTANCES) * here.abs().clamp(min=1)
        values |= _named(symbols.nodes, moved)
    for _, symbols in recorded.gradients:
        values |= _named(symbols.nodes, 4 * some(symbols.nodes) - 2)
    for symbols in (z for zs in recorded.normals for z in zs):
        values |= _named(symbols.nodes, 4 * some(symbols.nodes) - 2)
    return values


def _named(nodes: Sequence[Node], rows: Tensor) -> dict[str, Tensor]:
    return {node.value: row for node, row in zip(nodes, rows, strict=True)}


def _tensor(symbols: Symbols, values: Mapping[str, Any]) -> Tensor:
    """[*shape, 3]."""
    rows = [row.expand(len(_DISTANCES)) for row in evaluate(symbols.nodes, values)]
    return torch.stack(rows).reshape(*symbols.shape, len(_DISTANCES))


def _number(symbols: Symbols, values: Mapping[str, Any]) -> Any:
    """As a run has it: one number is a number of Python."""
    if symbols.shape == () and not isinstance(value := values[symbols.nodes[0].value], Tensor):
        return value
    return _tensor(symbols, values)
