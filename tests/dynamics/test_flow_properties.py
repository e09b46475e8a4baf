"""What every damping flow does for any momentum: semigroup, sign, energy, cap."""

import math

from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from dashpot.dynamics import (
    CubicDamping,
    CubicLinearDamping,
    LinearDamping,
    Part,
    SecondMoment,
    State,
)

momenta = st.floats(-1e8, 1e8, allow_subnormal=False)
times = st.floats(0, 3)
parts = st.one_of(
    st.builds(LinearDamping, st.floats(0, 10)),
    st.builds(CubicDamping, st.floats(0, 1e6)),
    st.builds(CubicLinearDamping, st.floats(0, 10), st.floats(0, 1e6)),
)


def after(part: Part, h: float, p: float) -> float:
    s = State({"p": p})
    part.flow(s, h)
    return s.p


@given(part=parts, a=times, b=times, p=momenta)
def test_semigroup(part: Part, a: float, b: float, p: float) -> None:
    # e^{−γ(a+b)} with γ(a+b) <= 60 carries 60 ulp of rounding in its argument
    assert after(part, b, after(part, a, p)) == approx(after(part, a + b, p), rel=5e-14, abs=1e-290)


@given(part=parts, h=times, p=momenta)
def test_sign_is_kept_and_energy_never_grows(part: Part, h: float, p: float) -> None:
    q = after(part, h, p)
    assert math.copysign(1, q) == math.copysign(1, p)
    assert abs(q) <= abs(p) * (1 + 4e-16)


@given(part=parts, a=times, b=times, p=momenta)
def test_longer_damping_leaves_less(part: Part, a: float, b: float, p: float) -> None:
    assert abs(after(part, a + b, p)) <= abs(after(part, a, p)) * (1 + 4e-16)


@given(
    gamma=st.floats(0, 10), c=st.floats(1e-6, 1e6), h=st.floats(1e-3, 3), p=st.floats(-1e200, 1e200)
)
def test_clip_bound(gamma: float, c: float, h: float, p: float) -> None:
    # γ/(e^{2γh} − 1) tends to 1/(2h)
    g = 2 * gamma * h
    bound = math.sqrt((g / math.expm1(g) if g else 1.0) / (2 * h * c))
    assert abs(after(CubicLinearDamping(gamma, c), h, p)) <= bound * (1 + 1e-14)
    assert abs(after(CubicDamping(c), h, p)) <= (1 + 1e-14) / math.sqrt(2 * c * h)


@given(part=parts, p=momenta)
def test_no_time_is_the_identity(part: Part, p: float) -> None:
    assert after(part, 0.0, p) == approx(p, rel=4e-16)


@given(alpha=st.floats(0, 10), h=times, zeta=st.floats(0, 1e12), g=st.floats(-1e6, 1e6))
def test_second_moment_stays_between_its_ends(
    alpha: float, h: float, zeta: float, g: float
) -> None:
    """ζ >= 0, and it relaxes from ζ0 towards g²/α without passing it."""
    s = State({"zeta": zeta, "g": g})
    SecondMoment(alpha).flow(s, h)
    low, high = sorted((alpha * zeta, g * g))
    assert s.zeta >= 0
    if alpha > 0:
        assert low * (1 - 1e-13) <= alpha * s.zeta <= high * (1 + 1e-13)
