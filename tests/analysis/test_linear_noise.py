"""Exact moments of steps and of equations on a quadratic, and what is refused."""

from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from linear_laws import WORDS, by_hand, close, moderate, rates, van_loan

from dashpot.analysis import exact_moments, moment_map, stationary_exact
from dashpot.analysis.stability.linear import linear_step
from dashpot.dynamics import (
    CD,
    KFAD,
    LDHD,
    Descent,
    Dynamics,
    Langevin,
    MultiplicativeNoise,
    OverdampedLangevin,
)
from dashpot.integrators import Word


@given(st.integers(0, 40), st.sampled_from(WORDS))
@settings(max_examples=20, deadline=None)
def test_doubling_is_stepping(n, text):
    step = moment_map(Word(text, Langevin(0.7, 1.3)), 0.4, 0.8)
    mean, spread = (torch.tensor([1.0, -0.5], dtype=torch.float64), 0.1 * step.covariance)
    count: Any = np.int64(n)
    found = step.propagate(mean, spread, count)
    for _ in range(n):
        mean = step.matrix @ mean
        spread = step.matrix @ spread @ step.matrix.T + step.covariance
    close(found[0], mean, 1e-13)
    close(found[1], spread, 1e-13)


def test_arrays_are_broadcast():
    h, gamma = np.array([[0.1], [0.4]]), np.array([0.5, 1.0, 2.0])
    word = Word("UBU", Langevin(1.0, 1.0))
    found = moment_map(word, h, 0.7, {"gamma": gamma, "temperature": 0.6}).stationary
    assert found.shape == (2, 3, 2, 2)
    close(found[1, 2], by_hand("UBU", 0.4, 0.7, 2.0, 0.6))


@given(moderate, moderate, rates)
@settings(max_examples=10, deadline=None)
def test_without_noise_it_is_the_linear_step(h, k, gamma):
    word = Word("BADAB", LDHD(gamma))
    found = moment_map(word, h, k)
    close(found.matrix, linear_step(word, h, k).matrix, 1e-14)
    assert not found.covariance.any()


@given(st.floats(0.0, 3.0), rates, rates, st.floats(0.01, 1.0))
@settings(max_examples=40, deadline=None)
def test_the_equation_by_van_loan(k, gamma, temperature, t):
    mean, spread = np.array([1.0, -0.5]), np.array([[0.3, 0.1], [0.1, 0.2]])
    move, noise = van_loan(k, gamma, temperature, t)
    found = exact_moments(Langevin(gamma, temperature), k, t, mean, spread)
    close(found[0], move @ mean, 1e-11)
    close(found[1], move @ spread @ move.T + noise, 1e-11)


def test_strong_friction_over_a_long_time_does_not_overflow():
    found = exact_moments(Langevin(1e3, 0.5), 2.0, 1e5, [1.0, 0.0], np.zeros((2, 2)))
    close(found[1], [[0.25, 0.0], [0.0, 0.5]], 1e-9)


@given(moderate, rates, rates)
@settings(max_examples=20, deadline=None)
def test_the_equation_at_rest_has_the_gibbs_law(k, gamma, temperature):
    close(
        stationary_exact(Langevin(gamma, temperature), k), [[temperature / k, 0], [0, temperature]]
    )
    close(stationary_exact(OverdampedLangevin(temperature), k), [[temperature / k]])


def test_no_law_without_friction_or_force():
    assert stationary_exact(Langevin(0.0, 1.0)).isnan().all()
    assert stationary_exact(Langevin(1.0, 1.0), [1.0, 0.0])[1].isnan().all()
    assert moment_map(Word("BAOAB", Langevin(0.0, 1.0)), 0.3).stationary.isnan().all()


@given(st.floats(0.1, 2.0), st.floats(0.0, 1.5), st.floats(0.0, 1.0), st.floats(0.05, 2.0))
@settings(max_examples=20, deadline=None)
def test_multiplicative_noise_of_the_equation(k, a, b, t):
    # dX = −kX dt + (b + aX) dW: dE X²/dt = −(2k − a²) E X² + 2ab E X + b²
    dynamics = Dynamics(Descent(1.0), MultiplicativeNoise(lambda x: b + a * x))
    mean, spread = exact_moments(dynamics, k, t, [1.0], [[0.0]])
    system = np.array([[0, 0, 0], [0, -k, 0], [b * b, 2 * a * b, a * a - 2 * k]])
    one = scipy.linalg.expm(t * system) @ np.ones(3)
    close(mean, [one[1]], 1e-12)
    close(spread, [[one[2] - one[1] ** 2]], 1e-11)
    law = stationary_exact(dynamics, k)
    if a * a < 2 * k - 1e-3:
        close(law, [[b * b / (2 * k - a * a)]], 1e-9)
    elif a * a > 2 * k + 1e-3:
        assert law.isnan().all()


def test_what_is_not_linear_is_refused():
    with pytest.raises(ValueError, match="CD BACD: a step is not linear in x, p and the noise"):
        moment_map(CD(0.3, 1e-3), 0.1)
    moment_map(CD(0.3, 0.0), 0.1)  # linear at c = 0
    with pytest.raises(ValueError, match="KFAD has xi too"):
        moment_map(KFAD(0.3, 1.0, 1.0), 0.1)
    with pytest.raises(ValueError, match="the rate is not linear"):
        exact_moments(CD(0.3, 1e-3), 1.0, 1.0, [1.0, 0.0], np.zeros((2, 2)))
    growing = Dynamics(Descent(1.0), MultiplicativeNoise(lambda x: 0.1 * x))
    with pytest.raises(ValueError, match="a step is not linear"):
        moment_map(Word("FN", growing), 0.1)
    with pytest.raises(ValueError, match="amplitude of the noise N is not affine"):
        stationary_exact(Dynamics(Descent(1.0), MultiplicativeNoise(lambda x: (x - 0.1) ** 0.5)))
    with pytest.raises(ValueError, match="amplitude of the noise N is not affine"):
        stationary_exact(Dynamics(Descent(1.0), MultiplicativeNoise(lambda x: x * x)))


def test_bad_arguments_are_refused():
    d = Langevin(1.0, 1.0)
    with pytest.raises(ValueError, match="h must be finite numbers > 0; got 0"):
        moment_map(d, 0.0)
    with pytest.raises(ValueError, match=r"gradient_noise must be finite numbers >= 0; got -1"):
        moment_map(d, 0.1, gradient_noise=-1.0)
    with pytest.raises(ValueError, match="no hyperparameter 'mass'"):
        moment_map(d, 0.1, values={"mass": 1.0})
    with pytest.raises(ValueError, match="stands alone"):
        moment_map(Word("BAOAB"), 0.1)
    with pytest.raises(TypeError, match=r"expected a Word with its dynamics: Word\('BAOAB', dyn"):
        moment_map("BAOAB", 0.1)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="unknown method 'milstein'; choose one of word, euler"):
        moment_map(d, 0.1, method="milstein")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="takes the whole vector field, not a word"):
        moment_map(Word("BAOAB", d), 0.1, method="heun")
    with pytest.raises(ValueError, match=r"shapes \[..., 2\] and \[..., 2, 2\]; got \(1,\)"):
        moment_map(d, 0.1).propagate([1.0], np.zeros((2, 2)), 3)
    with pytest.raises(ValueError, match="steps must be an integer >= 0; got -1"):
        moment_map(d, 0.1).propagate([1.0, 0.0], np.zeros((2, 2)), -1)
    with pytest.raises(TypeError, match="steps must be an integer >= 0; got True"):
        moment_map(d, 0.1).propagate([1.0, 0.0], np.zeros((2, 2)), True)
