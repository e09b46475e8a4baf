"""simulate: one step by hand, starts of every kind, saving, dtypes, batches, time in a part."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from problems import CATALOGUE, CoupledQuartic

from dashpot.dynamics import CD, IKFAD, KFAD, LDHD, Clock, Drift, Dynamics, Kick, Part, State
from dashpot.dynamics.elements import exp
from dashpot.integrators import simulate
from dashpot.landscapes import Landscape, Quadratic, Rosenbrock


def test_one_step_by_hand() -> None:
    """BACD on f = x²: p = −2hx; x += hp; p/√(1+2chp²); e^{−γh}p."""
    h, gamma, c = 0.1, 0.3, 0.8
    p = -2 * h * 1.5
    x = 1.5 + h * p
    p = p / (1 + 2 * c * h * p * p) ** 0.5 * np.exp(-gamma * h)
    run = simulate(CD(gamma, c), Quadratic(2.0), [1.5], step=h, steps=1, word="BACD")
    assert run["x"][-1].item() == pytest.approx(x, rel=1e-15)
    assert run["p"][-1].item() == pytest.approx(p, rel=1e-15)


def test_saved_times_are_index_times_step() -> None:
    run = simulate(LDHD(0.1), Quadratic(1.0), step=0.1, steps=1000, save_every=7)
    indices = [*range(0, 1000, 7), 1000]
    assert run.times.tolist() == [n * 0.1 for n in indices]  # not a running sum
    assert len(run) == len(indices) == len(run["x"]) == len(run.energy)


@pytest.mark.parametrize(("steps", "save_every", "saved"), [(10, 1, 11), (10, 5, 3), (10, 100, 2)])
def test_save_every(steps: int, save_every: int, saved: int) -> None:
    every = simulate(LDHD(0.1), CoupledQuartic(), step=0.1, steps=steps)
    some = simulate(LDHD(0.1), CoupledQuartic(), step=0.1, steps=steps, save_every=save_every)
    assert len(some) == saved
    places = [*range(0, steps, save_every), steps]
    assert torch.equal(some["x"], every["x"][places])
    assert torch.equal(some.energy, every.energy[places])


def test_default_start_is_the_landscapes() -> None:
    run = simulate(IKFAD(0.1, 0.1, 1.0), Rosenbrock(2), step=1e-3, steps=1)
    assert run["x"][0].tolist() == Rosenbrock(2).start.tolist()
    assert run["p"][0].tolist() == run["xi"][0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    "x0",
    [
        [1.0, 2.0],
        (1, 2),
        np.array([1.0, 2.0]),
        np.array([1.0, 2.0], dtype=np.float32),
        torch.tensor([1, 2]),
        torch.tensor([1.0, 2.0], dtype=torch.float64),
        {"x": [1.0, 2.0]},
        {"x": torch.tensor([1.0, 2.0], dtype=torch.float64), "p": 0.0},
    ],
    ids=lambda v: type(v).__name__,
)
def test_starts_of_any_kind(x0: Any) -> None:
    run = simulate(CD(0.1, 1.0), CoupledQuartic(), x0, step=0.1, steps=5)
    same = simulate(CD(0.1, 1.0), CoupledQuartic(), [1.0, 2.0], step=0.1, steps=5)
    assert run["x"].dtype == torch.float64
    assert torch.equal(run["x"], same["x"])


def test_lists_and_numbers_are_read_in_double_precision() -> None:
    start = {"x": [0.1, 0.2], "p": 0.3}
    run = simulate(LDHD(0.1), CoupledQuartic(), start, step=0.1, steps=1)
    assert run["x"][0].tolist() == [0.1, 0.2]
    assert run["p"][0].tolist() == [0.3, 0.3]


def test_a_dict_gives_any_variable_and_broadcasts() -> None:
    start = {"x": torch.ones(3, 2, dtype=torch.float64), "p": [0.5, -0.5], "xi": 0.25}
    run = simulate(IKFAD(0.1, 0.1, 1.0), CoupledQuartic(), start, step=0.1, steps=1)
    assert run["p"][0].tolist() == [[0.5, -0.5]] * 3
    assert run["xi"][0].tolist() == [[0.25, 0.25]] * 3
    only_p = simulate(LDHD(0.1), CoupledQuartic(), {"p": [0.5, -0.5]}, step=0.1, steps=1)
    assert only_p["x"][0].tolist() == CoupledQuartic().start.tolist()


def test_shared_friction_is_one_number_per_trajectory() -> None:
    x0 = torch.randn(4, 3, 2, dtype=torch.float64)
    run = simulate(KFAD(0.1, 0.1, 1.0), CoupledQuartic(), x0, step=0.1, steps=6)
    assert run["x"].shape == run["p"].shape == (7, 4, 3, 2)
    assert run["xi"].shape == run.energy.shape == run.mechanical_energy.shape == (7, 4, 3)
    assert run.stopped_at.shape == (4, 3)


@pytest.mark.parametrize("dynamics", CATALOGUE, ids=lambda d: d.name)
def test_a_batch_is_its_single_runs_bit_for_bit(dynamics: Dynamics) -> None:
    generator = torch.Generator().manual_seed(0)
    x0 = torch.randn(5, 2, dtype=torch.float64, generator=generator)
    settings: dict[str, Any] = {"step": 0.05, "steps": 50, "save_every": 10}
    batch = simulate(dynamics, CoupledQuartic(), x0, **settings)
    for i in range(5):
        single = simulate(dynamics, CoupledQuartic(), x0[i], **settings)
        for name in dynamics.variables:
            assert torch.equal(batch[name][:, i], single[name]), (name, i)
        assert torch.equal(batch.energy[:, i], single.energy)


def test_points_that_are_matrices() -> None:
    bowl = Landscape(lambda x: (x * x).sum() / 2 + (x**4).sum() / 4, shape=(2, 3), minimum=0.0)
    x0 = torch.randn(4, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    run = simulate(CD(0.2, 0.5), bowl, x0, step=0.05, steps=20)
    assert run["x"].shape == (21, 4, 2, 3)
    flat = Landscape(lambda x: (x * x).sum() / 2 + (x**4).sum() / 4, shape=6, minimum=0.0)
    same = simulate(CD(0.2, 0.5), flat, x0.reshape(4, 6), step=0.05, steps=20)
    torch.testing.assert_close(run["x"].reshape(21, 4, 6), same["x"], rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(run.energy, same.energy, rtol=1e-14, atol=1e-14)


def test_single_precision_stays_single() -> None:
    x0 = torch.tensor([1.0, -0.6])
    run = simulate(KFAD(0.3, 0.7, 0.9), CoupledQuartic(), x0, step=0.05, steps=100)
    assert run["x"].dtype == run["p"].dtype == torch.float32
    exact = simulate(KFAD(0.3, 0.7, 0.9), CoupledQuartic(), x0.double(), step=0.05, steps=100)
    # 100 steps of a few float32 roundings (6e-8) each
    assert (run["x"] - exact["x"]).abs().max() < 100 * 4 * 6e-8
    assert (run["x"] - exact["x"]).abs().max() > 0
    asked = simulate(LDHD(0.1), CoupledQuartic(), dtype=torch.float32, step=0.05, steps=1)
    assert asked["x"].dtype == torch.float32


def test_energies_are_those_of_the_saved_states() -> None:
    run = simulate(IKFAD(0.3, 0.7, 0.9), CoupledQuartic(), step=0.05, steps=40)
    f = CoupledQuartic()(run["x"])
    mechanical = f + (run["p"] ** 2).sum(-1) / 2
    torch.testing.assert_close(run.mechanical_energy, mechanical, rtol=1e-14, atol=1e-15)
    total = mechanical + 0.45 * (run["xi"] ** 2).sum(-1)
    torch.testing.assert_close(run.energy, total, rtol=1e-14, atol=1e-15)


def test_energy_is_above_the_known_minimum() -> None:
    shifted = Landscape(lambda x: (x * x).sum() + 7.0, shape=1, minimum=7.0)
    assert simulate(LDHD(0.1), shifted, [2.0], step=0.1, steps=1).energy[0].item() == 4.0
    unknown = Landscape(lambda x: (x * x).sum() + 7.0, shape=1)
    run = simulate(LDHD(0.1), unknown, [2.0], step=0.1, steps=1)
    assert run.energy[0].item() == 11.0
    assert run.settings["minimum"] is None


def test_nothing_of_the_users_is_changed() -> None:
    start = {"x": torch.ones(2, dtype=torch.float64), "p": torch.ones(2, dtype=torch.float64)}
    landscape = CoupledQuartic()
    simulate(CD(0.1, 1.0), landscape, start, step=0.1, steps=10)
    assert start["x"].tolist() == start["p"].tolist() == [1.0, 1.0]
    assert landscape.start.tolist() == [1.0, -0.6]


def test_hyperparameters_per_trajectory() -> None:
    gammas = torch.tensor([0.1, 0.5, 2.0], dtype=torch.float64)
    x0 = torch.ones(3, 2, dtype=torch.float64)
    batch = simulate(LDHD(gammas), CoupledQuartic(), x0, step=0.1, steps=20)
    for i, gamma in enumerate(gammas.tolist()):
        single = simulate(LDHD(gamma), CoupledQuartic(), x0[i], step=0.1, steps=20)
        torch.testing.assert_close(batch["x"][:, i], single["x"], rtol=1e-14, atol=1e-15)
    assert batch.settings["hyperparameters"]["gamma"] == gammas.tolist()


@pytest.mark.parametrize("steps", [2, 20])
def test_thermal_mass_per_trajectory_enters_the_energy(steps: int) -> None:
    # as many saved times as trajectories, or not: the two axes must not be taken for each other
    mu = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    x0 = torch.ones(3, 2, dtype=torch.float64)
    batch = simulate(KFAD(0.1, 0.3, mu), CoupledQuartic(), x0, step=0.1, steps=steps)
    for i in range(3):
        single = simulate(KFAD(0.1, 0.3, mu[i]), CoupledQuartic(), x0[i], step=0.1, steps=steps)
        torch.testing.assert_close(batch.energy[:, i], single.energy, rtol=1e-14, atol=1e-15)


def test_settings_say_what_made_the_run() -> None:
    run = simulate(CD(0.5, 2.0), Rosenbrock(2), step=0.01, steps=4, save_every=2, word="BC DA")
    expected = {
        "dynamics": "CD",
        "hyperparameters": {"gamma": 0.5, "c": 2.0},
        "landscape": Rosenbrock(2).name,
        "word": "BCDA",
        "step": 0.01,
        "steps": 4,
        "save_every": 2,
        "dtype": "float64",
        "device": "cpu",
    }
    assert {key: run.settings[key] for key in expected} == expected


def test_progress_bar_only_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    simulate(LDHD(0.1), Quadratic(1.0), step=0.1, steps=200)
    assert capsys.readouterr().err == ""
    simulate(LDHD(0.1), Quadratic(1.0), step=0.1, steps=200, progress=True)
    assert "200/200" in capsys.readouterr().err


@pytest.mark.parametrize("steps", [np.int64(5), torch.tensor(5)])
def test_whole_numbers_of_any_library(steps: Any) -> None:
    assert len(simulate(LDHD(0.1), Quadratic(1.0), step=0.1, steps=steps)) == 6


@dataclass(frozen=True)
class Vanishing(Part):
    """p' = −3/t p, the friction of Nesterov's ODE; exact flow with t held still."""

    letter, reads, writes = "D", ("p", "t"), ("p",)

    def rate(self, s: State) -> dict[str, Any]:
        return {"p": -3.0 / s.t * s.p}

    def flow(self, s: State, h: Any) -> None:
        s.p = exp(-3.0 * h / s.t) * s.p


def test_a_part_that_depends_on_time() -> None:
    """x'' + 3/t x' + x = 0 from rest: x = 2 J₁(t)/t; x(5) = 2 J₁(5)/5, met at order 2."""
    from scipy.special import j1, jv

    nesterov = Dynamics(Drift(), Kick(), Vanishing(), Clock())
    t0, t1 = 1.0, 5.0
    x0, p0 = 2 * j1(t0) / t0, -2 * jv(2, t0) / t0
    start = {"x": [x0], "p": [p0], "t": t0}
    assert 2 * j1(t1) / t1 == pytest.approx(-0.13103165503658612, rel=1e-14)
    errors = []
    for n in (200, 400, 800):
        run = simulate(nesterov, Quadratic(1.0), start, step=4 / n, steps=n, word="TBDADBT")
        assert run["t"][-1].item() == pytest.approx(5.0, rel=1e-12)
        errors.append(abs(run["x"][-1].item() - 2 * j1(t1) / t1))
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.1)
    assert np.log2(errors[1] / errors[2]) == pytest.approx(2.0, abs=0.1)


def test_more_states_than_memory_are_refused_before_the_first_step() -> None:
    """10¹⁵ states of four float64 are 28 PiB."""
    with pytest.raises(MemoryError, match=r"save_every=1 .* GiB; cpu has .*save_every=\d+ or more"):
        simulate(LDHD(0.1), Rosenbrock(2), step=0.1, steps=10**15)
