"""Schemes for a whole vector field where there is no word; and what is asked of words."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch

from dashpot.analysis import (
    local_weak_order,
    moment_map,
    stationary_exact,
    strong_order,
    weak_order_linear,
)
from dashpot.analysis.sampling.averages import rounded
from dashpot.dynamics import Dynamics, Langevin, NoisyPart, State
from dashpot.integrators import Word
from dashpot.landscapes import DoubleWell


@dataclass(frozen=True)
class SquareRoot(NoisyPart):
    """Cox, Ingersoll and Ross: dx = (b − x) dt + s √x dW, without a flow."""

    letter, reads, writes, noisy = "X", ("x",), ("x",), "x"
    b: float = 1.5
    s: float = 0.4

    def rate(self, s: State) -> dict[str, Any]:
        return {"x": self.b - s.x}

    def amplitude(self, s: State) -> Any:
        return self.s * s.x**0.5


@dataclass(frozen=True)
class Relaxing(SquareRoot):
    """dx = −2x dt + s dW, without a flow: its moments close."""

    def rate(self, s: State) -> dict[str, Any]:
        return {"x": -2 * s.x}

    def amplitude(self, s: State) -> Any:
        return self.s


@pytest.mark.parametrize(("method", "order"), [("euler-maruyama", 1), ("heun", 2)])
def test_weak_orders_without_a_flow(method: Any, order: int) -> None:
    functions = ("x", "x**2", "x**3")
    flat = Dynamics(SquareRoot())
    found = local_weak_order(flat, "0*x", functions, at={"x": 1.2}, method=method)
    assert min(one.order for one in found) == pytest.approx(order, abs=0.1)
    linear = weak_order_linear(Dynamics(Relaxing()), method=method)
    assert linear.order == pytest.approx(order, abs=0.1)
    assert linear.word == method


def test_the_moments_of_one_euler_step() -> None:
    found = moment_map(Dynamics(Relaxing()), 0.1, method="euler-maruyama")
    assert found.matrix.item() == pytest.approx(1 - 2 * 0.1)
    assert found.covariance.item() == pytest.approx(0.4**2 * 0.1)


def test_texts_are_no_schemes() -> None:
    text: Any = "BAOAB"
    message = r"expected a Word with its dynamics: Word\('BAOAB', dynamics\), or a dynamics"
    for measure in (moment_map, weak_order_linear):
        with pytest.raises(TypeError, match=message):
            measure(text, 0.5)


@pytest.mark.parametrize("x0", [torch.ones(5, 1), {"x": torch.ones(5, 1)}, torch.ones(2), 1.0])
def test_a_strong_order_has_one_start(x0: Any) -> None:
    with pytest.raises(ValueError, match=r"x0 must be one start of shape \(1,\), the same for all"):
        strong_order(Langevin(1.0, 0.5), DoubleWell(1), x0)


@pytest.mark.parametrize("reference", ["best", "BAB", "euler-maruyama"])
def test_a_reference_is_a_word(reference: str) -> None:
    message = f"reference='{reference}' must be a word of Langevin, a run, or None"
    with pytest.raises(ValueError, match=message):
        strong_order(Langevin(1.0, 0.5), DoubleWell(1), [1.0], reference=reference)


def test_stationary_covariances_are_symmetric() -> None:
    h = torch.linspace(0.05, 1.5, 60, dtype=torch.float64)
    for word in ("BAOAB", "BAO", "UBU"):
        law = moment_map(Word(word, Langevin(1.0, 1.0)), h).stationary
        assert torch.equal(law, law.mT)
    law = stationary_exact(Langevin(0.3, 1.0), h)
    assert torch.equal(law, law.mT)


@pytest.mark.parametrize(
    ("mean", "error", "text"),
    [
        (1.23456e150, 3.2e148, "1.235e+150 ± 3.2e+148"),
        (3.2e7, 1.1e153, "3.2e+07 ± 1.1e+153"),
        (-12345678.9, 123.4, "-1.234568e+07 ± 1.2e+02"),
        (999999.0, 10.0, "999999 ± 10"),
        (0.123456, 0.0123, "0.123 ± 0.012"),
    ],
)
def test_large_numbers_have_an_exponent(mean: float, error: float, text: str) -> None:
    assert rounded(mean, error) == text
