"""Workers of a sweep: what is left of it when runs fail, time is up, or workers die."""

import math
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sweep_task
from sweep_task import KNOWN, PAUSE, SWEEP, Line, all_rows, worker

from dashpot.analysis.sweep.compare import compare
from dashpot.analysis.sweep.folders import head_of
from dashpot.analysis.sweep.pool import _Show
from dashpot.analysis.sweep.report import report
from dashpot.analysis.sweep.sentences import warnings
from dashpot.analysis.sweep.work import Message

pytest.importorskip("optuna")


@pytest.fixture(autouse=True)
def small_task() -> Iterator[None]:
    with sweep_task.in_the_place_of("nano"):
        yield


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


def test_where_every_trial_diverges_nothing_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Line, "loss", lambda self, network, batch: network(batch[0]).sum() * math.nan
    )
    worker(replace(SWEEP, optimizers=("CD",)), tmp_path).work()
    found = report(tmp_path)
    assert found.compared == [] and [one.diverged for one in found.searched] == [3]
    assert warnings(found) == ["No trial came to its end, so nothing is compared, of CD."]


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


def test_a_killed_worker_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another worker makes of what is left is what one alone would have made."""
    monkeypatch.setenv(PAUSE, "0.03")
    process = multiprocessing.get_context("spawn").Process(
        target=sweep_task.of_sgd, args=(tmp_path,)
    )
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
    sweep_task.of_sgd(tmp_path)
    sweep_task.of_sgd(tmp_path / "alone")
    found, alone = all_rows(tmp_path), all_rows(tmp_path / "alone")
    assert len(found) == 3 + 2 + 2
    for row, other in zip(found, alone, strict=True):
        assert row.folder == other.folder
        assert [look.value for look in row.looks] == [look.value for look in other.looks]
