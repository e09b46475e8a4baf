"""SGD and its stochastic equations, against moments that are known exactly."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch
from problems import slope
from torch import Tensor, nn
from torch.nn.functional import mse_loss

mpl.use("Agg")
import matplotlib.pyplot as plt

from dashpot.analysis import (
    compare_with_sde,
    plot_sde_comparison,
    stochastic_modified_equation,
    with_gradient_noise,
)
from dashpot.analysis.gradient_noise.comparison import MODELS, Comparison, Curve
from dashpot.analysis.gradient_noise.trainings import FORGOTTEN, METHODS, training
from dashpot.dynamics import CD, LDHD, GradientFlow, NoisyPart, State
from dashpot.integrators import convert, simulate
from dashpot.landscapes import GaussianMinibatch, Minibatch, Network, Quadratic

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


# --- linear regression: minibatches whose moments follow a linear recursion -----------------------

X, Y = np.array([0.5, -1.0, 1.5, 0.8]), np.array([1.0, -1.2, 1.0, 0.1])
BATCH, START = 2, 3.0


def line() -> Network:
    """f(w) = mean (x w − y)², one parameter."""
    module = nn.Linear(1, 1, bias=False).double()
    with torch.no_grad():
        module.weight.fill_(START)
    data = torch.from_numpy(X)[:, None], torch.from_numpy(Y)[:, None]
    return Network(module, mse_loss, data)


def moments(
    step: Callable[[float, float], np.ndarray], state: np.ndarray, steps: int, refinement: int = 1
) -> np.ndarray:
    """E v vᵀ, v = (..., 1), after v ← step(a, b) v with a gradient a w − b of a random minibatch.

    `step` is affine in (a, b), so that its covariance is that of a minibatch, or m times that
    for the Gaussian one of refinement m; every batch of two examples is enumerated.
    """
    pairs = [list(pair) for pair in itertools.product(range(len(X)), repeat=BATCH)]
    slopes = [(float(2 * np.mean(X[i] ** 2)), float(2 * np.mean(X[i] * Y[i]))) for i in pairs]
    made = [step(a, b) for a, b in slopes]
    mean = np.mean(made, axis=0)
    second = np.outer(state, state)
    for _ in range(steps):
        spread = np.mean([(m - mean) @ second @ (m - mean).T for m in made], axis=0)
        second = mean @ second @ mean.T + refinement * spread
    return second


def descent(lr: float) -> Callable[[float, float], np.ndarray]:
    return lambda a, b: np.array([[1 - lr * a, lr * b], [0.0, 1.0]])


def heavy_ball(h: float, beta: float) -> Callable[[float, float], np.ndarray]:
    """B, A, D in (w, p, 1)."""
    after = np.array([[1, h, 0], [0, beta, 0], [0, 0, 1.0]])
    return lambda a, b: after @ np.array([[1, 0, 0], [-h * a, 1, h * b], [0, 0, 1.0]])


def loss_of(second: np.ndarray) -> float:
    """E f from the moments of w."""
    squared, mean = second[0, 0], second[0, -1]
    return float(np.mean(X**2) * squared - 2 * np.mean(X * Y) * mean + np.mean(Y**2))


def assert_moments(w: Tensor, second: np.ndarray) -> None:
    """Mean and mean square over trajectories within four of their standard errors."""
    for power, exact in ((1, second[0, -1]), (2, second[0, 0])):
        values = w.flatten() ** power
        error = values.std().item() / math.sqrt(len(values))
        assert abs(values.mean().item() - exact) < 4 * error


N, STEPS = 4000, 12


@pytest.mark.parametrize("refinement", [0, 1, 4])
def test_simulated_sgd_has_the_moments_of_its_minibatches(refinement: int) -> None:
    lr, network = 0.12, line()
    many = network.start.expand(N, -1)
    finer = max(1, refinement)
    landscape = (
        GaussianMinibatch(network, BATCH, finer) if refinement else Minibatch(network, BATCH)
    )
    run = simulate(
        GradientFlow(1.0), landscape, many,
        step=lr / finer, steps=STEPS * finer, word="F", noise=3, save_every=STEPS * finer,
    )  # fmt: skip
    start = np.array([START, 1.0])
    assert_moments(run["x"][-1], moments(descent(lr / finer), start, STEPS * finer, finer))


def test_simulated_momentum_sgd_has_the_moments_of_its_minibatches() -> None:
    lr, beta, network = 0.06, 0.6, line()
    made = convert.from_sgd(lr, beta, word="BAD")
    run = simulate(
        made.dynamics, Minibatch(network, BATCH), network.start.expand(N, -1),
        step=made.lr, steps=STEPS, word="BAD", noise=4, save_every=STEPS,
    )  # fmt: skip
    start = np.array([START, 0.0, 1.0])
    assert_moments(run["x"][-1], moments(heavy_ball(made.lr, beta), start, STEPS))


# --- the study --------------------------------------------------------------------------------


def test_standard_errors_of_mean_and_variance() -> None:
    generator = torch.Generator().manual_seed(5)
    losses = torch.rand(2000, 100, dtype=torch.float64, generator=generator)
    curve = Curve.of(losses)
    # 2000 repetitions measure a deviation to 1/√4000 = 1.6%; the formulas have bias O(1/100)
    for value, error in ((curve.mean, curve.mean_error), (curve.variance, curve.variance_error)):
        assert error.mean().item() == pytest.approx(value.std().item(), rel=4 * 0.016 + 0.02)


def test_the_study_of_sgd_finds_the_exact_losses() -> None:
    lr = 0.024  # SGD's own is five times that, as in the tests above
    found = compare_with_sde(
        "SGD", lr, network=line(), batch_size=BATCH, steps=STEPS, save_every=4, seeds=250, pieces=2
    )
    start, own = np.array([START, 1.0]), convert.effective_lr(lr, 0.8)
    exact = loss_of(moments(descent(own), start, STEPS))
    finer = training("SGD", lr).refinement
    equation = loss_of(moments(descent(own / finer), start, STEPS * finer, finer))
    for name, value in (("training", exact), ("Gaussian", exact), ("SDE", equation)):
        curve = found.curves[name]
        assert abs(curve.mean[-1].item() - value) < 4 * curve.mean_error[-1].item()
    difference = found.differences("SDE", "mean")[-1]
    assert difference.step == STEPS
    assert abs(difference.value - (equation / exact - 1)) < 4 * difference.error


@pytest.mark.parametrize("steps", [4, 40])
def test_the_study_of_momentum_sgd_finds_the_exact_losses(steps: int) -> None:
    """In the transient, and where noise makes 8% of the loss: forty standard errors or more."""
    lr, beta = 0.05, 0.8
    found = compare_with_sde(
        "momentum SGD", lr, network=line(), batch_size=BATCH,
        steps=steps, save_every=steps, pieces=1, seeds=4000,
    )  # fmt: skip
    plain, model = convert.from_sgd(lr, beta, word="BAD"), convert.langevin_of_sgd(lr, beta, 0.0)
    assert abs(error_of(found, "training", moments(
        heavy_ball(plain.lr, beta), np.array([START, 0.0, 1.0]), steps
    ))) < 4  # fmt: skip
    a, b = float(2 * np.mean(X**2)), float(2 * np.mean(X * Y))
    slope_of_start = a * START - b
    start = np.array([START, -0.5 * model.step * slope_of_start, 1.0])
    h, damping = model.step / 4, beta**0.125  # of half a step
    half = np.array([[1, h / 2, 0], [0, 1, 0], [0, 0, 1.0]]), np.diag([1, damping, 1])

    def kick(a: float, b: float) -> np.ndarray:
        return np.array([[1, 0, 0], [-h * a, 1, h * b], [0, 0, 1.0]])

    def palindrome(a: float, b: float) -> np.ndarray:
        return half[0] @ half[1] @ kick(a, b) @ half[1] @ half[0]

    assert abs(error_of(found, "SDE", moments(palindrome, start, steps * 4, 4))) < 4
    # the temperature of the start, with the variance that single examples have there
    variance = np.var(2 * X * (X * START - Y)) / BATCH
    gamma = -math.log(beta) / model.step
    heat = model.step * variance / (2 * gamma) * (1 - damping**2)
    second = np.outer(start, start)
    for _ in range(steps * 4):
        for matrix, variance in (
            (half[1] @ half[0], heat), (half[1] @ kick(a, b), heat), (half[0], 0.0)
        ):  # fmt: skip
            second = matrix @ second @ matrix.T
            second[1, 1] += variance
    assert abs(error_of(found, "noise of start", second)) < 4


def error_of(found: Comparison, name: str, second: np.ndarray) -> float:
    """How many standard errors the last mean loss is off."""
    curve = found.curves[name]
    return (curve.mean[-1].item() - loss_of(second)) / curve.mean_error[-1].item()


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_near_its_models_at_a_small_step(method: str) -> None:
    """In one dimension noise is diagonal, so that every model holds.

    What they leave out changes moves, and so what the loss falls, by less than 5%: Euler's step
    by ½·5 lr·2.1 = 1%, the damping γh = 0.22 by (γh)²/12 = 0.4%, the order of the letters by no
    more than the cubic damping of a step, ½ (5·4.6/cap)² = 2.6% at the gradient 4.6 of the start.
    """
    found = compare_with_sde(
        method, 2e-3, network=line(), batch_size=BATCH, steps=STEPS, save_every=3, seeds=100,
        cap=100.0,
    )  # fmt: skip
    assert set(found.curves) == {"training", *MODELS}
    assert found.steps.tolist() == [0, 3, 6, 9, 12]
    fall = 1 - (found.curves["training"].mean[-1] / found.curves["training"].mean[0]).item()
    assert fall > 0.05
    for model in MODELS:
        last = found.differences(model, "mean")[-1]
        assert abs(last.value) < 4 * last.error + 0.05 * fall / (1 - fall)
    assert found.step_size == pytest.approx(0.01 if method == "SGD" else math.sqrt(2e-3))
    rows = found.rows(times=2)
    assert len(rows) == 2 * len(MODELS)
    assert rows[0]["method"] == method and "O(step)" in rows[0]["note"]
    assert rows[0]["variance"] == found.curves["training"].variance[2].item()
    assert set(found.verdicts()) == set(MODELS)


@pytest.mark.parametrize("method", ["CD", "IKFAD"])
def test_the_model_of_a_nonlinear_method_damps_and_caps_alike(method: str) -> None:
    lr, beta, cap = 0.03, 0.7, 2.0
    made = training(method, lr, beta, cap=cap)
    for dynamics, h in ((made.dynamics, made.step), (made.model, made.model_step)):
        v = dynamics.hyperparameters
        assert math.exp(-v["gamma"] * h) == pytest.approx(beta, rel=1e-12)
        c = v["c"] if method == "CD" else 1 / (v["alpha"] * v["mu"])
        assert convert.c_to_max_step(h, c) == pytest.approx(lr * cap, rel=1e-12)
        if method == "IKFAD":
            assert v["alpha"] * h == pytest.approx(FORGOTTEN, rel=1e-12)
    noise = made.with_noise(0.5).parts["N"]
    assert noise.hyperparameters["sigma"] == pytest.approx(0.5 * math.sqrt(made.model_step))
    assert made.step == pytest.approx(math.sqrt(lr), rel=1e-12)
    assert made.model_step == pytest.approx(math.sqrt(2 * lr / (1 + beta)), rel=1e-12)


def test_large_steps_are_told_from_small_ones() -> None:
    """At lr K = 0.9 descent is far from its flow, and the verdict says at which step."""
    found = compare_with_sde(
        "SGD", 0.1, network=line(), batch_size=BATCH, steps=6, save_every=3, seeds=100, pieces=2
    )
    assert "mean within errors" in found.verdicts()["Gaussian"]
    assert "mean off at" in found.verdicts()["SDE"]


def test_divergence_is_reported_not_raised() -> None:
    found = compare_with_sde(
        "SGD", 1e30, network=line(), batch_size=BATCH, steps=40, save_every=4, seeds=4
    )
    assert found.diverged["training"] == 16 and found.diverged["noise along"] == 4
    for verdict in found.verdicts().values():
        assert "16 trajectories of training" in verdict


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="method must be one of SGD, momentum SGD, CD, IKFAD; got"):
        compare_with_sde("Adam", 0.1)
    with pytest.raises(ValueError, match="seeds must be at least 4"):
        compare_with_sde("SGD", 0.1, seeds=3)
    with pytest.raises(ValueError, match="steps must be a multiple of save_every"):
        compare_with_sde("SGD", 0.1, steps=7)
    with pytest.raises(ValueError, match="pieces must be between 1 and the saved times, 2; got 3"):
        compare_with_sde("SGD", 0.1, steps=10, pieces=3)
    with pytest.raises(ValueError, match="needs one comparison or more"):
        plot_sde_comparison([])


def test_the_figure_draws_the_curves() -> None:
    def curve(level: float) -> Curve:
        value = level * torch.tensor([1.0, 0.5, 0.25])
        return Curve(value, 0.1 * value, value**2, 0.1 * value**2)

    curves = {name: curve(1.0 + k) for k, name in enumerate(("training", *MODELS))}
    one = Comparison(
        "CD", 0.1, 0.3, 8, 32, torch.tensor([0, 5, 10]), curves, dict.fromkeys(curves, 0)
    )
    above, below = plot_sde_comparison([one, one])[:, 1]
    assert above.get_title() == "CD, h = 0.3"
    for k, (mean, variance) in enumerate(zip(above.get_lines(), below.get_lines(), strict=True)):
        np.testing.assert_allclose(mean.get_ydata(), (1 + k) * np.array([1, 0.5, 0.25]))
        np.testing.assert_allclose(variance.get_ydata(), ((1 + k) * np.array([0.5, 0.25])) ** 2)
        np.testing.assert_allclose(variance.get_xdata(), [5, 10])
    assert below.get_yscale() == "log" and len(above.collections) == 5
    plt.close("all")
