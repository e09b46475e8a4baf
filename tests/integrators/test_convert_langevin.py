"""Noisy SGD and its Langevin model: exact stationary variances, by discrete Lyapunov equations."""

import math

import numpy as np
import pytest
import torch
from problems import slope
from scipy.linalg import solve_discrete_lyapunov

from dashpot.dynamics import Langevin
from dashpot.integrators import convert
from dashpot.integrators.convert import gradient_noise_temperature, langevin_of_sgd

CURVATURE, STD = 2.0, 0.7


def variance_of_sgd(lr: float, momentum: float) -> float:
    """⟨x²⟩ of buf ← β buf + kx + sz, x ← x − lr buf, from its own two-by-two recursion."""
    step = np.array([[1 - lr * CURVATURE, -lr * momentum], [CURVATURE, momentum]])
    kick = STD * np.array([-lr, 1.0])
    return float(solve_discrete_lyapunov(step, np.outer(kick, kick))[0, 0])


def test_the_stationary_variance_of_sgd_with_momentum() -> None:
    lr, beta, k = 0.3, 0.8, CURVATURE
    closed = lr * STD**2 * (1 + beta) / (k * (1 - beta) * (2 * (1 + beta) - lr * k))
    assert variance_of_sgd(lr, beta) == pytest.approx(closed, rel=1e-12)


@pytest.mark.parametrize(("published", "order"), [(False, 2), (True, 1)])
def test_the_temperature_is_right_to_second_order(published: bool, order: int) -> None:
    gamma, errors = 0.9, []
    steps = [0.02 / 2**k for k in range(4)]
    for h in steps:
        beta = math.exp(-gamma * h)
        lr = h * h if published else h * h * (1 + beta) / 2
        model = langevin_of_sgd(lr, beta, STD, published=published)
        assert model.step == pytest.approx(h, rel=1e-13)
        v = model.dynamics.hyperparameters
        assert v["gamma"] == pytest.approx(gamma, rel=1e-12)
        assert v["temperature"] == pytest.approx(h * STD**2 / (2 * gamma), rel=1e-12)
        errors.append(abs(v["temperature"] / CURVATURE / variance_of_sgd(lr, beta) - 1))
    # the next power of h corrects the error by |γ/3 − k/(2γ)| h < 2% (order 1), and less (order 2)
    assert slope(steps, errors) == pytest.approx(order, abs=0.02)


def test_the_start_is_that_of_the_equivalent_word() -> None:
    model, word = langevin_of_sgd(0.1, 0.9, 0.0), convert.ode_model_of_sgd(0.1, 0.9)
    gradient = torch.tensor([1.0, -2.0])
    found = model.start(torch.zeros(2), gradient)
    assert torch.equal(found["p"], word.start(torch.zeros(2), gradient)["p"])
    torch.testing.assert_close(found["p"], -0.5 * model.step * gradient)
    assert bool((langevin_of_sgd(0.1, 0.9, 1.0, published=True).start(1, gradient)["p"] == 0).all())


def test_one_temperature_for_each_coordinate() -> None:
    std = torch.tensor([[0.1], [0.0], [2.0]], dtype=torch.float64)
    model = langevin_of_sgd(0.04, 0.5, std)
    assert isinstance(model.dynamics, Langevin)
    each = [langevin_of_sgd(0.04, 0.5, s).dynamics.hyperparameters["temperature"] for s in std]
    assert torch.equal(model.dynamics.hyperparameters["temperature"], torch.stack(each))
    assert gradient_noise_temperature(0.1, 3.0) == pytest.approx(0.45)  # lr s²/2


def test_wrong_arguments() -> None:
    for momentum in (0.0, 1.0, -0.5, 1.5):
        with pytest.raises(ValueError, match="between 0 and 1, both excluded"):
            langevin_of_sgd(0.1, momentum, 1.0)
    with pytest.raises(ValueError, match="momentum must be a finite number; got nan"):
        langevin_of_sgd(0.1, math.nan, 1.0)
    with pytest.raises(ValueError, match="lr must be a finite number > 0; got 0"):
        langevin_of_sgd(0, 0.9, 1.0)
    with pytest.raises(ValueError, match="noise_std must be finite and >= 0; got -1"):
        langevin_of_sgd(0.1, 0.9, -1.0)
    with pytest.raises(ValueError, match="gamma must be a finite number > 0; got 0"):
        gradient_noise_temperature(0.1, 1.0, gamma=0.0)
