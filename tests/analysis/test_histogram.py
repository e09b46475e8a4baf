"""Histograms against the Gibbs density: exact samples pass, wrong ones are found out."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import cumulative_trapezoid
from scipy.signal import lfilter
from scipy.special import ndtr

from dashpot.analysis import compare_with_gibbs
from dashpot.analysis.sampling.counts import block_shares, chi_square
from dashpot.analysis.sampling.gibbs import bin_probabilities, potential_of, support
from dashpot.dynamics import Langevin
from dashpot.integrators import simulate
from dashpot.landscapes import DoubleWell, Funnel, Landscape, MuellerBrown, Quadratic


def well_samples(temperature: float, uniforms: np.ndarray) -> np.ndarray:
    """Exact samples of the double well, by its inverse distribution function on a fine grid."""
    grid = np.linspace(-3.0, 3.0, 20_001)
    reached = np.cumsum(np.exp(-0.25 * (grid**2 - 1) ** 2 / temperature))
    return np.interp(uniforms, reached / reached[-1], grid)


def ar1(rho: float, *shape: int, seed: int) -> np.ndarray:
    """A stationary Gaussian series of variance 1 with τ = (1 + ρ)/(1 − ρ)."""
    kicks = np.random.default_rng(seed).standard_normal(shape)
    kicks[1:] *= math.sqrt(1 - rho * rho)
    return np.asarray(lfilter([1.0], [1.0, -rho], kicks, axis=0))


def rejected(p_values: list[float]) -> float:
    return float(np.mean(np.array(p_values) < 0.05))


def binomial(p: float, replicas: int) -> float:
    """Four standard errors of a share p."""
    return 4 * math.sqrt(p * (1 - p) / replicas)


def test_exact_samples_pass_as_often_as_they_should() -> None:
    random = np.random.default_rng(0)
    found = [
        compare_with_gibbs(well_samples(0.1, random.random(3000))[:, None], DoubleWell(), 0.1)
        for _ in range(200)
    ]
    p_values = [one.chi_square.p_value for one in found]
    assert abs(rejected(p_values) - 0.05) < binomial(0.05, 200)
    assert abs(np.mean(p_values) - 0.5) < 4 / math.sqrt(12 * 200)  # uniform
    # χ² has mean 23 and variance 46.
    values = np.array([one.chi_square.value for one in found])
    degrees = np.array([one.chi_square.degrees for one in found])
    assert abs((values / degrees).mean() - 1) < 4 * math.sqrt(2 / degrees.mean() / 200) + 0.01
    ratios = np.array([one.total_variation / one.noise for one in found])
    # At most a little below 1, since the errors are never less than those of independent samples.
    assert 0.9 < ratios.mean() < 1 + 4 * ratios.std() / math.sqrt(200)


@pytest.mark.parametrize(("rho", "times", "count"), [(0.9, 6000, 1), (0.9, 1500, 4), (0.9, 50, 80)])
def test_correlated_samples_pass_as_often_as_they_should(rho, times, count) -> None:
    replicas = 120
    found = [
        compare_with_gibbs(ar1(rho, times, count, 1, seed=seed), Quadratic(1.0), 1.0)
        for seed in range(replicas)
    ]
    assert abs(rejected([one.chi_square.p_value for one in found]) - 0.05) < binomial(0.05, 120)
    z = np.array([(one.density - one.expected)[6:18] / one.errors[6:18] for one in found])
    # z² has mean 1; its scatter over the replicas says how well the twelve bins' mean is known.
    squares = (z**2).mean(1)
    assert abs(squares.mean() - 1) < 4 * squares.std() / math.sqrt(replicas) + 0.1
    sizes = [one.chi_square.effective_size for one in found]
    # Bins forget faster than x itself, τ = 19, and not faster than independent samples.
    assert times * count / 19 < np.median(sizes) < times * count


def test_hops_between_wells_are_one_deviation_not_many() -> None:
    # The side changes every 100 samples or so, the place within a well at every one. Plain χ²
    # with the effective size of the bins rejects 14 % of them.
    random = np.random.default_rng(1)
    p_values = []
    for _ in range(120):
        side = 1 - 2.0 * (np.cumsum(random.random(10_000) < 0.01) % 2)
        x = side * np.abs(well_samples(0.1, random.random(10_000)))
        p_values.append(compare_with_gibbs(x[:, None], DoubleWell(), 0.1).chi_square.p_value)
    assert abs(rejected(p_values) - 0.05) < binomial(0.05, 120)


def test_wrong_laws_are_found_out() -> None:
    uniforms = np.random.default_rng(2).random(20_000)
    hot = compare_with_gibbs(well_samples(0.13, uniforms)[:, None], DoubleWell(), 0.1)
    assert hot.chi_square.p_value < 1e-6
    assert hot.total_variation > 2 * hot.noise
    one_side = np.abs(well_samples(0.1, uniforms))[:, None]
    stuck = compare_with_gibbs(one_side, DoubleWell(), 0.1)
    assert stuck.chi_square.p_value < 1e-12
    assert stuck.total_variation == pytest.approx(0.5, abs=3 * stuck.noise)
    assert "total variation 0.5" in str(stuck)


def test_langevin_on_the_double_well() -> None:
    start = torch.ones(50, 1, dtype=torch.float64)
    run = simulate(Langevin(1.0, 0.2), DoubleWell(), start, step=0.1, steps=8000, noise=3)
    found = compare_with_gibbs(run, DoubleWell(), 0.2)
    assert found.enough, found.message
    assert found.chi_square.p_value > 6e-5  # 4 standard errors
    assert found.total_variation < 4 * found.noise
    assert compare_with_gibbs(run, DoubleWell(), 0.3).chi_square.p_value < 6e-5


@settings(max_examples=20, deadline=None)
@given(k=st.floats(0.01, 100), temperature=st.floats(0.01, 100), centre=st.floats(-50, 50))
def test_quadrature_of_gaussians(k: float, temperature: float, centre: float) -> None:
    spread = math.sqrt(temperature / k)
    law = potential_of(Quadratic(k, centre=centre), temperature, [0])
    low, high = support(law, np.array([centre - 0.1]), np.array([centre + 2 * spread]))
    assert low[0] < centre - 8 * spread
    assert high[0] > centre + 8 * spread
    edges = centre + spread * np.array([-2.0, -0.3, 0.0, 1.7])
    found = bin_probabilities(law, low, high, [edges])
    expected = np.diff(ndtr([-np.inf, -2.0, -0.3, 0.0, 1.7, np.inf]))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_marginals_of_a_tilted_gaussian() -> None:
    bowl = Quadratic([1.0, 9.0], rotation=3, centre=[2.0, -1.0])
    covariance = 0.5 * torch.linalg.inv(bowl.hessian(bowl.start)).numpy()
    random = np.random.default_rng(4)
    x = random.multivariate_normal([2.0, -1.0], covariance, 5000)
    for axis in (0, 1):
        spread = math.sqrt(covariance[axis, axis])
        middle = [2.0, -1.0][axis]
        span = [(middle - 2 * spread, middle + 2 * spread)]
        found = compare_with_gibbs(x, bowl, 0.5, coordinates=[axis], bins=4, span=span)
        shares = found.expected * np.diff(found.edges[0])
        np.testing.assert_allclose(shares, np.diff(ndtr([-2.0, -1.0, 0.0, 1.0, 2.0])), atol=1e-9)
        assert found.outside[1] == pytest.approx(2 * ndtr(-2.0), abs=1e-9)
        assert found.chi_square.p_value > 6e-5
    both = compare_with_gibbs(x, bowl, 0.5, coordinates=(0, 1), bins=12)
    assert both.chi_square.p_value > 6e-5
    turned = compare_with_gibbs(x, bowl, 0.5, coordinates=(1, 0), bins=12)
    np.testing.assert_allclose(turned.density, both.density.T, rtol=1e-12)
    np.testing.assert_allclose(turned.expected, both.expected.T, atol=1e-12)
    assert turned.chi_square.p_value == pytest.approx(both.chi_square.p_value, rel=1e-9)
    # The conditional law of x₂ is not that of the marginal: shuffling x₂ breaks the pairs.
    loose = np.column_stack((x[:, 0], random.permutation(x[:, 1])))
    assert compare_with_gibbs(loose, bowl, 0.5, coordinates=(0, 1)).chi_square.p_value < 1e-6
    for axis in (0, 1):
        single = compare_with_gibbs(loose, bowl, 0.5, coordinates=[axis])
        assert single.chi_square.p_value > 6e-5


def test_quadrature_of_mueller_brown_against_the_trapezium_rule() -> None:
    surface, temperature = MuellerBrown(), 15.0
    law = potential_of(surface, temperature, [1, 0])
    low, high = support(law, np.array([-0.1, -0.6]), np.array([1.5, 0.7]))
    edges = np.array([0.25, 0.8])
    found = bin_probabilities(law, low, high, [edges])
    y, x = np.linspace(-1.5, 3.5, 1001), np.linspace(-3.0, 2.5, 401)
    height = surface(np.stack(np.meshgrid(x, y), -1)).numpy()
    along = np.exp(-(height - height.min()) / temperature).sum(1)
    reached = cumulative_trapezoid(along, y, initial=0)
    expected = np.diff(np.interp(edges, y, reached), prepend=0.0, append=reached[-1])
    # Over x the rule is exact to rounding; in y an edge costs h²/12 = 2e-6 times the slope there.
    np.testing.assert_allclose(found, expected / reached[-1], rtol=0, atol=2e-5)


def test_a_marginal_that_is_known() -> None:
    # Neal's funnel at T = 1: v ~ N(0, 9) and x given v ~ N(0, e^v), drawn directly.
    random = np.random.default_rng(5)
    v = 3 * random.standard_normal((4000, 1))
    x = np.concatenate((v, np.exp(v / 2) * random.standard_normal((4000, 9))), axis=1)
    funnel = Funnel()
    found = compare_with_gibbs(x, funnel, 1.0, marginal=lambda v: np.exp(-(v**2) / 18))
    assert found.chi_square.p_value > 6e-5
    wrong = compare_with_gibbs(x, funnel, 1.0, marginal=lambda v: np.exp(-(v**2) / 14))
    assert wrong.chi_square.p_value < 1e-6


def test_counts_of_blocks_are_those_of_a_loop() -> None:
    random = np.random.default_rng(6)
    points = random.standard_normal((23, 2, 3))
    edges = [np.array([-0.5, 0.5]), np.array([0.0])]
    found = block_shares(points, edges, 4)
    assert found.shape == (12, 3, 2)
    for block in range(4):
        for j in range(3):
            counts = np.zeros((3, 2))
            for t in range(3 + 5 * block, 8 + 5 * block):
                a, b = points[t, :, j]
                counts[int(a > -0.5) + int(a > 0.5), int(b > 0.0)] += 1
            np.testing.assert_allclose(found[3 * block + j], counts / 5)


def test_chi_square_of_independent_counts_is_pearsons() -> None:
    # Many blocks of independent samples: V is the multinomial covariance and N_eff is N.
    expected = np.array([0.1, 0.2, 0.3, 0.4])
    shares = np.random.default_rng(7).multinomial(50, expected, size=4000) / 50
    found = chi_square(shares, expected, 200_000, 200_000)
    counts = 200_000 * shares.mean(0)
    pearson = ((counts - 200_000 * expected) ** 2 / (200_000 * expected)).sum()
    # The trace is known to √(2/(3 · 4000)) = 1.3 %.
    assert found.value == pytest.approx(pearson, rel=4 * 0.013)
    assert found.effective_size == pytest.approx(200_000, rel=4 * 0.013)
    assert found.degrees == 3
    assert math.isnan(chi_square(shares, expected, 1.0, 1.0).p_value)  # all bins too small


def test_lost_trajectories_and_short_runs_are_reported() -> None:
    x = ar1(0.9, 400, 2, 1, seed=8)
    assert not compare_with_gibbs(x, Quadratic(1.0), 1.0).enough
    x[200:, 1] = math.nan
    found = compare_with_gibbs(x, Quadratic(1.0), 1.0)
    assert "1 trajectories were lost" in found.message
    assert "not to be relied on" in str(found)


def test_bad_input_is_named() -> None:
    x = np.zeros((100, 2))
    bowl = Quadratic([1.0, 1.0])
    for coordinates in ((), (0, 0), (0, 1, 0)):
        with pytest.raises(ValueError, match="one or two different ones"):
            compare_with_gibbs(x, bowl, 1.0, coordinates=coordinates)
    with pytest.raises(ValueError, match="coordinates 0 to 1"):
        compare_with_gibbs(x, bowl, 1.0, coordinates=[2])
    for temperature in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="temperature must be a finite number > 0"):
            compare_with_gibbs(x, bowl, temperature)
    with pytest.raises(ValueError, match="give `marginal`"):
        compare_with_gibbs(np.zeros((100, 3)), Quadratic([1.0, 1.0, 1.0]), 1.0)
    with pytest.raises(ValueError, match=r"have shape \[T, ..., 2\]; got \[100, 3\]"):
        compare_with_gibbs(np.zeros((100, 3)), bowl, 1.0)
    with pytest.raises(ValueError, match="at least 10 samples"):
        compare_with_gibbs(np.zeros((9, 2)), bowl, 1.0)
    with pytest.raises(ValueError, match="none of the 1 trajectories"):
        compare_with_gibbs(np.full((9, 2), math.nan), bowl, 1.0)
    with pytest.raises(ValueError, match="bins must be at least 2"):
        compare_with_gibbs(x, bowl, 1.0, bins=1)
    for span in ([(0.0, 0.0)], [(0.0, 1.0), (0.0, 1.0)]):
        with pytest.raises(ValueError, match=r"span must be \(low, high\)"):
            compare_with_gibbs(x, bowl, 1.0, span=span)
    hill = Landscape(lambda x: -(x**2).sum(), 1)
    with pytest.raises(ValueError, match="cannot be normalised"):
        compare_with_gibbs(x[:, :1], hill, 1.0)
