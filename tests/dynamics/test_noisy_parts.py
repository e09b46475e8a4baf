"""Parts with noise: their exact laws, limits and refusals."""

import math
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from problems import slope
from scipy.integrate import solve_ivp

from dashpot import dynamics
from dashpot.dynamics import (
    AdaptiveLangevin,
    CubicLangevin,
    CubicNoise,
    Diffusion,
    DriftOrnsteinUhlenbeck,
    FrictionNoise,
    KineticFriction,
    Langevin,
    LinearDamping,
    MultiplicativeDescentNoise,
    MultiplicativeNoise,
    OrnsteinUhlenbeck,
    OverdampedLangevin,
    SGDFlow,
    State,
    Thermostat,
)

COVARIANCE = torch.tensor([[2.0, 0.3], [0.3, 1.0]], dtype=torch.float64)

dyn: Any = dynamics  # wrong arguments on purpose: not for the type checker


def advance(part: Any, h: float, *z: Any, **start: Any) -> State:
    s = State(start)
    part.flow(s, h, *z)
    return s


def expectation(flow: Any, nodes: int = 30) -> float:
    """E flow(z) over one standard normal number."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    return sum(w * flow(z) for z, w in zip(points, weights, strict=True)) / weights.sum()


# --- exact laws -----------------------------------------------------------------------------------


def test_the_variance_of_ornstein_uhlenbeck() -> None:
    """σ² (1 − e^{−2γh})/(2γ) at γ = 1.3, σ = 0.8, h = 0.37, and the mean e^{−γh} p."""
    part = OrnsteinUhlenbeck(1.3, 0.8**2 / 2.6)
    assert advance(part, 0.37, (1.0,), p=0.0).p ** 2 == pytest.approx(0.152091602343712, rel=4e-15)
    assert advance(part, 0.37, p=2.0).p == pytest.approx(2 * math.exp(-1.3 * 0.37), rel=1e-15)


def van_loan(gamma: float, temperature: float, h: float) -> tuple[Any, Any]:
    """Mean matrix and covariance of (x, p, W) after h, by one exponential in 700 digits.

    exp(h [[−A, Q], [0, Aᵀ]]) = [[·, e^{−hA} C], [0, e^{hAᵀ}]] (Van Loan 1978).
    """
    with mpmath.workdps(700):
        sigma = mpmath.sqrt(2 * mpmath.mpf(gamma) * mpmath.mpf(temperature))
        a = mpmath.matrix([[0, 1, 0], [0, -mpmath.mpf(gamma), 0], [0, 0, 0]])
        noise = mpmath.matrix([0, sigma, 1])
        block = mpmath.zeros(6)
        block[:3, :3], block[:3, 3:], block[3:, 3:] = -a, noise * noise.T, a.T
        power = mpmath.expm(block * mpmath.mpf(h), method="taylor")
        mean = power[3:, 3:].T
        covariance = mean * power[:3, 3:]
        return np.array(mean.tolist(), dtype=float), np.array(covariance.tolist(), dtype=float)


@pytest.mark.parametrize("gamma", [0.0, 1e-8, 1e-3, 0.2, 1.3, 8.0, 60.0, 1e3])
def test_drift_with_ornstein_uhlenbeck_against_the_matrix_exponential(gamma: float) -> None:
    """Positions, momenta and the Brownian path together: this is the law of strong errors."""
    temperature, h = 0.7, 0.37
    part = DriftOrnsteinUhlenbeck(gamma, temperature)
    mean, covariance = van_loan(gamma, temperature, h)
    columns = []
    for z in ((1.0, 0.0), (0.0, 1.0)):
        s = advance(part, h, z, x=0.0, p=0.0)
        columns.append((s.x, s.p, part.increment(h, z)))
        both = OrnsteinUhlenbeck(gamma, temperature)
        assert advance(both, h, z, p=0.0).p == pytest.approx(s.p, rel=1e-15)
        assert both.amplitude(s) == part.amplitude(s)
        assert both.increment(h, z) == part.increment(h, z)
    shocks = np.array(columns).T
    np.testing.assert_allclose(shocks @ shocks.T, covariance, rtol=2e-14, atol=1e-300)
    still = advance(part, h, x=0.3, p=2.0)
    assert (still.x, still.p) == pytest.approx(mean[:2] @ [0.3, 2.0, 0.0], rel=1e-14)


def test_the_noise_of_cubic_damping_is_a_geometric_brownian_motion() -> None:
    """E p = p₀ e^{2cTh} and E p² = p₀² e^{6cTh}, from the linear equations of the moments."""
    c, temperature, h, p0 = 0.7, 0.5, 0.4, -1.3
    part = CubicNoise(c, temperature)
    w = c * temperature * h

    def moment(k: int) -> float:
        return expectation(lambda z: advance(part, h, (z,), p=p0).p ** k)

    assert moment(1) == pytest.approx(p0 * math.exp(2 * w), rel=1e-14)
    assert moment(2) == pytest.approx(p0**2 * math.exp(6 * w), rel=1e-14)
    assert advance(CubicNoise(c, 0.0), h, (1.7,), p=p0).p == p0
    assert advance(CubicNoise(0.0, 2.0), h, (1.7,), p=p0).p == p0


@given(
    alpha=st.floats(0, 50), mu=st.floats(1e-3, 50), temperature=st.floats(1e-3, 20),
    sigma=st.floats(0, 5), h=st.floats(0, 3), xi=st.floats(-5, 5),
)  # fmt: skip
def test_the_friction_relaxes_to_what_the_noise_asks_for(
    alpha: float, mu: float, temperature: float, sigma: float, h: float, xi: float
) -> None:
    part = FrictionNoise(alpha, mu, temperature, sigma)
    goal = sigma**2 / (2 * temperature)
    mean = advance(part, h, xi=xi).xi
    # e^{−αh} with αh <= 150 carries 150 ulp of rounding in its argument
    expected, size = goal + math.exp(-alpha * h) * (xi - goal), goal + abs(xi)
    assert mean == pytest.approx(expected, rel=0, abs=4e-14 * size + 1e-300)
    spread = advance(part, h, (1.0,), xi=xi).xi - mean
    variance = -math.expm1(-2 * alpha * h) * temperature / mu
    assert spread == pytest.approx(math.sqrt(variance), rel=1e-12, abs=1e-12 * (1 + size))


# --- the thermostat -------------------------------------------------------------------------------


@pytest.mark.parametrize("scalar", [False, True])
def test_a_thermostat_at_zero_temperature_is_kinetic_friction(scalar: bool) -> None:
    p = torch.tensor([1.3, -0.4, 0.0], dtype=torch.float64)
    xi = torch.tensor(0.3, dtype=torch.float64) if scalar else torch.full_like(p, 0.3)
    cold = advance(Thermostat(0.8, 0.0, scalar), 0.37, p=p, xi=xi)
    known = advance(KineticFriction(0.0, 0.8, scalar), 0.37, p=p, xi=xi)
    assert torch.equal(cold.p, known.p)
    assert torch.equal(cold.xi, known.xi)


def test_a_thermostat_heats_and_cools() -> None:
    """Against a reference solution, in which ξ < 0 drives p; μξ² + p² − 2T ln|p| is conserved."""
    mu, temperature, start = 0.5, 0.9, (0.2, 0.4)
    exact = solve_ivp(
        lambda _, y: [-y[1] * y[0], (y[0] ** 2 - temperature) / mu],
        (0, 2), start, method="DOP853", rtol=1e-12, atol=1e-14,
    ).y  # fmt: skip
    kept = mu * exact[1] ** 2 + exact[0] ** 2 - 2 * temperature * np.log(np.abs(exact[0]))
    assert np.ptp(kept) < 1e-9
    assert exact[1].min() < -0.5
    counts = (32, 64, 128)
    errors = []
    for n in counts:
        s = State({"p": start[0], "xi": start[1]})
        for _ in range(n):
            Thermostat(mu, temperature).flow(s, 2 / n)
        errors.append(math.hypot(s.p - exact[0, -1], s.xi - exact[1, -1]))
    assert slope([1 / n for n in counts], errors) == pytest.approx(2.0, abs=0.05)


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Langevin(0.1, -1.0), r"temperature must be a finite number >= 0; got -1"),
        (lambda: OverdampedLangevin(math.nan), r"temperature must be a finite number >= 0; got n"),
        (lambda: CubicLangevin(0.1, -1.0, 1.0), r"c must be a finite number >= 0; got -1"),
        (lambda: Diffusion(-0.1), r"sigma must be a finite number >= 0; got -0.1 \(in Diffusion"),
        (lambda: Diffusion(torch.eye(3)), r"sigma is a 3 × 3 matrix \(in Diffusion\), but noise is "
         r"diagonal: give one sigma per coordinate, an array \[3, 1\]"),
        (lambda: SGDFlow(0.1, -np.eye(2)), r"scale is a 2 × 2 matrix \(in DescentNoise\)"),
        (lambda: Langevin(1.0, COVARIANCE), r"temperature is a 2 × 2 matrix .* one temperature"),
        (lambda: Langevin(COVARIANCE.numpy(), 1.0), r"gamma is a 2 × 2 matrix"),
        (lambda: OverdampedLangevin(COVARIANCE), r"temperature is a 2 × 2 matrix"),
        (lambda: AdaptiveLangevin(1.0, 1.0, 1.0, sigma=COVARIANCE), r"sigma is a 2 × 2 matrix"),
        (lambda: AdaptiveLangevin(1.0, 1.0, 1.0, alpha=COVARIANCE), r"alpha is a 2 × 2 matrix"),
        (lambda: CubicLangevin(1.0, COVARIANCE, 1.0), r"c is a 2 × 2 matrix \(in CubicNoise\)"),
        (lambda: dyn.Langevin(1.0, COVARIANCE.tolist()), r"temperature is a 2 × 2 matrix"),
        (lambda: dyn.Diffusion([[1.0, 2.0], [3.0, 4.0]]), r"sigma is a 2 × 2 matrix"),
        (lambda: dyn.Diffusion([[0.1], [0.2]]), r"sigma is a list; give .* an array \[2, 1\]"),
        (lambda: dyn.Langevin(1.0, (0.1, 0.2, 0.3)), r"temperature is a tuple; .* array \[3, 1\]"),
        (lambda: dyn.Diffusion([[0.1], [0.2, 0.3]]), r"sigma is a list; give a number"),
        (lambda: SGDFlow(lr=-1.0, scale=0.1), r"lr must be a finite number >= 0; got -1"),
        (lambda: AdaptiveLangevin(0.1, 1.0, 0.0), r"mu must be a finite number > 0; got 0"),
        (lambda: AdaptiveLangevin(0.1, 0.0, 1.0, alpha=0.1, sigma=0.2), r"temperature must be > 0 "
         r"where alpha and sigma are: .* got temperature = 0.0, sigma = 0.2"),
        (lambda: AdaptiveLangevin(0.1, 1.0, 1.0, 0.1, torch.ones(3, 1)), r"one friction for all "
         r"coordinates balances noise of one size only; .* use scalar=False"),
    ],
)  # fmt: skip
def test_what_cannot_be(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_square_array_may_be_one_number_per_coordinate_and_trajectory() -> None:
    """Only a symmetric one is taken for a covariance; equal numbers make no covariance either."""
    square = torch.tensor([[0.1, 0.2], [0.3, 0.4]], dtype=torch.float64)
    x = torch.ones(2, 2, dtype=torch.float64)
    for sigma in (square, torch.full((2, 2), 0.3, dtype=torch.float64), torch.zeros(2, 2)):
        moved = advance(Diffusion(sigma), 1.0, [x], x=x)
        assert torch.equal(moved.x, 1 + sigma)
    Langevin(square, square.numpy())
    Diffusion(torch.tensor([[0.5]]))


def test_a_scale_is_a_function_and_one_number_per_coordinate() -> None:
    with pytest.raises(TypeError, match=r"scale must be a function of x, .* got 0.3"):
        dyn.MultiplicativeNoise(0.3)
    x = torch.zeros(3, 5)
    for part in (
        MultiplicativeNoise(lambda x: torch.ones(3, 3, 1)),
        MultiplicativeDescentNoise(lambda x: torch.ones(3, 3), 0.1),
    ):
        with pytest.raises(ValueError, match=r"shaped like x, \(3, 5\), .* got \(3, 3.*diagonal"):
            part.flow(State({"x": x}), 0.1, [x])
    for size in (0.3, torch.ones(3, 1), torch.ones(5), x):
        MultiplicativeNoise(lambda x, size=size: size).flow(State({"x": x}), 0.1, [x])


def test_zero_friction_temperature_and_noise_are_ordinary() -> None:
    s = advance(OrnsteinUhlenbeck(0.0, 0.7), 0.3, (1.9,), p=1.2)
    assert s.p == 1.2
    cold = advance(OrnsteinUhlenbeck(0.6, 0.0), 0.3, (1.9,), p=1.2)
    assert cold.p == advance(LinearDamping(0.6), 0.3, p=1.2).p
