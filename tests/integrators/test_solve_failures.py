"""Solutions that cannot go on: blow-up, no step small enough, Ctrl-C; nothing is lost."""

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from problems import CoupledQuartic, Watched

from dashpot.dynamics import (
    CADAM,
    LDHD,
    Drift,
    Dynamics,
    Part,
    Positive,
    State,
)
from dashpot.integrators import simulate, solve
from dashpot.landscapes import Landscape, Quadratic

SCIPY = ["DOP853", "LSODA", "Radau"]
TORCH = ["dopri5", "dopri8"]


@dataclass(frozen=True)
class NegativeCubic(Part):
    """p' = +c p³: p = p0/√(1 − 2 c p0² t), infinite at t = 1/(2 c p0²). No flow on purpose."""

    letter, reads, writes = "N", ("p",), ("p",)
    c: Positive

    def rate(self, s: State) -> dict[str, Any]:
        # the evaluations are counted, so that a loop without end is a failure and not a wait
        WATCH.df(torch.zeros(1))
        return {"p": self.c * s.p * s.p * s.p}


WATCH = Watched(Quadratic(1.0))
blow_up = Dynamics(Drift(), NegativeCubic(1.0), name="blow-up")
LIMIT = 0.5  # 1/(2 c p0²) with c = p0 = 1


@pytest.mark.parametrize("method", [*SCIPY, *TORCH])
def test_a_blow_up_keeps_what_came_before(method: str) -> None:
    WATCH.calls = 0
    times = np.linspace(0, 1, 21)
    start = {"x": [0.0], "p": [1.0]}
    run = solve(blow_up, Quadratic(1.0), start, until=1.0, times=times, method=method, rtol=1e-7)
    assert run.status in ("diverged", "underflow")
    before = run.times < LIMIT - 1e-6
    assert run.times[before].tolist() == times[times < LIMIT - 1e-6].tolist()
    assert run.times[-1] <= LIMIT + 1e-6
    p = 1 / (1 - 2 * run.times[before]).sqrt()
    torch.testing.assert_close(run["p"][before, 0], p, rtol=1e-5, atol=0)
    told = re.search(r"t = (\S+) with", run.message)
    assert told is not None
    assert float(told[1]) == pytest.approx(LIMIT, abs=1e-5)
    assert "|p| = " in run.message
    assert "p changes fastest" in run.message


def test_exponential_growth_past_the_largest_number_is_diverged() -> None:
    """x'' = +900 x grows by e^{30 t} and overflows at t = 23.7."""
    hill = Landscape(lambda x: -450 * (x * x).sum(), shape=1)
    run = solve(LDHD(0.0), hill, [1.0], until=30.0, rtol=1e-6)
    assert run.status == "diverged"
    assert "blows up" in run.message
    assert 20 < run.times[-1] < 24
    assert torch.isfinite(run["x"]).all()


@pytest.mark.parametrize("method", [*SCIPY, *TORCH])
def test_a_rate_that_is_not_finite_at_the_start(method: str) -> None:
    """f' = −1/√(1 − x) at x = 1. scipy's DOP853 by itself would try a NaN step for ever."""
    run = solve(LDHD(0.5), Watched(wall), [1.0], until=1.0, method=method)
    assert run.status in ("underflow", "diverged")
    assert run.times.tolist() == [0.0]
    assert run["x"].tolist() == [[1.0]]
    assert "the rate of p is not finite" in run.message


def test_an_implicit_method_does_not_start_where_its_jacobian_is_infinite() -> None:
    with pytest.raises(ValueError, match=r"Radau cannot start.*positive zeta.*DOP853"):
        solve(CADAM(0.5, 0.5, 0.0, eps=0.0), Quadratic(1.0), [1.0], until=1.0, method="Radau")


@pytest.mark.parametrize("method", ["DOP853", "LSODA", *TORCH])
def test_cadam_starts_at_rest_without_eps(method: str) -> None:
    """From ζ = p = 0 with ε = 0 the velocity 0/0 is 0, and x' ~ −√t follows: no failure."""
    cadam = CADAM(0.5, 0.5, 0.0, eps=0.0)
    run = solve(cadam, Quadratic(1.0), [1.0], until=1.0, method=method, rtol=1e-8)
    fine = simulate(cadam, Quadratic(1.0), [1.0], step=1e-4, steps=10_000, save_every=10_000)
    assert run.status == "finished"
    assert run["x"][-1].item() == pytest.approx(fine["x"][-1].item(), abs=1e-3)


