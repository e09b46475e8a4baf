"""Asymptotic laws and proved rates, against eigenvalues computed here and against runs."""

import math

import numpy as np
import pytest
import torch

from dashpot.analysis import predict, provable_rate
from dashpot.dynamics import (
    CADAM,
    CD,
    IKFAD,
    KFAD,
    LDHD,
    AdamODE,
    Drift,
    Dynamics,
    GradientFlow,
    Kick,
)
from dashpot.integrators import solve
from dashpot.landscapes import DoubleWell, Himmelblau, Quadratic, Rosenbrock


def spectral_rate(gamma: float, hessian: np.ndarray) -> float:
    """Twice the spectral abscissa of x' = p, p' = −Hx − γp, by a general eigenvalue solver."""
    d = len(hessian)
    matrix = np.block([[np.zeros((d, d)), np.eye(d)], [-hessian, -gamma * np.eye(d)]])
    return -2 * float(np.linalg.eigvals(matrix).real.max())


@pytest.mark.parametrize("gamma", [0.1, 1.9, 2.5, 7.0])
@pytest.mark.parametrize(
    "make", [LDHD, lambda g: CD(g, 3.0), lambda g: KFAD(g, 1.0, 1.0), lambda g: IKFAD(g, 1.0, 1.0)]
)
def test_with_friction_the_rate_is_that_of_the_linearisation(make, gamma):
    landscape = Quadratic([1.0, 3.0, 9.0], rotation=4)
    hessian = landscape.hessian(torch.zeros(3, dtype=torch.float64)).numpy()
    law = predict(make(gamma), landscape)
    assert law.model == "exponential"
    assert law.rate == pytest.approx(spectral_rate(gamma, hessian), rel=1e-9)


def test_rate_at_other_landscapes_minimisers():
    assert predict(LDHD(0.3), Rosenbrock(2)).rate == pytest.approx(0.3)
    # Rosenbrock's slow mode: k = 0.39936, overdamped at γ = 4
    k = float(torch.linalg.eigvalsh(Rosenbrock(2).hessian([1.0, 1.0]))[0])
    assert k == pytest.approx(501 - math.sqrt(501**2 - 400), rel=1e-9)
    assert predict(LDHD(4.0), Rosenbrock(2)).rate == pytest.approx(4 - math.sqrt(16 - 4 * k))


def test_algebraic_constants_of_the_averaged_modes():
    modes = [1.0, 2.0, 4.0]
    assert predict(CD(0.0, 0.7), Quadratic(modes)).rate == pytest.approx(1.5 * 0.7 / 3)
    one = predict(IKFAD(0.0, 1.0, 1.0), Quadratic([1.0]))
    assert one.model == "algebraic" and one.rate == pytest.approx(1.1)  # all ones: 1 + 1/10
    kappa = [(1 / 0.5 + 0.5 / (2 * (0.25 + 4 * k))) / 2.0 for k in modes]
    three = predict(IKFAD(0.0, 0.5, 2.0), Quadratic(modes))
    assert 1 / three.rate == pytest.approx(sum(1 / k for k in kappa))
    scalar = predict(KFAD(0.0, 0.5, 2.0), Quadratic(modes, rotation=1))
    assert scalar.rate == pytest.approx((2 + 0.5 / (2 * (0.75 + 28))) / 2.0)
    assert predict(KFAD(0.0, 0.5, 2.0), Quadratic([3.0])).rate == pytest.approx(
        predict(IKFAD(0.0, 0.5, 2.0), Quadratic([3.0])).rate
    )


def test_no_constant_is_claimed_where_modes_mix_coordinates():
    law = predict(CD(0.0, 1.0), Quadratic([1.0, 2.0], rotation=0))
    assert law.model == "algebraic" and math.isnan(law.rate)


def test_what_does_not_decay():
    bowl = Quadratic([1.0])
    assert predict(LDHD(0.0), bowl).model == "none"
    assert predict(CD(0.0, 0.0), bowl).model == "none"
    assert "limit cycle" in predict(CADAM(0.0, 0.1, 1.0), bowl).law
    assert "grow" in predict(CADAM(0.0, 0.1, 0.0), bowl).law
    assert predict(CADAM(0.01, 0.1, 1.0), bowl).model == "none"  # γ < α/8
    assert predict(CADAM(0.01, 0.1, 1.0, eps=1.0), bowl).model == "unknown"  # two attractors


