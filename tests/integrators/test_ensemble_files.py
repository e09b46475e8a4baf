"""Ensembles on disk: what is written, what a broken-off run keeps, several processes."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ensemble_on_ranks import interrupted_on_a_rank, noisy_ensemble, on_a_rank
from ranks import on_ranks
from tqdm import tqdm

from dashpot.dynamics import CD, LDHD
from dashpot.integrators.ensembles import Ensemble, FinalEnergy, Mean, TimeToTarget, ensemble
from dashpot.landscapes import Landscape, Quadratic

GRID = {"gamma": np.linspace(0.1, 1, 16), "c": np.geomspace(0.1, 10, 12)}  # 3 chunks of 64
STEPS = 20


def small(landscape: Any = None, out: Any = None, **changes: Any) -> Ensemble:
    call: dict[str, Any] = {
        "grid": GRID, "step": 0.1, "steps": STEPS, "reduce": [FinalEnergy(), TimeToTarget(0.1)],
        "store": ("p",), "every": 5, "chunk": 64, "backend": "torch",
    }  # fmt: skip
    dynamics = changes.pop("dynamics", CD)
    return ensemble(dynamics, landscape or Quadratic([1.0, 4.0]), **{**call, **changes}, out=out)


def same(a: Ensemble, b: Ensemble) -> bool:
    return (
        a.values.keys() == b.values.keys()
        and all(a[name].tobytes() == b[name].tobytes() for name in a.values)
        and all(np.array_equal(a.axes[name], b.axes[name]) for name in a.axes)
        and np.array_equal(a.times, b.times, equal_nan=True)
        and (a.settings, a.status, a.message) == (b.settings, b.status, b.message)
    )


@pytest.mark.parametrize("name", ["runs.npz", "runs"])
def test_what_is_written_is_what_is_returned(name: str, tmp_path: Path) -> None:
    out = tmp_path / "new" / name
    alone, found = small(), small(out=out)
    assert same(found, alone) and same(Ensemble.load(out), alone)
    assert same(Ensemble.load(found.save(tmp_path / "copy")), alone)


class Counted(Quadratic):
    """Counts its gradients and is interrupted at one of them."""

    def __init__(self, interrupt_at: int = 0) -> None:
        super().__init__([1.0, 4.0])
        self.calls, self.interrupt_at = 0, interrupt_at

    def df(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if self.calls == self.interrupt_at:
            raise KeyboardInterrupt
        return super().df(x)


@pytest.mark.parametrize("name", [None, "runs.npz", "runs"])
def test_ctrl_c_keeps_what_is_done_and_the_rest_is_done_later(
    name: str | None, tmp_path: Path
) -> None:
    whole = small()
    out = None if name is None else tmp_path / name
    broken = small(Counted(STEPS + 3), out=out)  # in the second chunk: BACD takes one a step
    assert broken.status == "interrupted" and "64 of 192" in broken.message
    done = broken.computed
    assert done.sum() == 64 and done.reshape(-1)[:64].all()
    for key in ("final_energy", "time_to_target"):
        assert np.array_equal(broken[key][done], whole[key][done], equal_nan=True)
        assert np.isnan(broken[key][~done]).all()
    assert np.isnan(broken["p"][:, ~done]).all() and (broken.stopped_at[~done] == -1).all()
    if out is None:
        return
    assert same(Ensemble.load(out), broken)
    again = Counted()
    assert same(small(again, out=out), whole)
    assert again.calls == 2 * STEPS  # two chunks
    once_more = Counted()
    assert same(small(once_more, out=out, chunk=128), whole) and once_more.calls == 0


@pytest.mark.parametrize("name", ["runs.npz", "runs"])
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"step": 0.2}, ["step = 0.1 there, 0.2 here"]),
        ({"steps": 21}, ["steps = [20] there, [21] here"]),
        ({"every": 4}, ["every = [5] there, [4] here"]),
        ({"word": "BCDA"}, ["word = 'BACD' there, 'BCDA' here"]),
        ({"x0": [1.0, 2.0]}, ["starts", "other values of f"]),
        ({"landscape": Quadratic([1.0, 5.0])}, ["landscape", "other values of f"]),
        ({"grid": {**GRID, "c": np.geomspace(0.1, 11, 12)}}, ["other values of c"]),
        ({"reduce": [FinalEnergy(), TimeToTarget(0.2)]}, ["TimeToTarget(target=0.1"]),
        ({"store": ("x", "p")}, ["no x there"]),
        ({"store": ()}, ["no p here"]),
        ({"grid": {"c": GRID["c"], "gamma": GRID["gamma"]}}, ["gamma, c there, c, gamma here"]),
        ({"grid": {**GRID, "gamma": [0.1]}}, ["other values of gamma"]),
        ({"dtype": torch.float32}, ["dtype = 'float64' there, 'float32' here"]),
        ({"dynamics": LDHD, "grid": {"gamma": [0.1]}}, ["dynamics = 'CD' there, 'LDHD' here"]),
    ],
)  # fmt: skip
def test_an_ensemble_made_otherwise_is_refused(
    name: str, changes: dict[str, Any], words: list[str], tmp_path: Path
) -> None:
    out = tmp_path / name
    small(Counted(1), out=out)
    landscape = changes.get("landscape")
    rest = {key: value for key, value in changes.items() if key != "landscape"}
    with pytest.raises(ValueError, match="Name another out") as caught:
        if "x0" in rest:
            x0 = rest.pop("x0")
            ensemble(
                CD, Quadratic([1.0, 4.0]), x0, grid=GRID, step=0.1, steps=STEPS, every=5, out=out,
                reduce=[FinalEnergy(), TimeToTarget(0.1)], store=("p",), backend="torch",
            )  # fmt: skip
        else:
            small(landscape, out=out, **rest)
    assert [word for word in (*words, str(out)) if word not in str(caught.value)] == []


def test_arrays_of_another_shape_or_type_are_refused(tmp_path: Path) -> None:
    found = small()
    found.values["final_energy"] = found["final_energy"].astype(np.float32)
    found.values["p"] = found["p"][1:]
    out = found.save(tmp_path / "runs.npz")
    with pytest.raises(
        ValueError, match=r"final_energy is float32.*p is float64 .4, 16, 12, 2. there"
    ):
        small(out=out)


@pytest.mark.parametrize("at", [3 * STEPS, 3 * STEPS + 1])
def test_ctrl_c_at_the_end_says_what_is_done(at: int) -> None:
    """In the last step of the last chunk, and never."""
    found = small(Counted(at))
    last = at == 3 * STEPS
    assert found.computed.sum() == (128 if last else 192)
    assert found.status == ("interrupted" if last else "finished")


def test_ctrl_c_after_all_is_computed_is_no_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the bar closes, and while the file is written."""
    calls = []
    save = Ensemble.save

    def pressed(self: Ensemble, path: Any) -> Path:
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return save(self, path)

    def closed(self: Any, *about: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Ensemble, "save", pressed)
    monkeypatch.setattr(tqdm, "__exit__", closed)
    found = small(out=tmp_path / "runs.npz")
    monkeypatch.undo()
    assert found.status == "finished" and len(calls) == 2
    assert Ensemble.load(tmp_path / "runs.npz").status == "finished"


