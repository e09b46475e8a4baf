"""Exact laws of SGD, with and without momentum, where gradients have noise."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from linear_laws import close, moderate, rates

from dashpot.analysis import exact_moments, moment_map
from dashpot.analysis.sampling.equation import sgd_interpolation
from dashpot.dynamics import LDHD, NAG, GradientFlow, OverdampedLangevin, SGDFlow
from dashpot.integrators import Word

lrs, curvatures, noises = st.floats(0.01, 0.5), st.floats(0.1, 2.0), st.floats(0.1, 2.0)
momenta = st.floats(0.1, 0.95)


@given(lrs, curvatures, noises)
@settings(max_examples=30, deadline=None)
def test_sgd(lr, k, s):
    found = moment_map(GradientFlow(), lr, k, gradient_noise=s).stationary[0, 0]
    close(found, lr * s * s / (k * (2 - lr * k)), 1e-12)
    flow = moment_map(SGDFlow(lr, s), lr, k)  # the same noise in the equation, stepped with lr
    close(flow.stationary[0, 0], found, 1e-12)


@given(lrs, curvatures, noises, momenta)
@settings(max_examples=40, deadline=None)
def test_momentum_sgd(lr, k, s, beta):
    h = math.sqrt(lr)
    word = Word("DBA", LDHD(-math.log(beta) / h))
    found = moment_map(word, h, k, gradient_noise=s).stationary
    below = (1 - beta) * (2 * (1 + beta) - lr * k)
    close(found[0, 0] / (lr * s * s * (1 + beta) / (k * below)), 1.0, 1e-12)
    close(found[1, 1] / lr / (2 * s * s / below), 1.0, 1e-12)  # buf = −p/h


@given(lrs, curvatures, noises, momenta)
@settings(max_examples=40, deadline=None)
def test_nesterov(lr, k, s, beta):
    h = math.sqrt(lr)
    word = Word("BDFA", NAG(-math.log(beta) / h, h))
    found = moment_map(word, h, k, gradient_noise=s).stationary[0, 0]
    above = lr * s * s * (1 + beta + beta * lr * k * (1 + 2 * beta))
    below = k * (1 - beta + beta * lr * k) * (2 * (1 + beta) - lr * k * (1 + 2 * beta))
    close(found / (above / below), 1.0, 1e-12)


@given(moderate, moderate, rates, noises)
@settings(max_examples=20, deadline=None)
def test_a_gradient_that_is_kept_keeps_its_noise(h, k, gamma, s):
    # the half kicks of BADAB before and after a step's end share a gradient: at the ends of steps
    # x moves as in ADAB, whose whole kick has one gradient of its own
    kept = moment_map(Word("BADAB", LDHD(gamma)), h, k, gradient_noise=s)
    merged = moment_map(Word("ADAB", LDHD(gamma)), h, k, gradient_noise=s)
    assert kept.variables == ("x", "p", "noise") and merged.variables == ("x", "p")
    close(kept.stationary[0, 0] / merged.stationary[0, 0], 1.0, 1e-11)
    close(kept.stationary[2, 2], 1.0)
    mean, spread = kept.propagate([1.0, 0.5], torch.zeros(2, 2), 1)
    alone = moment_map(Word("BADAB", LDHD(gamma)), h, k)
    close(mean, alone.propagate([1.0, 0.5], torch.zeros(2, 2), 1)[0])
    push = h * s / 2 * alone.matrix[:, 1]  # of the first half kick
    last = torch.tensor([0.0, h * s / 2], dtype=torch.float64)
    close(spread, push[:, None] * push + last[:, None] * last, 1e-12)


@given(st.floats(0.01, 0.9), noises, st.integers(1, 50))
@settings(max_examples=20, deadline=None)
def test_a_flow_passes_through_the_iterates_of_sgd(lr, s, n):
    k = 1.0
    rate, diffusion = sgd_interpolation(lr, k, s)
    flow = OverdampedLangevin(diffusion**2 / 2)
    exact = exact_moments(flow, rate, n * lr, [1.0], [[0.2]])
    found = moment_map(GradientFlow(), lr, k, gradient_noise=s).propagate([1.0], [[0.2]], n)
    close(found[0], exact[0], 1e-12)
    close(found[1], exact[1], 1e-12)
    with pytest.raises(ValueError, match="without changing sides"):
        sgd_interpolation(lr, 1.001 / lr, s)
