"""Steps of users' parts recorded: the numbers of torch, or a refusal that says why."""

import dataclasses
import functools
import operator
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fused_group import needs_compiler
from kernel_runs import both, some_starts, ulps
from problems import CATALOGUE, NOISY_DYNAMICS, CoupledQuartic
from torch import Tensor

from dashpot.dynamics import (
    CD,
    IKFAD,
    LDHD,
    Drift,
    Dynamics,
    Kick,
    Langevin,
    NonNegative,
    OrnsteinUhlenbeck,
    Part,
    Scalar,
    State,
)
from dashpot.dynamics.elements import exp, sqrt
from dashpot.integrators import Noise, simulate
from dashpot.integrators.kernels.compiled import load
from dashpot.integrators.kernels.recording.expression import Graph
from dashpot.integrators.kernels.recording.symbols import Symbols
from dashpot.integrators.kernels.recording.trace import StepTrace, trace_step
from dashpot.integrators.kernels.recording.untraceable import NotTraceableError
from dashpot.integrators.kernels.runs.source import EnsembleText
from dashpot.integrators.noise.draws import Source
from dashpot.integrators.words.word import Word
from dashpot.landscapes import Landscape, LennardJones, Quadratic, Rosenbrock

Flow = Callable[[Any, State, Any], None]


def part(flow: Flow, letter: str = "Q", variable: str = "p", **numbers: Any) -> Part:
    """A part that moves one variable, with hyperparameters of any names."""
    facts = {"letter": letter, "reads": (variable,), "writes": (variable,), "flow": flow}
    fields = [(name, Scalar) for name in numbers]
    made = dataclasses.make_dataclass("Mine", fields, bases=(Part,), frozen=True, namespace=facts)
    return made(**numbers)


def recorded(
    dynamics: Dynamics, landscape: Landscape, word: str = "", noise: Noise | None = None
) -> StepTrace:
    """A step of 0.05 from the start of the landscape, at rest."""
    shape = landscape.shape
    names = {n: torch.zeros(*dynamics.shape_of(n, shape), 3).double() for n in dynamics.variables}
    s = State({**names, "x": landscape.start[..., None].expand(*shape, 3)}, len(shape))
    source = None if noise is None else Source(noise, dynamics, s, 0.05)
    plan = Word(word or dynamics.word, dynamics)
    return trace_step(dynamics, landscape, s, 0.05, plan, "word", source)


# --- names


NAMES = ("h", "t", "step", "landscape_0", "landscape_x_0", "carried_0", "z0_0", "z0_0_0", "g_1",
         "p_0", "gamma_0", "uniform", "E")  # fmt: skip


@needs_compiler
def test_names_of_ones_own_collide_with_nothing() -> None:
    """Names that a kernel could be tempted to give itself: each number is another one."""

    def damp(self: Any, s: State, time: Any) -> None:
        rates = [getattr(self, name) for name in NAMES]
        s.p = s.p * exp(-(sum(k * rate for k, rate in enumerate(rates, 1)) + self.g) * time)

    def turn(variable: str) -> Flow:
        def flow(self: Any, s: State, time: Any) -> None:
            setattr(s, variable, getattr(s, variable) * exp(-time) + s.p * time)

        return flow

    numbers: dict[str, Any] = {name: 0.01 * k for k, name in enumerate(NAMES, 1)}
    numbers["g"] = torch.tensor([[0.5], [1.0]], dtype=torch.float64)  # g 0 and g 1, beside g_1
    variables = ("carried", "z0_0", "h")
    own = [part(turn(v), letter, v) for letter, v in zip("RST", variables, strict=True)]
    mine = Dynamics(Drift(), Kick(), OrnsteinUhlenbeck(0.3, 0.7), part(damp, **numbers), *own)
    start = some_starts(Langevin(0.3, 0.7)) | {v: [0.3 * k, 1.0] for k, v in enumerate(variables)}
    a, b = both(mine, Quadratic([1.0, 3.0]), start, steps=5, word="BRSTQAOAQTSRB")
    assert b.settings["backend"] == "c"
    assert ulps(a, b) < 5 * 16


def test_a_name_is_handed_out_once() -> None:
    graph = Graph()
    graph.input("state x 0", "element")
    with pytest.raises(ValueError, match="two values are called 'state x 0'"):
        graph.input("state x 0", "uniform")


def test_inputs_have_names_that_no_user_can_write() -> None:
    trace = recorded(Langevin(0.3, 0.7), Quadratic([1.0, 3.0]), "BAOAB", Noise(1))
    drawn = [node for draw in trace.draws for node in draw.nodes]
    nodes = [*drawn, *(old for old, _ in trace.state), *(one.place for one in trace.carried)]
    names = [*(node.value for node in nodes), *trace.uniform, *trace.columns]
    assert len(set(names)) == len(names) > 8
    assert not [name for name in names if name.isidentifier() and name != "step"]


