"""Equations that model SGD, against moments that are known exactly."""

import math
from typing import Any

import pytest
import torch
from problems import slope

from dashpot.analysis import stochastic_modified_equation, with_gradient_noise
from dashpot.dynamics import CD, LDHD, GradientFlow, NoisyPart, State
from dashpot.integrators import convert
from dashpot.landscapes import Quadratic

K, LRS, UNTIL = 1.3, (0.02, 0.01, 0.005, 0.0025), 1.0


def equation(lr: float, scale: Any, order: int) -> tuple[float, float]:
    """Drift and amplitude of the stochastic modified equation on K x²/2, as its code has them."""
    dynamics, landscape = stochastic_modified_equation(Quadratic(K), lr, scale, order)
    x = torch.ones(1, 1, dtype=torch.float64)
    s = State({"x": x, "g": landscape.df(x)})
    (noise,) = (part for part in dynamics.parts.values() if isinstance(part, NoisyPart))
    amplitude = torch.as_tensor(noise.amplitude(s)).item()
    return dynamics.rate(s)["x"].item(), amplitude


@pytest.mark.parametrize("order", [1, 2])
def test_the_mean_has_the_order_of_the_equation(order: int) -> None:
    errors = []
    for lr in LRS:
        sgd = (1 - lr * K) ** round(UNTIL / lr)
        errors.append(abs(math.exp(equation(lr, 0.5, order)[0] * UNTIL) - sgd))
    # the next power of lr corrects the error by about K lr: 2.6% at most
    assert slope(LRS, errors) == pytest.approx(order, abs=0.03)


@pytest.mark.parametrize("order", [1, 2])
def test_the_second_moment_with_multiplicative_noise(order: int) -> None:
    """Gradients K x (1 + δ z): E x² grows by a factor a step, and exponentially in the flow."""
    errors, delta = [], 0.8
    for lr in LRS:
        sgd = ((1 - lr * K) ** 2 + (lr * K * delta) ** 2) ** round(UNTIL / lr)
        drift, amplitude = equation(lr, lambda x: K * delta * x, order)
        errors.append(abs(math.exp((2 * drift + amplitude**2) * UNTIL) - sgd))
    assert slope(LRS, errors) == pytest.approx(order, abs=0.05)  # corrections about 2 K lr


def test_the_second_equation_has_twice_the_error_in_the_stationary_variance() -> None:
    lr, std = 1e-4, 0.7
    exact = lr * std**2 / (K * (2 - lr * K))
    errors = []
    for order in (1, 2):
        drift, amplitude = equation(lr, std, order)
        errors.append(amplitude**2 / (-2 * drift) - exact)
    assert errors[1] / errors[0] == pytest.approx(2.0, abs=1e-3)  # corrections of order K lr
    assert errors[0] / exact == pytest.approx(-lr * K / 2, rel=1e-3)


def test_momentum_noise_is_that_of_the_kicks() -> None:
    lr, beta, std = 0.04, 0.7, 0.3
    model = convert.langevin_of_sgd(lr, beta, std)
    noisy = with_gradient_noise(LDHD(model.dynamics.hyperparameters["gamma"]), model.step, std)
    zero = State({"x": torch.ones(1), "p": torch.ones(1), "g": torch.ones(1)})
    amplitudes = [
        float(part.amplitude(zero))
        for dynamics in (model.dynamics, noisy)
        for part in dynamics.parts.values()
        if isinstance(part, NoisyPart)
    ]
    assert amplitudes == pytest.approx([std * math.sqrt(model.step)] * 2, rel=1e-12)
    for name, rate in model.dynamics.rate(zero).items():
        torch.testing.assert_close(noisy.rate(zero)[name], rate)
    with pytest.raises(ValueError, match="GradientFlow has no kick"):
        with_gradient_noise(GradientFlow(1.0), 0.1, 1.0)
    with pytest.raises(ValueError, match="step must be a finite number > 0"):
        with_gradient_noise(CD(0.1, 1.0), 0.0, 1.0)
    with pytest.raises(ValueError, match="order must be 1 or 2; got 3"):
        stochastic_modified_equation(Quadratic(1.0), 0.1, 1.0, order=3)
    with pytest.raises(ValueError, match="lr must be a finite number > 0"):
        stochastic_modified_equation(Quadratic(1.0), 0.0, 1.0)
