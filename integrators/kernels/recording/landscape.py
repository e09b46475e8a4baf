"""A landscape as expressions: what its f and ∇f do to a point, recorded operation by operation."""

import math
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ...field import Field
from .evaluate import agree
from .expression import Graph, in_order
from .recorder import Recorder
from .symbols import Symbols
from .untraceable import FUNCTION, MOST_NODES, RUNS, NotTraceableError, too_many

__all__ = ["MOST_NODES", "UNROLLED", "NotTraceableError", "TracedLandscape", "trace_landscape"]


UNROLLED = 64
"""Coordinates, at most, of a landscape whose operations are written out one by one."""

_DISTANCES = (0.01, 0.1, 0.4)  # from the start, of the points at which a record is compared
_GOLDEN = (math.sqrt(5) - 1) / 2


def trace_landscape(
    landscape: Field, graph: Graph, dtype: torch.dtype = torch.float64
) -> "TracedLandscape":
    """Record the gradient of a landscape at one point, so that it runs on symbols.

    `landscape.df` is run once on its start, and every operation on the coordinates is recorded,
    those of automatic differentiation too. The record is then evaluated at three other points and
    compared with the landscape: nothing that depends on x may have been taken for a constant. What
    df does besides (counting, printing) happens in these four calls only.

    landscape   whatever torch computes; with other numbers in its tensors (not in its Python code)
                it gives the same expressions
    graph       where the expressions go: one landscape to a graph
    dtype       of the coordinates, for landscapes that ask for it (the least distance of atoms)

    Raises NotTraceableError for more than `UNROLLED` (64) coordinates or `MOST_NODES` (5000)
    operations, for sampled gradients, and for code that branches on a value of x, takes x out of
    torch, draws random numbers, or needs an operation that has no symbol.
    """
    if math.prod(landscape.shape) > UNROLLED:
        coordinates = math.prod(landscape.shape)
        raise _refusal(landscape, f"it has {coordinates} coordinates, and at most {UNROLLED} fit")
    if hasattr(landscape, "uniforms"):
        raise _refusal(landscape, "its gradients are sampled")
    return TracedLandscape(landscape, graph, dtype)


class TracedLandscape:
    """f and ∇f of a landscape on symbols; made by `trace_landscape`."""

    def __init__(self, landscape: Field, graph: Graph, dtype: torch.dtype) -> None:
        self._landscape, self._dtype = landscape, dtype
        self._x = Symbols.inputs(graph, "landscape x", landscape.shape, "element")
        self._recorder = Recorder(graph, dtype)
        self._df = self._recorded("df", tuple(landscape.shape))

    def __repr__(self) -> str:
        return f"TracedLandscape({self._landscape!r})"

    @property
    def constants(self) -> dict[str, float]:
        """The numbers in the landscape's tensors, by the name of the input that stands for them.

        Those of df, and those of f as soon as f has been called.
        """
        return dict(self._recorder.memory.constants)

    def df(self, x: Symbols) -> Symbols:
        """∇f, shaped like x."""
        return self._at(x, self._df)

    def f(self, x: Symbols) -> Symbols:
        """f, a number. It is recorded at the first call, with the errors of `trace_landscape`."""
        return self._at(x, self._f)

    @cached_property
    def _f(self) -> Symbols:
        return self._recorded("f", ())

    def _at(self, x: Symbols, value: Symbols) -> Symbols:
        by = dict(zip(self._x.nodes, x.nodes, strict=True))
        nodes = np.fromiter(x.graph.replaced(value.nodes, by), dtype=object)
        return Symbols(x.graph, nodes.reshape(value.shape))

    def _recorded(self, name: str, shape: tuple[int, ...]) -> Symbols:
        """What `landscape.f` or `landscape.df` computes, compared with it."""
        try:
            with torch.device("cpu"), torch.inference_mode(False):
                start = self._landscape.start.detach().to("cpu", self._dtype, copy=True)
                self._recorder.memory.write(start, self._x)
                with self._recorder.recording():
                    value = getattr(self._landscape, name)(start)
                if tuple(value.shape) != shape:
                    found = tuple(value.shape)
                    raise NotTraceableError(f"its {name} has shape {found} instead of {shape}", "")
                symbols = self._recorder.memory.read(value)
                self._compare(name, symbols)
        except NotTraceableError as error:
            raise _refusal(self._landscape, error.reason, error.advice) from error.__cause__
        except Exception as error:
            said = f"its {name} raised {type(error).__name__}: {error}"
            raise _refusal(self._landscape, said, "") from error
        return symbols

    def _compare(self, name: str, symbols: Symbols) -> None:
        """Refuse a record that is worth something else than the landscape near its start."""
        if (count := len(in_order(symbols.nodes))) > MOST_NODES:
            raise too_many(count)
        points = self._points()
        coordinates = points.reshape(-1, len(_DISTANCES))
        values = {node.value: row for node, row in zip(self._x.nodes, coordinates, strict=True)}
        true = [getattr(self._landscape, name)(x).flatten() for x in points.unbind(-1)]
        values |= self._recorder.memory.constants
        if not agree(torch.stack(true, -1), symbols.nodes, values, self._dtype):
            raise NotTraceableError(
                f"its {name} is not the same function of x away from its start (something that "
                "depends on x was taken for a constant, or is rounded)",
                FUNCTION,
            )

    def _points(self) -> Tensor:
        """Points around the start, [*shape, 3]."""
        start = self._landscape.start.detach().to("cpu", self._dtype)
        turns = torch.arange(1, start.numel() + 1, dtype=torch.float64) * _GOLDEN
        direction = (2 * (turns % 1) - 1).reshape(start.shape).to(start)
        steps = direction * start.abs().clamp(min=1)
        return torch.stack([start + distance * steps for distance in _DISTANCES], -1)


def _refusal(landscape: Field, reason: str, advice: str = RUNS) -> NotTraceableError:
    said = f"{landscape!r} cannot be written out for a kernel: {reason}"
    return NotTraceableError(said, advice)
