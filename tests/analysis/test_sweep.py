"""A sweep: which runs there are, who does them, what is left of them when workers die."""

import json
import multiprocessing
import os
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sweep_task
from sweep_task import PAUSE, STEPS, Line

from dashpot.analysis.sweep.compare import compare
from dashpot.analysis.sweep.folders import Row, head_of, rows
from dashpot.analysis.sweep.head import Head
from dashpot.analysis.sweep.known import ablated_ones, published_ones
from dashpot.analysis.sweep.pictures import _styles, pictures
from dashpot.analysis.sweep.plan import Run, Sweep, Tune
from dashpot.analysis.sweep.pool import _Show
from dashpot.analysis.sweep.report import report
from dashpot.analysis.sweep.tables import tables, warnings
from dashpot.analysis.sweep.work import Message, Place, Worker
from dashpot.analysis.training.folder import held
from dashpot.analysis.training.log import lines
from dashpot.analysis.training.published import published
from dashpot.analysis.training.result import Result
from dashpot.analysis.training.search import search
from dashpot.analysis.training.tasks import TASKS

pytest.importorskip("optuna")
from dashpot.analysis.sweep.tuning import Tuning, point, storage

TUNE = Tune(trials=3, seeds=(100,), pruner="none", factors=(0.5, 2.0))
SWEEP = Sweep("nano", "tiny", seeds=(0, 1), tune=TUNE, optimizers=("CD", "SGD"))
KNOWN = Sweep(
    "nano",
    "tiny",
    seeds=(0, 1),
    known={
        "SGD": ("SGD", {"lr": 0.05, "momentum": 0.5}),
        "slow": ("SGD", {"lr": 0.01, "momentum": 0.0}),
    },
)


@pytest.fixture(autouse=True)
def small_task() -> Iterator[None]:
    kept = TASKS["nano"]
    sweep_task.take_the_place_of("nano")
    yield
    TASKS["nano"] = kept


def place(out: Path, **rest: Any) -> Place:
    return Place(out, str(out / "study.journal"), **rest)


def worker(
    sweep: Sweep, out: Path, tell: Callable[[Message], Any] = lambda message: None, **rest: Any
) -> Worker:
    return Worker(sweep, place(out, **rest), tell)


def all_rows(out: Path) -> list[Row]:
    return list(rows(out, head_of(out)))


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Message], int]:
    """A whole sweep, what its worker told, and how often the test data were looked at."""
    kept = TASKS["nano"]
    sweep_task.take_the_place_of("nano")
    out, told = tmp_path_factory.mktemp("sweep"), []
    one = worker(SWEEP, out, told.append)
    one.work()
    TASKS["nano"] = kept
    assert isinstance(one.task, Line)
    return out, told, one.task.tests


# --- the plan -------------------------------------------------------------------------------------


def test_grid_over_words_schemes_and_lr() -> None:
    known = published_ones("nano", ("CD", "IKFAD", "AdamW"))
    sweep = Sweep(
        "nano", "tiny", seeds=(0, 1), known=known, words=("BACD", "BCDA"),
        schemes=("palindrome", "rotation"), factors=(1.0, 4.0),
    )  # fmt: skip
    runs = list(sweep.known_runs())
    assert len(runs) == len(sweep) == 2 * 2 * (2 + 4 + 1)
    assert len({run.folder for run in runs}) == len(runs)
    of_cd = [run for run in runs if run.label == "CD BCDA" and run.settings.seed == 1]
    for run, factor in zip(of_cd, (1.0, 4.0), strict=True):
        wanted = {**known["CD"][1], "lr": factor * known["CD"][1]["lr"]}
        assert run.settings.hyperparameters == wanted and run.settings.word == "BCDA"
    assert {run.label for run in runs if run.settings.optimizer == "IKFAD"} == {
        f"IKFAD {word} {scheme}"
        for word in ("BACD", "BCDA")
        for scheme in ("palindrome", "rotation")
    }
    assert {run.settings.word for run in runs if run.label == "AdamW"} == {None}


def test_ablation_and_frictionless_are_plans_too() -> None:
    found = ablated_ones("nano", "CD")
    assert list(found) == ["LDHD (neither)", "CD (cubic)", "IKFAD (adaptive)", "IKFAD+cubic (both)"]
    assert {(v["lr"], v["gamma"]) for _, v in found.values()} == {
        (published("nano", "CD")["lr"], published("nano", "CD")["gamma"])
    }
    assert published_ones("nano", ("CD",), frictionless=True)["CD γ=0"][1]["gamma"] == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seeds": (0, 100)}, ["seeds", "search", "100"]),
        ({"seeds": (0, 0)}, ["seeds", "once"]),
        ({"words": ("BACD",)}, ["words", "known"]),
        ({"optimizers": ("CD", "Adam")}, ["Adam"]),
        ({"optimizers": ()}, ["at least one optimizer"]),
        ({"tune": replace(TUNE, trials=0)}, ["at least one trial"]),
        ({"tune": replace(TUNE, factors=(-1.0,))}, ["factors", "> 0"]),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ValueError) as error:
        replace(SWEEP, **change)
    assert all(word in str(error.value) for word in words)


