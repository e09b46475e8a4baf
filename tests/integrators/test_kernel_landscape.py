"""Landscapes written out as expressions: the numbers of torch, or a refusal that says why."""

import random
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from minibatch_line import line
from problems import CoupledMatrix, CoupledQuartic, Flat
from torch import Tensor, nn
from torch.nn import functional

from dashpot.integrators.kernels.recording.evaluate import evaluate
from dashpot.integrators.kernels.recording.expression import Graph, in_order
from dashpot.integrators.kernels.recording.landscape import (
    MOST_NODES,
    UNROLLED,
    NotTraceableError,
    TracedLandscape,
    trace_landscape,
)
from dashpot.integrators.kernels.recording.symbols import Symbols
from dashpot.landscapes import (
    DoubleWell,
    Funnel,
    GradientPenalty,
    Himmelblau,
    Landscape,
    LennardJones,
    LogisticRegression,
    MatrixQuadratic,
    Minibatch,
    Morse,
    MuellerBrown,
    Network,
    Phi4Chain,
    Quadratic,
    Rosenbrock,
    StyblinskiTang,
)

MATRIX = torch.tensor([[1.0, 2.0, 0.0], [3.0, 4.0, 1.0], [0.0, 1.0, 1.0]], dtype=torch.float64)
OFTEN = settings(max_examples=15, deadline=None)


def logistic(seed: int) -> LogisticRegression:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(8, 3, dtype=torch.float64, generator=generator)
    return LogisticRegression(features, [1, -1, 1, 1, -1, 1, -1, -1], 0.1)


def network() -> Network:
    torch.manual_seed(1)
    module = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)).double()
    inputs = torch.linspace(-1, 1, 8, dtype=torch.float64).reshape(4, 2)
    return Network(module, functional.mse_loss, (inputs, inputs.sum(1, keepdim=True)))


BUILT_IN = [
    Rosenbrock(2), Rosenbrock(3), Rosenbrock(10), Himmelblau(), DoubleWell(1), DoubleWell(3),
    Quadratic(2.0), Quadratic([0.0, 1.0, 5.0]), Quadratic([0.5, 1.0, 4.0], centre=[1.0, -2.0, 0.5]),
    Quadratic([0.0, 3.0, 4.0], rotation=7, centre=-1.5), MatrixQuadratic([1.0, 2.0], 3),
    MatrixQuadratic([1.0, 2.0, 5.0], 2, rotation=3), StyblinskiTang(3), MuellerBrown(), Funnel(4),
    Phi4Chain(1), Phi4Chain(2), Phi4Chain(5, coupling=0.7), LennardJones(2), LennardJones(4),
    Morse(4), Morse(3, rho=3.0), logistic(0), GradientPenalty(Rosenbrock(3), 0.1),
    GradientPenalty(MuellerBrown(), 0.01), network(), CoupledQuartic(), CoupledMatrix(),
    Flat([1.0, -2.0]),
]  # fmt: skip


def filled(x: Tensor) -> Tensor:
    out = torch.zeros(4, dtype=x.dtype)
    out[0] = x[0]
    out[1:3] = 2 * x[1:]
    out[3] = 1.5
    out *= x[0]
    out.add_(MATRIX[0, 1])
    return (out * out).sum()


def changed(x: Tensor) -> Tensor:
    y = x.clone()
    y[1:] -= x[:-1]
    y[0].mul_(3)
    y.clamp_(max=0.9)
    y.masked_fill_(torch.tensor([False, True, False]), 0.25)
    return (y.unsqueeze_(1) ** 3).sum()


def placed(x: Tensor) -> Tensor:
    y = torch.zeros(3, dtype=x.dtype).index_add(0, torch.tensor([2, 0, 2]), x)
    z = torch.ones(2, 3, dtype=x.dtype).scatter_add(
        1, torch.tensor([[0, 2], [1, 1]]), y.outer(x)[:2, :2]
    )
    return (z**2).sum() + x[[0, 2, 0]].prod() + x[torch.tensor([True, False, True])].sum()


