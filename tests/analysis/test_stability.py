"""Linear stability: matrices, limits, rates and optima against closed forms and other code."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import growth, slope, step_matrix

from dashpot.analysis.energy.prediction import linear_rate
from dashpot.analysis.stability.linear import linear_step, ode_rate
from dashpot.analysis.stability.maps import optimal_parameters, stability_limit, stability_map
from dashpot.dynamics import (
    CADAM,
    CD,
    IKFAD,
    KFAD,
    LDHD,
    NAG,
    Drift,
    Dynamics,
    GradientFlow,
    Kick,
    LinearDamping,
    NonNegative,
    Part,
    check,
)
from dashpot.dynamics.elements import exp, log1p, sqrt
from dashpot.integrators import Word

LINEAR = LDHD(0.7)
NONLINEAR: list[tuple[Dynamics, str, str]] = [  # a word, and what is left of it near equilibrium
    (CD(0.7, c=1e4), "BCDA", "BDA"),
    (CD(0.7, c=1e4), "BGAGB", "BDADB"),
    (KFAD(0.7, alpha=0.8, mu=1e-4), "BACDCAB", "BADAB"),
    (IKFAD(0.7, alpha=0.8, mu=1e-4), "BACD", "BAD"),
    (IKFAD(0.7, alpha=0.8, mu=1e-4, scheme="rotation"), "BACD", "BAD"),
    (CADAM(0.7, alpha=0.8, c=1e4, eps=0.3), "EBCDADCBE", "BDADB"),
]

LIMITS = {  # of heavy ball: h²L = 2(1 + β)/ρ, with the ρ of each word
    **dict.fromkeys(("BAD", "DBA", "ADB"), lambda b: math.sqrt(2 * (1 + b))),
    "BDA": lambda b: math.sqrt(2 * (1 + b) / b),
    **dict.fromkeys(("BDADB", "ADBDA"), lambda b: math.sqrt(2 * (1 + b) / math.sqrt(b))),
    **dict.fromkeys(("BADAB", "DBABD", "ABDBA"), lambda _: 2.0),
}

RATIOS = (0.0, 0.2, 1.0, 2.0, 5.0, 20.0)  # γ/√L
COMPOSED = {  # first failures on a scan of spacing 0.001, so at most that much too high
    "yoshida(BADAB)": (1.574, 1.542, 1.218, 1.019, 0.642, 0.215),
    "suzuki(BADAB)": (2.721, 2.775, 3.518, 3.877, 1.464, 0.492),
}

positive = st.floats(0.05, 3.0)


def by_hand(pieces: list[tuple[str, float]], h: float, k: float, gamma: float) -> np.ndarray:
    """The step's matrix on (x, p) from the three elementary ones."""
    matrix = np.eye(2)
    for letter, w in pieces:
        part = {
            "A": [[1, w * h], [0, 1]],
            "B": [[1, 0], [-w * h * k, 1]],
            "D": [[1, 0], [0, math.exp(-gamma * w * h)]],
        }[letter]
        matrix = np.array(part) @ matrix
    return matrix


# --- one step -------------------------------------------------------------------------------------


@given(positive, positive, positive, st.sampled_from([*LIMITS]))
@settings(max_examples=30, deadline=None)
def test_the_matrix_is_the_step_of_a_run(h, k, gamma, text):
    d = LDHD(gamma)
    step = linear_step(Word(text, d), h, k)
    torch.testing.assert_close(step.matrix, step_matrix(d, text, k, h), rtol=1e-13, atol=1e-14)


@given(positive, positive, st.sampled_from(NONLINEAR))
@settings(max_examples=30, deadline=None)
def test_nonlinear_parts_are_at_rest_near_the_equilibrium(h, k, case):
    dynamics, word, linear = case
    near = linear_step(Word(word, dynamics), h, k)
    left = linear_step(Word(linear, LINEAR), h, k)
    torch.testing.assert_close(near.matrix, left.matrix, rtol=1e-14, atol=1e-15)


