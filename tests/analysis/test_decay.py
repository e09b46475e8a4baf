"""Decay rates: the truth lies in the interval, or no rate is reported, with the reason."""

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from dashpot.analysis.energy.decay import DecayRate, decay_rate, fit_decay

Array = NDArray[np.float64]

fuzz = settings(derandomize=True, max_examples=40, deadline=None, database=None)


def powers(low: float, high: float) -> st.SearchStrategy[float]:
    """Numbers spread evenly in their logarithm."""
    return st.floats(math.log(low), math.log(high)).map(math.exp)


phases = st.floats(0.0, 2.0 * math.pi)


def holds(result: DecayRate, model: str, truth: float) -> None:
    """The right model, the truth inside the interval, the rate inside too."""
    assert result.model == model, result
    assert result.rate_low <= truth <= result.rate_high, (truth, result)
    assert result.rate_low <= result.rate <= result.rate_high


def holds_or_none(result: DecayRate, model: str, truth: float) -> None:
    """As `holds`, unless no rate is reported, and then there is a reason."""
    if result.model == "none":
        assert math.isnan(result.rate) and math.isnan(result.rate_low) and result.reason
    else:
        holds(result, model, truth)


def close(result: DecayRate, model: str, truth: float, within: float = 0.01) -> None:
    """A clean curve: the rate is right to 1 % and the interval no wider than 2 % either side."""
    holds(result, model, truth)
    assert result.rate == pytest.approx(truth, rel=within)
    assert result.rate_high - result.rate_low < 4.0 * within * truth


# ------------------------------------------------------------------- exponential, synthetic


@fuzz
@given(powers(0.01, 3), st.floats(10, 40), powers(12, 300), st.floats(0, 0.8), phases)
def test_damped_oscillation(gamma, folds, periods, depth, phase):
    t = np.linspace(0.0, folds / gamma, max(1000, int(20 * periods)))
    wave = np.cos(2 * np.pi * periods * t / t[-1] + phase)
    close(fit_decay(t, np.exp(-gamma * t) * (1 + depth * wave)), "exponential", gamma)


modes = st.lists(
    st.tuples(powers(0.05, 1), st.floats(0, 0.8), powers(15, 150), phases), min_size=2, max_size=5
)


@fuzz
@given(powers(0.01, 3), st.floats(5, 40), modes)
def test_several_modes_of_one_rate(gamma, folds, modes):
    t = np.linspace(0.0, folds / gamma, 4000)
    e = sum(a * (1 + b * np.cos(2 * np.pi * n * t / t[-1] + s)) for a, b, n, s in modes)
    holds(fit_decay(t, np.exp(-gamma * t) * e), "exponential", gamma)


@fuzz
@given(
    st.lists(st.tuples(powers(0.1, 5), powers(0.1, 1)), min_size=2, max_size=5), st.floats(3, 30)
)
def test_overdamped_mixture_gives_the_slowest_rate(mixture, folds):
    slowest = min(rate for rate, _ in mixture)
    t = np.linspace(0.0, folds / slowest, 2000)
    e = sum(a * np.exp(-rate * t) for rate, a in mixture)
    holds_or_none(fit_decay(t, e), "exponential", slowest)


@fuzz
@given(powers(0.02, 1), powers(1.5, 50), powers(1e-4, 1), st.floats(6, 30), powers(20, 300))
def test_fast_then_slow(slow, ratio, share, folds, periods):
    t = np.linspace(0.0, folds / slow, 6000)
    e = np.exp(-ratio * slow * t) + share * np.exp(-slow * t)
    wave = 1 + 0.3 * np.cos(2 * np.pi * periods * t / t[-1])
    holds_or_none(fit_decay(t, e * wave), "exponential", slow)


def test_fast_then_slow_when_the_tail_is_reached():
    t = np.linspace(0.0, 60.0, 2000)
    e = (np.exp(-2.0 * t) + 0.01 * np.exp(-0.3 * t)) * (1 + 0.2 * np.cos(5 * t))
    close(fit_decay(t, e), "exponential", 0.3)


def test_a_slow_mode_that_only_emerges_is_not_missed():
    t = np.linspace(0.0, 60.0, 2000)
    result = fit_decay(t, np.exp(-0.2 * t) + 1e-5 * np.exp(-0.02 * t))
    assert result.model == "none" and "undecided" in result.reason


