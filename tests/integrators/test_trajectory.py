"""Trajectories: access, saving and loading, damaged files, failed writes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from problems import CoupledQuartic

from dashpot.dynamics import KFAD, LDHD
from dashpot.integrators import Trajectory, simulate, solve
from dashpot.landscapes import Quadratic


@pytest.fixture
def run() -> Trajectory:
    x0 = torch.randn(3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return simulate(KFAD(0.3, 0.7, 0.9), CoupledQuartic(), x0, step=0.1, steps=200, save_every=3)


def same(a: Trajectory, b: Trajectory) -> bool:
    tensors = ("times", "energy", "mechanical_energy", "stopped_at")
    return (
        all(torch.equal(getattr(a, n), getattr(b, n)) for n in tensors)
        and a.states.keys() == b.states.keys()
        and all(torch.equal(a[n], b[n]) and a[n].dtype == b[n].dtype for n in a.states)
        and (a.settings, a.status, a.message) == (b.settings, b.status, b.message)
    )


def test_round_trip(run: Trajectory, tmp_path: Path) -> None:
    path = run.save(tmp_path / "deep" / "run.npz")
    assert path == tmp_path / "deep" / "run.npz"
    assert same(Trajectory.load(path), run)


def test_round_trip_of_single_precision_and_hyperparameter_tensors(tmp_path: Path) -> None:
    made = LDHD(torch.tensor([0.1, 0.2], dtype=torch.float64))
    run = simulate(made, Quadratic([1.0]), torch.ones(2, 1), step=0.1, steps=4)
    assert run["x"].dtype == torch.float32
    assert same(Trajectory.load(run.save(str(tmp_path / "run"))), run)


def test_round_trip_of_a_solution_with_gradients(tmp_path: Path) -> None:
    x0 = torch.ones(1, dtype=torch.float64, requires_grad=True)
    run = solve(LDHD(0.1), Quadratic([1.0]), x0, until=1.0, method="dopri5", times=[0.0, 1.0])
    loaded = Trajectory.load(run.save(tmp_path / "run.npz"))
    assert torch.equal(loaded["x"], run["x"].detach())


def test_the_suffix_is_added(run: Trajectory, tmp_path: Path) -> None:
    assert run.save(tmp_path / "gamma=0.5").name == "gamma=0.5.npz"


def test_the_file_is_plain_arrays(run: Trajectory, tmp_path: Path) -> None:
    with np.load(run.save(tmp_path / "run.npz"), allow_pickle=False) as blob:
        facts = json.loads(str(blob["facts"]))
        np.testing.assert_array_equal(blob["state_xi"], run["xi"].numpy())
    assert facts["settings"]["hyperparameters"] == {"gamma": 0.3, "alpha": 0.7, "mu": 0.9}
    assert facts["status"] == "finished"


def damaged(kind: str, good: bytes) -> bytes:
    middle = len(good) // 2
    return {
        "empty": b"",
        "text": b"time,x\n0,1\n",
        "truncated": good[:middle],
        "zeros": good[:middle] + bytes(64) + good[middle + 64 :],
    }[kind]


@pytest.mark.parametrize("kind", ["empty", "text", "truncated", "zeros"])
def test_damaged_files_are_refused(run: Trajectory, tmp_path: Path, kind: str) -> None:
    path = run.save(tmp_path / "run.npz")
    path.write_bytes(damaged(kind, path.read_bytes()))
    with pytest.raises(ValueError, match=r"run\.npz is not a trajectory saved by dashpot"):
        Trajectory.load(path)


@pytest.mark.parametrize(
    "arrays",
    [
        {"times": np.arange(3)},
        {"facts": np.array("{}")},
        {"facts": np.array("not json")},
        {"facts": np.array({"a": 1}, dtype=object)},
    ],
    ids=["no facts", "no arrays", "no json", "pickled"],
)
def test_files_of_others_are_refused(tmp_path: Path, arrays: dict[str, Any]) -> None:
    np.savez(tmp_path / "other.npz", **arrays)
    with pytest.raises(ValueError, match="is not a trajectory saved by dashpot"):
        Trajectory.load(tmp_path / "other.npz")


def test_a_missing_file_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Trajectory.load(tmp_path / "absent.npz")


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failed_save_leaves_the_old_file(
    run: Trajectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    path = run.save(tmp_path / "run.npz")
    before = path.read_bytes()

    def half(handle: Any, **arrays: Any) -> None:
        handle.write(b"half of a file")
        raise error

    monkeypatch.setattr(np, "savez_compressed", half)
    with pytest.raises(type(error)):
        run.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["run.npz"]


def test_saved_files_have_the_usual_permissions(run: Trajectory, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    assert run.save(tmp_path / "run.npz").stat().st_mode == plain.stat().st_mode


def test_access_by_name(run: Trajectory) -> None:
    assert run["xi"] is run.states["xi"]
    with pytest.raises(KeyError, match="no variable 'zeta' in this run; it has x, p, xi"):
        _ = run["zeta"]


def test_repr(run: Trajectory) -> None:
    assert repr(run) == "Trajectory(KFAD on coupled quartic, 68 times, x 3×2, finished)"
