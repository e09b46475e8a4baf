"""Kinetic friction: the closed form at α = 0, convergence of both schemes, their inverse."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from problems import slope
from scipy.integrate import solve_ivp

from dashpot.dynamics import KineticFriction, State
from dashpot.dynamics.friction import Scheme

SCHEMES: tuple[Scheme, ...] = ("palindrome", "rotation")


def advance(part: KineticFriction, h: Any, repeat: Any = 1, **start: Any) -> State:
    s = State(start)
    for _ in range(repeat):
        part.flow(s, h)
    return s


def rotation(p: float, xi: float, mu: float, t: float) -> tuple[float, float]:
    """The solution at α = 0, for p > 0: p = √μ R sech(Rt + φ), ξ = R tanh(Rt + φ)."""
    r = math.sqrt(xi**2 + p**2 / mu)
    phase = math.atanh(xi / r)
    return math.sqrt(mu) * r / math.cosh(r * t + phase), r * math.tanh(r * t + phase)


def test_rotation_is_exact_without_decay() -> None:
    s = advance(KineticFriction(0.0, 1.0, scheme="rotation"), 1.0, p=1.0, xi=0.0)
    assert s.p == pytest.approx(1 / math.cosh(1), rel=1e-15)
    assert s.xi == pytest.approx(math.tanh(1), rel=1e-15)
    assert s.p == pytest.approx(0.6480542736638855, rel=1e-15)


@pytest.mark.parametrize(("p", "xi", "mu", "t"), [(2.0, 0.7, 0.3, 0.9), (0.1, 3.0, 5.0, 2.0)])
def test_rotation_with_friction_already_there(p: float, xi: float, mu: float, t: float) -> None:
    s = advance(KineticFriction(0.0, mu, scheme="rotation"), t, p=p, xi=xi)
    assert (s.p, s.xi) == pytest.approx(rotation(p, xi, mu, t), rel=1e-14)


def test_rotation_of_many_coordinates_keeps_the_direction() -> None:
    """KFAD: |p| follows the scalar law and p keeps its direction."""
    p = torch.tensor([3.0, -4.0], dtype=torch.float64) / 5
    zero = torch.zeros((), dtype=torch.float64)
    s = advance(KineticFriction(0.0, 1.0, scalar=True, scheme="rotation"), 1.0, p=p, xi=zero)
    torch.testing.assert_close(s.p, p / math.cosh(1), rtol=1e-15, atol=0)
    assert s.xi.item() == pytest.approx(math.tanh(1), rel=1e-15)


def test_palindrome_converges_to_the_closed_form_at_order_two() -> None:
    part = KineticFriction(0.0, 1.0)
    counts = (16, 32, 64, 128)
    errors = []
    for n in counts:
        s = advance(part, 1 / n, n, p=1.0, xi=0.0)
        errors.append(math.hypot(s.p - 1 / math.cosh(1), s.xi - math.tanh(1)))
    assert slope([1 / n for n in counts], errors) == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_both_schemes_have_order_two_with_decay(scheme: Scheme) -> None:
    alpha, mu = 0.8, 0.5
    exact = solve_ivp(
        lambda _, y: [-y[1] * y[0], y[0] ** 2 / mu - alpha * y[1]],
        (0, 1),
        [1.3, 0.2],
        method="DOP853",
        rtol=1e-13,
        atol=1e-14,
    ).y[:, -1]
    counts = (16, 32, 64, 128)
    errors = []
    for n in counts:
        s = advance(KineticFriction(alpha, mu, scheme=scheme), 1 / n, n, p=1.3, xi=0.2)
        errors.append(math.hypot(s.p - exact[0], s.xi - exact[1]))
    assert slope([1 / n for n in counts], errors) == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("scalar", [False, True])
def test_backward_step_undoes_a_step(scheme: Scheme, scalar: bool) -> None:
    part = KineticFriction(0.6, 0.5, scalar=scalar, scheme=scheme)
    p = torch.tensor([1.0, -0.4, 0.0], dtype=torch.float64)
    xi = torch.tensor(0.3, dtype=torch.float64) if scalar else torch.full_like(p, 0.3)
    s = State({"p": p, "xi": xi})
    part.flow(s, 0.2)
    assert (s.p - p).abs().max() > 0.05
    part.flow(s, -0.2)
    torch.testing.assert_close(s.p, p, rtol=1e-15, atol=1e-15)
    torch.testing.assert_close(s.xi, xi, rtol=1e-15, atol=1e-15)


def test_the_schemes_differ_in_a_strong_transient_as_documented() -> None:
    """h|p|/√μ = 10: the palindrome overshoots ξ to h p²/μ, the rotation stays below R."""
    start: dict[str, Any] = {"p": 0.1, "xi": 0.0}
    over = advance(KineticFriction(0.0, 1e-6), 0.1, **start)
    right = advance(KineticFriction(0.0, 1e-6, scheme="rotation"), 0.1, **start)
    assert over.xi == pytest.approx(0.1 * 0.1**2 / 1e-6, rel=1e-14)
    assert right.xi == pytest.approx(100 * math.tanh(10), rel=1e-14)


def test_nothing_happens_at_rest() -> None:
    for scheme in SCHEMES:
        s = advance(KineticFriction(0.5, 1.0, scheme=scheme), 0.3, p=0.0, xi=0.0)
        assert (s.p, s.xi) == (0.0, 0.0)


momenta = st.floats(-1e6, 1e6)
frictions = st.floats(0, 1e4)


@given(p=momenta, xi=frictions, alpha=st.floats(0, 100), mu=st.floats(1e-8, 1e3), h=st.floats(0, 3))
def test_sign_of_p_and_positivity_of_xi(
    p: float, xi: float, alpha: float, mu: float, h: float
) -> None:
    for scheme in SCHEMES:
        s = advance(KineticFriction(alpha, mu, scheme=scheme), h, p=p, xi=xi)
        assert s.xi >= 0, scheme
        assert math.copysign(1, s.p) == math.copysign(1, p) or s.p == 0, scheme
        assert abs(s.p) <= abs(p), scheme


@given(p=momenta, xi=frictions, alpha=st.floats(0, 100), mu=st.floats(1e-8, 1e3), h=st.floats(0, 3))
def test_rotation_never_gains_energy(
    p: float, xi: float, alpha: float, mu: float, h: float
) -> None:
    part = KineticFriction(alpha, mu, scheme="rotation")
    s = advance(part, h, p=p, xi=xi)
    before, after = mu * xi**2 + p**2, mu * s.xi**2 + s.p**2
    assert after <= before * (1 + 1e-14)


def test_arrays_and_floats_agree_in_the_rotation() -> None:
    part = KineticFriction(0.4, 0.7, scheme="rotation")
    p, xi = np.array([0.0, 1e-9, 0.3, -50.0]), np.array([0.0, 0.0, 2.0, 0.1])
    s = advance(part, 0.2, p=p, xi=xi)
    for i in range(4):
        one = advance(part, 0.2, p=float(p[i]), xi=float(xi[i]))
        assert (s.p[i], s.xi[i]) == pytest.approx((one.p, one.xi), rel=1e-15, abs=0)
