"""Adaptive solutions: against an exact one and each other, output times, batches, stopping."""

import math
from typing import Any

import pytest
import torch
from problems import CATALOGUE, CoupledQuartic, Watched, largest_difference, ordinary_start

from dashpot.dynamics import CADAM, CD, IKFAD, KFAD, LDHD, Dynamics
from dashpot.integrators import simulate, solve
from dashpot.landscapes import Landscape, Quadratic

METHODS = ["DOP853", "LSODA", "Radau", "dopri5", "dopri8"]


def exact(t: float, k: float, gamma: float) -> tuple[float, float]:
    """x'' + γ x' + k x = 0 from (1, 0), underdamped."""
    omega = math.sqrt(k - gamma**2 / 4)
    decay = math.exp(-gamma * t / 2)
    x = decay * (math.cos(omega * t) + gamma / (2 * omega) * math.sin(omega * t))
    return x, -k / omega * decay * math.sin(omega * t)


@pytest.mark.parametrize("method", METHODS)
def test_damped_oscillator(method: str) -> None:
    run = solve(LDHD(1.0), Quadratic(4.0), [1.0], until=1.0, times=[1.0], method=method)
    assert exact(1.0, 4.0, 1.0) == pytest.approx((-0.0706445509194641, -1.170000427193367))
    # rtol 1e-10 a step; LSODA and Radau accumulate some hundred steps
    got = (run["x"].item(), run["p"].item())
    assert got == pytest.approx(exact(1.0, 4.0, 1.0), abs=1e-8 if method == "LSODA" else 1e-9)
    assert (run.status, run.message) == ("finished", "")


@pytest.mark.parametrize("dynamics", CATALOGUE, ids=lambda d: d.name)
@pytest.mark.parametrize("method", METHODS[1:])
def test_methods_agree(dynamics: Dynamics, method: str) -> None:
    settings: dict[str, Any] = {"until": 2.0, "times": [0.0, 0.7, 2.0]}
    start = ordinary_start(dynamics)
    run = solve(dynamics, CoupledQuartic(), start, method=method, **settings)
    reference = solve(dynamics, CoupledQuartic(), start, **settings)
    assert largest_difference(run.states, reference.states) < 1e-7
    torch.testing.assert_close(run.energy, reference.energy, rtol=0, atol=1e-7)


@pytest.mark.parametrize("method", ["DOP853", "dopri8"])
@pytest.mark.parametrize(
    "times", [[0.0, 0.5, 1.0], [0.3, 0.9], [0.25], [1.0], torch.linspace(0.2, 1.0, 5)]
)
def test_output_times(method: str, times: Any) -> None:
    run = solve(LDHD(1.0), Quadratic(4.0), [1.0], until=1.0, times=times, method=method)
    wanted = [float(t) for t in times]
    assert run.times.tolist() == wanted
    for t, x, p in zip(wanted, run["x"][:, 0].tolist(), run["p"][:, 0].tolist(), strict=True):
        # scipy's dense output of DOP853 is of order 7: a little less than the steps
        assert (x, p) == pytest.approx(exact(t, 4.0, 1.0), abs=1e-8)


def test_default_times() -> None:
    run = solve(LDHD(1.0), Quadratic(4.0), until=2.0)
    torch.testing.assert_close(run.times, torch.linspace(0, 2, 401, dtype=torch.float64))


@pytest.mark.parametrize("method", METHODS)
def test_batches(method: str) -> None:
    generator = torch.Generator().manual_seed(0)
    x0 = torch.randn(2, 3, 2, dtype=torch.float64, generator=generator)
    made = KFAD(0.3, 0.7, 0.9)
    batch = solve(made, CoupledQuartic(), x0, until=1.0, times=[0.0, 1.0], method=method)
    assert batch["x"].shape == (2, 2, 3, 2)
    assert batch["xi"].shape == batch.energy.shape == (2, 2, 3)
    single = solve(made, CoupledQuartic(), x0[1, 2], until=1.0, times=[0.0, 1.0], method=method)
    torch.testing.assert_close(batch["x"][:, 1, 2], single["x"], rtol=0, atol=1e-8)
    torch.testing.assert_close(batch["xi"][:, 1, 2], single["xi"], rtol=0, atol=1e-8)


