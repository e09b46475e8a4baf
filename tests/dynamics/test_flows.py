"""Exact flows against closed forms, limits, and backward time."""

import math

import mpmath
import pytest
import torch
from problems import ULP

from dashpot.dynamics import (
    CubicDamping,
    CubicLinearDamping,
    LinearDamping,
    Part,
    SecondMoment,
    State,
    WeightDecay,
)

mpmath.mp.dps = 60


def flow(part: Part, h: float, **variables: float) -> State:
    s = State(variables)
    part.flow(s, h)
    return s


def exact_bernoulli(gamma: float, c: float, p: float, t: float) -> float:
    """e^{−γt} p / √(1 + c φ p²) with φ = (1 − e^{−2γt})/γ, in 60 digits."""
    g, c_, p_, t_ = (mpmath.mpf(v) for v in (gamma, c, p, t))
    phi = -mpmath.expm1(-2 * g * t_) / g if gamma else 2 * t_
    return float(mpmath.exp(-g * t_) * p_ / mpmath.sqrt(1 + c_ * phi * p_**2))


def test_cubic_damping_without_force() -> None:
    # p0/√(1 + 2 c p0² t) with p0 = 2, c = 1/2, t = 3 is 2/√13
    assert flow(CubicDamping(0.5), 3.0, p=2.0).p == pytest.approx(2 / math.sqrt(13), rel=1e-15)


def test_bernoulli_flow() -> None:
    p = flow(CubicLinearDamping(0.2, 0.5), 3.0, p=2.0).p
    assert p == pytest.approx(exact_bernoulli(0.2, 0.5, 2.0, 3.0), rel=4e-16)
    assert p == pytest.approx(0.38835840162503593, rel=1e-15)


@pytest.mark.parametrize("gamma", [0.0, 1e-14, 1e-10, 1e-6, 1e-3, 0.3, 40.0])
def test_bernoulli_flow_has_no_cancellation_at_small_friction(gamma: float) -> None:
    p = flow(CubicLinearDamping(gamma, 0.5), 3.0, p=2.0).p
    # e^{−γt} carries the rounding of γt: γt ulp
    assert p == pytest.approx(
        exact_bernoulli(gamma, 0.5, 2.0, 3.0), rel=4e-16 + 3 * gamma * ULP, abs=0
    )


def test_limit_of_no_linear_friction_is_continuous() -> None:
    # G at γ = 0 is C; the first difference is −γ t p (1 + …): 3e-15 at γ = 1e-15
    at_zero = flow(CubicLinearDamping(0.0, 0.5), 3.0, p=2.0).p
    assert at_zero == flow(CubicDamping(0.5), 3.0, p=2.0).p
    near = flow(CubicLinearDamping(1e-15, 0.5), 3.0, p=2.0).p
    assert abs(near - at_zero) < 5e-15


@pytest.mark.parametrize("p0", [1e150, 1e200, -1e200])
def test_enormous_momentum_lands_on_the_cap(p0: float) -> None:
    # 1/√(2ct) = 1 for 2ct = 1
    assert flow(CubicDamping(0.5), 1.0, p=p0).p == math.copysign(1.0, p0)


@pytest.mark.parametrize("gamma", [0.0, 0.01, 1.3])
def test_clip_bound_is_reached(gamma: float) -> None:
    c, h = 2.0, 0.3
    bound = math.sqrt(gamma / (c * math.expm1(2 * gamma * h)) if gamma else 1 / (2 * c * h))
    assert flow(CubicLinearDamping(gamma, c), h, p=1e150).p == pytest.approx(bound, rel=1e-14)


def test_clip_bound_number() -> None:
    # 1/√(2·2·0.3) = √(5/6)
    assert flow(CubicDamping(2.0), 0.3, p=1e150).p == pytest.approx(math.sqrt(5 / 6), rel=1e-14)


@pytest.mark.parametrize("p", [0.1, 2.0, -2.0])
def test_semigroup(p: float) -> None:
    part = CubicLinearDamping(0.2, 0.5)
    twice = flow(part, 1.9, p=flow(part, 1.1, p=p).p).p
    assert twice == pytest.approx(flow(part, 3.0, p=p).p, rel=1e-15)


def test_backward_flow_exists_until_the_solution_blows_up() -> None:
    # backward from p the solution reaches infinity after ln(1 + γ/(c p²))/(2γ)
    gamma, c, p = 0.3, 1.0, 2.0
    limit = math.log1p(gamma / (c * p * p)) / (2 * gamma)
    assert limit == pytest.approx(0.12053443596604353, rel=1e-15)
    part = CubicLinearDamping(gamma, c)
    assert math.isnan(flow(part, -limit * (1 + 1e-9), p=p).p)
    before = flow(part, -limit * (1 - 1e-9), p=p).p
    # p ≈ 1/√(2c·1e-9·limit), with a relative error of ulp/1e-9 in the difference under the root
    assert before == pytest.approx(exact_bernoulli(gamma, c, p, -limit * (1 - 1e-9)), rel=1e-6)
    assert flow(part, limit * (1 - 1e-9), p=before).p == pytest.approx(p, rel=1e-6)


def test_backward_cubic_flow_at_no_linear_friction() -> None:
    # exists until 1/(2 c p²) = 1/8
    assert flow(CubicDamping(1.0), -0.1249, p=2.0).p == pytest.approx(
        2 / math.sqrt(1 - 8 * 0.1249), rel=1e-12
    )
    assert math.isnan(flow(CubicDamping(1.0), -0.1251, p=2.0).p)


def test_linear_damping_and_weight_decay() -> None:
    assert flow(LinearDamping(0.7), 2.0, p=3.0).p == pytest.approx(3 * math.exp(-1.4), rel=1e-15)
    assert flow(WeightDecay(0.7), 2.0, x=3.0).x == pytest.approx(3 * math.exp(-1.4), rel=1e-15)


@pytest.mark.parametrize("alpha", [0.0, 1e-14, 1e-6, 0.8])
def test_second_moment(alpha: float) -> None:
    # ζ(t) = e^{−αt} ζ0 + (1 − e^{−αt})/α g², the weight being t at α = 0
    zeta = flow(SecondMoment(alpha), 1.5, zeta=0.4, g=-3.0).zeta
    weight = -mpmath.expm1(-mpmath.mpf(alpha) * 1.5) / alpha if alpha else mpmath.mpf(1.5)
    exact = mpmath.exp(-mpmath.mpf(alpha) * 1.5) * mpmath.mpf(0.4) + weight * 9
    assert zeta == pytest.approx(float(exact), rel=4e-16)


def test_flows_are_differentiable_in_their_hyperparameters_at_zero() -> None:
    # at γ = c = 0:  ∂p/∂γ = −t p,  ∂p/∂c = −t p³
    gamma, c = (torch.zeros((), dtype=torch.float64, requires_grad=True) for _ in range(2))
    part = CubicLinearDamping(0.0, 0.0).bind({"gamma": gamma, "c": c})
    s = State({"p": torch.tensor([2.0], dtype=torch.float64)})
    part.flow(s, 0.25)
    slopes = torch.autograd.grad(s.p.sum(), (gamma, c))
    assert slopes[0].item() == pytest.approx(-0.25 * 2, rel=1e-15)
    assert slopes[1].item() == pytest.approx(-0.25 * 8, rel=1e-15)
