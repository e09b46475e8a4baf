"""Weak orders: by moments on a quadratic, by one step elsewhere, and those of SGD's equations."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import slope

from dashpot.analysis import (
    exact_moments,
    local_weak_order,
    moment_map,
    stationary_exact,
    weak_order_linear,
)
from dashpot.analysis.sampling.weak import one_step_weak_error
from dashpot.dynamics import (
    CADAM,
    LDHD,
    AdaptiveLangevin,
    CubicLangevin,
    Descent,
    Dynamics,
    GradientFlow,
    Langevin,
    MultiplicativeNoise,
    OverdampedLangevin,
    SGDFlow,
)
from dashpot.integrators import Word

FIRST = ("BAO", "OBA", "AOB", "ABO", "OAB", "BOA", "BU")
SECOND = ("BAOAB", "OBABO", "ABOBA", "OABAO", "AOBOA", "BOAOB", "UBU", "BUB")
BATH = Langevin(0.9, 0.8)
WELL = "x**4/4 + x**2/2 + 3*x**3/10"
GROWING = Dynamics(Descent(1.0), MultiplicativeNoise(lambda x: 0.5 + 0.2 * x * x))

# --- by moments -----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", FIRST)
def test_lie_words_have_weak_order_one(text):
    assert weak_order_linear(Word(text, BATH), 1.3).order == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("text", SECOND)
def test_symmetric_words_have_weak_order_two(text):
    measured = weak_order_linear(Word(text, BATH), 1.3)
    assert measured.order == pytest.approx(2.0, abs=0.02)
    assert measured.errors[0] > measured.errors[-1] > 0
    assert str(measured).startswith(f"Langevin {text}: weak order 2.0")


def test_schemes_for_the_whole_field():
    euler = weak_order_linear(BATH, 1.3, method="euler-maruyama")
    assert euler.order == pytest.approx(1.0, abs=0.05)
    assert weak_order_linear(BATH, 1.3, method="heun").order == pytest.approx(2.0, abs=0.02)
    flow = OverdampedLangevin(0.8)
    assert weak_order_linear(flow, 1.3).order == pytest.approx(1.0, abs=0.05)
    assert weak_order_linear(flow, 1.3, method="heun").order == pytest.approx(2.0, abs=0.02)


def test_a_start_with_a_law_of_its_own():
    spread = [[0.4, 0.1], [0.1, 0.3]]
    measured = weak_order_linear(BATH, 0.7, mean=[0.5, 1.0], covariance=spread, until=2.0)
    assert measured.order == pytest.approx(2.0, abs=0.02)
    assert measured.steps == (2 / 32, 2 / 64, 2 / 128, 2 / 256)


def test_an_exact_word_leaves_only_round_off():
    with pytest.raises(ValueError, match="round-off"):
        weak_order_linear(Word("BU", BATH), 0.0)  # without a force U is the solution


# --- by one step ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "order"), [*dict.fromkeys(("BAO", "OBA", "BU"), 1).items(),
                        *dict.fromkeys(("BAOAB", "ABOBA", "OBABO", "UBU", "BUB"), 2).items()],
)  # fmt: skip
def test_words_on_an_anharmonic_well(text, order):
    for one in local_weak_order(Word(text, BATH), WELL, ("x", "x**2", "p", "x*p", "cos(x)")):
        assert one.order == pytest.approx(order, abs=0.1), one.quantity


@pytest.mark.parametrize(("method", "order"), [("euler-maruyama", 1), ("heun", 2)])
@pytest.mark.parametrize("dynamics", [BATH, OverdampedLangevin(0.8), GROWING], ids=lambda d: d.name)
def test_schemes_on_an_anharmonic_well(dynamics, method, order):
    measured = local_weak_order(dynamics, WELL, ("x", "x**2", "x**3"), method=method)
    for one in measured:
        assert one.order == pytest.approx(order, abs=0.1), one.quantity
        assert one.word == method


@pytest.mark.parametrize(
    "dynamics",
    [
        CubicLangevin(0.7, 0.4, 0.8),
        CubicLangevin(0.7, 0.4, 0.8, balanced=False),
        AdaptiveLangevin(0.5, 0.8, 1.2, alpha=0.3, sigma=0.6),
    ],
    ids=repr,
)
def test_default_words_of_nonlinear_baths_have_weak_order_two(dynamics):
    at = {"xi": 0.4} if "xi" in dynamics.variables else None
    for one in local_weak_order(
        dynamics, WELL, ("x", "x**2", "p", "x*p"), at=at, nodes=6, powers=4
    ):
        assert one.order == pytest.approx(2.0, abs=0.1), one.quantity


def test_heun_with_an_amplitude_that_another_noise_moves():
    # O moves p, on which the amplitude of M depends: the cross term of the two is missing in p²
    dynamics = CubicLangevin(0.7, 0.4, 0.8)
    position, energy = local_weak_order(dynamics, WELL, ("x", "p**2"), method="heun", powers=4)
    assert position.order == pytest.approx(2.0, abs=0.1)
    assert energy.order == pytest.approx(1.0, abs=0.1)


def test_words_with_multiplicative_noise_have_weak_order_one():
    for one in local_weak_order(Word("FN", GROWING), WELL):
        assert one.order == pytest.approx(1.0, abs=0.1), one.quantity


@given(st.floats(0.2, 2.0), st.floats(0.1, 2.0), st.sampled_from(SECOND + FIRST))
@settings(max_examples=6, deadline=None)
def test_the_two_measures_agree_where_both_apply(k, gamma, text):
    d, h, at = Langevin(gamma, 0.7), 0.05, {"x": 0.6, "p": -0.4}
    word = Word(text, d)
    tests = ("x", "p", "x**2", "x*p", "p**2")
    found = one_step_weak_error(word, f"{k!r}*x**2/2", tests, at=at, steps=(h,), powers=9)
    start = [*at.values()], torch.zeros(2, 2)
    step, exact = moment_map(word, h, k).propagate(*start, 1), exact_moments(d, k, h, *start)
    second = [spread + mean[:, None] * mean for mean, spread in (step, exact)]
    wanted = [*(step[0] - exact[0]), *(second[0] - second[1])[(0, 0, 1), (0, 1, 1)]]
    # the series leaves h¹⁰/10! L¹⁰φ; L has a norm of at most 2(k + γ) = 8 on these φ: 3e-11 |φ|
    for (name, error), value in zip(found.items(), wanted, strict=True):
        assert error[0] == pytest.approx(float(value), abs=1e-9), name


def test_expressions_and_points_are_checked():
    with pytest.raises(ValueError, match="has the symbol y; it may have x"):
        local_weak_order(BATH, "x**2 + y**2")
    with pytest.raises(ValueError, match="has the symbol p; it may have x"):
        local_weak_order(OverdampedLangevin(1.0), "x**2", ("p**2",))
    with pytest.raises(ValueError, match="cannot read"):
        local_weak_order(BATH, "x**2 +")
    with pytest.raises(ValueError, match="no variable 'q'; it has x, p"):
        local_weak_order(BATH, WELL, at={"q": 1.0})
    with pytest.raises(ValueError, match=r"4 normal numbers: 40 nodes for each make 2560000"):
        local_weak_order(Word("UBU", BATH), WELL, nodes=40)
    with pytest.raises(ValueError, match="steps must be finite numbers > 0"):
        local_weak_order(BATH, WELL, steps=(0.1, -0.1))
    with pytest.raises(ValueError, match="CADAM cannot be written in symbols"):
        local_weak_order(CADAM(0.3, 0.6, 0.5), WELL)
    with pytest.raises(ValueError, match="divisions must be two or more"):
        weak_order_linear(BATH, divisions=(8, 8))


# --- the stochastic modified equations of SGD -----------------------------------------------------

K, UNTIL = 1.0, 1.0
LRS = tuple(UNTIL / n for n in (16, 32, 64, 128))


def modified(order: int, lr: float) -> float:
    """The curvature of the modified loss: of f, or of f + (lr/4)|∇f|²."""
    return K if order == 1 else K * (1 + lr * K / 2)


@pytest.mark.parametrize("order", [1, 2])
def test_modified_equations_have_their_order_in_the_mean(order):
    errors = []
    for lr in LRS:
        sgd = moment_map(GradientFlow(), lr, K, gradient_noise=0.7)
        found, _ = sgd.propagate([1.0], [[0.0]], round(UNTIL / lr))
        flow = SGDFlow(lr, 0.7)
        mean, _ = exact_moments(flow, modified(order, lr), UNTIL, [1.0], [[0.0]])
        errors.append(float((found - mean).abs()))
    assert slope(LRS, errors) == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize("order", [1, 2])
def test_modified_equations_have_their_order_in_the_second_moment_of_relative_noise(order):
    # gradients kx (1 + δε): E x² is multiplied by (1 − ηk)² + (ηkδ)² in every step
    delta, errors = 0.8, []
    for lr in LRS:
        found = ((1 - lr * K) ** 2 + (lr * K * delta) ** 2) ** round(UNTIL / lr)
        flow = SGDFlow(lr, lambda x: K * delta * x)
        mean, spread = exact_moments(flow, modified(order, lr), UNTIL, [1.0], [[0.0]])
        errors.append(abs(found - float(spread + mean * mean)))
    assert slope(LRS, errors) == pytest.approx(order, abs=0.1)


def test_the_second_equation_is_the_worse_one_for_the_variance_of_additive_noise():
    # ηs²/(k(2 − ηk)) = ηs²/(2k) (1 + ηk/2 + …), and the equations have 1 and 1 − ηk/2 + …: both
    # are wrong by O(η²), the second one twice as much
    s = 0.7
    first, second = [], []
    for lr in LRS:
        truth = float(moment_map(GradientFlow(), lr, K, gradient_noise=s).stationary)
        flow = SGDFlow(lr, s)
        one, two = (float(stationary_exact(flow, modified(order, lr))) for order in (1, 2))
        assert truth == pytest.approx(lr * s * s / (K * (2 - lr * K)), rel=1e-12)
        assert one == pytest.approx(lr * s * s / (2 * K), rel=1e-12)
        first.append(truth - one)
        second.append(truth - two)
    assert slope(LRS, first) == pytest.approx(2.0, abs=0.05)
    assert slope(LRS, second) == pytest.approx(2.0, abs=0.05)
    ratios = np.array(second) / np.array(first)
    # (1/(1 − u) − 1/(1 + u)) / (1/(1 − u) − 1) = 2/(1 + u) with u = ηk/2
    np.testing.assert_allclose(ratios, [2 / (1 + lr * K / 2) for lr in LRS], rtol=1e-9)


@pytest.mark.parametrize(("second_order", "expected"), [(True, 2.0), (False, 1.0)])
def test_momentum_sgd_as_a_bath(second_order, expected):
    # T = h s²/(2γ) with γ = −ln β/h, at a fixed friction γ, as lr → 0
    gamma, k, s = 1.0, 1.0, 1.0
    hs, errors = (0.2, 0.1, 0.05, 0.025), []
    for h in hs:
        beta = math.exp(-gamma * h)
        lr = h * h * (1 + beta) / 2 if second_order else h * h
        own = math.sqrt(lr)  # the h of the word, in which p has its own unit
        word = Word("DBA", LDHD(-math.log(beta) / own))
        truth = float(moment_map(word, own, k, gradient_noise=s).stationary[0, 0])
        errors.append(abs(h * s * s / (2 * gamma) / k / truth - 1))
    assert slope(hs, errors) == pytest.approx(expected, abs=0.1)