# --- the search -----------------------------------------------------------------------------------


def tunings(out: Path, sweep: Sweep = SWEEP, optimizer: str = "CD") -> Callable[[], Tuning]:
    """Makes the searches of several workers."""
    assert sweep.tune is not None
    head = Head.of(sweep, Line("line", "tiny"))
    return lambda: Tuning(sweep, optimizer, storage(str(out / "journal")), out, head, STEPS)


def ended(best: float, status: Any = "finished") -> Result:
    return Result(status, STEPS, "loss", best, STEPS, {"loss": best}, None, 1.0, 1.0, 0)


def test_all_optimizers_try_the_same_points_of_the_cube(tmp_path: Path) -> None:
    """Log-uniform in their ranges; none comes twice, whoever asks."""
    for optimizer in ("CD", "SGD"):
        make = tunings(tmp_path, optimizer=optimizer)
        workers = [make() for _ in range(2)]
        taken = [workers[n % 2]._study.ask() for n in range(TUNE.trials)]
        ranges = search("nano", optimizer).ranges
        assert len(ranges) == 4
        for trial in taken:
            draw = {n: trial.suggest_float(n, *ends, log=True) for n, ends in ranges.items()}
            cube = point(trial.number, 4, TUNE.seed)
            for (name, (low, high)), u in zip(ranges.items(), cube, strict=True):
                assert draw[name] == pytest.approx(low ** (1 - u) * high**u, rel=1e-12)
        assert [trial.number for trial in taken] == list(range(TUNE.trials))


def test_sobol_points_fill_the_cube() -> None:
    """Of 2ᵐ points of a Sobol' sequence each 2⁻ᵐ-slice of each axis holds exactly one."""
    points = [point(number, 4, seed=3) for number in range(16)]
    for axis in zip(*points, strict=True):
        assert sorted(int(16 * u) for u in axis) == list(range(16))
    assert point(5, 4, seed=3) != point(5, 4, seed=4)


def test_a_trial_is_taken_by_one_and_taken_up_when_it_is_left(tmp_path: Path) -> None:
    first, second = (tunings(tmp_path)() for _ in range(2))
    trial = first.begin()
    assert trial is not None
    folder = tmp_path / first._runs(trial)[0].folder
    with held(folder):
        assert second.take_up() is None
        other = second.begin()
        assert other is not None and other.number == 1
    again = second.take_up()  # nobody holds it: its worker is gone
    assert again is not None and again.number == 0 and again.params == trial.params


def test_a_trial_that_ends_while_it_is_looked_at_is_not_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, other = (tunings(tmp_path)() for _ in range(2))
    trial = owner.begin()
    assert trial is not None
    seen = other._trials()  # still open, and its folder is free by the time it is looked at
    assert owner.attempt(trial, lambda run, watch: ended(1.0))
    monkeypatch.setattr(other, "_trials", lambda: seen)
    assert other.take_up() is None


