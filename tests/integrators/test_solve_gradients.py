"""Gradients through dopri5 and dopri8 against closed forms and central differences."""

import math
from collections.abc import Callable

import pytest
import torch
from problems import CoupledQuartic

from dashpot.dynamics import CD, IKFAD, LDHD, Dynamics
from dashpot.integrators import solve
from dashpot.landscapes import Quadratic

METHODS = ["dopri5", "dopri8"]


def final(dynamics: Dynamics, x0: torch.Tensor, method: str) -> torch.Tensor:
    run = solve(
        dynamics, CoupledQuartic(), x0, until=1.0, times=[1.0], method=method, rtol=1e-9, atol=1e-11
    )
    return run["x"][-1, ..., 0].sum() + 2 * run["p"][-1, ..., 1].sum()


def leaf(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("method", METHODS)
def test_gradient_in_the_start(method: str) -> None:
    x0 = torch.tensor([1.0, -0.6], dtype=torch.float64, requires_grad=True)
    (grad,) = torch.autograd.grad(final(CD(0.3, 0.8), x0, method), x0)
    d = 1e-4
    for i in range(2):
        shift = torch.zeros(2, dtype=torch.float64)
        shift[i] = d
        up = final(CD(0.3, 0.8), x0.detach() + shift, method)
        down = final(CD(0.3, 0.8), x0.detach() - shift, method)
        # difference of two solutions of tolerance 1e-9 over 2d, and d² f'''
        assert grad[i].item() == pytest.approx((up - down).item() / (2 * d), abs=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_gradient_in_the_friction_against_the_closed_form(method: str) -> None:
    """∂x(t)/∂γ of the damped oscillator, the closed form differentiated by autograd."""
    gamma, t, k = leaf(1.0), 1.0, 4.0
    run = solve(LDHD(gamma), Quadratic(k), [1.0], until=t, times=[t], method=method)
    (grad,) = torch.autograd.grad(run["x"][-1].sum(), gamma)
    g = leaf(1.0)
    omega = (k - g**2 / 4).sqrt()
    x = (-g * t / 2).exp() * ((omega * t).cos() + g / (2 * omega) * (omega * t).sin())
    (expected,) = torch.autograd.grad(x, g)
    assert grad.item() == pytest.approx(expected.item(), abs=1e-8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("make", "values"), [(CD, (0.3, 0.8)), (IKFAD, (0.3, 0.7, 0.9)), (CD, (0.0, 0.0))]
)
def test_gradients_in_all_hyperparameters(
    make: Callable[..., Dynamics], values: tuple[float, ...], method: str
) -> None:
    x0 = torch.tensor([1.0, -0.6], dtype=torch.float64)
    leaves = [leaf(v) for v in values]
    grads = torch.autograd.grad(final(make(*leaves), x0, method), leaves)
    d = 1e-4
    for i, grad in enumerate(grads):
        shifted = [[v + sign * d * (i == j) for j, v in enumerate(values)] for sign in (1, 2, 3)]
        # one-sided differences of order 3: at 0 there is nothing below
        f0, f1, f2, f3 = (final(make(*v), x0, method).item() for v in (list(values), *shifted))
        assert grad.item() == pytest.approx((-11 * f0 + 18 * f1 - 9 * f2 + 2 * f3) / (6 * d),
                                            abs=1e-4)  # fmt: skip


def test_gradients_of_a_batch_do_not_mix() -> None:
    x0 = torch.tensor([[1.0, -0.6], [0.2, 0.9]], dtype=torch.float64, requires_grad=True)
    (grad,) = torch.autograd.grad(final(CD(0.3, 0.8), x0, "dopri5"), x0)
    for i in range(2):
        one = x0.detach()[i].clone().requires_grad_()
        (alone,) = torch.autograd.grad(final(CD(0.3, 0.8), one, "dopri5"), one)
        torch.testing.assert_close(grad[i], alone, rtol=0, atol=1e-6)


def test_gradients_when_output_starts_late() -> None:
    x0 = torch.ones(1, dtype=torch.float64, requires_grad=True)
    run = solve(LDHD(1.0), Quadratic(4.0), x0, until=1.0, times=[0.5, 1.0], method="dopri8")
    (grad,) = torch.autograd.grad(run["x"][0].sum(), x0)
    # the equation is linear: ∂x(t)/∂x0 = x(t)/x0
    assert grad.item() == pytest.approx(run["x"][0].item(), abs=1e-9)
    assert math.isfinite(grad.item())