def masked(x: Tensor) -> Tensor:
    wanted = ((x > 0) & (x < 1)) | ~(x >= -1) | (x == 2)
    return (wanted * x**2).sum() + torch.where(torch.isnan(x) ^ (x <= 0.5), x, x**2).sum()


USERS: list[Callable[[Tensor], Tensor]] = [
    filled,
    changed,
    placed,
    masked,
    lambda x: (x**4).sum() + torch.sin(x[0]) * torch.where(x[1] > 0, x[1], 0.0),
    lambda x: x.norm() + torch.linalg.norm(x, 1) + torch.linalg.vector_norm(x - 4, 3),
    lambda x: x.prod() + x.cumsum(0).prod() + x.abs().amax() + x.min() + x.mean(),
    lambda x: (x.clamp(-0.5, 0.3) * x).sum() + x.clamp_min(0.1).prod() + x.var() + (x - 9).std(),
    lambda x: functional.softplus(x).sum() + functional.silu(x).sum() + x.sigmoid().prod(),
    lambda x: functional.elu(x).sum() + functional.logsigmoid(x).sum() + functional.relu(x).sum(),
    lambda x: functional.gelu(x, approximate="tanh").sum() + functional.leaky_relu(x).sum(),
    lambda x: x @ MATRIX @ x + torch.einsum("i,j,ij->", x, x, MATRIX) + MATRIX.inverse()[0] @ x,
    lambda x: torch.outer(x, x).logsumexp((0, 1)) + torch.logaddexp(x[0], x[1]),
    lambda x: torch.softmax(x, 0)[0] + torch.log_softmax(x, 0)[1] + functional.huber_loss(x, x * 2),
    lambda x: (x.unfold(0, 2, 1) ** 2).sum() + x.repeat(2).view(2, 3).prod(0).sum(),
    lambda x: functional.pad(x, (1, 1), value=2.0).prod() + torch.roll(x, 1).flip(0) @ x,
    lambda x: (
        (x**2 + 1).rsqrt().sum() + (x**2 + 1).pow(-1.5).sum() + x.pow(5).sum() + x.square()[0]
    ),
    lambda x: (
        x.sinh().sum() + x.cosh().sum() + x.tanh().sum() + torch.exp2(x).sum() + 1 / (x[0] + 9)
    ),
    lambda x: (x**2 + 0.1).log2().sum() + (x**2 + 0.1).log10().sum() + x.expm1().sum(),
    lambda x: (x**2).log1p().sum() + (x**2 + 1).pow(x).sum() + (x / 9).tan().sum() + 2 ** x[0],
    lambda x: torch.linalg.cross(x, MATRIX[0]).square().sum() + torch.lerp(x, x * x, 0.3).sum(),
    lambda x: torch.addcmul(x, x, x, value=0.5).sum() + x.sign().sum() + x[x.shape[0] - 1].sqrt(),
    lambda x: torch.from_numpy(MATRIX.numpy() * 2)[0] @ x + MATRIX.tolist()[1][0] * x.sum(),
]


@cache
def traced(landscape: Any, dtype: torch.dtype = torch.float64) -> tuple[TracedLandscape, Symbols]:
    graph = Graph()
    return trace_landscape(landscape, graph, dtype), Symbols.inputs(
        graph, "x", landscape.shape, "element"
    )


def values_of(x: Symbols, points: Tensor) -> dict[str, Tensor]:
    """Points [*shape, *batch] by the names of their coordinates."""
    axes = len(x.shape)
    rows = points.reshape(len(x.nodes), *points.shape[axes:])
    return {node.value: row for node, row in zip(x.nodes, rows, strict=True)}