def test_a_worker_on_another_machine_is_given_up_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder is not here; all there is are its signs of life in the storage."""
    there, here = (tunings(tmp_path)() for _ in range(2))
    here._out = tmp_path / "here"
    trial = there.begin()
    assert trial is not None and here.take_up() is None
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 21 * 60)
    again = here.take_up()
    assert again is not None and again.number == 0


def test_no_more_trials_than_asked_for_and_more_may_be_asked_for(tmp_path: Path) -> None:
    tuning = tunings(tmp_path)()
    for number in range(TUNE.trials):
        trial = tuning.begin()
        assert trial is not None and trial.number == number
        assert tuning.attempt(trial, lambda run, watch: ended(1.0))
    assert tuning.begin() is None and tuning.is_complete()
    more = replace(SWEEP, tune=replace(TUNE, trials=4))
    trial = tunings(tmp_path, more)().begin()
    assert trial is not None and trial.number == TUNE.trials


def test_diverged_and_pruned_trials_are_not_chosen(tmp_path: Path) -> None:
    sweep = replace(SWEEP, tune=replace(TUNE, trials=8, pruner="median"))
    tuning = tunings(tmp_path, sweep)()

    def do(run: Run, watch: Callable[[int, float | None], None]) -> Result:
        if run.trial == 0:
            return ended(0.1, "diverged")
        value = 50.0 if run.trial == 7 else 9.0 - (run.trial or 0)
        for step in (10, 20, 30):  # the first five that finish are never pruned
            watch(step, value)
        return ended(value if run.trial != 3 else 0.5)

    while (trial := tuning.begin()) is not None:
        assert tuning.attempt(trial, do)
    states = [one.state.name for one in tuning._trials()]
    assert states == ["PRUNED"] + 6 * ["COMPLETE"] + ["PRUNED"]
    assert tuning._trials()[0].user_attrs["diverged"] is True
    assert [run.trial for run in tuning.chosen()] == [3]


def test_an_interrupted_trial_stays_open(tmp_path: Path) -> None:
    tuning = tunings(tmp_path)()
    trial = tuning.begin()
    assert trial is not None
    assert not tuning.attempt(trial, lambda run, watch: ended(1.0, "interrupted"))
    assert not tuning.is_complete() and tuning.is_waiting() and not tuning.is_waiting({0})
    again = tuning.take_up()
    assert again is not None and again.number == 0
    assert tuning.take_up({0}) is None


def test_trials_are_judged_by_the_mean_over_their_seeds(tmp_path: Path) -> None:
    sweep = replace(SWEEP, tune=replace(TUNE, trials=2, seeds=(100, 101)))
    tuning = tunings(tmp_path, sweep)()
    best = {(0, 100): 1.0, (0, 101): 4.0, (1, 100): 2.0, (1, 101): 2.5}
    while (trial := tuning.begin()) is not None:
        tuning.attempt(trial, lambda run, watch: ended(best[run.trial or 0, run.settings.seed]))
    assert [run.trial for run in tuning.chosen()] == [1, 1]


# --- a whole sweep --------------------------------------------------------------------------------


def test_every_run_is_made_once(swept: tuple[Path, list[Message], int]) -> None:
    out, told, tests = swept
    found = all_rows(out)
    assert len(found) == len(SWEEP) == 2 * (3 + 2 + 2)
    for name in SWEEP.optimizers:
        tried = [row for row in found if row.label == name and row.kind == "tune"]
        assert sorted(row.trial or 0 for row in tried) == [0, 1, 2]
        assert {row.settings.seed for row in tried} == {100}
        best = min((row for row in tried if row.state == "finished"), key=lambda row: row.value)  # type: ignore[arg-type, return-value]
        reported = [row for row in found if row.label == name and row.kind == "report"]
        assert sorted(row.settings.seed for row in reported) == [0, 1]
        lr = best.settings.hyperparameters["lr"]
        for row in reported:
            assert row.settings.hyperparameters == best.settings.hyperparameters
            assert row.result is not None and row.result.test is not None
        scanned = [row for row in found if row.label == name and row.kind == "scan"]
        assert sorted(row.settings.hyperparameters["lr"] / lr for row in scanned) == [0.5, 2.0]
        assert all(row.result is None or row.result.test is None for row in (*tried, *scanned))
    assert tests == 4  # the two report seeds of the two
    assert [m.kind for m in told].count("over") == len(SWEEP)
    assert not list(out.rglob("checkpoint*.pt"))
    assert len(list(out.glob("report/*/*/best-*.pt"))) == 4
    assert not list(out.glob("tune/*/*/best-*.pt"))


def test_nothing_is_done_twice(
    swept: tuple[Path, list[Message], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Message] = []
    worker(SWEEP, swept[0], told.append).work()
    assert told == []


def test_another_sweep_is_refused_more_seeds_are_not(
    swept: tuple[Path, list[Message], int],
) -> None:
    out = swept[0]
    with pytest.raises(ValueError, match=r"common.*another folder"):
        worker(replace(SWEEP, common={"steps": 7}), out)
    with pytest.raises(ValueError, match="search"):
        worker(replace(SWEEP, tune=replace(TUNE, seed=1)), out)
    worker(replace(SWEEP, seeds=(0, 1, 2)), out)


def test_the_comparison_is_what_the_logs_say(swept: tuple[Path, list[Message], int]) -> None:
    out = swept[0]
    found = compare(head_of(out), all_rows(out), reference="SGD")
    best: dict[str, dict[int, float]] = {"CD": {}, "SGD": {}}
    reached: dict[str, list[int]] = {"CD": [], "SGD": []}
    for name in best:
        for folder in out.glob(f"report/{name}/*"):
            seed = json.loads((folder / "settings.json").read_text())["seed"]
            best[name][seed] = min(line["loss"] for line in lines(folder, "validation"))
    target = max(best["SGD"].values())
    for name in best:
        for folder in out.glob(f"report/{name}/*"):
            looks = list(lines(folder, "validation"))
            reached[name] += [one["step"] for one in looks if one["loss"] <= target][:1]
    assert found.target == target
    for one in found.compared:
        assert one.best is not None
        assert one.best.mean == pytest.approx(statistics.fmean(best[one.label].values()))
        steps = reached[one.label]
        assert (one.steps and one.steps[0]) == (statistics.median(steps) if steps else None)
        assert (one.seeds, one.reached, one.diverged, one.unfinished) == (2, len(steps), 0, 0)
    assert len(reached["SGD"]) == 2
    cd = next(one for one in found.compared if one.label == "CD")
    differences = [best["CD"][seed] - best["SGD"][seed] for seed in (0, 1)]
    assert cd.difference is not None
    assert cd.difference.mean == pytest.approx(statistics.fmean(differences))
    assert all(len(one.values) == 3 for one in found.scanned)  # the scan and its trial
    for one in found.searched:
        assert one.curve[-1] == pytest.approx(one.best) and one.trials == 3
    with pytest.raises(ValueError, match="no row 'Adam'; there are CD, SGD"):
        compare(head_of(out), all_rows(out), reference="Adam")


def test_the_report_needs_the_logs_alone(swept: tuple[Path, list[Message], int]) -> None:
    out = swept[0]
    report(out, command="again")
    names = ("results.json", "report.md", "index.html")
    first = {name: (out / name).read_text(encoding="utf-8") for name in names}
    for name in (*names, "study.journal"):
        (out / name).rename(out / f"old-{name}")
    report(out, command="again")
    for name in ("results.json", "report.md"):
        assert (out / name).read_text(encoding="utf-8") == first[name]
    (out / "old-study.journal").rename(out / "study.journal")
    for title in ("Comparison", "Time and memory", "Search", "Best of k trials", "Range of good"):
        assert title in first["report.md"] and f"<h2>{title}" in first["index.html"]
    assert first["index.html"].count("<img") == 4
    assert len(json.loads(first["results.json"])["runs"]) == len(SWEEP)


def test_rows_of_unequal_length_are_told(swept: tuple[Path, list[Message], int]) -> None:
    out = swept[0]
    every = all_rows(out)
    assert warnings(compare(head_of(out), every)) == []
    gone = ("report/CD/trial", "tune/SGD/trial-0002")
    some = [row for row in every if not row.folder.as_posix().startswith(gone)]
    assert [line.split(": ")[1] for line in warnings(compare(head_of(out), some))] == [
        "CD 3, SGD 2.", "CD 0, 1.",
    ]  # fmt: skip


def test_what_is_unfinished_counts_for_nothing(swept: tuple[Path, list[Message], int]) -> None:
    out = swept[0]
    left = [
        replace(row, state="unfinished")
        if (row.kind, row.label, row.settings.seed) == ("report", "CD", 1)
        else row
        for row in all_rows(out)
    ]
    found = compare(head_of(out), left, reference="SGD")
    assert found.missing == {"CD": [1]}
    assert "(1 of 2 seeds)" in next(c[2] for c in next(tables(found)).cells if c[0] == "CD")
    for picture in pictures(found):
        axes = picture.figure.axes[0]
        if picture.stem == "differences":
            assert sum(line.get_marker() == "o" for line in axes.lines) == 1
        if picture.stem == "runs":
            mean = next(line for line in axes.lines if line.get_label() == "CD")
            ended = next(row for row in found.reported["CD"] if row.is_over)
            assert np.array_equal(mean.get_ydata(), [look.value for look in ended.looks])


def test_every_row_has_a_line_of_its_own(swept: tuple[Path, list[Message], int]) -> None:
    out = swept[0]
    one = next(row for row in all_rows(out) if row.kind == "report")
    grid = [replace(one, label="CD", trial=None, factor=float(n)) for n in range(1, 14)]
    styles = _styles(compare(head_of(out), grid))
    assert len({(style["color"], str(style["ls"])) for style in styles.values()}) == 13


def test_what_was_seen_inside_is_in_the_report(tmp_path: Path) -> None:
    known = {"CD": ("CD", {"lr": 0.05, "gamma": 1.0, "c": 1.0}), **KNOWN.known}
    sweep = replace(KNOWN, known=known, seeds=(0,), common={"look_every": 10})
    worker(sweep, tmp_path).work()
    cd = next(one for one in report(tmp_path).compared if one.label == "CD")
    looks = list(lines(tmp_path / "report/CD/seed-0", "look"))
    capped = [look["capped"] for look in looks]
    assert cd.inside is not None
    assert cd.inside.capped == (pytest.approx(statistics.fmean(capped)), max(capped))
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    for title in ("Effective momentum, CD, seed 0", "What each letter does to the energy, CD"):
        assert title in page
    assert "Inside the runs" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_a_second_attempt_does_not_count_twice(capsys: pytest.CaptureFixture[str]) -> None:
    """What was over before, and a trial's first seed that is read again, are counted once."""
    show = _Show(replace(SWEEP, optimizers=("SGD",)), 1, {"a"})
    for name in ("a", "b", "b"):
        show.hear("worker 0", Message("over", name, "told"))
    show.hear("worker 0", Message("failed", "c", "told"))
    assert show.left == 3 + 2 + 2 - 3
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "nano tiny: 7 runs, 1 of them over"
    assert told[-1] == "c: failed: told; 4 of 7 left"


