"""A sweep: which runs there are, that each is made once, what the report makes of them."""

import json
import math
import multiprocessing
import statistics
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sweep_task
from sweep_task import KNOWN, SWEEP, TUNE, Line, all_rows, place, worker

from dashpot.analysis.study.section import canvas
from dashpot.analysis.sweep import pool
from dashpot.analysis.sweep.compare import compare
from dashpot.analysis.sweep.comparison import Scanned
from dashpot.analysis.sweep.drawings import draw_differences, draw_scans, styles_of
from dashpot.analysis.sweep.folders import claim, head_of, plan, planned_rows
from dashpot.analysis.sweep.head import Head
from dashpot.analysis.sweep.known import ablated_ones, published_ones
from dashpot.analysis.sweep.pictures import pictures
from dashpot.analysis.sweep.plan import Sweep
from dashpot.analysis.sweep.report import report
from dashpot.analysis.sweep.sensitivity import sensitivity
from dashpot.analysis.sweep.sentences import warnings
from dashpot.analysis.sweep.tables import tables
from dashpot.analysis.sweep.work import Message
from dashpot.analysis.training.log import lines
from dashpot.analysis.training.published import published

pytest.importorskip("optuna")


@pytest.fixture(autouse=True)
def small_task() -> Iterator[None]:
    with sweep_task.in_the_place_of("nano"):
        yield


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Message], int]:
    """A whole sweep, what its worker told, and how often the test data were looked at."""
    out, told = tmp_path_factory.mktemp("sweep"), []
    with sweep_task.in_the_place_of("nano"):
        one = worker(SWEEP, out, told.append)
        one.work()
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
    one = worker(SWEEP, swept[0], told.append)
    one.work()
    assert told == [] and one.is_done()
    more = replace(SWEEP, seeds=(0, 1, 2))
    assert not worker(more, swept[0]).is_done()
    assert not worker(replace(SWEEP, tune=replace(TUNE, trials=4)), swept[0]).is_done()
    monkeypatch.setattr(multiprocessing, "get_context", None)  # no worker is started
    assert pool.run(SWEEP, [place(swept[0])], ["all"]).left == 0


def test_another_sweep_is_refused_more_seeds_are_not(
    swept: tuple[Path, list[Message], int],
) -> None:
    out = swept[0]
    with pytest.raises(ValueError, match="steps None there, 7 here; take another folder"):
        worker(replace(SWEEP, common={"steps": 7}), out)
    with pytest.raises(ValueError, match="seed 0 there, 1 here"):
        worker(replace(SWEEP, tune=replace(TUNE, seed=1)), out)
    with pytest.raises(ValueError, match="device 'cpu' there, 'cuda' here"):
        claim(out, Head.of(SWEEP, Line("line", "tiny"), "cuda:1"))
    worker(replace(SWEEP, seeds=(0, 1, 2)), out)


def test_a_folder_that_does_not_name_its_device_goes_on(tmp_path: Path) -> None:
    head = Head.of(SWEEP, Line("line", "tiny"))
    claim(tmp_path, head)
    written = json.loads((tmp_path / "sweep.json").read_text(encoding="utf-8"))
    assert written.pop("device") == "cpu"
    (tmp_path / "sweep.json").write_text(json.dumps(written), encoding="utf-8")
    for device in ("cpu", "cuda"):
        claim(tmp_path, Head.of(SWEEP, Line("line", "tiny"), device))
    assert head_of(tmp_path) == replace(head_of(tmp_path), device=None)