@given(positive, positive, positive, st.sampled_from([*LIMITS]))
@settings(max_examples=50, deadline=None)
def test_complex_roots_have_the_modulus_of_the_ode(h, k, gamma, text):
    word = Word(text, LDHD(gamma))
    step = linear_step(word, h, k)
    if step.trace**2 < 3.9 * step.determinant:
        assert abs(step.radius.item() - math.exp(-gamma * h / 2)) < 1e-14
    if step.trace**2 > 4.1 * step.determinant:  # real: another algorithm
        assert step.radius.item() == pytest.approx(growth(step.matrix), rel=1e-9)


def test_arrays_are_broadcast_and_a_dynamics_without_momentum_is_one_number():
    h, k = torch.tensor([0.1, 0.2])[:, None], torch.tensor([1.0, 2.0, 3.0])
    flow = linear_step(Word("F", GradientFlow()), h, k)
    assert flow.matrix.shape == (2, 3, 1, 1)
    torch.testing.assert_close(flow.radius, (1 - h * k).abs().double())
    torch.testing.assert_close(ode_rate(GradientFlow(), k), 2 * k.double())


def test_unknown_names_and_lonely_words_are_refused():
    with pytest.raises(ValueError, match=r"no hyperparameter 'c'; it has gamma"):
        linear_step(Word("BDA", LINEAR), 0.1, values={"c": 1.0})
    with pytest.raises(ValueError, match="stands alone"):
        linear_step(Word("BDA"), 0.1)


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("gamma_h", (0.5, 2.0, 6.0))
@pytest.mark.parametrize("text", LIMITS)
def test_words_with_one_gradient_have_the_limit_of_heavy_ball(text, gamma_h):
    limit = stability_limit(Word(text, LINEAR), gamma_h=gamma_h)
    assert limit == pytest.approx(LIMITS[text](math.exp(-gamma_h)), abs=1e-8)


def test_the_strang_word_has_the_limit_2_at_any_friction():
    for ratio in RATIOS:
        limit = stability_limit(Word("BADAB", LINEAR), gamma_over_root=ratio)
        assert limit == pytest.approx(2.0, abs=1e-8)


@pytest.mark.parametrize("text", COMPOSED)
@pytest.mark.parametrize("place", range(len(RATIOS)))
def test_limits_of_order_4(text, place):
    ratio, word = RATIOS[place], Word(text, LINEAR)
    limit = stability_limit(word, gamma_over_root=ratio)
    assert COMPOSED[text][place] - 1e-3 <= limit <= COMPOSED[text][place] + 1e-4
    pieces = [(a, float(f)) for a, f in zip(word.letters, word.fractions, strict=True)]

    def radius(h: float) -> float:
        return abs(np.linalg.eigvals(by_hand(pieces, h, 1.0, ratio))).max()

    below = np.linspace(0.01, limit - 1e-4, 300)
    assert max(map(radius, below)) < 1 + 1e-7  # √rounding where two roots meet
    assert radius(limit + 1e-4) > 1 + 1e-5


def test_a_narrow_gap_is_seen():
    # Without friction, steps of 0.55 h and 0.45 h in turn: where both together make half a turn
    # the roots meet at −1 and leave the circle, between two points of a scan of spacing 0.5.
    pieces = [("B", 0.275), ("A", 0.55), ("B", 0.5), ("A", 0.45), ("B", 0.225)]
    text = "".join(f"{letter}:{fraction}" for letter, fraction in pieces)
    word = Word(text, Dynamics(Drift(), Kick(), word="BA"))
    scan = np.arange(0.5, 4.0, 1e-3)
    traces = np.array([abs(np.trace(by_hand(pieces, h, 1.0, 0.0))) for h in scan])
    first, after = scan[traces > 2][0], scan[(traces < 2) & (scan > scan[traces > 2][0])][0]
    assert 2.5 < first < after < 3.0
    assert stability_limit(word, step=1.0, points=200) == pytest.approx(first, abs=1e-3)


def test_the_limit_at_a_fixed_step_keeps_every_hyperparameter():
    d = CD(0.5, c=3.0)
    assert stability_limit(Word("BCDA", d), step=0.3) == pytest.approx(
        stability_limit(Word("BDA", LINEAR), gamma_h=0.15), abs=1e-8
    )
    flow = stability_limit(Word("F", GradientFlow()), step=0.5)
    assert flow**2 / 0.5 == pytest.approx(2.0, abs=1e-7)  # hL < 2


