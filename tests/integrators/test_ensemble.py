"""Ensembles: the numbers of single runs, whatever the chunks; grids, step sizes, noise, losses."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy import linspace
from problems import CoupledQuartic, Flat
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from dashpot.dynamics import CD, IKFAD, KFAD, LDHD, RIKFAD, Langevin
from dashpot.integrators import Noise, simulate
from dashpot.integrators.ensembles import (
    Ensemble,
    FinalEnergy,
    FittedRate,
    LeastEnergy,
    Mean,
    TimeToTarget,
    chunk,
    ensemble,
)
from dashpot.integrators.ensembles.job import Job
from dashpot.integrators.kernels.runs import advance
from dashpot.landscapes import (
    Landscape,
    LennardJones,
    MatrixQuadratic,
    Quadratic,
    Rosenbrock,
    StyblinskiTang,
)

ALL = (FinalEnergy(), LeastEnergy(), TimeToTarget(0.05), FittedRate())


def kinetic(s: Any) -> Tensor:
    return s.total(s.p * s.p) / 2


def one(number: float) -> Tensor:
    """A hyperparameter as the grid has it: torch and math round some functions differently."""
    return torch.tensor([number], dtype=torch.float64)


def same(a: Ensemble, b: Ensemble) -> bool:
    """Bit for bit, with NaN where NaN is."""
    return a.values.keys() == b.values.keys() and all(
        a[name].tobytes() == b[name].tobytes() for name in a.values
    )


def test_every_trajectory_is_that_of_a_run_alone() -> None:
    starts = torch.tensor([[-1.2, 1.0], [0.3, -0.4], [2.0, 2.0]], dtype=torch.float64)
    gammas, cs = [0.05, 0.5, 3.0], [0.1, 40.0]
    found = ensemble(
        CD, Rosenbrock(2), starts, grid={"gamma": gammas, "c": cs}, step=0.01, steps=333, every=10,
        reduce=[*ALL, Mean(kinetic, "kinetic")], store=["x", "p"], backend="torch",
    )  # fmt: skip
    assert list(found.axes) == ["gamma", "c", "start"] and found.shape == (3, 2, 3)
    assert found["x"].shape == (35, 3, 2, 3, 2) and found["rate"].shape == (3, 2, 3)
    assert found.status == "finished" and found.computed.all()
    for i, gamma in enumerate(gammas):
        for j, c in enumerate(cs):
            for k, x0 in enumerate(starts):
                run = simulate(
                    CD(one(gamma), one(c)), Rosenbrock(2), x0[None], step=0.01, steps=333,
                    save_every=10, backend="torch",
                )  # fmt: skip
                energy = run.mechanical_energy[:, 0].numpy()
                at = i, j, k
                assert found.times.tolist() == run.times.tolist()
                assert (found["x"][:, *at] == run["x"][:, 0].numpy()).all()
                assert (found["p"][:, *at] == run["p"][:, 0].numpy()).all()
                assert found["final_energy"][at] == energy[-1]
                assert found["least_energy"][at] == energy.min()
                reached = np.flatnonzero(energy <= 0.05)
                first = run.times[reached[0]].item() if reached.size else math.nan
                assert found["time_to_target"][at] == pytest.approx(first, abs=0, nan_ok=True)
                mean = (run["p"][:, 0] ** 2).sum(-1).mean().item() / 2
                assert found["kinetic"][at] == pytest.approx(mean, rel=35 * 2**-52)


def test_step_sizes_are_an_axis_and_reach_one_time() -> None:
    sizes, gammas = [0.03, 0.01, 0.7], [0.2, 1.0]
    found = ensemble(
        LDHD(1.0), CoupledQuartic(), grid={"gamma": gammas, "step": sizes}, until=2.1,
        store="x", backend="torch",
    )  # fmt: skip
    assert found.shape == (2, 3) and found.settings["steps"] == [70, 210, 3]
    for i, gamma in enumerate(gammas):
        for j, h in enumerate(sizes):
            n = round(2.1 / h)
            run = simulate(
                LDHD(one(gamma)), CoupledQuartic(), CoupledQuartic().start[None], step=h, steps=n,
                backend="torch",
            )  # fmt: skip
            assert found["final_energy"][i, j] == run.mechanical_energy[-1].item()
            assert (found["x"][: n + 1, i, j] == run["x"][:, 0].numpy()).all()
            assert np.isnan(found["x"][n + 1 :, i, j]).all()
            assert found.times[j, : n + 1].tolist() == run.times.tolist()
            assert np.isnan(found.times[j, n + 1 :]).all()
    alike = ensemble(LDHD(1.0), CoupledQuartic(), grid={"step": sizes, "gamma": gammas}, steps=70)
    assert alike.settings["steps"] == [70, 70, 70]
    assert alike["final_energy"][0].tolist() == found["final_energy"][:, 0].tolist()


MANY: list[tuple[Any, dict[str, Any], Landscape, dict[str, Any]]] = [
    (CD, {"gamma": linspace(0, 1, 20), "c": linspace(0.1, 10, 9)}, Rosenbrock(2), {}),
    (KFAD(0.1, 1.0, 1.0), {"mu": linspace(0.1, 10, 150)}, StyblinskiTang(7), {}),
    (IKFAD(0.1, 1.0, 1.0), {"alpha": linspace(0, 2, 150)}, LennardJones(3), {}),
    (RIKFAD(0.1, 1.0, 1.0), {"mu": linspace(1, 2, 150)}, MatrixQuadratic([1.0, 2.0, 3.0], 2), {}),
    (LDHD, {"gamma": linspace(0, 1, 70), "step": [0.1, 0.05, 2.5]}, Quadratic([1.0, 4.0]), {}),
    (CD(0.1, 1.0), {"c": linspace(0.1, 10, 150)}, Rosenbrock(5), {"dtype": torch.float32}),
    (Langevin(1.0, 0.5), {"temperature": linspace(0, 1, 150)}, CoupledQuartic(), {"noise": 3}),
]
"""Sums over coordinates, matrices, lost trajectories, single precision, noise."""


@pytest.mark.parametrize("backend", ["torch", "c"])
@pytest.mark.parametrize(("dynamics", "grid", "landscape", "settings"), MANY)
def test_chunks_change_no_bit(
    backend: Any, dynamics: Any, grid: Any, landscape: Any, settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    common: Any = {"step": 0.02, **settings}
    if "step" in grid:
        del common["step"]
    common |= {"grid": grid, "steps": 60, "reduce": [*ALL, Mean(kinetic)], "every": 4}

    def made(**extra: Any) -> Ensemble:
        return ensemble(dynamics, landscape, **common, store=("x",), backend=backend, **extra)

    monkeypatch.setattr(chunk, "_ROWS", 4)  # several blocks of saved states
    try:
        whole = made()
    except ValueError as error:
        if "cannot run this" not in str(error):
            raise
        pytest.skip(str(error))  # no C compiler, for example
    assert same(whole, made(chunk=1)) and same(whole, made(chunk=128))
    monkeypatch.setattr(chunk, "_PATIENCE", 0.0)  # one step at a time
    assert same(whole, made(chunk=64))


@pytest.mark.parametrize(
    ("dynamics", "grid", "noise", "times"),
    [
        (CD, {"gamma": linspace(0, 1, 20), "c": linspace(0.1, 10, 9)}, None, 1),
        (LDHD, {"step": [0.1, 0.05, 2.5], "gamma": linspace(0, 1, 70)}, None, 1),
        (Langevin(1.0, 0.5), {"temperature": linspace(0, 1, 150)}, 3, 1),
        # a kernel knows how many of the finest increments a step has
        (Langevin(1.0, 0.5), {"temperature": linspace(0, 1, 150), "step": [0.1, 0.05]},
         Noise(3, finest=0.05), 2),
        # what the last chunk has is no array of numbers, but one
        (LDHD, {"step": [0.1, 0.05, 0.02], "gamma": linspace(0, 1, 129)}, None, 2),
    ],
)  # fmt: skip
def test_a_step_is_recorded_once(
    dynamics: Any, grid: Any, noise: Any, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what its kernel finds is, bit for bit, what one made for each chunk finds."""
    common: Any = {"grid": grid, "noise": noise, "steps": 30, "store": "x", "every": 30}
    common |= {"step": None if "step" in grid else 0.1, "chunk": 64, "backend": "c"}
    real, recorded = advance.trace_step, []

    def counted(*arguments: Any) -> Any:
        recorded.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(advance, "trace_step", counted)
    try:
        found = ensemble(dynamics, CoupledQuartic(), **common)
    except ValueError as error:
        if "cannot run this" not in str(error):
            raise
        pytest.skip(str(error))  # no C compiler, for example
    assert len(recorded) == times
    monkeypatch.setattr(advance.KernelAdvance, "again", lambda *_: None)
    assert same(found, ensemble(dynamics, CoupledQuartic(), **common))
    assert len(recorded) > 2 * times
    if list(grid) == ["temperature"]:
        x0 = CoupledQuartic().start.expand(150, 2)
        run = simulate(
            Langevin(1.0, torch.from_numpy(grid["temperature"])), CoupledQuartic(), x0, step=0.1,
            steps=30, noise=noise, backend="c",
        )  # fmt: skip
        assert (found["x"][-1] == run["x"][-1].numpy()).all()