def test_what_stands_in_a_folder_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("mine", encoding="utf-8")
    with pytest.raises(ValueError, match=r"has index\.html, but no sweep\.json"):
        worker(SWEEP, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


def test_the_comparison_is_what_the_logs_say(swept: tuple[Path, list[Message], int]) -> None:
    out = swept[0]
    found = compare(head_of(out), all_rows(out), reference="SGD")
    best: dict[str, dict[int, float]] = {"CD": {}, "SGD": {}}
    reached: dict[str, list[float]] = {"CD": [], "SGD": []}
    for name in best:
        for folder in out.glob(f"report/{name}/*"):
            seed = json.loads((folder / "settings.json").read_text())["seed"]
            best[name][seed] = min(line["loss"] for line in lines(folder, "validation"))
    target = max(best["SGD"].values())
    for name in best:
        for folder in out.glob(f"report/{name}/*"):
            looks = list(lines(folder, "validation"))
            good = [one["step"] for one in looks if one["loss"] <= target]
            reached[name].append(good[0] if good else math.inf)
    assert found.target == target
    for one in found.compared:
        assert one.best is not None
        assert one.best.mean == pytest.approx(statistics.fmean(best[one.label].values()))
        steps = reached[one.label]
        came = sum(map(math.isfinite, steps))
        ends = (statistics.median(steps), min(steps), max(steps))
        assert one.steps == (ends if came else None)
        assert (one.seeds, one.reached, one.diverged, one.unfinished) == (2, came, 0, 0)
        if came == 2:
            assert one.seconds is not None and one.ms_per_step is not None
            assert 1e3 * one.seconds == pytest.approx(ends[0] * one.ms_per_step)
    assert all(map(math.isfinite, reached["SGD"]))
    cd = next(one for one in found.compared if one.label == "CD")
    differences = [best["CD"][seed] - best["SGD"][seed] for seed in (0, 1)]
    assert cd.difference is not None
    assert cd.difference.mean == pytest.approx(statistics.fmean(differences))
    for one in found.scanned:  # the scan and its trial
        assert list(one.values) == pytest.approx([one.chosen * x for x in (0.5, 1, 2)])
        assert one.chosen in one.values
    for one in found.searched:
        assert one.curve[-1] == pytest.approx(one.best) and one.trials == 3
    with pytest.raises(ValueError, match="no row 'Adam'; there are CD, SGD"):
        compare(head_of(out), all_rows(out), reference="Adam")


def test_the_report_needs_the_logs_alone(
    swept: tuple[Path, list[Message], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = swept[0]
    report(out, command="again")
    names = ("results.json", "report.md", "index.html")
    first = {name: (out / name).read_text(encoding="utf-8") for name in names}
    for name in (*names, "study.journal"):
        (out / name).rename(out / f"old-{name}")
    monkeypatch.setattr("dashpot.analysis.sweep.report.saved", lambda out, drawings: [])
    report(out, command="again")
    for name in ("results.json", "report.md"):
        assert (out / name).read_text(encoding="utf-8") == first[name]
    (out / "old-study.journal").rename(out / "study.journal")
    for title in ("Comparison", "Time and memory", "Search", "Best of k trials", "Range of good"):
        assert title in first["report.md"] and f"<h2>{title}" in first["index.html"]
    assert first["index.html"].count("<img") == 4
    assert "85\N{NO-BREAK SPACE}%" in first["index.html"]  # a number and its % on one line
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


def test_rows_are_in_the_order_in_which_they_were_asked_for(
    swept: tuple[Path, list[Message], int],
) -> None:
    """Whatever their folders are called; what has not begun is missing too."""
    head, one = head_of(swept[0]), next(row for row in all_rows(swept[0]) if row.kind == "report")
    some = [replace(one, label="CD", trial=None, factor=factor) for factor in (0.5, 2.0, 1.0)]
    seed = one.settings.seed
    known = {"CD": ("CD", {"lr": 0.05, "gamma": 1.0, "c": 1.0})}
    sweep = replace(KNOWN, known=known, seeds=(seed, seed + 1), factors=(1.0, 0.5, 2.0, 4.0))
    found = compare(head, some, planned=sweep.planned())
    assert [*found.reported] == ["CD", "CD, lr × 0.5", "CD, lr × 2"]
    assert found.reference == "CD"
    rest = {name: [seed + 1] for name in found.reported}
    assert found.missing == {**rest, "CD, lr × 4": [seed, seed + 1]}


def test_plans_of_several_calls_are_one(tmp_path: Path) -> None:
    plan(tmp_path, {"CD": [0, 1]})
    plan(tmp_path, {"IKFAD": [0], "CD": [2, 1]})
    assert [*planned_rows(tmp_path).items()] == [("CD", [0, 1, 2]), ("IKFAD", [0])]


@pytest.mark.parametrize("change", [1e-3, math.nan, math.inf])
def test_a_run_that_ends_worse_than_it_began_has_diverged(change: float, tmp_path: Path) -> None:
    known = {"CD": ("CD", {"lr": 0.05, "gamma": 1.0, "c": 1.0})}
    worker(replace(KNOWN, known=known, seeds=(0,)), tmp_path).work()
    (before,) = all_rows(tmp_path)
    log = tmp_path / before.folder / "log.jsonl"
    worse = {
        "kind": "validation",
        "step": 99,
        "loss": before.looks[0].value + change,
        "seconds": 9.0,
    }
    log.write_text(log.read_text(encoding="utf-8") + json.dumps(worse) + "\n", encoding="utf-8")
    (after,) = all_rows(tmp_path)
    assert (before.has_diverged, after.has_diverged) == (False, True)
    (cd,) = report(tmp_path).compared
    assert cd.diverged == 1 and cd.best is not None and cd.best.mean == before.value


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


def test_a_seed_that_never_came_there_counts(swept: tuple[Path, list[Message], int]) -> None:
    """Its steps are infinite: with one of two seeds the median is, and no seconds are told."""
    out = swept[0]
    every = [row for row in all_rows(out) if row.label == "SGD" and row.kind == "report"]
    target = sorted(row.value for row in every if row.value is not None)[0]
    (one,) = compare(head_of(out), every, target=target).compared
    assert one.reached == 1 and one.seconds is None and one.steps is not None
    assert one.steps[0] == one.steps[2] == math.inf and math.isfinite(one.steps[1])
    found = compare(head_of(out), [*every[1:], replace(every[0], state="unfinished")])
    cells = next(table for table in tables(found) if table.title == "Time and memory").cells
    assert cells[0][3] == "1 of 1"


@pytest.mark.parametrize("larger_is_better", [False, True])
def test_scan_is_drawn_at_the_factor_of_the_chosen_lr(
    larger_is_better: bool, swept: tuple[Path, list[Message], int]
) -> None:
    """What is far on the bad side is an arrow at the edge, what diverged a cross beyond it."""
    head = replace(head_of(swept[0]), larger_is_better=larger_is_better)
    costs = {1.0: 1.2, 2.0: 1.1, 4.0: 1.0, 8.0: 1.3, 16.0: 90.0, 32.0: None}
    values = {lr: None if cost is None else head.cost(cost) for lr, cost in costs.items()}
    scan = Scanned("SGD", 2.0, values, sensitivity(costs, 0.02))
    found = replace(compare(head, []), scanned=[scan])
    with canvas(size=(4.0, 3.0)) as (_, axes):
        draw_scans(axes[0], found)
        marked = {str(line.get_marker()): line for line in axes[0, 0].lines}
        bottom, top = axes[0, 0].get_ylim()
    points, arrow, cross = (marked[m] for m in ("o", "v" if larger_is_better else "^", "x"))
    assert list(points.get_xdata()) == [0.5, 1, 2, 4]
    assert (list(arrow.get_xdata()), list(cross.get_xdata())) == ([8], [16])
    places = [head.cost(line.get_ydata()[0]) for line in (points, arrow, cross)]
    assert places == sorted(places) and max(head.cost(y) for y in points.get_ydata()) < places[1]
    assert all(bottom < y < top for line in marked.values() for y in line.get_ydata())


def test_a_row_far_away_leaves_the_other_intervals_to_be_seen(
    swept: tuple[Path, list[Message], int],
) -> None:
    one = next(row for row in all_rows(swept[0]) if row.kind == "report")
    values = {"AdamW": 1.0, "CD": 1.01, "SGD": 0.98, "LDHD": 3.0}
    every = [
        replace(one, label=label, value=value, settings=replace(one.settings, seed=seed))
        for label, value in values.items()
        for seed in (0, 1)
    ]
    for some, scale in ((every, "symlog"), (every[:-2], "linear")):
        with canvas(size=(4.0, 3.0)) as (_, axes):
            draw_differences(axes[0], compare(head_of(swept[0]), some))
            assert axes[0, 0].get_xscale() == scale


def test_every_row_has_a_line_of_its_own(swept: tuple[Path, list[Message], int]) -> None:
    out = swept[0]
    one = next(row for row in all_rows(out) if row.kind == "report")
    grid = [replace(one, label="CD", trial=None, factor=float(n)) for n in range(1, 14)]
    styles = styles_of(compare(head_of(out), grid))
    assert len({(style["color"], str(style["ls"])) for style in styles.values()}) == 13


def test_energy_that_letters_took_though_the_first_step_lacks_some(tmp_path: Path) -> None:
    """ABCD runs as A|BCD: the first call makes the drift alone."""
    known = {"CD": ("CD", {"lr": 0.05, "gamma": 1.0, "c": 1.0})}
    common = {**KNOWN.common, "look_every": 1, "word": "ABCD"}
    worker(replace(KNOWN, known=known, seeds=(0,), common=common), tmp_path).work()
    (cd,) = report(tmp_path).compared
    looks = list(lines(tmp_path / "report/CD/seed-0", "look"))
    kicks, cubic = (sum(look["letters"].get(name, 0) for look in looks) for name in "BC")
    assert cd.inside is not None and "B" not in looks[0]["letters"]
    assert cd.inside.taken["C"] == pytest.approx(-cubic / kicks)


def test_what_was_seen_inside_is_in_the_report(tmp_path: Path) -> None:
    known = {"CD": ("CD", {"lr": 0.05, "gamma": 1.0, "c": 1.0})}
    sweep = replace(KNOWN, known=known, seeds=(0,), common={"look_every": 10})
    worker(sweep, tmp_path).work()
    (cd,) = report(tmp_path).compared
    looks = list(lines(tmp_path / "report/CD/seed-0", "look"))
    capped = [look["capped"] for look in looks]
    assert cd.inside is not None
    kicks, cubic = (sum(look["letters"][name] for look in looks) for name in "BC")
    assert cd.inside.taken["C"] == pytest.approx(-cubic / kicks) and set(cd.inside.taken) == {*"CD"}
    assert cd.inside.capped == (pytest.approx(statistics.fmean(capped)), max(capped))
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    for title in ("Effective momentum, CD, seed 0", "What each letter does to the energy, CD"):
        assert title in page
    assert "Inside the runs" in (tmp_path / "report.md").read_text(encoding="utf-8")
