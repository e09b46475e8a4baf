"""Exact moments on a quadratic: closed forms, other linear algebra, and what is refused."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dashpot.analysis import exact_moments, moment_map, stationary_exact
from dashpot.analysis.sampling.equation import sgd_interpolation
from dashpot.analysis.stability.linear import linear_step
from dashpot.dynamics import (
    CD,
    KFAD,
    LDHD,
    NAG,
    Descent,
    Dynamics,
    GradientFlow,
    Langevin,
    MultiplicativeNoise,
    OverdampedLangevin,
    SGDFlow,
)
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

WORDS = (*TABLE, "UBU", "BUB", "BU", "UB")
moderate = st.floats(0.05, 1.2)  # h√k <= 1.31: every word of the table is stable there
rates = st.floats(0.1, 3.0)


def by_hand(text: str, h: float, k: float, gamma: float, temperature: float) -> np.ndarray:
    """The stationary covariance from matrices of the letters, and scipy's Lyapunov solver."""
    move, noise = np.eye(2), np.zeros((2, 2))
    for letter in text:
        w = h / text.count(letter)
        a = math.exp(-gamma * w)
        spread = np.zeros((2, 2))
        if letter == "A":
            part = np.array([[1, w], [0, 1]])
        elif letter == "B":
            part = np.array([[1, 0], [-w * k, 1]])
        elif letter == "O":
            part = np.diag([1, a])
            spread = np.diag([0, temperature * (1 - a * a)])
        else:
            part, spread = van_loan(0.0, gamma, temperature, w)
        move, noise = part @ move, part @ noise @ part.T + spread
    return scipy.linalg.solve_discrete_lyapunov(move, noise)


def van_loan(k: float, gamma: float, temperature: float, t: float) -> tuple[np.ndarray, np.ndarray]:
    """e^{At} and the covariance of the noise after t of the equation (Van Loan 1978)."""
    a = np.array([[0.0, 1.0], [-k, -gamma]])
    d = np.diag([0.0, 2 * gamma * temperature])
    big = scipy.linalg.expm(t * np.block([[-a, d], [np.zeros((2, 2)), a.T]]))
    return big[2:, 2:].T, big[2:, 2:].T @ big[:2, 2:]


def close(found: torch.Tensor, expected: object, tolerance: float = 1e-10) -> None:
    wanted = torch.as_tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)


# --- stationary laws of words ---------------------------------------------------------------------


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


# --- gradients with noise -------------------------------------------------------------------------

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


# --- the map and the equation ---------------------------------------------------------------------


@given(st.integers(0, 40), st.sampled_from(WORDS))
@settings(max_examples=20, deadline=None)
def test_doubling_is_stepping(n, text):
    step = moment_map(Word(text, Langevin(0.7, 1.3)), 0.4, 0.8)
    mean, spread = (torch.tensor([1.0, -0.5], dtype=torch.float64), 0.1 * step.covariance)
    found = step.propagate(mean, spread, n)
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


# --- refusals -------------------------------------------------------------------------------------


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
    with pytest.raises(TypeError, match="expected a dynamics"):
        moment_map("BAOAB", 0.1)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="unknown method 'milstein'; choose one of word, euler"):
        moment_map(d, 0.1, method="milstein")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="takes the whole vector field, not a word"):
        moment_map(Word("BAOAB", d), 0.1, method="heun")
    with pytest.raises(ValueError, match=r"shapes \[..., 2\] and \[..., 2, 2\]; got \(1,\)"):
        moment_map(d, 0.1).propagate([1.0], np.zeros((2, 2)), 3)
    with pytest.raises(ValueError, match="steps must be a whole number >= 0; got -1"):
        moment_map(d, 0.1).propagate([1.0, 0.0], np.zeros((2, 2)), -1)