@fuzz
@given(powers(0.05, 1), powers(0.1, 10), powers(0.1, 1), st.floats(4, 30), powers(15, 300), phases)
def test_nonlinear_start(gamma, kappa, start, folds, periods, phase):
    """dE/dt = -γ E - κ E²: algebraic first, exponential once κ E < γ."""
    t = np.linspace(0.0, folds / gamma, 5000)
    e = 1.0 / ((1 / start + kappa / gamma) * np.exp(gamma * t) - kappa / gamma)
    e = e * (1 + 0.2 * np.cos(2 * np.pi * periods * t / t[-1] + phase))
    holds_or_none(fit_decay(t, e), "exponential", gamma)


@fuzz
@given(
    st.sampled_from(["added", "noise", "quantum"]),
    powers(0.1, 3),
    powers(1e-33, 1e-8),
    st.floats(1.3, 3),
    powers(20, 300),
)
def test_floor(kind, gamma, floor, stretch, periods):
    t = np.linspace(0.0, stretch * math.log(1 / floor) / gamma, 6000)
    e = np.exp(-gamma * t) * (1 + 0.5 * np.cos(2 * np.pi * periods * t / t[-1]))
    if kind == "added":
        e = e + floor
    elif kind == "noise":
        e = e + floor * np.random.default_rng(0).random(t.size) ** 2
    else:
        e = np.round(e / floor) * floor
    result = fit_decay(t, e)
    holds(result, "exponential", gamma)
    assert 0.2 * floor < result.floor < 5.0 * floor
    assert result.window[1] < math.log(1 / floor) / gamma
    assert "stagnates" in result.reason


def test_floor_given_by_the_user():
    t = np.linspace(0.0, 40.0, 3000)
    e = np.exp(-t) * (1 + 0.3 * np.cos(6 * t)) + 1e-4
    assert fit_decay(t, e).model == "none"
    result = fit_decay(t, e, floor=0.05)
    assert result.floor == 0.05 and result.window[1] < 4.0


def test_round_off_of_f_minus_minimum_may_turn_negative():
    t = np.linspace(0.0, 60.0, 3000)
    noise = 1e-16 * np.round(2.0 * np.random.default_rng(1).standard_normal(t.size))
    result = fit_decay(t, np.exp(-t) * (1 + 0.3 * np.cos(6 * t)) + noise)
    close(result, "exponential", 1.0)
    assert 1e-16 <= result.floor < 1e-15


# ------------------------------------------------------------------------ algebraic, synthetic


@fuzz
@given(powers(0.01, 100), powers(1e-8, 1), powers(0.05, 1000), powers(20, 300), phases)
def test_algebraic_from_plateau_to_power_law(kappa, start, growth, periods, phase):
    """E = 1/(1/E₁ + κ t) with κ E₁ T from 0.05 (a plateau in log-log) to 1000."""
    t = np.linspace(0.0, growth / (kappa * start), 6000)
    w = 2 * np.pi * periods / t[-1]
    e = 1.0 / (1 / start + kappa * (t + 0.5 / w * np.sin(w * t + phase) + 0.5 / w))
    holds_or_none(fit_decay(t, e), "algebraic", kappa)


@pytest.mark.parametrize("growth", [0.05, 1.0, 100.0])
def test_algebraic_without_oscillation(growth):
    t = np.linspace(0.0, 50.0, 1000)
    close(fit_decay(t, 1 / (1 / 3.0 + growth / 150.0 * t)), "algebraic", growth / 150.0)


@fuzz
@given(powers(0.1, 30), powers(1e-8, 1e-3), powers(0.05, 20), powers(20, 2000), powers(20, 300))
def test_plateau_after_a_fast_start(kappa, plateau, growth, fast, periods):
    t = np.linspace(0.0, growth / (kappa * plateau), 8000)
    w = 2 * np.pi * periods / t[-1]
    e = 1.0 / (1 / plateau + kappa * (t + 0.2 / w * np.cos(w * t))) + np.exp(-fast * t / t[-1])
    holds_or_none(fit_decay(t, e), "algebraic", kappa)


def test_plateau_after_a_fast_start_is_decided():
    t = np.linspace(0.0, 3000.0, 8000)
    e = 1.0 / (1 / 6e-6 + 9.0 * (t + 0.3 * np.cos(t))) + np.exp(-0.2 * t)
    close(fit_decay(t, e), "algebraic", 9.0)


@fuzz
@given(st.lists(st.tuples(powers(0.3, 3), powers(0.1, 1)), min_size=2, max_size=4), powers(1, 1000))
def test_algebraic_sum_of_modes(mixture, length):
    t = np.linspace(0.0, length, 6000)
    e = np.zeros_like(t)
    for k, (kappa, start) in enumerate(mixture):
        w = 2 * np.pi * (40 + 31 * k) / length
        e += 1.0 / (1 / start + kappa * (t + 0.3 / w * np.cos(w * t)))
    truth = 1.0 / sum(1.0 / kappa for kappa, _ in mixture)
    holds_or_none(fit_decay(t, e), "algebraic", truth)


