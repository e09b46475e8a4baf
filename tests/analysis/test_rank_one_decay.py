"""R-iKFAD at γ = 0: E ~ 1/t for ε = 0, E ~ 1/√t for ε > 0, and the constants of one coordinate."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from dashpot.analysis import predict
from dashpot.analysis.energy.prediction import inverse_square_rate
from dashpot.analysis.energy.rank_one import rank_one_decay
from dashpot.dynamics import IKFAD, RIKFAD, Dynamics
from dashpot.integrators import solve
from dashpot.landscapes import MatrixQuadratic, Quadratic


def energies(made: Dynamics, landscape: Any, x0: Any, times: list[float]) -> torch.Tensor:
    run = solve(made, landscape, x0, until=times[-1], times=times, rtol=1e-12, atol=1e-16)
    return run.mechanical_energy


@pytest.mark.parametrize(("alpha", "mu", "k"), [(1.0, 1.0, 1.0), (0.6, 2.0, 3.0)])
def test_the_rate_of_one_coordinate_at_late_times(alpha: float, mu: float, k: float) -> None:
    """Started where a run from x = 1 comes after t ~ 10⁶: E = 2·10⁻⁴ at α = μ = k = 1.

    The neglected terms of the expansion are of relative size (E/(εμ))² ~ 10⁻⁵; whole half periods
    between the two times leave no trace of the oscillation of E.
    """
    made = RIKFAD(0.0, alpha, mu, 0.1)
    times = [n * math.pi / math.sqrt(k) for n in (20, 60)]
    bowl = MatrixQuadratic(k, 1)
    start, end = energies(made, bowl, [[0.02]], times).tolist()
    measured = (end**-2 - start**-2) / (times[1] - times[0])
    expected = inverse_square_rate(made.hyperparameters, k, (start + end) / 2)
    assert measured == pytest.approx(expected, rel=2e-3)
    limit = inverse_square_rate(made.hyperparameters, k)
    assert abs(measured / limit - 1) < 3 * start / (0.1 * mu)


def test_the_oracle_of_all_ones() -> None:
    """26 in the limit; from x = 1 the rate at t ~ 400 is already that of its energy.

    The terms neglected are of relative size (κ₃E/(κ₂εμ))² = 0.12² ~ 1.5%.
    """
    made = RIKFAD(0.0, 1.0, 1.0, 0.1)
    assert inverse_square_rate(made.hyperparameters, 1.0) == pytest.approx(26, rel=1e-14)
    # what was measured at t = 10⁶, E = 1/√(26·10⁶), by other means
    at_late = inverse_square_rate(made.hyperparameters, 1.0, 1 / math.sqrt(26e6))
    assert at_late == pytest.approx(25.93, abs=0.02)
    start, end = energies(made, MatrixQuadratic(1.0, 1), [[1.0]], [250.0, 500.0]).tolist()
    mean = 2 / (1 / start + 1 / end)
    measured = (end**-2 - start**-2) / 250
    assert measured == pytest.approx(inverse_square_rate(made.hyperparameters, 1.0, mean), rel=0.03)
    assert measured < 24  # still below the limit


def test_the_averages_behind_the_constants() -> None:
    """κ_n = ⟨(1/α − X)ⁿ (1 − cos θ)⟩ by the rectangle rule, exact for trigonometric polynomials."""
    alpha, k, mu, eps = 0.6, 3.0, 2.0, 0.1
    theta = 2 * np.pi * np.arange(16) / 16
    heat = 1 / alpha - (np.exp(1j * theta) / (alpha + 2j * math.sqrt(k))).real
    second, third = (np.mean(heat**n * (1 - np.cos(theta))) for n in (2, 3))
    values = {"alpha": alpha, "mu": mu, "eps_stab": eps}
    limit = inverse_square_rate(values, k)
    assert limit == pytest.approx(2 * second / (eps * mu**2), rel=1e-14)
    slope = (inverse_square_rate(values, k, 1.0) - limit) / limit
    assert slope == pytest.approx(-third / (second * eps * mu), rel=1e-12)


@pytest.mark.parametrize(("eps", "power"), [(0.0, 1), (0.1, 2)])
@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (4, 3)])
def test_the_exponent_of_matrices(eps: float, power: int, shape: tuple[int, int]) -> None:
    """−d ln E/dt ~ E^q with q = 1 or 2, i.e. E ~ t^(−1/q): one start at two sizes.

    Both runs have the same phases; they differ by terms of relative size E/(εμ) ~ 10⁻³ (ε > 0)
    or E (ε = 0), over a ratio of energies of 100.
    """
    m, n = shape
    bowl = MatrixQuadratic(np.linspace(1.0, 3.9, m), n, rotation=0 if m > 1 else None)
    x0 = torch.randn(m, n, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x0 = x0 / x0.norm() * torch.tensor([1e-2, 1e-3], dtype=torch.float64)[:, None, None]
    if eps:
        x0 = 3 * x0
    e = energies(RIKFAD(0.0, 1.0, 1.0, eps), bowl, x0, [40.0, 100.0])
    rates = torch.log(e[0] / e[1])
    q = torch.log(rates[0] / rates[1]) / torch.log(e[0, 0] / e[0, 1])
    assert q.item() == pytest.approx(power, abs=0.02)


def test_fixed_steps_find_the_rates_of_the_adaptive_solver() -> None:
    """Up to (ωh)²/2 = 0.012 with the largest ω² = 2.3, and a quarter of it at half the step."""
    bowl = MatrixQuadratic([1.0, 2.3], 2, rotation=0)
    exact, coarse, fine = (
        [(one.slope, one.first, one.second) for one in rank_one_decay(bowl, until=200.0, step=step)]
        for step in (None, 0.1, 0.05)
    )
    assert np.array(coarse) == pytest.approx(np.array(exact), rel=0.012)
    assert np.array(fine) == pytest.approx(np.array(exact), rel=0.003)


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (3, 1)])
def test_one_row_or_column_has_the_law_of_ikfad(shape: tuple[int, int]) -> None:
    m, n = shape
    bowl = MatrixQuadratic([1.0, 2.0, 4.0][:m], n)
    flat = Quadratic(bowl.column.spectrum.repeat_interleave(n))
    for made in (RIKFAD(0.0, 0.5, 2.0), RIKFAD(0.3, 0.5, 2.0)):
        twin = IKFAD(made.hyperparameters["gamma"], 0.5, 2.0)
        assert predict(made, bowl) == predict(twin, flat)
        assert predict(RIKFAD(0.0, 0.5, 2.0, 0.7), flat) == predict(IKFAD(0.0, 0.5, 2.0), flat)
    kappa = predict(RIKFAD(0.0, 0.5, 2.0), bowl).rate
    if shape == (1, 1):
        e = energies(RIKFAD(0.0, 0.5, 2.0), bowl, [[0.02]], [100.0, 500.0])
        assert (1 / e[1] - 1 / e[0]).item() / 400 == pytest.approx(kappa, rel=5e-3)


def test_what_is_said_of_other_matrices() -> None:
    bowl = MatrixQuadratic([1.0, 2.0], 2)
    plain = predict(RIKFAD(0.0, 0.5, 2.0), bowl)
    assert plain.model == "algebraic" and math.isnan(plain.rate) and "1/t" in plain.law
    stabilised = predict(RIKFAD(0.0, 0.5, 2.0, 0.1), bowl)
    assert stabilised.model == "unknown" and "1/√t" in stabilised.law
    assert "= 26" in predict(RIKFAD(0.0, 1.0, 1.0, 0.1), MatrixQuadratic(1.0, 1)).law
    assert predict(RIKFAD(0.0, 0.0, 2.0), bowl).model == "unknown"
    assert predict(RIKFAD(0.3, 0.0, 2.0), bowl).model == "unknown"


@pytest.mark.parametrize("eps", [0.0, 0.1])
def test_with_linear_friction_the_rate_is_that_of_the_linearisation(eps: float) -> None:
    """γ where all modes oscillate; the friction Ξ has died out long before."""
    made, bowl = RIKFAD(0.4, 1.0, 1.0, eps), MatrixQuadratic([1.0, 2.0], 2, rotation=0)
    law = predict(made, bowl)
    assert (law.model, law.rate) == ("exponential", 0.4)
    run = solve(made, bowl, until=60.0, times=[20.0, 60.0], rtol=1e-12, atol=1e-18)
    e = run.mechanical_energy
    # E e^{γt} oscillates within a factor (1 + γ/2√k)/(1 − γ/2√k) = 1.5
    assert math.log(e[0] / e[1]) / 40 == pytest.approx(0.4, abs=math.log(1.5) / 40)