def agree(landscape: Any, points: Tensor) -> None:
    """f and ∇f of the record are torch's at points [*shape, batch].

    The operations are the same but for the order in which sums of at most 64 terms are taken, and
    powers, which are products: 64 ε and 4 ε of the largest number so far, which these landscapes
    multiply by at most 8 afterwards.
    """
    trace, x = traced(landscape, points.dtype)
    for name in ("f", "df"):
        symbols = getattr(trace, name)(x)
        nodes = in_order(symbols.nodes)
        values = values_of(x, points) | trace.constants
        found = [row.expand(points.shape[-1]) for row in evaluate(nodes, values, points.dtype)]
        size = torch.stack([row.double() for row in found]).abs().nan_to_num(0, 0, 0).amax(0)
        row_of = dict(zip(nodes, found, strict=True))
        made = torch.stack([row_of[node].double() for node in symbols.nodes])
        each = [getattr(landscape, name)(point) for point in points.unbind(-1)]
        true = torch.stack(each, -1).detach().reshape(made.shape).double()
        assert symbols.shape == (() if name == "f" else tuple(landscape.shape))
        bound = 512 * torch.finfo(points.dtype).eps * size
        same = ((made - true).abs() <= bound) | (made.isnan() & true.isnan()) | (made == true)
        assert same.all(), f"{name}: {made} is not {true}"


def points_around(landscape: Any, data: st.DataObject) -> Tensor:
    """Four points about the start, up to 3 away in each coordinate."""
    count = 4 * landscape.start.numel()
    moves = data.draw(st.lists(st.floats(-3, 3, width=32), min_size=count, max_size=count))
    start = landscape.start.to(torch.float64)
    return start[..., None] + torch.tensor(moves, dtype=torch.float64).reshape(*start.shape, 4)


@pytest.mark.parametrize("landscape", BUILT_IN, ids=repr)
@OFTEN
@given(data=st.data())
def test_built_in_landscapes(landscape: Landscape, data: st.DataObject) -> None:
    agree(landscape, points_around(landscape, data))


@cache
def users(number: int) -> Landscape:
    return Landscape(USERS[number], 3, name=f"user {number}", start=[0.3, -0.7, 0.5])


@pytest.mark.parametrize("number", range(len(USERS)))
@OFTEN
@given(data=st.data())
def test_landscapes_of_users(number: int, data: st.DataObject) -> None:
    agree(users(number), points_around(users(number), data))


@pytest.mark.parametrize(
    "landscape", [Rosenbrock(3), MuellerBrown(), Morse(3), logistic(1)], ids=repr
)
def test_single_precision(landscape: Landscape) -> None:
    moves = torch.linspace(-0.3, 0.3, 4 * landscape.dimension).reshape(*landscape.shape, 4)
    agree(landscape, landscape.start.float()[..., None] + moves)


def test_the_type_is_known_to_the_landscape() -> None:
    """Atoms nearer than r² = max^{−1/8} count as so far apart: 48 r⁻¹⁴ = 48 max^{7/8}, finite."""
    for dtype in (torch.float32, torch.float64):
        landscape = LennardJones(2)
        trace, x = traced(landscape, dtype)
        points = torch.tensor([[0.0, 0.0, 0.0], [1e-25, 0.0, 0.0]], dtype=dtype)
        found = evaluate(trace.df(x).nodes, values_of(x, points), dtype)
        expected = 1e-25 * 48 * torch.finfo(dtype).max ** (7 / 8)
        assert found[0].item() == pytest.approx(expected, rel=1e-4)


SAME_STRUCTURE = [
    (Quadratic([1.0, 2.0, 3.0]), Quadratic([0.0, 1.0, 7.0], centre=[0.0, 1.0, -2.0])),
    (Quadratic([1.0, 2.0], rotation=1), Quadratic([0.0, 9.0], rotation=torch.eye(2))),
    (MatrixQuadratic([1.0, 2.0], 2, rotation=1), MatrixQuadratic([3.0, 0.0], 2, rotation=2)),
    (logistic(2), logistic(3)),
    (Flat([1.0, 2.0]), Flat([0.0, 1.0])),
]


