"""Statistics of a sweep against closed forms."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from dashpot.analysis.sweep.best_of_k import best_of_k
from dashpot.analysis.sweep.differences import paired_difference
from dashpot.analysis.sweep.sensitivity import sensitivity
from dashpot.analysis.sweep.target import Look, ms_per_step, steps_to_target, worst_of_the_best

# --- paired differences ---------------------------------------------------------------------------


def test_bootstrap_of_many_normal_differences() -> None:
    """The percentile interval of a mean tends to mean ± 1.96 s √(1 − 1/n)/√n."""
    n = 400
    quantiles = stats.norm.ppf((np.arange(n) + 0.5) / n)  # no luck in the sample
    values = {seed: 3.0 + 0.5 * z for seed, z in enumerate(quantiles)}
    found = paired_difference(values, dict.fromkeys(values, 2.0))
    assert found is not None and found.bootstrap is not None and found.student is not None
    assert found.mean == pytest.approx(1.0, abs=1e-12)
    half = 1.959964 * float(np.std(0.5 * quantiles)) / math.sqrt(n)
    assert found.bootstrap == pytest.approx((1 - half, 1 + half), abs=0.04 * half)
    assert found.student == pytest.approx((1 - half, 1 + half), rel=0.01)
    assert found.is_clear


def test_what_a_seed_does_to_both_cancels() -> None:
    of_the_seed = {seed: 100.0 * math.sin(seed) for seed in range(5)}
    better = {seed: value - 0.25 for seed, value in of_the_seed.items()}
    found = paired_difference(better, of_the_seed)
    assert found is not None and found.bootstrap is not None
    assert found.bootstrap == pytest.approx((-0.25, -0.25), abs=1e-12)


def test_student_interval_of_three_by_hand() -> None:
    """Differences 1, 2, 3: mean 2, s = 1, t(0.975; 2) = 4.30265."""
    found = paired_difference({0: 1.0, 1: 2.0, 2: 3.0, 9: 50.0}, {0: 0.0, 1: 0.0, 2: 0.0, 8: 1.0})
    assert found is not None and found.student is not None and found.bootstrap is not None
    half = 4.30265 / math.sqrt(3)
    assert found.pairs == 3 and found.student == pytest.approx((2 - half, 2 + half), rel=1e-5)
    assert found.bootstrap == (1.0, 3.0)  # (1/3)³ = 3.7 % lie at either end
    assert not found.is_clear


def test_coverage_that_the_docstring_states() -> None:
    """Five normal differences: P(|t₄| < 1.96 √(4/5)) = 84.5 %, and measured about that.

    Lowest to highest of three misses zero when all have one sign: 2/2³.
    """
    assert 1 - 2 * stats.t.sf(1.959964 * math.sqrt(2 / 3), 2) == pytest.approx(1 - 2 / 8, abs=0.01)
    stated = 1 - 2 * stats.t.sf(1.959964 * math.sqrt(4 / 5), 4)
    assert stated == pytest.approx(0.85, abs=0.01)
    rng = np.random.default_rng(1)
    samples = rng.standard_normal((2000, 5))
    means = samples[:, rng.integers(0, 5, (400, 5))].mean(-1)
    low, high = np.quantile(means, (0.025, 0.975), axis=1)
    assert np.mean((low < 0) & (high > 0)) == pytest.approx(stated, abs=0.03)


def test_no_interval_from_one_pair_nothing_from_none() -> None:
    found = paired_difference({0: 1.0}, {0: 3.0})
    assert found is not None and (found.mean, found.bootstrap, found.student) == (-2.0, None, None)
    assert not found.is_clear
    assert paired_difference({0: 1.0}, {1: 3.0}) is None


# --- best of k ------------------------------------------------------------------------------------


def test_best_of_k_is_the_mean_over_all_choices() -> None:
    costs = [3.0, -1.0, 4.0, 1.0, 5.0]
    for k, found in enumerate(best_of_k(costs), 1):
        choices = [min(some) for some in itertools.combinations(costs, k)]
        assert found == pytest.approx(sum(choices) / len(choices), abs=1e-13)


def test_best_of_k_uniform_draws() -> None:
    """i/(n + 1): the least of k is 1/(k + 1), the largest k/(k + 1), for any n."""
    n = 37
    found = best_of_k([i / (n + 1) for i in range(1, n + 1)])
    assert found == pytest.approx([1 / (k + 1) for k in range(1, n + 1)], abs=1e-12)
    largest = [-cost for cost in best_of_k([-i / (n + 1) for i in range(1, n + 1)])]
    assert largest == pytest.approx([k / (k + 1) for k in range(1, n + 1)], abs=1e-12)


# --- the range of good learning rates -------------------------------------------------------------


def test_width_of_a_tent_is_exact() -> None:
    """2 + |log₁₀ lr|, linear in log lr: within 10 % of 2 for |log₁₀ lr| ≤ 0.2."""
    costs: dict[float, float | None] = {10.0**u: 2 + abs(u) for u in (-2, -1, 0, 1, 2)}
    found = sensitivity(costs, 0.1)
    assert found is not None and found.lr == 1.0
    assert found.decades == pytest.approx(0.4, abs=1e-12)
    assert (found.low, found.high) == pytest.approx((10**-0.2, 10**0.2))
    assert not (found.low_is_open or found.high_is_open)


def test_width_of_a_parabola() -> None:
    """1 + a u², u = log₁₀ lr: 2 √(tolerance/a); a chord of a step d lies at most a d²/4 above."""
    a, tolerance, step = 0.5, 0.02, 0.01
    us = np.arange(-100, 101) * step
    found = sensitivity({10.0**u: 1 + a * u**2 for u in us}, tolerance)
    assert found is not None
    exact = 2 * math.sqrt(tolerance / a)
    slope = 2 * a * exact / 2
    assert exact - 2 * a * step**2 / 4 / slope <= found.decades <= exact


def test_larger_is_better_when_costs_are_negative() -> None:
    """Accuracy 0.9 − 0.09 |log₁₀ lr| as cost: 5 % of 0.9 at half a decade."""
    costs: dict[float, float | None] = {10.0**u: -(0.9 - 0.09 * abs(u)) for u in (-1, 0, 1)}
    found = sensitivity(costs, 0.05)
    assert found is not None and found.decades == pytest.approx(1.0, abs=1e-12)


def test_width_at_the_ends_and_beside_divergence() -> None:
    found = sensitivity({0.1: 5.0, 1.0: 1.0, 2.0: 1.001, 4.0: None, 8.0: 1.0}, 0.02)
    assert found is not None
    assert (found.high, found.high_is_open, found.low_is_open) == (2.0, True, False)
    alone = sensitivity({1.0: 1.0, 2.0: 1.0}, 0.02)
    assert alone is not None and alone.low_is_open and alone.high_is_open
    assert sensitivity({1.0: 1.0, 2.0: None}, 0.02) is None


# --- time to target -------------------------------------------------------------------------------


def test_steps_to_target() -> None:
    looks = [Look(0, 0.0, 4.0), Look(10, 1.5, 2.0), Look(20, 3.0, 2.5), Look(30, 4.5, 1.0)]
    assert steps_to_target(looks, 2.0, larger_is_better=False) == 10
    assert steps_to_target(looks, 1.9, larger_is_better=False) == 30
    assert steps_to_target(looks, 0.9, larger_is_better=False) == math.inf
    assert steps_to_target(looks, 3.0, larger_is_better=True) == 0
    assert worst_of_the_best([1.0, 3.0, 2.0], larger_is_better=False) == 3.0
    assert worst_of_the_best([1.0, 3.0, 2.0], larger_is_better=True) == 1.0
    assert worst_of_the_best([], larger_is_better=True) is None


def test_a_machine_that_stalls_changes_no_speed() -> None:
    """3 ms a step; one interval in five takes a minute more, and a run of one look says nothing."""
    seconds = 0.0
    looks = [Look(0, 0.0, 1.0)]
    for n in range(1, 11):
        seconds += 0.03 + 60.0 * (n % 5 == 0)
        looks.append(Look(10 * n, seconds, 1.0))
    assert ms_per_step([looks, [Look(0, 0.0, 1.0)]]) == pytest.approx(3.0, rel=1e-9)
    assert ms_per_step([looks[:1]]) is None
