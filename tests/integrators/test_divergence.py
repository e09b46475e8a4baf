"""Overflow and Ctrl-C end a run with a status, and nothing that was computed is lost."""

import math

import pytest
import torch
from problems import CoupledQuartic, Watched

from dashpot.dynamics import CADAM, LDHD
from dashpot.integrators import simulate
from dashpot.landscapes import Quadratic, Rosenbrock


def overflow_step(x0: float, h: float, curvature: float) -> int:
    """The first step of BDA (γ = 0) after which x or p is not finite, in Python floats."""
    x, p, n = x0, 0.0, 0
    while math.isfinite(x) and math.isfinite(p):
        p -= h * curvature * x
        x += h * p
        n += 1
    return n


def test_one_trajectory_is_lost_and_the_others_go_on() -> None:
    x0 = torch.tensor([[1.0], [1e150], [0.0]], dtype=torch.float64)
    h, curvature, steps = 1.0, 9.0, 200  # h√L = 3 > 2: |x| grows by (7+√45)/2 a step
    run = simulate(LDHD(0.0), Quadratic(curvature), x0, step=h, steps=steps)
    expected = overflow_step(1e150, h, curvature)
    assert run.status == "diverged"
    assert run.stopped_at.tolist() == [-1, expected, -1]
    assert 1 < expected < steps
    x = run["x"][..., 0]
    assert torch.isfinite(x[:expected, 1]).all()
    assert torch.isnan(x[expected:, 1]).all()
    assert torch.isnan(run.energy[expected:, 1]).all()
    assert torch.isfinite(x[:, [0, 2]]).all()
    assert len(run) == steps + 1
    alone = simulate(LDHD(0.0), Quadratic(curvature), x0[0], step=h, steps=steps)
    assert torch.equal(run["x"][:, 0], alone["x"])


def test_the_message_names_step_time_state_and_remedy() -> None:
    x0 = torch.tensor([1e150], dtype=torch.float64)
    run = simulate(LDHD(0.0), Quadratic(9.0), x0, step=1.0, steps=500)
    n = overflow_step(1e150, 1.0, 9.0)
    assert f"step {n} (t = {n}" in run.message
    assert "x = [" in run.message
    assert "smaller step" in run.message
    assert "BCDA" in run.message


@pytest.mark.parametrize("save_every", [1, 7, 10_000])
def test_when_all_are_lost_the_run_ends(save_every: int) -> None:
    n = overflow_step(1.0, 1.0, 9.0)
    watched = Watched(Quadratic(9.0))
    x0 = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    run = simulate(LDHD(0.0), watched, x0, step=1.0, steps=10_000, save_every=save_every)
    assert run.status == "diverged"
    assert run.stopped_at.tolist() == [n, n]
    assert run.times.tolist() == list(range(0, n, save_every))
    assert torch.isfinite(run["x"]).all()
    assert watched.calls < 2 * n + 130  # a block is looked at twice, not ten thousand steps


def test_the_status_does_not_depend_on_what_is_saved() -> None:
    stops = [
        simulate(LDHD(0.0), Rosenbrock(2), [3.0, 3.0], step=0.1, steps=300, save_every=k).stopped_at
        for k in (1, 13, 300)
    ]
    assert stops[0].item() > 0
    assert stops[0] == stops[1] == stops[2]


def test_a_run_that_stays_finite_is_finished() -> None:
    run = simulate(LDHD(0.5), CoupledQuartic(), step=0.1, steps=100)
    assert (run.status, run.message, run.stopped_at.item()) == ("finished", "", -1)


def test_division_by_zero_is_overflow_too() -> None:
    """Without ε and from ζ = 0, a word that drifts before E divides by zero at the first step."""
    run = simulate(CADAM(0.5, 0.5, 0.0, eps=0.0), Quadratic(1.0), step=0.1, steps=5, word="BADEC")
    assert run.status == "diverged"
    assert run.stopped_at.item() == 1
    assert run["x"].tolist() == [[1.0]]


@pytest.mark.parametrize("save_every", [1, 10])
def test_ctrl_c_keeps_what_was_saved(save_every: int) -> None:
    watched = Watched(CoupledQuartic(), raise_at=75, error=KeyboardInterrupt)
    run = simulate(LDHD(0.5), watched, step=0.1, steps=100, word="BDA", save_every=save_every)
    whole = simulate(
        LDHD(0.5), CoupledQuartic(), step=0.1, steps=100, word="BDA", save_every=save_every
    )
    assert run.status == "interrupted"
    assert "interrupted after step" in run.message
    assert 60 <= len(run) * save_every <= 75 + save_every
    assert torch.equal(run["x"], whole["x"][: len(run)])
    assert torch.equal(run.energy, whole.energy[: len(run)])


def test_ctrl_c_at_once_returns_the_start() -> None:
    watched = Watched(CoupledQuartic(), raise_at=1, error=KeyboardInterrupt)
    run = simulate(LDHD(0.5), watched, step=0.1, steps=100)
    assert run.status == "interrupted"
    assert run.times.tolist() == [0.0]


def test_an_error_of_the_users_function_is_not_swallowed() -> None:
    with pytest.raises(RuntimeError, match="gradient number 3"):
        simulate(LDHD(0.5), Watched(CoupledQuartic(), raise_at=3), step=0.1, steps=10)


@pytest.mark.parametrize(
    "dynamics",
    [
        # the kinetic energy at rest is 0/0 for both
        CADAM(1.0, 0.5, 0.0, eps=0.0),
        CADAM(1.0, 0.5, 0.0, bias_correction=True),
    ],
)
def test_energy_at_rest_is_the_potential(dynamics: CADAM) -> None:
    run = simulate(dynamics, Quadratic(2.0), [1.0], step=0.01, steps=3)
    assert run.energy[0].item() == run.mechanical_energy[0].item() == 1.0