@pytest.mark.parametrize("method", ["DOP853", "dopri5"])
def test_messages_about_cadam_tell_the_smallest_second_moment(method: str) -> None:
    watched = Watched(CoupledQuartic(), raise_at=100, error=KeyboardInterrupt)
    made = CADAM(0.5, 0.5, 0.0, eps=0.1)
    run = solve(made, watched, until=50.0, method=method)
    assert re.search(r"smallest zeta = \d\S* \(the drift divides by its root\)", run.message)


wall = Landscape(lambda x: 2 * (1 - x).sqrt().sum(), shape=1, minimum=0.0)


def test_underflow_in_a_landscape_with_a_wall() -> None:
    """f' = −1/√(1 − x) is infinite at x = 1, which is reached in finite time."""
    run = solve(LDHD(0.0), Watched(wall), [0.0], until=10.0)
    assert run.status == "underflow"
    assert 0.9 < run["x"][-1].item() <= 1
    assert "no step is small enough" in run.message
    assert f"t = {run.times[-1].item():.3g}"[:7] in run.message


@pytest.mark.parametrize("method", [*SCIPY, *TORCH])
def test_ctrl_c_keeps_what_is_done(method: str) -> None:
    total = Watched(CoupledQuartic())
    times = np.linspace(0, 10, 101)
    whole = solve(LDHD(0.3), total, until=10.0, times=times, method=method, rtol=1e-6)
    watched = Watched(CoupledQuartic(), raise_at=total.calls // 2, error=KeyboardInterrupt)
    run = solve(LDHD(0.3), watched, until=10.0, times=times, method=method, rtol=1e-6)
    assert run.status == "interrupted"
    assert "interrupted at t = " in run.message
    assert 20 < len(run) < 90
    shared = min(len(run) - 1, 101)
    torch.testing.assert_close(run["x"][:shared], whole["x"][:shared], rtol=0, atol=1e-5)


@pytest.mark.parametrize("method", [*SCIPY, *TORCH])
def test_an_error_of_the_users_function_is_not_swallowed(method: str) -> None:
    with pytest.raises(RuntimeError, match="gradient number 30"):
        solve(LDHD(0.5), Watched(CoupledQuartic(), raise_at=30), until=10.0, method=method)


def test_a_part_without_a_flow_is_refused_by_words() -> None:
    WATCH.calls = 0
    with pytest.raises(ValueError, match=r"NegativeCubic has no flow.*use solve"):
        simulate(blow_up, Quadratic(1.0), step=0.1, steps=1)
    with pytest.raises(NotImplementedError, match=r"NegativeCubic has no flow.*solve"):
        NegativeCubic(1.0).flow(State({"p": 1.0}), 0.1)
    run = solve(blow_up, Quadratic(1.0), {"p": [1.0]}, until=0.3, times=[0.3])
    assert run["p"].item() == pytest.approx(1 / math.sqrt(1 - 0.6), rel=1e-8)


def test_a_blow_up_is_told_from_a_stiff_end() -> None:
    start = {"x": [1.0], "p": [1.0]}
    run = solve(blow_up, Quadratic(1.0), start, until=1.0, rtol=1e-7)
    assert run.status == "diverged"
    assert "stiff method" not in run.message


def test_bias_correction_starts_at_time_zero() -> None:
    """Its factor is singular at t = 0 but integrable: the run follows small steps of Adam."""
    adam = CADAM(1.0, 0.5, 0.0, bias_correction=True)
    run = solve(adam, Quadratic(1.0), [1.0], until=1.0, rtol=1e-8)
    fine = simulate(adam, Quadratic(1.0), [1.0], step=1e-4, steps=10_000, save_every=10_000)
    assert run.status == "finished"
    assert run["x"][-1].item() == pytest.approx(fine["x"][-1].item(), abs=1e-3)


@pytest.mark.parametrize("until", [np.float32(1.0), np.int64(1), torch.tensor(1.0)])
def test_numbers_of_any_library(until: Any) -> None:
    assert solve(LDHD(0.1), Quadratic(1.0), until=until).times[-1] == 1.0