def test_algebraic_sum_of_modes_at_late_times():
    t = np.linspace(0.0, 600.0, 6000)
    e = 1 / (10 + 0.5 * t) + 1 / (1 + 2 * t) + 1 / (3 + t + 0.2 * np.cos(3 * t))
    close(fit_decay(t, e), "algebraic", 2 / 7)


@fuzz
@given(st.booleans(), powers(0.01, 0.5), powers(20, 300), powers(1e-5, 0.3), phases)
def test_tiny_total_decay(algebraic, change, periods, depth, phase):
    t = np.linspace(0.0, 100.0, 6000)
    rate, w = change / 100.0, 2 * np.pi * periods / 100.0
    if algebraic:
        e = 1 / (1 + rate * (t + depth / w * np.cos(w * t + phase)))
    else:
        e = np.exp(-rate * t) * (1 + depth * np.cos(w * t + phase))
    holds_or_none(fit_decay(t, e), "algebraic" if algebraic else "exponential", rate)


# ------------------------------------------------------------------------------ uneven times


@fuzz
@given(powers(0.02, 2), st.floats(6, 30), powers(12, 80), st.floats(0, 0.8), st.integers(0, 99))
def test_times_with_gaps(gamma, folds, periods, depth, seed):
    t = np.linspace(0.0, folds / gamma, 2000)
    t = t[np.random.default_rng(seed).random(t.size) < 0.8]
    wave = 1 + depth * np.cos(2 * np.pi * periods * t / t[-1])
    holds_or_none(fit_decay(t, np.exp(-gamma * t) * wave), "exponential", gamma)


@pytest.mark.parametrize("frequency", [0.7, 2.0])
def test_logarithmic_times(frequency):
    """The late samples are too sparse for the oscillation, which is then a small noise."""
    t = np.geomspace(1e-2, 1e4, 3000)
    close(fit_decay(t, 1 / (1 + 0.5 * (t + 0.3 * np.cos(frequency * t)))), "algebraic", 0.5)


# -------------------------------------------------------------------------------------- none


def none_because(result: DecayRate, *words: str) -> None:
    assert result.model == "none", result
    assert any(word in result.reason for word in words), result.reason


@fuzz
@given(powers(1e-8, 0.1), powers(15, 300), phases)
def test_conserved_energy(amplitude, periods, phase):
    """A symplectic method: E oscillates by O(h²) and neither decays nor grows."""
    t = np.linspace(0.0, 100.0, 4000)
    e = 1 + amplitude * np.cos(2 * np.pi * periods * t / 100.0 + phase)
    assert fit_decay(t, e).model == "none"


def test_constant_energy():
    t = np.linspace(0.0, 10.0, 100)
    none_because(fit_decay(t, 3.0 + 1e-12 * np.sin(t)), "conserved: it changed by less than 1e-9")


@fuzz
@given(powers(0.05, 2), powers(1e-4, 0.1), st.floats(-0.9, 0.99), powers(15, 300))
def test_limit_cycle(rate, cycle, side, periods):
    """E tends to a positive constant, from below (side < 0) or from far above."""
    t = np.linspace(0.0, 100.0, 4000)
    start = side if side < 0 else side / cycle
    e = (
        cycle
        * (1 + 0.1 * np.cos(2 * np.pi * periods * t / 100.0))
        * (1 + start * np.exp(-rate * t))
    )
    assert fit_decay(t, e).model == "none"


@pytest.mark.parametrize("above", [0.6, 0.8, 0.9, 1.0, 1.1, 1.3, 2.0])
def test_limit_cycle_where_the_exponent_passes_through_one(above):
    """E = E* (1 + u), u ~ exp(-λ t), has -d log E/dt ∝ E^(1/u): like 1/t where E = 2 E*."""
    t = np.linspace(0.0, 100.0, 4000)
    e = 1e-4 * (1 + above * np.exp(0.0725 * (100.0 - t))) * (1 + 0.1 * np.cos(8.8 * t))
    assert fit_decay(t, e).model == "none"


@fuzz
@given(powers(0.001, 0.3), powers(15, 300), st.floats(0, 0.5))
def test_growth(rate, periods, depth):
    t = np.linspace(0.0, 100.0, 4000)
    e = np.exp(rate * t) * (1 + depth * np.cos(2 * np.pi * periods * t / 100.0))
    none_because(fit_decay(t, e), "grows")