def test_cadam_has_three_regimes():
    bowl = Quadratic([1.0, 4.0])
    slow = predict(CADAM(0.2, 0.4, 1.0, eps=0.0), bowl)
    assert slow.rate == pytest.approx((8 * 0.2 - 0.4) / 9)
    fast = predict(CADAM(0.6, 0.4, 1.0, eps=0.0), bowl)
    assert fast.rate == pytest.approx(0.5)
    heavy = predict(CADAM(0.6, 0.4, 1.0, eps=2.0), bowl)
    assert heavy.rate == pytest.approx(0.6)  # mass 1/ε: modes 0.5 and 2, both underdamped
    stiff = predict(CADAM(6.0, 0.4, 1.0, eps=2.0), bowl)
    assert stiff.rate == pytest.approx(6 - math.sqrt(36 - 2))


@pytest.mark.parametrize("corrected", [False, True])
def test_the_equation_of_adam_is_cadam_without_cubic_damping(corrected):
    bowl = Quadratic([1.0, 4.0])
    for values in ((0.2, 0.4, 0.0), (0.6, 0.4, 0.0), (6.0, 0.4, 2.0), (0.01, 0.1, 0.0)):
        gamma, alpha, eps = values
        ode = predict(AdamODE(*values, bias_correction=corrected), bowl, step=0.1)
        cadam = predict(CADAM(gamma, alpha, 0.0, eps), bowl, step=0.1)
        assert (ode.model, ode.law) == (cadam.model, cadam.law)
        assert ode.rate == pytest.approx(cadam.rate, nan_ok=True)


def test_gradient_flow_decays_by_its_slowest_mode():
    """E = Σ k x²/2 e^{−2ηkt}: at late times the mode of the smallest k, here 0.5, alone."""
    flow, bowl = GradientFlow(0.7), Quadratic([0.5, 3.0], rotation=2)
    law = predict(flow, bowl)
    assert law.model == "exponential" and law.rate == pytest.approx(2 * 0.7 * 0.5)
    late = solve(flow, bowl, [1.0, 1.0], until=12.0, times=[8.0, 12.0]).mechanical_energy
    # the faster mode has fallen to e^{−2·0.7·2.5·8}, 1e-12 of it
    assert math.log(late[0] / late[1]) / 4 == pytest.approx(law.rate, rel=1e-6)
    assert predict(GradientFlow(-0.7), bowl).model == "none"


def test_a_small_eps_counts_only_below_the_discrete_threshold():
    bowl = Quadratic([1.0])  # MATH: threshold h²L/(2(1+β)) is 0.0026249 at h = 0.1, γ = 1
    above = predict(CADAM(1.0, 1.0, 0.0, eps=0.00265), bowl, step=0.1)
    below = predict(CADAM(1.0, 1.0, 0.0, eps=0.0026), bowl, step=0.1)
    assert "mass 1/ε" in above.law
    assert "floor" in below.law and below.rate == pytest.approx(7 / 9)


def test_unknown_is_said():
    gradient_free = Dynamics(Drift(), Kick())
    assert predict(gradient_free, Quadratic([1.0])).model == "unknown"
    assert predict(KFAD(0.1, 0.0, 1.0), Quadratic([1.0])).model == "unknown"
    assert predict(LDHD(0.1), Quadratic([0.0, 1.0])).model == "unknown"


def test_the_minimiser_can_be_chosen():
    wells = Himmelblau()
    assert wells.minimisers is not None
    rates = {round(predict(LDHD(20.0), wells, at=x).rate, 6) for x in wells.minimisers}
    assert len(rates) == 4


def test_proved_rates_of_the_theorems():
    bowl = Quadratic([2.0, 7.0])
    assert provable_rate(LDHD(3.0), bowl, 1.0) == pytest.approx(2.0)  # γ = 3√(m/2): √(2m)
    assert provable_rate(LDHD(0.3), bowl, 1.0) == pytest.approx(0.2)
    assert provable_rate(LDHD(6.0), bowl, 1.0) == pytest.approx(6 - math.sqrt(28))
    assert provable_rate(CD(0.3, 0.0), bowl, 1.0) == pytest.approx(0.2)
    assert provable_rate(LDHD(0.0), bowl, 1.0) is None
    assert provable_rate(CADAM(1.0, 1.0, 1.0), bowl, 1.0) is None
    assert provable_rate(LDHD(1.0), DoubleWell(1), 1.0) is None