def test_a_trajectory_has_the_noise_of_its_number() -> None:
    heats = [0.1, 0.5, 1.0]
    x0 = torch.randn(4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = ensemble(
        Langevin(1.0, 0.5), CoupledQuartic(), x0, grid={"temperature": heats, "step": [0.1, 0.05]},
        steps=20, noise=Noise(5, first=7), store="x", every=20, backend="torch",
    )  # fmt: skip
    for i, heat in enumerate(heats):
        for j, h in enumerate((0.1, 0.05)):
            run = simulate(
                Langevin(1.0, one(heat)), CoupledQuartic(), x0, step=h, steps=20, save_every=20,
                noise=Noise(5, first=7 + 12 * j + 4 * i), backend="torch",
            )  # fmt: skip
            assert (found["x"][:, i, j] == run["x"].numpy()).all()


@pytest.mark.parametrize("every", [1, 7, 1000])
def test_lost_trajectories(every: int) -> None:
    """γ = 0 and h√L = 3: |x| grows by (7 + √45)/2 a step, from 1 and 1e150; γ = 40 stops it."""
    x0 = torch.tensor([[1.0], [1e150], [0.0]], dtype=torch.float64)
    call: Any = {"step": 1.0, "steps": 400, "backend": "torch"}
    found = ensemble(
        LDHD, Quadratic(9.0), x0, grid={"gamma": [0.0, 40.0]}, **call, every=every, store="x",
        reduce=[*ALL, Mean(kinetic)],
    )  # fmt: skip
    run = simulate(LDHD(one(0.0)), Quadratic(9.0), x0, **call)
    assert found.status == "diverged" and "2 of 6" in found.message
    assert found.stopped_at.tolist() == [run.stopped_at.tolist(), [-1, -1, -1]]
    lost = found.stopped_at >= 0
    assert lost.tolist() == [[True, True, False], [False, False, False]]
    for name in ("final_energy", "rate", "mean"):
        assert np.isnan(found[name][lost]).all()
    assert np.isfinite(found["final_energy"][~lost]).all()
    kept = [*range(0, 400, every), 400]
    assert np.array_equal(found["x"][:, 0], run["x"][kept].numpy(), equal_nan=True)
    assert np.isfinite(found["least_energy"]).all()


@pytest.mark.parametrize(
    ("steps", "grid", "backend", "least"),
    [
        (200_000, {"gamma": linspace(0, 1, 90), "c": linspace(0, 1, 90)}, "c", 16),
        (200_000, {"gamma": linspace(0, 1, 90), "step": linspace(0.1, 1, 90)}, "c", 16),
        (200_000, {"gamma": linspace(0, 1, 500), "c": linspace(0, 1, 500)}, "torch", 16),
        (200_000, {"gamma": linspace(0, 1, 1000), "c": linspace(0, 1, 1000)}, "c", 16),
        (10, {"gamma": linspace(0, 1, 90), "c": linspace(0, 1, 90)}, "c", 1),
    ],
)
def test_a_long_run_is_cut_into_many_chunks(
    steps: int, grid: Any, backend: Any, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C loses the present one; a short run is not worth cutting."""
    seen = []

    def looked_at(self: Job, *_: Any) -> Any:
        seen.append(len(self.pending(self.chunk_size(None, 1), np.zeros(self.grid.shape, bool))))
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    monkeypatch.setattr(Job, "decided", lambda self: replace(self, backend=backend))
    monkeypatch.setattr(Job, "layout", looked_at)
    with pytest.raises(KeyboardInterrupt):
        ensemble(CD(0.1, 1.0), Rosenbrock(2), grid=grid, steps=steps,
                 step=None if "step" in grid else 0.1)  # fmt: skip
    assert seen[0] >= least and (least > 1 or seen[0] == 1)


class Largest(TorchDispatchMode):
    """The largest tensor that any operation makes."""

    size = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for value in made if isinstance(made, tuple | list) else (made,):
            if isinstance(value, Tensor):
                self.size = max(self.size, value.untyped_storage().nbytes())
        return made


def test_memory_is_bounded_by_the_chunk() -> None:
    sizes = []
    for count in (2, 40):
        with Largest() as largest:
            ensemble(
                CD, Flat([1.0, 2.0]), grid={"gamma": np.linspace(0, 1, 64 * count), "c": [0.1]},
                step=0.1, steps=8, every=2, chunk=64, backend="torch",
            )  # fmt: skip
        sizes.append(largest.size - 8 * 64 * count)  # the axis itself, one number per trajectory
    assert sizes[0] > 0 and sizes[1] <= sizes[0]