@pytest.mark.parametrize("power", [0.5, 2.0, 3.0])
def test_other_powers_are_named(power):
    t = np.linspace(0.0, 300.0, 3000)
    none_because(fit_decay(t, (1 + t) ** -power), f"t^-{power:g} ")


def test_too_short():
    t = np.linspace(0.0, 6.0, 200)
    e = np.exp(-0.2 * t) * (1 + 0.3 * np.cos(2 * t + 0.4))
    none_because(fit_decay(t, e), "too short: fewer than 4 periods")
    none_because(fit_decay(t[:10], e[:10]), "too short: 10 samples")
    none_because(fit_decay([], []), "too short")


def test_a_slow_oscillation_is_not_a_rate():
    t = np.linspace(0.0, 60.0, 2000)
    none_because(fit_decay(t, np.exp(-0.2 * t) * (1 + 0.5 * np.cos(0.12 * t + 1))), "too short")


def test_unusable_curves_are_answered():
    t = np.linspace(0.0, 10.0, 200)
    e = np.exp(-t)
    none_because(
        fit_decay(t, np.where(t > 5, np.nan, e)), "diverged: its energy is not finite from"
    )
    none_because(fit_decay(t, e - 0.5), "f* is too large")
    none_because(fit_decay(t, 0 * t), "nowhere positive")


def test_malformed_input_is_refused():
    t = np.linspace(0.0, 10.0, 200)
    with pytest.raises(ValueError, match="one column at a time"):
        fit_decay(t, np.ones((200, 2)))
    with pytest.raises(ValueError, match="strictly increasing"):
        fit_decay(t[::-1], np.exp(-t))


# ------------------------------------------------------------- dynamics, integrated by scipy

Flow = Callable[[float, Array], Any]


def integrate(flow: Flow, start: Any, until: float, n: int, **options: Any) -> tuple[Array, Array]:
    t = np.linspace(0.0, until, n)
    setting: dict[str, Any] = {"rtol": 1e-11, "atol": 1e-16} | options
    run = solve_ivp(flow, (0.0, until), start, method="DOP853", t_eval=t, **setting)
    return t, run.y


K = np.array([1.0, 2.3, 4.0])
X0 = np.array([1.0, -0.7, 0.4])


def quadratic(until: float, n: int, gamma: float = 0.0, c: float = 0.0) -> DecayRate:
    """CD on ½ Σ kᵢ xᵢ², k = (1, 2.3, 4); LDHD for c = 0."""

    def flow(_: float, y: Array) -> Array:
        x, p = y[:3], y[3:]
        return np.concatenate((p, -K * x - gamma * p - c * p**3))

    t, y = integrate(flow, [*X0, 0, 0, 0], until, n)
    return fit_decay(t, 0.5 * (K @ y[:3] ** 2 + np.sum(y[3:] ** 2, axis=0)))


def oscillator(flow: Flow, start: Any, until: float, n: int) -> DecayRate:
    """One coordinate, f = ½ x²; y = (x, p, ...)."""
    t, y = integrate(flow, start, until, n)
    return fit_decay(t, 0.5 * (y[0] ** 2 + y[1] ** 2))


def test_ldhd_underdamped():
    close(quadratic(60.0, 3000, gamma=0.2), "exponential", 0.2)


def test_ldhd_overdamped():
    """γ = 5 on k = 1: the energy decays at γ - √(γ² - 4k)."""
    close(quadratic(60.0, 3000, gamma=5.0), "exponential", 5.0 - math.sqrt(21.0))


def test_ldhd_without_damping_conserves():
    none_because(quadratic(100.0, 3000), "conserved")


def test_cd_one_mode():
    """κ = 3c/2."""
    result = oscillator(lambda _, y: [y[1], -y[0] - y[1] ** 3], [1.0, 0.0], 300.0, 6000)
    close(result, "algebraic", 1.5)


def test_cd_three_modes():
    """κ = 3c/(2d)."""
    close(quadratic(600.0, 12000, c=1.0), "algebraic", 0.5)


def test_cd_with_linear_damping_ends_exponentially():
    result = oscillator(
        lambda _, y: [y[1], -y[0] - 0.1 * y[1] - 5 * y[1] ** 3], [1.0, 0.0], 150.0, 6000
    )
    close(result, "exponential", 0.1)


def kappa(alpha: float, mu: float, k: Any) -> Any:
    """κ = (1/α + α / (2 (α² + 4k))) / μ of iKFAD with γ = 0."""
    return (1 / alpha + alpha / (2 * (alpha**2 + 4 * k))) / mu


def ikfad(alpha: float, mu: float) -> Flow:
    return lambda _, y: [y[1], -y[0] - y[2] * y[1], y[1] ** 2 / mu - alpha * y[2]]