@pytest.mark.parametrize("method", ["DOP853", "dopri5"])
def test_points_that_are_matrices(method: str) -> None:
    bowl = Landscape(lambda x: (x * x).sum() / 2, shape=(2, 3), minimum=0.0)
    x0 = torch.ones(4, 2, 3, dtype=torch.float64)
    run = solve(LDHD(1.0), bowl, x0, until=1.0, times=[1.0], method=method)
    assert run["x"].shape == (1, 4, 2, 3)
    assert run["x"].flatten().tolist() == pytest.approx([exact(1, 1, 1)[0]] * 24, abs=1e-8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "dynamics",
    [
        LDHD(torch.tensor(0.4, dtype=torch.float64)),
        LDHD(torch.tensor(0.4, dtype=torch.float64, requires_grad=True)),
        IKFAD(torch.tensor(0.3), torch.tensor(0.7), torch.tensor(0.9)),
    ],
    ids=["tensor", "leaf", "iKFAD"],
)
def test_hyperparameters_as_tensors(dynamics: Dynamics, method: str) -> None:
    values: dict[str, Any] = {k: v.item() for k, v in dynamics.hyperparameters.items()}
    plain = type(dynamics)(**values)
    run = solve(dynamics, CoupledQuartic(), until=1.0, times=[1.0], method=method)
    same = solve(plain, CoupledQuartic(), until=1.0, times=[1.0], method=method)
    torch.testing.assert_close(run["x"].detach(), same["x"], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("method", ["DOP853", "LSODA"])
def test_stop_below(method: str) -> None:
    run = solve(LDHD(1.0), Quadratic(4.0), until=100.0, method=method, stop_below=1e-6)
    assert run.status == "stopped"
    assert "fell below 1e-06" in run.message
    assert run.mechanical_energy[-1] < 1e-6
    assert (run.mechanical_energy[:-1] >= 1e-6).all()
    # E ~ e^{−γt}: 1e-6 of 2 is reached near t = ln 2e6 = 14.5
    assert 13 < run.times[-1] < 17


def test_stop_below_waits_for_the_whole_batch() -> None:
    x0 = torch.tensor([[1e-9], [1.0]], dtype=torch.float64)
    run = solve(LDHD(1.0), Quadratic(4.0), x0, until=100.0, stop_below=1e-6)
    assert run.mechanical_energy[-1].max() < 1e-6
    assert run.times[-1] > 13


def test_a_reference_of_cadam_ends_where_it_stiffens() -> None:
    made = CADAM(0.5, 0.5, 1.0, eps=1e-3)
    start = {"x": [1.0, 0.5], "zeta": [1.0, 1.0]}
    watched = Watched(CoupledQuartic())
    run = solve(made, watched, start, until=1000.0, stop_below=1e-6, method="LSODA", rtol=1e-6)
    assert run.status == "stopped"
    assert run.times[-1] < 1000


def test_solution_and_small_steps_agree() -> None:
    made = CD(0.4, 0.8)
    reference = solve(made, CoupledQuartic(), until=1.0, times=[1.0])
    run = simulate(made, CoupledQuartic(), step=1e-3, steps=1000, word="BCDADCB")
    assert largest_difference(run.states, reference.states) < 1e-6  # ~ h²


def test_progress_bar_only_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    for method in ("DOP853", "dopri5"):
        solve(LDHD(1.0), Quadratic(4.0), until=2.0, method=method)
        assert capsys.readouterr().err == ""
        solve(LDHD(1.0), Quadratic(4.0), until=2.0, method=method, progress=True)
        assert "LDHD" in capsys.readouterr().err


def test_settings_say_what_made_the_run() -> None:
    run = solve(CD(0.5, 2.0), CoupledQuartic(), until=1.0, method="LSODA", rtol=1e-7, atol=1e-9)
    expected = {"dynamics": "CD", "method": "LSODA", "rtol": 1e-7, "atol": 1e-9, "until": 1.0}
    assert {key: run.settings[key] for key in expected} == expected
    assert run.settings["hyperparameters"] == {"gamma": 0.5, "c": 2.0}