@pytest.mark.parametrize("beta", (0.1, 0.5, 0.9))
def test_nesterov_is_stable_below_its_known_learning_rate(beta):
    h = 0.2  # lr = h²: lr·L < 2(1 + β)/(1 + 2β)
    word = Word("BDFA", NAG(gamma=-math.log(beta) / h, eta=h))
    limit = stability_limit(word, step=h)
    assert limit**2 == pytest.approx(2 * (1 + beta) / (1 + 2 * beta), abs=1e-7)


@pytest.mark.parametrize("gamma_h", (8.6, 12.0, 20.0, 40.0))
def test_a_distant_limit_is_found(gamma_h):
    beta = math.exp(-gamma_h)
    limit = stability_limit(Word("BDA", LINEAR), gamma_h=gamma_h)
    assert limit == pytest.approx(math.sqrt(2 * (1 + beta) / beta), rel=1e-9)


def test_a_word_that_never_fails_has_no_limit():
    # BDA fails where x²β = 2(1 + β), x = h√L; with β = e^{−x} its left side is at most 4/e² < 2
    assert stability_limit(Word("BDA", LINEAR), gamma_over_root=1.0) == math.inf
    free = Dynamics(Drift(), LinearDamping(0.3))  # feels no curvature
    assert stability_limit(Word("AD", free)) == math.inf


def test_one_thing_is_kept_fixed_and_in_range():
    word, flow = Word("BDA", LINEAR), Word("F", GradientFlow())
    with pytest.raises(ValueError, match=r"one of gamma_h, .*; got gamma_h and step"):
        stability_limit(word, gamma_h=1.0, step=0.1)
    with pytest.raises(ValueError, match="one of gamma_h, step"):
        stability_map(word, [1.0], [1.0], step=0.1)
    for name in ("gamma_h", "gamma_over_root", "step"):
        refused: dict[str, Any] = {name: -1.0}
        with pytest.raises(ValueError, match=name):
            stability_limit(word, **refused)
    with pytest.raises(ValueError, match=r"GradientFlow has no hyperparameter gamma"):
        stability_limit(flow, gamma_h=0.5)
    assert stability_limit(flow) == pytest.approx(math.sqrt(2), abs=1e-8)  # L < 2 at h = 1


# --- rates ----------------------------------------------------------------------------------------


@given(positive, st.floats(0.0, 5.0), st.sampled_from([LINEAR, *(d for d, *_ in NONLINEAR)]))
@settings(max_examples=40, deadline=None)
def test_the_rate_of_the_ode_is_that_of_its_linearisation(k, gamma, dynamics):
    rate = ode_rate(dynamics, k, {"gamma": gamma}).item()
    exact = linear_rate(gamma, torch.tensor([k], dtype=torch.float64))
    assert rate == pytest.approx(exact, abs=1e-7)  # √rounding where the roots meet


def test_underdamped_rates_are_exact_and_overdamped_ones_have_the_order_of_the_word():
    h = np.array([1 / 20, 1 / 40, 1 / 80])
    for text, order in (("BAD", 1), ("BDA", 1), ("BADAB", 2), ("BDADB", 2)):
        under = stability_map(Word(text, LINEAR), h, 0.7 * h)
        np.testing.assert_allclose(np.diag(under.rate), 0.7, rtol=1e-12)
        over = stability_map(Word(text, LINEAR), h, 3.0 * h)
        exact = np.diag(over.ode_rate)
        np.testing.assert_allclose(exact, 3 - math.sqrt(5), rtol=1e-14)
        errors = abs(np.diag(over.rate) - exact)
        assert slope(h.tolist(), errors.tolist()) == pytest.approx(order, abs=0.1), text


def test_the_best_friction_of_the_torch_word_is_shifted():
    # β = (1 − h√m)² at h = 0.2, m = 1: γ = −2 ln(0.8)/0.2 = 2.2314, where the ODE has 2
    gamma = np.linspace(1.9, 2.5, 60_001)
    found = stability_map(Word("BAD", LINEAR), [0.2], 0.2 * gamma)
    assert gamma[found.radius[:, 0].argmin()] == pytest.approx(2.2314, abs=1e-4)
    assert found.radius.min() == pytest.approx(0.8, abs=1e-5)
    assert gamma[found.ode_rate[:, 0].argmax()] == pytest.approx(2.0, abs=1e-4)


