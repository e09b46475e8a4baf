"""Φ + ½ w |∇Φ|²: values, gradients through the Hessian, what stays known, refusals."""

import math
from typing import Any

import pytest
import torch
from problems import CoupledQuartic

from dashpot.landscapes import GradientPenalty, Landscape, Quadratic


def test_on_a_quadratic_every_curvature_gains_its_square() -> None:
    k = torch.tensor([0.5, 1.0, 40.0], dtype=torch.float64)
    plain = Quadratic(k, rotation=3, centre=[1.0, -2.0, 0.5])
    stiffer = Quadratic(k + 0.1 * k * k, rotation=3, centre=[1.0, -2.0, 0.5])
    penalised = GradientPenalty(plain, 0.1)
    x = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(penalised(x), stiffer(x), rtol=1e-13, atol=0)
    torch.testing.assert_close(penalised.gradient(x), stiffer.gradient(x), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(penalised.hvp(x, x), stiffer.hvp(x, x), rtol=1e-12, atol=1e-12)
    assert torch.equal(penalised.start, plain.start)


class Shaped(Landscape):
    """A landscape on matrices whose gradient is left to automatic differentiation."""

    def __init__(self) -> None:
        super().__init__(lambda x: (x**4).sum() / 4 + torch.sin(x[0, 0] * x[1, 2]), (2, 3))


@pytest.mark.parametrize("inner", [CoupledQuartic(), Shaped()], ids=lambda one: one.name)
@pytest.mark.parametrize("weight", [0.3, -0.2, 0.0])
def test_gradient_is_that_of_the_value(inner: Landscape, weight: float) -> None:
    """Written-out and automatic gradients of Φ, batches, with gradients on and off."""
    penalised = GradientPenalty(inner, weight)
    x = torch.randn(2, 5, *inner.shape, dtype=torch.float64)
    leaf = x.clone().requires_grad_()
    expected = torch.autograd.grad(penalised(leaf).sum(), leaf)[0]
    torch.testing.assert_close(penalised.gradient(x), expected, rtol=1e-12, atol=1e-12)
    with torch.no_grad():
        torch.testing.assert_close(penalised.gradient(x), expected, rtol=1e-12, atol=1e-12)
    one = penalised.gradient(x[1, 2])
    torch.testing.assert_close(one, expected[1, 2], rtol=1e-12, atol=1e-12)
    slope = inner.gradient(x)
    squares = (slope * slope).flatten(2).sum(-1)
    torch.testing.assert_close(penalised(x), inner(x) + 0.5 * weight * squares)


def test_the_minimum_is_kept_while_the_penalty_is_one() -> None:
    quartic = CoupledQuartic()
    plain = Quadratic([1.0, 2.0], centre=0.3)
    kept = GradientPenalty(plain, 0.5)
    assert kept.minimum == 0.0 and kept.minimisers is not None
    assert torch.equal(kept.gradient(kept.minimisers[0]), torch.zeros(2, dtype=torch.float64))
    assert GradientPenalty(quartic, 0.5).minimum == 0.0
    rewarded = GradientPenalty(plain, -0.5)
    assert rewarded.minimum is None and rewarded.minimisers is None
    assert kept.m is None and kept.L is None


@pytest.mark.parametrize("h", [0.1, 0.05])
def test_gradient_descent_follows_the_loss_penalised_by_half_its_step(h: float) -> None:
    """−ln(1 − hk)/h = k + hk²/2 + h²k³/3 + ..., with a next term of (3/4) hk that."""
    k = 0.8
    rate = GradientPenalty(Quadratic(k), h / 2).gradient([1.0]).item()
    missing = -math.log(1 - h * k) / h - rate
    leading = h**2 * k**3 / 3
    assert leading < missing < leading * (1 + h * k)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((lambda x: x.sum(), 0.1), TypeError, "GradientPenalty takes a Landscape first"),
        ((Quadratic(1.0), math.nan), ValueError, "weight must be a finite number; got nan"),
    ],
)
def test_refusals(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        GradientPenalty(*arguments)
