"""What the study promises on the quadratic: every row agrees with theory."""

import json

import pytest

from dashpot.analysis import decay_rate, predict
from dashpot.analysis.study import run as study_run
from dashpot.analysis.study.cases import LANDSCAPES, SCALES, cases
from dashpot.analysis.study.decay import run_case
from dashpot.analysis.study.report import terminal_tables, training_summary
from dashpot.analysis.study.run import Results, next_folder, versions, write_results
from dashpot.dynamics import IKFAD, KFAD
from dashpot.integrators import Trajectory, simulate
from dashpot.landscapes import Quadratic

KEYS = {
    "dynamics", "landscape", "word", "gamma", "model", "rate", "rate_low", "rate_high",
    "predicted", "bound", "reason", "hyperparameters", "step",
}  # fmt: skip

QUADRATIC = [case for case in cases(quick=False) if case.landscape == "quadratic"]


@pytest.mark.parametrize("case", QUADRATIC, ids=lambda case: case.stem)
def test_every_row_on_the_quadratic_agrees_with_theory(case, tmp_path):
    row = run_case(case, str(tmp_path), "cpu")
    assert set(row) >= KEYS
    json.dumps(row, allow_nan=False)
    if case.gamma:
        assert case.gamma * case.step <= 0.05
        assert row["model"] == "exponential"
    elif case.dynamics in ("LDHD", "CADAM"):
        assert row["model"] == "none" and row["rate"] is None
        assert row["reason"]
        return
    else:
        assert row["model"] == "algebraic"
    assert row["rate"] == pytest.approx(row["predicted"], rel=0.05)
    assert row["rate_low"] <= row["rate"] <= row["rate_high"]
    if row["bound"] is not None:
        assert row["rate"] >= row["bound"]
    if case.dynamics == "CADAM":
        assert "larger than α" in row["law"] and "ε = 1e-08" in row["law"]
        assert "floor" in row["law"]


def test_both_runs_of_a_case_are_kept(tmp_path):
    case = next(c for c in QUADRATIC if c.dynamics == "LDHD" and c.gamma)
    run_case(case, str(tmp_path), "cpu")
    run = Trajectory.load(tmp_path / f"{case.stem}.npz")
    reference = Trajectory.load(tmp_path / f"{case.stem}_reference.npz")
    # LDHD with a first-order word: energies agree to O(h) along the reference
    ratio = run.mechanical_energy[-1] / reference.mechanical_energy[-1]
    assert abs(float(ratio.log())) < 4 * case.step


def test_a_quick_study_is_a_part_of_the_full_one():
    full, quick = cases(quick=False), cases(quick=True)
    assert {case.landscape for case in full} == set(LANDSCAPES) == set(SCALES)
    assert len(full) == 4 * 5 * 2
    runs = {(case.stem, case.step, case.until) for case in full}
    assert {(case.stem, case.step, case.until) for case in quick} < runs
    assert sum(c.until / c.step for c in quick) < 0.6 * sum(c.until / c.step for c in full)


def test_folders_are_numbered(tmp_path):
    assert next_folder(tmp_path).name == "study-001"
    (tmp_path / "study-007").mkdir()
    (tmp_path / "study-x").mkdir()
    assert next_folder(tmp_path).name == "study-008"


def test_a_piece_that_fails_does_not_take_the_others_with_it(tmp_path, monkeypatch):
    class Pool:
        """A process pool that runs in this process and loses one piece."""

        def __init__(self, *_, **__):
            pass

        def submit(self, call, *arguments):
            from concurrent.futures import Future

            future = Future()
            if arguments == (0,):
                future.set_exception(RuntimeError("lost"))
            else:
                future.set_result(call(*arguments))
            return future

        def shutdown(self, **_):
            pass

    monkeypatch.setattr(study_run, "ProcessPoolExecutor", Pool)
    results = study_run.study(tmp_path, only=("order",))
    saved = json.loads((tmp_path / "results.json").read_text())
    assert len(results.failures) == 1 and "lost" in results.failures[0]
    assert saved["failures"] == results.failures
    assert {row["dynamics"] for row in saved["order"]} == {"KFAD", "IKFAD", "RIKFAD", "CD", "CADAM"}
    assert "lost" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_results_are_json_with_versions(tmp_path):
    write_results(tmp_path, Results())
    saved = json.loads((tmp_path / "results.json").read_text())
    assert saved["decay"] == saved["order"] == saved["training"] == []
    assert saved["versions"].keys() == versions().keys() >= {"python", "torch", "dashpot"}


def test_the_training_summary_averages_over_seeds():
    rows = [
        {"optimizer": "CD", "test_accuracy": a, "train_loss": 0.1, "seconds": 1.0,
         "hyperparameters": {"lr": 0.1}}
        for a in (0.90, 0.94, 0.92)
    ]  # fmt: skip
    (summary,) = training_summary(rows)
    assert summary["accuracy"] == pytest.approx(92.0)
    assert summary["shown"] == "92.00 ± 2.00 %"
    assert training_summary(rows[:2])[0]["shown"] == "92.00 %"  # two seeds make no deviation
    assert "92.00 ± 2.00" in terminal_tables({**Results().as_json(), "training": rows})


@pytest.mark.parametrize("save_every", [7, 10])
@pytest.mark.parametrize(
    "dynamics", [IKFAD(0.0, 1.0, 1.0), KFAD(0.0, 1.0, 1.0)], ids=["IKFAD", "KFAD"]
)
def test_with_a_word_of_order_two_the_interval_holds_the_law(dynamics, save_every):
    """First-order words leave a bias of order h, which the interval does not know of."""
    landscape = Quadratic([1.0, 2.0, 4.0])
    run = simulate(
        dynamics, landscape, step=0.05, steps=40_000, word="BCDADCB", save_every=save_every
    )
    fit = decay_rate(run)
    assert fit.model == "algebraic"
    assert fit.rate_low <= predict(dynamics, landscape).rate <= fit.rate_high