# --- what goes wrong ------------------------------------------------------------------------------


def test_a_run_that_diverges_is_counted(tmp_path: Path) -> None:
    sweep = replace(KNOWN, factors=(1.0, 1e30))
    worker(sweep, tmp_path).work()
    found = {one.label: one for one in compare(head_of(tmp_path), all_rows(tmp_path)).compared}
    assert found["SGD, lr × 1e+30"].diverged == 2 and found["SGD"].diverged == 0
    lost = found["SGD, lr × 1e+30"].best
    assert lost is not None and lost.mean > 10  # the untrained network's; noise is 0.01


def test_a_report_of_what_has_just_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PAUSE, "0.02")
    worker(SWEEP, tmp_path, deadline=time.time() + 0.4).work()
    found = report(tmp_path)
    assert found.compared == [] and [one.unfinished for one in found.searched] == [1]


def test_a_run_that_fails_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Message] = []
    one = worker(KNOWN, tmp_path, told.append)
    batch = Line.batch

    def fails(self: Line, step: int, size: int, seed: int) -> Any:
        if seed == 1:
            raise RuntimeError("no memory")
        return batch(self, step, size, seed)

    with monkeypatch.context() as patch:
        patch.setattr(Line, "batch", fails)
        one.work()
    assert [m.text for m in told if m.kind == "failed"] == 2 * ["RuntimeError: no memory"]
    assert sorted(row.state for row in all_rows(tmp_path)) == 2 * ["finished"] + 2 * ["unfinished"]
    worker(KNOWN, tmp_path).work()
    assert {row.state for row in all_rows(tmp_path)} == {"finished"}