@pytest.mark.parametrize(("one", "other"), SAME_STRUCTURE, ids=lambda pair: repr(pair))
def test_one_expression_serves_other_numbers(one: Landscape, other: Landscape) -> None:
    """The gradient of one, given the constants of the other, is the gradient of the other."""
    (trace, x), (trace_of_other, y) = traced(one), traced(other)
    assert repr(trace.df(x).nodes) == repr(trace_of_other.df(y).nodes)
    assert trace.constants.keys() == trace_of_other.constants.keys()
    assert trace.constants != trace_of_other.constants
    point = one.start + 0.5
    made = evaluate(trace.df(x).nodes, values_of(x, point) | trace_of_other.constants)
    true = other.df(point).flatten()
    torch.testing.assert_close(torch.stack(made), true, rtol=1e-14, atol=1e-14)


def test_numbers_of_the_code_are_constants() -> None:
    """Not run-time numbers: multiplications by 1 and additions of 0 vanish."""
    trace, x = traced(Landscape(lambda y: (y * torch.ones(2) + torch.zeros(2)).sum() ** 2, 2))
    a, b = x.nodes
    assert trace.constants == {}
    assert set(trace.df(x).nodes) == {(a + b) * 2.0}


def test_a_record_runs_on_any_symbols() -> None:
    trace, x = traced(Himmelblau())
    assert trace.df(x).nodes == trace.df(x).nodes  # the same nodes: nothing is computed twice
    point = torch.tensor([0.3, -1.2], dtype=torch.float64)
    made = evaluate(trace.df(x * x + 1.0).nodes, values_of(x, point))
    true = Himmelblau().df(point * point + 1)
    torch.testing.assert_close(torch.stack(made), true, rtol=1e-14, atol=0)


def test_what_is_read_at_the_time_of_the_record() -> None:
    """Tensors that changed since are read anew by the next record."""
    weights = torch.tensor([1.0, 2.0], dtype=torch.float64)
    landscape = Landscape(lambda x: weights @ (x * x), 2)
    before = trace_landscape(landscape, Graph()).constants
    weights *= 10
    after = trace_landscape(landscape, Graph()).constants
    assert set(before.values()) == {1.0, 2.0}
    assert set(after.values()) == {10.0, 20.0}


def test_other_modes_do_not_matter() -> None:
    landscape = MuellerBrown()
    trace, x = traced(landscape)
    expected = repr(trace.df(x).nodes)
    for mode in (torch.no_grad(), torch.inference_mode(), torch.device("meta")):
        with mode:
            graph = Graph()
            trace = trace_landscape(landscape, graph)
            x = Symbols.inputs(graph, "x", (2,), "element")
            assert repr(trace.df(x).nodes) == expected


def by_numpy(x: Tensor) -> Tensor:
    return x.sum() * float(np.asarray(x.detach())[0])


REFUSED: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "branch": (lambda x: x.sum() if x[0] > 0 else -x.sum(), "branches on a value of x"),
    "item": (lambda x: x.sum() * x[0].item(), "branches on a value of x, or takes one out"),
    "tolist": (lambda x: x.sum() * x.tolist()[0], "takes values of x out of torch .tolist"),
    "numpy": (lambda x: x.sum() * x.detach().numpy()[0], "takes values of x out of torch .numpy"),
    "array": (by_numpy, "takes values of x out of torch"),
    "torch's random": (lambda x: (x * torch.rand(3)).sum(), "draws random numbers"),
    "Python's random": (lambda x: x.sum() * random.random(), "not the same function of x"),
    "mask": (lambda x: x[x > 0].sum(), "depends on x says where"),
    "no symbol": (lambda x: torch.erf(x).sum(), "erf.default has no symbol"),
    "sorted": (lambda x: x.sort().values[0], "aten.sort.default has no symbol"),
    "where": (lambda x: x.max(0).values, "aten.max.dim, used so, has no symbol"),
    "rounded": (lambda x: x.float().sum(), "rounds numbers to torch.float32"),
    "whole numbers": (lambda x: x.long().sum() * x.sum(), "a conversion to torch.int64"),
    "raises": (lambda x: 1 / 0, "its df raised ZeroDivisionError"),
    "shape": (lambda x: x, "raised ValueError: f of .* must map one point"),
    "wide": (lambda x: (x[:, None] * torch.ones(9000, dtype=x.dtype)).sin().sum(), "operations"),
    "product": (lambda x: (x.outer(x) @ torch.ones(3, 3000).to(x)).sum(), "operations"),
}