# --- what cannot be recorded


@pytest.mark.parametrize("compare", ["eq", "ne", "lt", "le", "gt", "ge"])
def test_symbols_are_not_compared(compare: str) -> None:
    x = Symbols.inputs(Graph(), "x", (2,), "element")
    for a, b in ((x, 0.0), (x, x), (0.0, x), (x, None)):
        with pytest.raises(TypeError, match="symbols are neither true nor false"):
            getattr(operator, compare)(a, b)
    with pytest.raises(TypeError, match="unhashable"):
        hash(x)


def branch(self: Any, s: State, time: Any) -> None:
    if self.k == 0:
        s.p = s.p + time
    else:
        s.p = s.p * exp(-self.k * time)


def equal_to_a_tensor(self: Any, s: State, time: Any) -> None:
    s.p = s.p * (0.5 if self.k in (0.7, 0.8) else 0.25)


def random_numbers(self: Any, s: State, time: Any) -> None:
    s.p = s.p * (1 + self.k * random.random() * time)


def tensors_only(self: Any, s: State, time: Any) -> None:
    s.p = s.p * (0.5 if isinstance(s.p, Tensor) else 0.25)


def numbers_only(self: Any, s: State, time: Any) -> None:
    s.p = s.p * (0.5 if isinstance(self.k, float) else 0.25)


def last_axis(self: Any, s: State, time: Any) -> None:
    s.p = s.p * s.p.shape[-1]


def counting() -> Flow:
    calls: list[int] = []

    def flow(self: Any, s: State, time: Any) -> None:
        calls.append(1)
        s.p = s.p * (1 + self.k * len(calls) * time)

    return flow


REFUSED = {
    "branch": (branch, "neither true nor false"),
    "in": (equal_to_a_tensor, "neither true nor false"),
    "random": (random_numbers, "something else on symbols than on tensors"),
    "counter": (counting(), "something else on symbols than on tensors"),
    "type of a variable": (tensors_only, "something else on symbols than on tensors"),
    "type of a number": (numbers_only, "something else on symbols than on tensors"),
    "shape": (last_axis, "something else on symbols than on tensors"),
}


