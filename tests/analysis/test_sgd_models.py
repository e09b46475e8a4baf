"""Training with minibatches beside its models, where all moments are known exactly."""

import math

import numpy as np
import pytest
from minibatch_line import BATCH, START, X, Y, descent, heavy_ball, line, loss_of, moments
from torch import Tensor

from dashpot.analysis import compare_with_sde
from dashpot.analysis.gradient_noise.comparison import Comparison
from dashpot.analysis.gradient_noise.trainings import training
from dashpot.dynamics import GradientFlow
from dashpot.integrators import convert, simulate
from dashpot.landscapes import GaussianMinibatch, Minibatch

N, STEPS = 4000, 12


def assert_moments(w: Tensor, second: np.ndarray) -> None:
    """Mean and mean square over trajectories within four of their standard errors."""
    for power, exact in ((1, second[0, -1]), (2, second[0, 0])):
        values = w.flatten() ** power
        error = values.std().item() / math.sqrt(len(values))
        assert abs(values.mean().item() - exact) < 4 * error


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