def test_the_map_has_its_axes_and_both_units():
    h, gamma_h = np.array([0.5, 1.0, 1.5]), np.array([0.0, 1.0])
    found = stability_map(Word("BADAB", LINEAR), h, gamma_h)
    assert found.radius.shape == found.rate.shape == found.ode_rate.shape == (2, 3)
    np.testing.assert_allclose(found.radius[0], 1.0, atol=1e-14)
    single = stability_map(Word("BADAB", LDHD(2.0)), h, step=0.5)  # γh = 1 here too
    np.testing.assert_allclose(single.radius, found.radius[1], rtol=1e-13)
    np.testing.assert_allclose(single.rate, found.rate[1], rtol=1e-12)
    np.testing.assert_allclose(single.ode_rate, found.ode_rate[1], rtol=1e-12)
    for axis in ([0.0, 1.0], [math.nan], [], 1.0):
        with pytest.raises(ValueError, match="h_sqrt_k"):
            stability_map(Word("BADAB", LINEAR), axis, gamma_h)


# --- the best parameters --------------------------------------------------------------------------


@pytest.mark.parametrize("condition", (4.0, 100.0))
@pytest.mark.parametrize("text", ("BAD", "BDA", "BADAB", "BDADB"))
def test_every_word_with_one_gradient_reaches_polyak(text, condition):
    root = math.sqrt(condition)
    best = optimal_parameters(Word(text, LINEAR), condition)
    radius = (root - 1) / (root + 1)
    assert best.radius == pytest.approx(radius, abs=1e-9)
    assert best.beta == pytest.approx(radius**2, abs=1e-8)
    rho = 2 * (1 + best.beta) / LIMITS[text](best.beta) ** 2
    assert rho * best.h_root**2 == pytest.approx(4 / (1 + 1 / root) ** 2, abs=1e-8)
    assert best.beta == pytest.approx(math.exp(-best.gamma_over_root * best.h_root))


@pytest.mark.parametrize("condition", (1.01, 1e6))
@pytest.mark.parametrize("text", ("BAD", "BDA", "BADAB"))
def test_polyak_is_reached_at_any_condition(text, condition):
    root = math.sqrt(condition)
    best = optimal_parameters(Word(text, LINEAR), condition)
    # where two roots meet the radius is known to √rounding only, some 1e-8
    assert 1 - best.radius == pytest.approx(2 / (root + 1), rel=1e-5)
    assert best.beta == pytest.approx(((root - 1) / (root + 1)) ** 2, rel=1e-4)


def test_a_condition_number_is_above_1():
    for condition in (1.0, 0.5, math.inf, math.nan):
        with pytest.raises(ValueError, match="condition"):
            optimal_parameters(Word("BAD", LINEAR), condition)


@dataclass(frozen=True)
class Tanh(Part):
    """p' = −k tanh p, whose flow asinh(e^{−kh} sinh p) cancels where p is small."""

    letter, reads, writes = "Z", ("p",), ("p",)
    k: NonNegative

    def rate(self, s):
        rise = exp(2 * s.p)
        return {"p": -self.k * (rise - 1) / (rise + 1)}

    def flow(self, s, h):
        w = (exp(s.p) - exp(-s.p)) / 2 * exp(-self.k * h)
        s.p = log1p(w + sqrt(1 + w * w) - 1)


def test_a_flow_that_cancels_near_rest_is_linearised_all_the_same() -> None:
    """Near p = 0 the part is linear damping with γ = k."""
    assert check(Tanh(1.0))
    made = Dynamics(Drift(), Kick(), Tanh(1.0))
    h = torch.linspace(0.1, 3.0, 7)
    ours, theirs = linear_step(Word("BZA", made), h), linear_step(Word("BDA", LDHD(1.0)), h)
    torch.testing.assert_close(ours.matrix, theirs.matrix, rtol=1e-14, atol=1e-15)