def test_when_it_is_time_runs_wait_with_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PAUSE, "0.02")
    worker(KNOWN, tmp_path, deadline=time.time() + 0.4).work()
    states = [row.state for row in all_rows(tmp_path)]
    assert "unfinished" in states and len(states) < len(KNOWN)
    left = next(row for row in all_rows(tmp_path) if row.state == "unfinished")
    assert (tmp_path / left.folder / "checkpoint.pt").exists()
    monkeypatch.setenv(PAUSE, "0")
    worker(KNOWN, tmp_path).work()
    assert [row.state for row in all_rows(tmp_path)] == len(KNOWN) * ["finished"]


def test_work_ends_when_nobody_listens(tmp_path: Path) -> None:
    def gone(message: Message) -> None:
        raise BrokenPipeError

    worker(KNOWN, tmp_path, gone).work()
    assert [row.state for row in all_rows(tmp_path)] == ["unfinished"]


def _work(out: Path) -> None:
    sweep_task.take_the_place_of("nano")
    worker(replace(SWEEP, optimizers=("SGD",)), out).work()


def test_a_killed_worker_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swept: tuple[Path, list[Message], int]
) -> None:
    """What another worker makes of what is left is what one alone would have made."""
    monkeypatch.setenv(PAUSE, "0.03")
    process = multiprocessing.get_context("spawn").Process(target=_work, args=(tmp_path,))
    process.start()
    until = time.monotonic() + 60
    while not list(tmp_path.glob("tune/SGD/trial-0001*/checkpoint.pt")):
        assert process.is_alive() and time.monotonic() < until
        time.sleep(0.01)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    monkeypatch.setenv(PAUSE, "0")
    left = all_rows(tmp_path)
    assert [row.state for row in left] == ["finished", "unfinished"]
    _work(tmp_path)
    for row in all_rows(tmp_path):
        other = swept[0] / row.folder
        assert [look.value for look in row.looks] == [
            one["loss"] for one in lines(other, "validation")
        ]
    assert len(all_rows(tmp_path)) == 3 + 2 + 2
