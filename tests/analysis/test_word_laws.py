"""Stationary laws of words on a quadratic: closed forms, and other linear algebra."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from linear_laws import WORDS, by_hand, close, moderate, rates

from dashpot.analysis import exact_moments, moment_map
from dashpot.dynamics import Langevin, OverdampedLangevin
from dashpot.integrators import Word

Closed = Callable[[float, float, float], float]
"""⟨x²⟩k/T or ⟨p²⟩/T from h, k and γ."""


def _late(h: float, k: float, gamma: float) -> float:
    """OBA and its rotations that kick before the drift: 2(1 + β) − h²k."""
    return 2 * (1 + math.exp(-gamma * h)) - h * h * k


def _early(h: float, k: float, gamma: float) -> float:
    beta = math.exp(-gamma * h)
    return 2 * (1 + beta) - beta * h * h * k


def _one(h: float, k: float, gamma: float) -> float:
    return 1.0


def _less(h: float, k: float, gamma: float) -> float:
    return 1 - h * h * k / 4


def _more(h: float, k: float, gamma: float) -> float:
    return 1 / (1 - h * h * k / 4)


def _after_late(h: float, k: float, gamma: float) -> float:
    return (1 + math.exp(-gamma * h)) ** 2 / _late(h, k, gamma)


def _after_early(h: float, k: float, gamma: float) -> float:
    beta = math.exp(-gamma * h)
    return (1 + beta) ** 2 / (beta * _early(h, k, gamma))


def _fast_late(h: float, k: float, gamma: float) -> float:
    return 2 * (1 + math.exp(-gamma * h)) / _late(h, k, gamma)


def _fast_early(h: float, k: float, gamma: float) -> float:
    return 2 * (1 + math.exp(-gamma * h)) / _early(h, k, gamma)


def _half(h: float, k: float, gamma: float) -> float:
    """2(1 + β) − b h²k with b = e^{−γh/2}."""
    return 2 * (1 + math.exp(-gamma * h)) - math.exp(-gamma * h / 2) * h * h * k


TABLE: dict[str, tuple[Closed, Closed | None, bool]] = {  # ⟨x²⟩k/T, ⟨p²⟩/T, whether ⟨xp⟩ = 0
    "BAOAB": (_one, _less, True),
    "ABOBA": (_one, _more, True),
    "OBABO": (_more, _one, True),
    "OABAO": (_less, _one, True),
    "AOBOA": (
        lambda h, k, g: math.cosh(g * h / 2),
        lambda h, k, g: 2 * (1 + math.exp(-g * h)) / _half(h, k, g),
        True,
    ),
    "BOAOB": (
        lambda h, k, g: (1 + math.exp(-g * h)) ** 2 * math.exp(g * h / 2) / _half(h, k, g),
        None,
        False,
    ),
    "BAO": (_after_late, None, False),
    "OBA": (_after_late, _fast_late, False),
    "AOB": (_after_late, _fast_late, False),
    "ABO": (_after_early, _fast_early, False),
    "OAB": (_after_early, None, False),
    "BOA": (_after_early, _fast_early, False),
}

NUMBERS = {  # h = 0.5, k = γ = T = 1: ⟨x²⟩, ⟨p²⟩
    "BAOAB": (1.0, 0.9375),
    "ABOBA": (1.0, 1.0666666666666667),
    "OBABO": (1.0666666666666667, 1.0),
    "OABAO": (0.9375, 1.0),
    "AOBOA": (1.0314130999, 1.0645052688),
    "OBA": (0.8710385923, 1.0843721992),
    "UBU": (0.9585914657, 1.0212055557),
}


@pytest.mark.parametrize("text", NUMBERS)
def test_numbers_of_the_table(text):
    found = moment_map(Word(text, Langevin(1.0, 1.0)), 0.5).stationary
    close(found.diagonal(), NUMBERS[text])


@given(moderate, moderate, rates, rates, st.sampled_from([*TABLE]))
@settings(max_examples=120, deadline=None)
def test_closed_forms_of_the_table(h, k, gamma, temperature, text):
    x2, p2, uncorrelated = TABLE[text]
    found = moment_map(Word(text, Langevin(gamma, temperature)), h, k).stationary / temperature
    close(found[0, 0] * k, x2(h, k, gamma))
    if p2 is not None:
        close(found[1, 1], p2(h, k, gamma))
    assert (abs(float(found[0, 1])) < 1e-12 / k) == uncorrelated


@given(moderate, moderate, rates, rates, st.sampled_from(WORDS))
@settings(max_examples=60, deadline=None)
def test_other_linear_algebra_agrees(h, k, gamma, temperature, text):
    found = moment_map(Word(text, Langevin(gamma, temperature)), h, k).stationary
    close(found, by_hand(text, h, k, gamma, temperature))


@given(moderate, moderate, rates, rates)
@settings(max_examples=40, deadline=None)
def test_euler_maruyama(h, k, gamma, temperature):
    found = moment_map(Langevin(gamma, temperature), h, k, method="euler-maruyama")
    overdriven, overdamped = gamma - h * k, 4 - 2 * gamma * h + h * h * k
    assume(min(abs(overdriven), abs(overdamped)) > 1e-3)
    if min(overdriven, overdamped) < 0:
        assert found.radius > 1 and found.stationary.isnan().all()
        return
    below = overdriven * overdamped
    law = found.stationary / temperature
    close(law[0, 0] * k, 2 * gamma * (2 - gamma * h + h * h * k) / below, 1e-9)
    close(law[1, 1], 4 * gamma / below, 1e-9)
    close(law[0, 1], -2 * gamma * h / below, 1e-9)


def test_euler_maruyama_in_numbers():
    found = moment_map(Langevin(1.0, 1.0), [0.5, 1.0, 1.5], method="euler-maruyama")
    close(found.stationary[0].diagonal(), (2.1538461538461538, 2.4615384615384615))
    assert found.stationary[1:].isnan().all()  # hk >= γ
    assert "33% with a stationary law" in str(found)


@given(moderate, moderate, st.floats(0.1, 0.8), rates)
@settings(max_examples=30, deadline=None)
def test_symplectic_euler_is_another_word_of_another_friction_and_temperature(
    h, k, gamma, temperature
):
    # p ← (1 − γh) p − hk x + √(2γTh) z, x ← x + h p (SGHMC): e^{−γ'h} = 1 − γh, and T' such that
    # T' (1 − e^{−2γ'h}) = 2γTh
    other = Langevin(-math.log1p(-gamma * h) / h, 2 * temperature / (2 - gamma * h))
    found = moment_map(Word("OBA", other), h, k).stationary / temperature
    below = 4 - 2 * gamma * h - h * h * k
    close(found[0, 0] * k, 2 * (2 - gamma * h) / below)
    close(found[1, 1], 4 / below)


def test_bias_of_positions_with_the_exact_drift():
    ubu, bub = (
        float(moment_map(Word(text, Langevin(1.0, 1.0)), 0.2).stationary[0, 0]) - 1
        for text in ("UBU", "BUB")
    )
    assert ubu == pytest.approx(-6.66e-3, abs=1e-5)
    assert bub == pytest.approx(3.37e-3, abs=1e-5)
    assert ubu / bub == pytest.approx(-2.0, abs=0.03)  # leading terms −h²/6 + …, +h²/12 + …


@given(moderate, moderate, rates)
@settings(max_examples=20, deadline=None)
def test_overdamped(h, k, temperature):
    flow = OverdampedLangevin(temperature)
    for found in (moment_map(flow, h, k), moment_map(flow, h, k, method="euler-maruyama")):
        close(found.stationary[0, 0] * k / temperature, 1 / (1 - h * k / 2))
    limit = Langevin(1000.0 / math.sqrt(2 * h), temperature)  # e^{−γh} = 0 in double precision
    found = moment_map(Word("BAOAB", limit), math.sqrt(2 * h), k)
    close(found.stationary[0, 0] * k / temperature, 1.0)  # Leimkuhler and Matthews
    close(found.radius, abs(1 - h * k))


def test_the_variance_of_an_ornstein_uhlenbeck_step():
    gamma, sigma, h = 1.3, 0.8, 0.37
    dynamics = Langevin(gamma, sigma**2 / (2 * gamma))
    expected = 0.152091602343712
    for text in ("BAO", "BU", "BAOAB"):  # without a force
        found = moment_map(Word(text, dynamics), h, 0.0).covariance[1, 1]
        assert float(found) == pytest.approx(expected, rel=1e-14)
    _, spread = exact_moments(dynamics, 0.0, h, [0.0, 0.0], np.zeros((2, 2)))
    assert float(spread[1, 1]) == pytest.approx(expected, rel=1e-13)
