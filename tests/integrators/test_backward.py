"""Negative fractions: how far flows exist backwards, and what is said where they do not."""

import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from problems import PARTS, CoupledQuartic, Flat, closure_of, parameter

from dashpot.dynamics import (
    CD,
    CubicDamping,
    CubicLinearDamping,
    Drift,
    Dynamics,
    Kick,
    LinearDamping,
    Part,
    State,
)
from dashpot.integrators import Word, simulate
from dashpot.integrators.optimizer import WordOptimizer
from dashpot.landscapes import Quadratic

cd = CD(gamma=0.4, c=0.8)
JUMP = "yoshida(BCDADCB)"
MIDDLE = 0.5 * (1 - 2 / (2 - 2 ** (1 / 3)))  # −0.851…, the fraction of C and of D in the middle


def limit(part: Part, p: float) -> float:
    return float(part.backward_limit(State({"p": p})))


# --- the limits ---------------------------------------------------------------------------------


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


@pytest.mark.parametrize("part", PARTS, ids=repr)
def test_every_part_flows_backwards_up_to_its_limit(part: Part) -> None:
    names = dict.fromkeys((*part.reads, *part.writes, "x", "p", "g"))
    s = State({n: torch.full((2, 2), 0.7, dtype=torch.float64) for n in names}, rank=2)
    time = min(1.0, 0.99 * torch.as_tensor(part.backward_limit(s)).min().item())
    for name in part.scalars:
        setattr(s, name, torch.tensor(2.0, dtype=torch.float64))
    part.flow(s, -time)
    assert all(torch.isfinite(getattr(s, name)).all() for name in part.writes)


# --- words --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Forgetful(LinearDamping):
    reversible = False


@dataclass(frozen=True)
class Noisy(LinearDamping):
    normals = 1


@pytest.mark.parametrize(
    ("part", "word", "place"),
    [
        (Forgetful(0.3), "yoshida(BADAB)", 11),
        (Forgetful(0.3), "BAD:3/2D:-1/2", 8),
        (Noisy(0.3), "suzuki(BADAB)", 10),
    ],
)
def test_an_irreversible_part_is_refused_a_negative_fraction(
    part: Part, word: str, place: int
) -> None:
    mine = Dynamics(Drift(), Kick(), part)
    assert Word("BADAB", mine).order().order == 2
    message = (
        rf"letter 'D' at position {place} .*gets -.* h, and {type(part).__name__} has no flow "
        r"backwards.*without negative"
    )
    with pytest.raises(ValueError, match=message):
        Word(word, mine)


# --- the simulator ------------------------------------------------------------------------------


def test_a_start_without_a_past_is_refused_with_the_largest_h() -> None:
    """One coordinate, no force, γ = 0: |p| after w₁h forwards is 1/√(p₀⁻² + 2c w₁ h), whose
    past is as long as the way it came plus 1/(2cp₀²). The middle asks for 2·0.851 h at once."""
    free = Dynamics(Drift(), Kick(), CubicDamping(0.8))
    start = {"x": [0.0], "p": [5.0]}
    word = "yoshida(BCACB)"
    past = 1 / (2 * 0.8 * 25.0)  # 0.025
    # C runs w/2 + w/2 forwards and then twice the middle, of which the second meets the past:
    # after w h − 0.851 h (w = 1.351) there are 0.5 h + past left for another 0.851 h
    w = 1 / (2 - 2 ** (1 / 3))
    longest = past / (-2 * MIDDLE - w)
    run = simulate(free, Flat([0.0]), start, step=0.99 * longest, steps=1, word=word)
    assert run.status == "finished"
    with pytest.raises(ValueError, match="cannot start at x0") as caught:
        simulate(free, Flat([0.0]), start, step=1.01 * longest, steps=1, word=word)
    message = str(caught.value)
    assert "letter C (CubicDamping) runs for -0.851207 h" in message
    # from where it stands: the past of the state that this h has led to
    h = 1.01 * longest
    there = (past + (w + MIDDLE) * h) / -MIDDLE
    assert f"only for h < {there:.3g}" in message
    assert "smaller h" in message


