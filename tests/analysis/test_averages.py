"""Averages against processes whose autocorrelation is known, and what is said of short runs."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from dashpot.analysis import average, average_ratio, stationary
from dashpot.analysis.sampling.autocorrelation import autocorrelation, autocovariance
from dashpot.dynamics import LDHD, Langevin
from dashpot.integrators import simulate, solve
from dashpot.landscapes import DoubleWell, Quadratic

seeds = st.integers(0, 2**32 - 1)


def ar1(rho: float, *shape: int, seed: int = 0) -> np.ndarray:
    """a(t+1) = ρ a(t) + noise, stationary with variance 1 and τ = (1 + ρ)/(1 − ρ)."""
    kicks = np.random.default_rng(seed).standard_normal(shape)
    kicks[1:] *= math.sqrt(1 - rho * rho)
    return np.asarray(lfilter([1.0], [1.0, -rho], kicks, axis=0))


@pytest.mark.parametrize(
    ("rho", "samples", "trajectories"),
    [(0.0, 2000, 1), (0.5, 1500, 1), (0.9, 4000, 1), (0.9, 1000, 4), (-0.5, 2000, 1)],
)
def test_time_error_and_coverage_over_replicas(rho, samples, trajectories):
    replicas = 600
    tau = (1 + rho) / (1 - rho)
    series = ar1(rho, samples, replicas, trajectories, seed=1)
    found = [average(series[:, r]) for r in range(replicas)]
    taus = np.array([one.tau for one in found])
    # Geyer's stop lets one or two pairs of noise pass, each of about √(2 τ/N) ≈ 3 % of τ.
    assert abs(taus.mean() - tau) < 4 * taus.std() / math.sqrt(replicas) + 0.06 * max(tau, 0.5)
    size = samples * trajectories
    assert np.median([one.effective_size for one in found]) == pytest.approx(size / tau, rel=0.1)
    means = np.array([one.mean for one in found])
    errors = np.array([one.standard_error for one in found])
    assert abs(means.mean()) < 4 * math.sqrt(tau / size / replicas)
    # The spread of 600 means is itself known to 1/√1200; τ is above by up to 6 % as before.
    ratio = math.sqrt((errors**2).mean()) / means.std()
    assert -4 / math.sqrt(2 * replicas) < ratio - 1 < 4 / math.sqrt(2 * replicas) + 0.03
    inside = np.mean(np.abs(means) < 2 * errors)
    assert abs(inside - 0.9545) < 4 * math.sqrt(0.9545 * 0.0455 / replicas)
    assert np.mean([one.enough for one in found]) > 0.95


@settings(max_examples=30, deadline=None)
@given(seed=seeds, times=st.integers(2, 30), count=st.integers(1, 5))
def test_autocovariance_is_the_double_sum(seed, times, count):
    series = 3 + np.random.default_rng(seed).standard_normal((times, count))
    a = series - series.mean()
    direct = [(a[: times - t] * a[t:]).sum() / (times * count) for t in range(times)]
    found = autocovariance(series)
    np.testing.assert_allclose(found, direct, atol=1e-13)
    # Over all lags it is the scatter between the trajectories' means.
    total = found[0] + 2 * found[1:].sum()
    assert total == pytest.approx(times * (a.mean(0) ** 2).mean(), abs=1e-12)
    assert autocorrelation(series)[0] == 1


@settings(max_examples=20, deadline=None)
@given(seed=seeds, scale=st.floats(0.01, 100), shift=st.floats(-100, 100))
def test_units_and_the_order_of_trajectories_do_not_matter(seed, scale, shift):
    series = ar1(0.6, 300, 3, seed=seed)
    plain, other = average(series), average(shift - scale * series[:, ::-1])
    assert other.mean == pytest.approx(shift - scale * plain.mean, abs=1e-11 * (scale + abs(shift)))
    assert other.standard_error == pytest.approx(scale * plain.standard_error, rel=1e-7)
    assert other.tau == pytest.approx(plain.tau, rel=1e-7)
    folded = average(torch.from_numpy(series.reshape(300, 3, 1)))
    assert folded == plain


def test_alternating_series_are_credited_with_a_bounded_gain():
    found = average(ar1(-0.9, 5000))
    assert 1 <= found.tau * math.log10(5000) < 1.1  # and what the mean takes from the lags
    assert found.tau > 0.1 / 1.9  # the true one: the error is too large rather than too small


def test_a_short_run_says_so():
    for length, words in ((200, "effective samples"), (2000, "")):
        found = average(ar1(0.9, length, seed=3))
        assert found.enough == (not words)
        assert words in found.message
        assert ("not to be relied on" in str(found)) == bool(words)
    many = average(ar1(0.9, 100, 50, seed=3))  # 5 τ each, 263 effective samples in all
    assert not many.enough
    assert "every trajectory lasts" in many.message


def test_a_start_far_away_is_seen_and_can_be_discarded():
    series = ar1(0.5, 3000, 8, seed=4)
    series += 30 * np.exp(-np.arange(3000) / 20)[:, None]
    whole = average(series)
    assert whole.deviation(0.0) > 2.5  # the start adds 30 · 20/3000 = 0.2
    assert "not stationary" in whole.message
    assert average(series[:30], discard=0.1).samples == 27
    late = average(series, discard=0.2)
    assert late.enough
    assert late.samples == 2400
    assert abs(late.deviation(0.0)) < 4
    step = ar1(0.0, 4000, 20, seed=5)
    step[2000:] += 0.1  # the first tenth is known to 0.011, the last half to 0.005
    assert "not stationary" in average(step).message


def test_false_alarms_are_rare():
    series = ar1(0.9, 1900, 1000, seed=9) ** 2  # τ = 1.81/0.19: 200 effective samples
    assert np.mean([average(series[:, r]).enough for r in range(1000)]) > 0.98


def test_trajectories_stuck_in_different_places_widen_the_error():
    sides = np.array([1.0, -1.0, 1.0, 1.0])
    found = average(sides + 0.1 * ar1(0.0, 1000, 4, seed=6))
    assert not found.enough
    # Four independent values ±1: the error of their mean is at least √(¾)/√4 = 0.43.
    assert found.standard_error > 0.4


def test_nothing_to_average():
    constant = average(np.full((100, 2), 0.1))
    assert (constant.mean, constant.standard_error) == (pytest.approx(0.1), 0.0)
    assert not constant.enough
    assert "constant" in str(constant)
    frozen = np.concatenate((ar1(0.0, 1000), np.zeros(1000)))
    assert "not stationary" in average(frozen - 1).message
    assert "single sample" in average([2.0]).message
    lost = average([[1.0, 2.0], [math.nan, 1.0], [1.5, 3.0]])
    assert (lost.lost, lost.trajectories, lost.mean) == (1, 1, 2.0)
    assert "1 of 2 trajectories" in lost.message
    none = average([math.inf, 1.0])
    assert math.isnan(none.mean)
    assert "no trajectory" in none.message


def test_one_time_of_many_runs_is_independent_samples():
    found = average(ar1(0.0, 1, 4000, seed=10))
    assert found.enough
    assert found.tau == pytest.approx(1, abs=1e-3)
    assert found.standard_error == pytest.approx(1 / math.sqrt(4000), rel=4 / math.sqrt(8000))


def test_bad_input_is_named():
    for empty in ([], np.zeros((0, 3)), np.zeros((3, 0)), 1.0):
        with pytest.raises(ValueError, match="needs a series"):
            average(empty)  # pyright: ignore[reportArgumentType]
    for discard in (-0.1, 1.0, math.nan):
        with pytest.raises(ValueError, match="discard is the fraction"):
            average([1.0, 2.0], discard=discard)
    with pytest.raises(ValueError, match="leaves nothing"):
        average([1.0, 2.0], discard=0.9)
    with pytest.raises(ValueError, match="two series of one shape"):
        average_ratio([1.0, 2.0], [1.0])


def test_ratio_of_correlated_series():
    replicas = 400
    a, b = ar1(0.7, 1000, replicas, seed=7), ar1(0.7, 1000, replicas, seed=8)
    found = [average_ratio(6 + a[:, r] + b[:, r], 3 + b[:, r]) for r in range(replicas)]
    inside = np.mean([abs(one.deviation(2.0)) < 2 for one in found])
    assert abs(inside - 0.9545) < 4 * math.sqrt(0.9545 * 0.0455 / replicas)
    means = np.array([one.mean for one in found])
    # (a + b − 2b)/3 to first order: variance 2/9 times τ/N with τ = 1.7/0.3.
    assert means.std() == pytest.approx(math.sqrt(2 / 9 * 1.7 / 0.3 / 1000), rel=0.15)
    lost = average_ratio(np.ones((3, 2)), np.array([[1.0, 2.0], [math.nan, 2.0], [1.0, 4.0]]))
    assert (lost.lost, lost.mean) == (1, 3 / 8)


@pytest.mark.parametrize(
    ("word", "x2", "p2"), [("BAOAB", 1.0, 0.9375), ("OBABO", 16 / 15, 1.0), ("ABOBA", 1.0, 16 / 15)]
)
def test_exact_moments_of_words_on_the_oscillator(word, x2, p2):
    # MATH: the stationary table at h = 1/2, k = γ = T = 1.
    start = torch.zeros(200, 1, dtype=torch.float64)
    run = simulate(
        Langevin(1.0, 1.0), Quadratic(1.0), start, step=0.5, steps=2000, word=word, noise=11
    )
    for name, exact in (("x2", x2), ("p2", p2)):
        found = stationary(run, name)
        assert found.enough
        assert (found.samples, found.trajectories, found.spacing) == (1800, 200, 0.5)
        assert abs(found.deviation(exact)) < 4
        # Every trajectory alone: its own error against the scatter of all 200.
        values = (run[name[0]] ** 2)[201:, :, 0].numpy()
        alone = [average(values[:, j]) for j in range(200)]
        claimed = math.sqrt(np.mean([one.standard_error**2 for one in alone]))
        spread = np.std([one.mean for one in alone], ddof=1)
        assert abs(claimed / spread - 1) < 4 / math.sqrt(2 * 200) + 0.03
        # All of them have the error of one over √200.
        assert found.standard_error == pytest.approx(claimed / math.sqrt(200), rel=0.05)
    energy = stationary(run, "energy")
    assert abs(energy.deviation((x2 + p2) / 2)) < 4
    first = stationary(run, lambda run: run["x"][..., 0])
    assert abs(first.deviation(0.0)) < 4


def test_times_must_be_equally_spaced():
    run = simulate(Langevin(1.0, 1.0), Quadratic(1.0), step=0.1, steps=205, save_every=10, noise=0)
    assert len(run) == 22  # 0, 10, …, 200 and the last step, 205, which comes early
    found = stationary(run, discard=0.0)
    assert (found.samples, found.spacing) == (21, pytest.approx(1.0))
    uneven = solve(LDHD(0.5), Quadratic(1.0), until=2.0, times=[0.0, 0.1, 1.0, 2.0])
    with pytest.raises(ValueError, match="equally spaced"):
        stationary(uneven)


def test_observables_are_checked():
    run = simulate(Langevin(1.0, 1.0), Quadratic([1.0, 2.0]), step=0.1, steps=20, noise=0)
    with pytest.raises(ValueError, match="no observable 'x4'; there are 'x2'"):
        stationary(run, "x4")
    with pytest.raises(ValueError, match=r"one number per time and trajectory, shape \(21,\)"):
        stationary(run, lambda run: run["x"])


def test_lost_trajectories_are_left_out_and_reported():
    start = torch.tensor([[0.5], [1e3]], dtype=torch.float64)
    run = simulate(Langevin(1.0, 0.1), DoubleWell(), start, step=0.2, steps=2000, noise=0)
    found = stationary(run)
    assert (found.lost, found.trajectories) == (1, 1)
    assert math.isfinite(found.mean)
    assert "1 of 2 trajectories" in found.message
