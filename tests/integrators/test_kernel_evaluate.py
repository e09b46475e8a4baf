"""Recorded expressions evaluated: every operation against Python's own numbers."""

import math

import pytest
import torch

from dashpot.integrators.kernels.recording.evaluate import OPERATIONS, evaluate
from dashpot.integrators.kernels.recording.expression import ARITHMETIC, FUNCTIONS, Graph

ULP = torch.finfo(torch.float64).eps
A, B, C = 0.7, -1.3, 2.5


def _phi1(z: float) -> float:
    return math.expm1(z) / z


# Of A, of (A, B), or of (A, B, C).
TRUE = {
    "add": A + B, "sub": A - B, "mul": A * B, "div": A / B, "neg": -A, "pow": A**B,
    "exp": math.exp(A), "expm1": math.expm1(A), "log": math.log(A), "log1p": math.log1p(A),
    "sqrt": math.sqrt(A), "abs": A, "sin": math.sin(A), "cos": math.cos(A), "tanh": math.tanh(A),
    "sign": 1.0, "phi1": _phi1(A), "tanh_gap": (A - math.tanh(A)) / A**3, "nonzero": A,
    "soft_cap": B / math.sqrt(1 + A * B * B), "maximum": A, "minimum": B, "where": B,
    "less": 0.0, "equal": 0.0,
}  # fmt: skip
TERNARY = {"where"}
BINARY = {"add", "sub", "mul", "div", "pow", "maximum", "minimum", "less", "equal", "soft_cap"}


@pytest.mark.parametrize("op", sorted({*ARITHMETIC, *FUNCTIONS} - {"widen"}))
def test_every_operation(op: str) -> None:
    """To 4 ulp, but (a − tanh a)/a³, which loses ε/(1 − tanh(a)/a), about 7 ε, to cancellation."""
    graph = Graph()
    count = 3 if op in TERNARY else 2 if op in BINARY else 1
    inputs = [graph.input(name, "element") for name in "abc"[:count]]
    node = graph.make(op, *inputs)
    (found,) = evaluate([node], {"a": A, "b": torch.tensor(B, dtype=torch.float64), "c": C})
    assert found.dtype == torch.float64
    assert found.item() == pytest.approx(TRUE[op], rel=(16 if op == "tanh_gap" else 4) * ULP, abs=0)


def test_the_table_is_complete() -> None:
    assert {*OPERATIONS, "widen"} == {*ARITHMETIC, *FUNCTIONS}


def test_truth_values() -> None:
    graph = Graph()
    a, b = graph.input("a", "element"), graph.input("b", "element")
    nodes = [graph.make("less", a, b), graph.make("equal", a, b), graph.make("where", a, a, b)]
    values = {"a": torch.tensor([0.0, 1.0, math.nan]), "b": torch.tensor([2.0, 1.0, math.nan])}
    less, equal, chosen = evaluate(nodes, values)
    assert less.tolist() == [1.0, 0.0, 0.0]
    assert equal.tolist() == [0.0, 1.0, 0.0]
    assert chosen.tolist()[:2] == [2.0, 1.0]


def test_kinds_have_their_types() -> None:
    """Other operands are rounded to an element's type before the operation, never after it."""
    graph = Graph()
    x, c = graph.input("x", "element"), graph.input("c", "uniform")
    value, factor = 3.0, 0.1
    nodes = [x * c, c * c, graph.make("widen", x * c) * c]
    mixed, uniform, wide = evaluate(nodes, {"x": value, "c": factor}, torch.float32)
    product = torch.tensor(value, dtype=torch.float32) * torch.tensor(factor, dtype=torch.float32)
    assert (mixed.dtype, mixed.item()) == (torch.float32, product.item())
    assert (uniform.dtype, uniform.item()) == (torch.float64, factor * factor)
    assert (wide.dtype, wide.item()) == (torch.float64, product.item() * factor)


def test_values_broadcast() -> None:
    graph = Graph()
    node = graph.input("x", "element") + graph.input("y", "element")
    values = {"x": torch.arange(3.0)[:, None], "y": torch.arange(2.0)}
    assert evaluate([node], values)[0].tolist() == [[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]]


def test_a_missing_value_is_named() -> None:
    graph = Graph()
    with pytest.raises(KeyError, match="input 'h' has no value; there are x, y"):
        evaluate([graph.input("h", "uniform")], {"x": 1.0, "y": 2.0})