def test_nothing_is_asked_of_words_that_run_forwards(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("asked for the past")

    monkeypatch.setattr(CubicDamping, "backward_limit", refuse)
    run = simulate(cd, CoupledQuartic(), step=0.1, steps=3, word="BCDADCB")
    assert run.status == "finished"
    param = parameter([1.0, -0.6])
    made = WordOptimizer(cd, [param], lr=0.1, word="BCDADCB")
    made.step(closure_of(made, param, CoupledQuartic()))


def test_later_in_a_run_the_trajectory_is_lost_and_the_message_says_why() -> None:
    """At h√k = 1.8 the triple jump is unstable (limit 1.574): a small start grows until the
    cubic damping matters, and then its past is too short. A start at rest stays there."""
    x0 = torch.tensor([[1e-3], [0.0]], dtype=torch.float64)
    dynamics = CD(gamma=0.0, c=1.0)
    run = simulate(dynamics, Quadratic(1.0), x0, step=1.8, steps=60, word=JUMP)
    assert run.status == "diverged"
    lost, kept = run.stopped_at.tolist()
    assert lost > 1
    assert kept == -1
    assert torch.isfinite(run["x"][:lost, 0]).all()
    assert torch.isnan(run["x"][lost:, 0]).all()
    assert run.message.startswith("no flow backwards: 1 of 2 trajectories; the first at step")
    assert "letter C (CubicDamping) runs for -0.851207 h" in run.message
    assert "overflow" not in run.message
    assert (run["x"][:, 1] == 0).all()


def test_overflow_of_such_a_word_is_still_called_overflow() -> None:
    run = simulate(CD(0.0, 0.0), Quadratic(100.0), [1.0], step=1.0, steps=900, word=JUMP)
    assert run.status == "diverged"
    assert run.message.startswith("overflow")
    # also where the first step overflows and c p² is 0 times infinity
    run = simulate(CD(0.0, 0.0), Quadratic(100.0), [1e307], step=1.0, steps=2, word=JUMP)
    assert run.stopped_at.item() == 1
    assert run.message.startswith("overflow")


# --- the optimizer ------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [0, 3])
def test_an_optimizer_refuses_before_anything_is_written(steps: int) -> None:
    param, landscape = parameter([1.0, -0.6]), CoupledQuartic()
    made = WordOptimizer(cd, [param], lr=0.01, word=JUMP)
    closure = closure_of(made, param, landscape)
    for _ in range(steps):
        made.step(closure)
    point, state = param.detach().clone(), dict(made.state[param])
    if not steps:
        del made.state[param]
    made.param_groups[0]["lr"] = 50.0  # the first kick alone leaves no past
    with pytest.raises(RuntimeError, match=r"nothing was changed: letter C \(CubicDamping\)"):
        made.step(closure)
    assert torch.equal(param.detach(), point)
    assert (param in made.state) is bool(steps)
    for name, value in state.items():
        assert made.state[param][name] is value
    made.param_groups[0]["lr"] = 0.01
    made.step(closure)
    assert not torch.equal(param.detach(), point)


def test_a_parameter_that_comes_late_is_looked_at_with_its_own_step() -> None:
    """Its closing piece has size 0 where the others' has h: as if each had its own optimizer."""
    landscape = CoupledQuartic()

    def descended(late: list[bool]) -> list[torch.Tensor]:
        params = [parameter([1.0, -0.6]) for _ in late]
        made = WordOptimizer(cd, params, lr=0.01, word=JUMP)
        for step in range(4):

            def closure(step: int = step) -> None:
                for param, is_late in zip(params, late, strict=True):
                    param.grad = None if is_late and step < 2 else landscape.df(param.detach())

            made.step(closure)
        return [param.detach() for param in params]

    together = descended([False, True])
    for one, late in zip(together, (False, True), strict=True):
        assert torch.equal(one, descended([late])[0])