def test_ikfad_one_mode():
    close(oscillator(ikfad(1.0, 1.0), [1.0, 0, 0], 300.0, 6000), "algebraic", kappa(1.0, 1.0, 1.0))


def test_ikfad_on_its_plateau():
    """α = 0.1: E falls to 1e-9 at once, then by 6e-6 of itself in all: κ is there already."""
    result = oscillator(ikfad(0.1, 1.0), [2.0, 0, 0], 600.0, 12000)
    holds(result, "algebraic", kappa(0.1, 1.0, 1.0))
    assert result.rate == pytest.approx(kappa(0.1, 1.0, 1.0), rel=0.01)


@pytest.mark.parametrize("own", [True, False], ids=["iKFAD", "KFAD"])
def test_kfad_three_modes(own):
    """iKFAD: 1/κ = Σ 1/κᵢ; KFAD: κ = 1/α + α / (2 Σ (α² + 4kᵢ)), here α = μ = 1."""

    def flow(_: float, y: Array) -> Array:
        x, p, xi = y[:3], y[3:6], y[6:]
        source = p**2 if own else np.full(1, np.sum(p**2))
        return np.concatenate((p, -K * x - xi * p, source - xi))

    t, y = integrate(flow, [*X0, 0, 0, 0, *[0.0] * (3 if own else 1)], 600.0, 12000)
    e = 0.5 * (K @ y[:3] ** 2 + np.sum(y[3:6] ** 2, axis=0))
    truth = 1 / np.sum(1 / kappa(1.0, 1.0, K)) if own else 1 + 0.5 / np.sum(1 + 4 * K)
    close(fit_decay(t, e), "algebraic", float(truth))


@pytest.mark.parametrize(("start", "until"), [(1.0, 100.0), (1.0, 1500.0), (0.02, 1500.0)])
def test_cadam_without_friction_ends_on_a_limit_cycle(start, until):
    """γ = 0, c = 1, α = 0.05: H_C tends to α 12^(-2/3) = 0.009539."""

    def flow(_: float, y: Array) -> list[float]:
        x, p, zeta = y
        return [p / math.sqrt(zeta), -x - p**3, x**2 - 0.05 * zeta]

    t, (x, p, zeta) = integrate(flow, [start, 0, start**2], until, 8000, rtol=1e-8, atol=1e-12)
    result = fit_decay(t, 0.5 * x**2 + 0.5 * p**2 / np.sqrt(zeta))
    none_because(result, "limit cycle")
    if until > 1000.0:
        assert "0.0095" in result.reason


def test_nesterov_is_neither():
    """On a quadratic E falls like t^-3."""
    result = oscillator(
        lambda t, y: [y[1], -y[0] - 3 * y[1] / max(t, 1e-9)], [1.0, 0.0], 200.0, 6000
    )
    none_because(result, "t^-3 ")


# ------------------------------------------------------------------------------ trajectories


def run_of(energy: Array, times: Array, minimum: float | None = 0.0, **more: Any) -> Any:
    return SimpleNamespace(
        times=torch.from_numpy(times),
        mechanical_energy=torch.from_numpy(energy),
        settings={"minimum": minimum},
        status=more.get("status", "finished"),
    )


TIMES = np.linspace(0.0, 60.0, 1000)


def test_decay_rate_of_one_run_and_of_a_batch():
    one = np.exp(-0.3 * TIMES)
    close(decay_rate(run_of(one, TIMES)), "exponential", 0.3)
    batch = run_of(np.stack([one, one**2], axis=1), TIMES)
    close(decay_rate(batch, 1), "exponential", 0.6)
    close(decay_rate(batch, -2), "exponential", 0.3)
    with pytest.raises(ValueError, match=r"\[decay_rate\(run, i\) for i in range\(n\)\]"):
        decay_rate(batch)
    with pytest.raises(ValueError, match="does not name one trajectory"):
        decay_rate(run_of(one, TIMES), 1)


def test_decay_rate_needs_the_minimum():
    with pytest.raises(ValueError, match="Give the landscape its minimum"):
        decay_rate(run_of(np.exp(-TIMES), TIMES, minimum=None))


def test_decay_rate_of_runs_that_ended_early():
    cut = np.where(TIMES > 40.0, np.nan, np.exp(-0.3 * TIMES))
    close(decay_rate(run_of(cut, TIMES, status="stopped")), "exponential", 0.3)
    blown = np.where(TIMES > 40.0, np.nan, np.exp(0.3 * TIMES))
    none_because(decay_rate(run_of(blown, TIMES, status="diverged")), "diverged")