@pytest.mark.parametrize(("flow", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_flow_that_is_no_formula_is_run_by_torch(flow: Flow, reason: str) -> None:
    mine = Dynamics(Drift(), Kick(), part(flow, k=0.7), word="BQA")
    with pytest.raises(ValueError, match=f"backend='c' cannot run this: .*{reason}"):
        simulate(mine, CoupledQuartic(), step=0.05, steps=1, backend="c")
    long = simulate(mine, CoupledQuartic(), step=1e-3, steps=20_000, save_every=20_000)
    assert long.settings["backend"] == "torch"


def undeclared(self: Any, s: State, time: Any) -> None:
    s.p = s.p * exp(-self.k * time)
    s.x = s.x + time


def method_of_tensors(self: Any, s: State, time: Any) -> None:
    s.p = s.p.clamp(max=self.k)


@pytest.mark.parametrize(
    ("flow", "reason"),
    [
        (undeclared, r"letter Q \(Mine\) writes x, which is not in its writes"),
        (method_of_tensors, r"letter Q \(Mine\) does not run: .* no attribute 'clamp'"),
    ],
)
def test_the_part_is_named(flow: Flow, reason: str) -> None:
    mine = Dynamics(Drift(), Kick(), part(flow, k=0.7), word="BQA")
    with pytest.raises(NotTraceableError, match=f"{reason}.*; write parts with .*check"):
        recorded(mine, CoupledQuartic())


def strange(self: Any, s: State, time: Any) -> None:
    """Σ over a generator, a fold, slices, attributes by name: a formula all the same."""
    factors = (exp(-rate * time) for rate in (self.k, np.float64(0.3), self.k / 2))
    p = functools.reduce(operator.mul, factors, getattr(s, "p"))  # noqa: B009
    p, *_ = p / sqrt(1 + sum(k * p * p for k in range(1, 4)) * time), None
    s.__dict__["p"] = (lambda q: 2 * q - q**1.0)(p) + 0 * s.p[0] + 2**-3 * time * (-p) ** 2


@needs_compiler
def test_strange_code_is_fine() -> None:
    mine = Dynamics(Drift(), Kick(), part(strange, k=0.7), word="BQAQB")
    a, b = both(mine, CoupledQuartic(), some_starts(LDHD(0.1)), steps=20)
    assert b.settings["backend"] == "c"
    assert ulps(a, b) < 20 * 16


@dataclasses.dataclass(frozen=True)
class Exploding(Part):
    """p' = k p: e^{kh} overflows."""

    letter, reads, writes = "Q", ("p",), ("p",)
    k: NonNegative

    def flow(self, s: State, h: Any) -> None:
        s.p = s.p * exp(self.k * h) - s.p * exp(self.k * h)


@pytest.mark.parametrize("k", [1.0, 1e3, 1e6])
def test_numbers_that_are_none_agree(k: float) -> None:
    """e^{50 000} − e^{50 000} is no number on both sides: nothing to be refused."""
    recorded(Dynamics(Drift(), Kick(), Exploding(k), word="BQA"), CoupledQuartic())


@pytest.mark.parametrize("size", [1e-300, 1e8, 1e150, 1e300, float("inf")])
@pytest.mark.parametrize("dynamics", [*CATALOGUE, *NOISY_DYNAMICS], ids=lambda d: d.name)
def test_large_numbers_are_not_refused(dynamics: Dynamics, size: float) -> None:
    """States far from everything, where steps overflow, are recorded like others."""
    full = {n: (*dynamics.shape_of(n, (2,)), 3) for n in dynamics.variables}
    s = State({n: torch.full(shape, size, dtype=torch.float64) for n, shape in full.items()}, 1)
    source = Source(Noise(1), dynamics, s, 0.05) if dynamics.is_noisy else None
    plan = Word(dynamics.word, dynamics)
    trace = trace_step(dynamics, CoupledQuartic(), s, 0.05, plan, "word", source)
    assert len(trace.state) >= 2


def test_a_tick_is_a_fraction_of_the_step_to_the_last_bit() -> None:
    """As kernels have it, which know the step only: 0.3/3 is not 0.1."""
    s = State({"x": torch.zeros(1, 1).double(), "p": torch.zeros(1, 1).double()})
    source = Source(Noise(1, finest=0.1), Langevin(1.0, 0.5), s, 0.3)
    assert source.per_step == 3
    assert source.tick == 0.3 / 3 != 0.1


# --- how large a kernel may be


def test_too_many_operations_are_refused() -> None:
    """Each gradient of 13 atoms is at least 78 pairs × 20 operations: six of them are too many."""
    with pytest.raises(NotTraceableError, match=r"a step takes .* operations .* at most 5000 fit"):
        recorded(LDHD(0.1), LennardJones(13), "BADABADABADAB")
    finest = Noise(1, finest=0.05 / 64)
    with pytest.raises(NotTraceableError, match=r"a step takes .* operations .* at most 5000 fit"):
        recorded(Langevin(1.0, 0.5), Quadratic([1.0] * 64), "BAOAB", finest)


@pytest.mark.parametrize(("dimension", "ticks"), [(1, 1), (2, 8), (4, 64), (16, 16), (64, 8)])
def test_noise_made_ahead_fits_the_stack(dimension: int, ticks: int) -> None:
    """256 kB of it at most, whatever the dimension and the ticks of a step."""
    noise = Noise(1, finest=0.05 / ticks)
    trace = recorded(Langevin(1.0, 0.5), Quadratic([1.0] * dimension), "BAOAB", noise)
    text = EnsembleText(trace)
    drawn = sum(len(draw.nodes) for draw in trace.draws)
    assert drawn == dimension * ticks
    for lanes in text.lanes:
        assert text.turns(lanes) >= 1
        assert 8 * drawn * lanes * text.turns(lanes) <= 256 * 1024


def test_large_steps_are_compiled_once() -> None:
    small, large = recorded(CD(0.3, 0.8), CoupledQuartic()), recorded(LDHD(0.1), Rosenbrock(60))
    assert len(EnsembleText(small).lanes) > len(EnsembleText(large).lanes) == 1


def many_functions(count: int) -> Landscape:
    return Landscape(lambda x: (x[:, None] * torch.arange(1, count + 1)).exp().sum(), 16)


@needs_compiler
@pytest.mark.parametrize(("each", "is_called"), [(1, False), (30, True)])
def test_functions_are_inlined_but_for_too_many(each: int, is_called: bool) -> None:
    """A call in a loop costs its vectors, a factor 4 to 8; 480 exponentials cost a minute."""
    library = load(
        EnsembleText(recorded(IKFAD(1.0, 1.0, 1.0), many_functions(each))).text("double")
    )
    assert library is not None
    assert (b"d_exp" in Path(library._name).read_bytes()) == is_called