def scaled(factor: float) -> Landscape:
    return Landscape(lambda x: factor * (x * x).sum(), shape=2, name="scaled")


def above(level: float) -> Mean:
    return Mean(lambda s: (s.x[0] > level).double(), "above")


def test_another_function_is_another_ensemble(tmp_path: Path) -> None:
    out = tmp_path / "runs"
    whole = small(scaled(1.0), out=out, reduce=[above(100.0)])
    again = small(scaled(1.0), out=out, reduce=[above(100.0)])
    assert same(whole, again)
    with pytest.raises(ValueError, match="other values of f at the starts or around them"):
        small(scaled(1.1), out=out, reduce=[above(100.0)])
    with pytest.raises(ValueError, match=r"made of \w+\"\] there.*made of \w+\"\] here"):
        small(scaled(1.0), out=out, reduce=[above(101.0)])  # 0 everywhere, as before


@dataclass(frozen=True, slots=True)
class Level:
    """Of a function of x, at the start."""

    function: Callable[[torch.Tensor], torch.Tensor]
    names: tuple[str, ...] = ("level",)

    def begin(self, first: Any) -> dict[str, torch.Tensor]:
        return {"level": self.function(first.state.x[0, 0])}

    def update(self, memory: Any, saved: Any) -> None: ...

    def result(self, memory: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return memory

    def __repr__(self) -> str:
        return "Level()"


def test_a_reduction_with_slots_is_known_by_its_functions(tmp_path: Path) -> None:
    out = tmp_path / "runs"
    small(out=out, reduce=Level(torch.sin))
    assert small(out=out, reduce=Level(torch.sin)).status == "finished"
    with pytest.raises(ValueError, match=r"made of \w+'\] there.*made of \w+'\] here"):
        small(out=out, reduce=Level(torch.cos))


def test_what_is_no_ensemble_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.npz").write_bytes(b"something else")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "note.txt").write_text("mine")
    (tmp_path / "empty").mkdir()
    for out in ("other.npz", "folder"):
        with pytest.raises(ValueError, match=r"is not an ensemble saved by dashpot"):
            small(out=tmp_path / out)
    with pytest.raises(ValueError, match=r"ends in \.npz, or a folder"):
        small(out=tmp_path / "folder" / "note.txt")
    assert (tmp_path / "folder" / "note.txt").read_text() == "mine"
    assert small(out=tmp_path / "empty").status == "finished"
    with pytest.raises(FileNotFoundError):
        Ensemble.load(tmp_path / "nothing.npz")


def test_a_killed_run_reads_as_interrupted(tmp_path: Path) -> None:
    """The facts of a folder are written before anything is computed."""

    class Look(Counted):
        def df(self, x: torch.Tensor) -> torch.Tensor:
            if self.calls == STEPS + 1:
                half = Ensemble.load(tmp_path / "runs")
                seen.append((half.status, int(half.computed.sum())))
            return super().df(x)

    seen: list[tuple[str, int]] = []
    small(Look(), out=tmp_path / "runs")
    assert seen == [("interrupted", 64)]
    facts = json.loads((tmp_path / "runs" / "ensemble.json").read_text(encoding="utf-8"))
    assert facts["status"] == "finished"


@pytest.mark.parametrize("name", [None, "runs.npz", "runs"])
def test_two_processes_find_what_one_finds(name: str | None, tmp_path: Path) -> None:
    alone = noisy_ensemble()
    assert alone.status == "diverged" and 0 < (alone.stopped_at >= 0).sum() < alone.computed.size
    out = None if name is None else tmp_path / name
    for found in on_ranks(on_a_rank, out, folder=tmp_path):
        assert not found.pop("interrupted")
        assert found.keys() == alone.values.keys()
        for key, value in found.items():
            assert value.numpy().tobytes() == alone[key].tobytes()
    if out is not None:
        assert same(Ensemble.load(out), alone)


@pytest.mark.parametrize("name", ["runs.npz", "runs"])
def test_ctrl_c_in_one_process_keeps_what_both_have_done(name: str, tmp_path: Path) -> None:
    """Six chunks: the first process does three of them, the second one is stopped in its second."""
    whole, out = noisy_ensemble(), tmp_path / name
    for found in on_ranks(interrupted_on_a_rank, out, folder=tmp_path):
        assert found.pop("interrupted")
        done = found["computed"].numpy()
        assert done.sum() == 64 + 22 + 64 + 64  # chunks 1, 3, 5 of 64, 64, 22, 64, 64, 22; and 2
        energy = found["final_energy"].numpy()
        assert np.array_equal(energy[done], whole["final_energy"][done], equal_nan=True)
        assert np.isnan(energy[~done]).all() and np.isnan(found["x"].numpy()[:, ~done]).all()
    assert Ensemble.load(out).status == "interrupted"
    assert same(noisy_ensemble(out), whole)
