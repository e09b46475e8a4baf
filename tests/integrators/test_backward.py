"""Negative fractions in words and in the simulator: what is said where a past is missing."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import CoupledQuartic, Flat, closure_of, parameter

from dashpot.dynamics import (
    CADAM,
    CD,
    AdamODE,
    CubicDamping,
    Drift,
    Dynamics,
    Kick,
    LinearDamping,
    Nesterov,
    Part,
)
from dashpot.integrators import Trajectory, Word, simulate
from dashpot.integrators.optimizer import WordOptimizer
from dashpot.landscapes import Quadratic

cd = CD(gamma=0.4, c=0.8)
cadam = CADAM(gamma=0.3, alpha=0.6, c=0.5, eps=0.1)
JUMP = "yoshida(BCDADCB)"
MIDDLE = 0.5 * (1 - 2 / (2 - 2 ** (1 / 3)))  # −0.851…, the fraction of C and of D in the middle


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
    share = (past + (w + MIDDLE) * h) / (-MIDDLE * h)
    assert f"for at most {share:.3g} of that time" in message
    assert longest == pytest.approx(0.0711, abs=1e-4)
    assert f"h = {math.floor(longest * 1e4) / 1e4} works" in message


@settings(max_examples=10, deadline=None)
@given(
    c=st.floats(0.1, 10.0),
    p=st.lists(st.floats(0.5, 20.0), min_size=1, max_size=3),
    h=st.floats(10.0, 1e4),
)
def test_the_step_size_in_the_refusal_works_and_a_larger_one_does_not(
    c: float, p: list[float], h: float
) -> None:
    dynamics = CD(gamma=0.3, c=c)
    start = {"x": [[1.0]] * len(p), "p": [[one] for one in p]}

    def run(step: float) -> Trajectory:
        return simulate(dynamics, Quadratic(1.0), start, step=step, steps=1, word=JUMP)

    with pytest.raises(ValueError, match="cannot start at x0") as caught:
        run(h)
    works = float(str(caught.value).split("; h = ")[1].split(" works")[0])
    assert run(works).status == "finished"
    assert is_refused_or_lost(lambda: run(1.02 * works))


def is_refused_or_lost(run: Callable[[], Trajectory]) -> bool:
    try:
        return run().status == "diverged"
    except ValueError:
        return True


def test_a_clock_cannot_run_below_zero() -> None:
    """Nesterov's middle D runs for −1.702 h after 1.351 h: t₀ > 0.351 h is what it needs."""
    message = r"letter D \(VanishingDamping\) runs for -1.70241 h .*at most 0.794 of.*"
    for h in (1e-6, 0.1, 10.0):
        with pytest.raises(ValueError, match=message + "; no step size helps; "):
            simulate(Nesterov(), Quadratic(1.0), [1.0], step=h, steps=5, word="yoshida(BADAB)")
    w = 1 / (2 - 2 ** (1 / 3))
    late = {"x": [1.0], "t": 0.5}
    assert 0.5 / (w - 1) == pytest.approx(1.4237, abs=1e-4)
    with pytest.raises(ValueError, match=r"; h = 1\.42 works; "):
        simulate(Nesterov(), Quadratic(1.0), late, step=1.43, steps=1, word="yoshida(BADAB)")
    run = simulate(Nesterov(), Quadratic(1.0), late, step=1.42, steps=1, word="yoshida(BADAB)")
    assert run.status == "finished"
    # D first: 0.676 h, then two of −0.176 h: always above 0. Suzuki's 0.829 h − 0.658 h as well
    for word in ("yoshida(DBABD)", "suzuki(BADAB)"):
        run = simulate(Nesterov(), Quadratic(1.0), [1.0], step=0.1, steps=5, word=word)
        assert run.status == "finished"
    corrected = AdamODE(0.3, 0.6, 0.1, bias_correction=True)
    word = "T:3/2BET:-2ADT:3/2"
    with pytest.raises(ValueError, match=r"letter T \(Clock\) runs for -2 h.* 0.75 .*no step size"):
        simulate(corrected, Quadratic(1.0), [1.0], step=0.1, steps=1, word=word)
    late = {"x": [1.0], "t": 0.06}
    run = simulate(corrected, Quadratic(1.0), late, step=0.1, steps=3, word=word)
    assert run.status == "finished"


def test_a_second_moment_cannot_become_negative() -> None:
    """From ζ = 0 the triple jump takes back more than it has gathered."""
    jump = "yoshida(AEBCDCBEA)"
    with pytest.raises(ValueError, match=r"letter E \(SecondMoment\).*no step size helps; or"):
        simulate(cadam, Quadratic(1.0), [1.0], step=0.1, steps=5, word=jump)
    gathered = {"x": [1.0], "zeta": [1.0]}
    run = simulate(cadam, Quadratic(1.0), gathered, step=0.1, steps=5, word=jump)
    assert run.status == "finished"
    assert (run["zeta"] > 0).all()


def test_one_start_without_a_past_is_lost_and_the_others_go_on() -> None:
    good, bad = [[1.0], [0.5], [2.0]], [[1.0], [0.0], [2.0]]
    jump = "yoshida(AEBCDCBEA)"

    def run(zeta: Any) -> Trajectory:
        start = {"x": [[1.0], [0.7], [-2.0]], "zeta": zeta}
        return simulate(cadam, Quadratic(1.0), start, step=0.1, steps=4, word=jump)

    whole, broken = run(good), run(bad)
    assert whole.status == "finished"
    assert broken.status == "diverged"
    assert broken.stopped_at.tolist() == [-1, 1, -1]
    assert broken.message.startswith(
        "no flow backwards: 1 of 3 trajectories; the first at step 1 (t = 0.1), coming from x = "
    )
    assert "letter E (SecondMoment) runs for -0.851207 h" in broken.message
    assert "take a smaller h" in broken.message
    for name in ("x", "p", "zeta"):
        assert torch.equal(broken[name][:, [0, 2]], whole[name][:, [0, 2]])
        assert torch.isnan(broken[name][1:, 1]).all()
    with pytest.raises(ValueError, match="no step size helps every trajectory"):
        run([[0.0], [0.0], [0.0]])
    # one number per system, which nothing else would notice: p = 0 stays 0 below t = 0
    start = {"x": [[0.0], [0.0]], "t": [0.0, 1.0]}
    clocks = simulate(Nesterov(), Quadratic(1.0), start, step=0.1, steps=2, word="yoshida(BADAB)")
    assert clocks.stopped_at.tolist() == [1, -1]
    assert torch.isfinite(clocks["t"][:, 1]).all()


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
    h = float(re.findall(r"from there h = ([0-9.]+) works", run.message)[0])
    there = {name: values[lost - 1] for name, values in run.states.items()}
    for size, status in ((h, "finished"), (1.05 * h, "diverged")):
        again = simulate(dynamics, Quadratic(1.0), there, step=size, steps=1, word=JUMP)
        assert again.status == status


def test_overflow_of_such_a_word_is_still_called_overflow() -> None:
    run = simulate(CD(0.0, 0.0), Quadratic(100.0), [1.0], step=1.0, steps=900, word=JUMP)
    assert run.status == "diverged"
    assert run.message.startswith("overflow")
    # also where the first step overflows and c p² is 0 times infinity
    run = simulate(CD(0.0, 0.0), Quadratic(100.0), [1e307], step=1.0, steps=2, word=JUMP)
    assert run.stopped_at.item() == 1
    assert run.message.startswith("overflow")