@pytest.mark.parametrize(("f", "reason"), REFUSED.values(), ids=REFUSED)
def test_refusals(f: Callable[[Tensor], Any], reason: str) -> None:
    landscape = Landscape(f, 3, name="mine", start=[0.3, -0.7, 0.5])
    with pytest.raises(NotTraceableError, match=reason) as refusal:
        trace_landscape(landscape, Graph())
    assert str(refusal.value).startswith("Landscape('mine', shape=(3,)) cannot be written out")
    if str(refusal.value).endswith("; backend='torch' runs it"):
        assert landscape.df(torch.ones(3, 2, dtype=torch.float64)).isfinite().all()
    assert torch.ones(2).numpy().tolist() == [1.0, 1.0]  # nothing is left switched on


def test_advice() -> None:
    """torch is promised only where it runs the landscape."""
    for name, advice in [
        ("branch", "choose with torch.where instead, which needs no value of x"),
        ("numpy", "make f a function of x alone, written with torch's operations"),
        ("torch's random", "make f a function of x alone, written with torch's operations"),
        ("shape", r"\(did you forget .sum\(\)\?\)"),
        ("no symbol", "backend='torch' runs it"),
    ]:
        f, _ = REFUSED[name]
        with pytest.raises(NotTraceableError, match=f"{advice}$"):
            trace_landscape(Landscape(f, 3, start=[0.3, -0.7, 0.5]), Graph())


def test_limits() -> None:
    with pytest.raises(NotTraceableError, match="it has 114 coordinates, and at most 64 fit"):
        trace_landscape(LennardJones(38), Graph())
    with pytest.raises(NotTraceableError, match="operations or more, and at most 5000 fit"):
        trace_landscape(LogisticRegression.breast_cancer(), Graph())  # 569 × 30 numbers
    trace, x = traced(Rosenbrock(UNROLLED))
    assert len(trace.df(x).nodes) == UNROLLED


def test_too_many_operations() -> None:
    """Each turn adds 64 sines at least: 5000 are passed after 79 turns."""

    def turned(x: Tensor) -> Tensor:
        for _ in range(100):
            x = x.sin()
        return x.sum()

    with pytest.raises(NotTraceableError, match=f"at most {MOST_NODES} fit"):
        trace_landscape(Landscape(turned, UNROLLED), Graph())


def test_sampled_gradients_are_refused() -> None:
    with pytest.raises(NotTraceableError, match="its gradients are sampled"):
        trace_landscape(Minibatch(line(), 2), Graph())


class Plain:
    """The least that is a field. Its f has no symbol, its gradient has."""

    shape, name, minimum = (2,), "plain", None
    start = torch.tensor([0.5, -0.5])

    def f(self, x: Tensor) -> Tensor:
        return torch.erf(x).sum(0)

    def df(self, x: Tensor) -> Tensor:
        return x * torch.tensor([2.0, 3.0])


def test_any_field_will_do() -> None:
    """And f is recorded only when it is asked for: it does not stand in the way of df."""
    graph = Graph()
    trace, x = trace_landscape(Plain(), graph), Symbols.inputs(graph, "x", (2,), "element")
    made = evaluate(trace.df(x).nodes, {"x 0": 5.0, "x 1": 7.0} | trace.constants)
    assert [value.item() for value in made] == [10.0, 21.0]
    with pytest.raises(NotTraceableError, match="erf"):
        trace.f(x)
