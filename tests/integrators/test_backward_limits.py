"""How far the flows of the parts exist backwards."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import PARTS, ULP

from dashpot.dynamics import (
    Clock,
    CubicDamping,
    CubicLinearDamping,
    LinearDamping,
    Part,
    RisingKick,
    SecondMoment,
    State,
    VanishingDamping,
)


def limit(part: Part, p: float) -> float:
    return float(part.backward_limit(State({"p": p})))


def test_known_limits() -> None:
    assert limit(CubicLinearDamping(0.3, 1.0), 2.0) == pytest.approx(0.12053443596604353, rel=1e-15)
    assert limit(CubicLinearDamping(0.0, 1.0), 2.0) == limit(CubicDamping(1.0), 2.0) == 0.125
    assert limit(LinearDamping(0.3), 2.0) == math.inf


@given(
    gamma=st.floats(0.0, 50.0),
    c=st.floats(1e-3, 1e3),
    p=st.floats(1e-3, 1e3),
)
def test_the_flow_ends_at_the_limit(gamma: float, c: float, p: float) -> None:
    """Just before it the momentum is finite, just after it there is none."""
    for part in (CubicDamping(c), CubicLinearDamping(gamma, c)):
        t = limit(part, p)
        for factor, exists in ((1 - 1e-9, True), (1 + 1e-9, False)):
            s = State({"p": p})
            part.flow(s, -factor * t)
            # at large γt the root of 1 + cφp² is lost in rounding: e^{2γt} = 1 + γ/(cp²)
            if gamma / (c * p * p) < 1e4:
                assert math.isfinite(s.p) is exists


@given(c=st.floats(1e-3, 1e3), p=st.floats(1e-3, 1e3))
def test_the_limit_is_continuous_at_zero_friction(c: float, p: float) -> None:
    cubic = limit(CubicDamping(c), p)
    for gamma in (0.0, 1e-300, 1e-12):
        # ln(1 + u)/u = 1 − u/2 + …, u = γ/(c p²) = 2γ · cubic
        expected = cubic * (1 - gamma * cubic)
        assert limit(CubicLinearDamping(gamma, c), p) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("part", [CubicDamping(0.0), CubicLinearDamping(0.0, 0.0),
                                  CubicLinearDamping(5.0, 0.0)])  # fmt: skip
def test_without_cubic_damping_or_momentum_there_is_all_the_past(part: Part) -> None:
    assert limit(part, 2.0) > 1e250
    assert limit(CubicLinearDamping(5.0, 1.0), 0.0) > 1e250
    tensor = part.backward_limit(State({"p": torch.tensor([2.0, 0.0])}))
    assert (tensor > 1e9).all()


@given(alpha=st.floats(0.0, 5.0), g=st.floats(1e-3, 1e3), time=st.floats(1e-3, 1.0))
def test_the_second_moment_was_zero_at_the_limit(alpha: float, g: float, time: float) -> None:
    s = State({"zeta": 0.0, "g": g})
    part = SecondMoment(alpha)
    part.flow(s, time)
    # T = ζ/g² is good to a few ulp, and dτ/dT = e^{ατ}
    rounding = 8 * ULP * math.exp(alpha * time)
    assert part.backward_limit(s) == pytest.approx(time, rel=rounding)


def test_known_pasts_of_the_second_moment() -> None:
    def past(alpha: float, zeta: float, g: float) -> float:
        return SecondMoment(alpha).backward_limit(State({"zeta": zeta, "g": g}))

    assert past(0.3, 0.2, 1.0) == pytest.approx(-math.log(1 - 0.06) / 0.3, rel=1e-14)
    assert past(0.0, 2.0, 0.5) == past(1e-300, 2.0, 0.5) == 8.0
    assert past(1e-9, 2.0, 0.5) == pytest.approx(8 + 1e-9 * 8**2 / 2, rel=1e-15)
    assert past(0.3, 0.0, 1.0) < 1e-300
    # ζ >= g²/α only grows backwards, and where g = 0 it was never 0: until e^{ατ} overflows
    for zeta, g in ((1 / 0.3, 1.0), (7.0, 1.0), (7.0, 0.0), (0.0, 0.0)):
        assert past(0.3, zeta, g) > 700 / 0.3
    assert past(0.0, 7.0, 0.0) > 1e300


def test_time_starts_at_zero() -> None:
    at = State({"p": 0.3, "t": 0.8})
    assert Clock().backward_limit(at) == VanishingDamping(3.0).backward_limit(at) == 0.8
    assert VanishingDamping(3.0, onset=0.5).backward_limit(at) == 1.3
    assert Clock().has_backward_limit
    assert not RisingKick(0.3).has_backward_limit


@pytest.mark.parametrize("part", [part for part in PARTS if part.reversible], ids=repr)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_every_part_flows_backwards_up_to_its_limit(part: Part, data: st.DataObject) -> None:
    """From any state, and where it ends the state is one: finite, with ζ and time not negative.

    And what a flow forwards has led to has at least as much past.
    """
    names = dict.fromkeys((*part.reads, *part.writes, "x", "p", "g"))

    def draw(name: str) -> torch.Tensor:
        values = st.floats(1e-3, 3.0)
        if name in part.scalars or name == "t":
            return torch.tensor(data.draw(values), dtype=torch.float64)
        numbers = data.draw(st.lists(values, min_size=4, max_size=4))
        return torch.tensor(numbers, dtype=torch.float64).reshape(2, 2)

    def past(s: State) -> float:
        return torch.as_tensor(part.backward_limit(s)).min().item()

    s = State({n: draw(n) for n in names}, rank=2)
    time = min(3.0, (1 - 1e-9) * past(s))
    back = s.copy()
    part.flow(back, -time)
    assert all(torch.isfinite(getattr(back, name)).all() for name in part.writes)
    if "zeta" in part.writes:
        assert (back.zeta >= 0).all()
    if "t" in part.writes:
        assert back.t + part.hyperparameters.get("onset", 0.0) >= 0
    part.flow(s, 0.7)
    assert past(s) > 0.7 * (1 - 1e-12)
