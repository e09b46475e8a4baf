"""The search of a sweep: what its trials try, who takes them, which is chosen."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sweep_task import STEPS, SWEEP, TUNE, Line

from dashpot.analysis.sweep.head import Head
from dashpot.analysis.sweep.plan import Run, Sweep
from dashpot.analysis.training.folder import held
from dashpot.analysis.training.result import Result
from dashpot.analysis.training.search import search

pytest.importorskip("optuna")
from dashpot.analysis.sweep.samplers import point
from dashpot.analysis.sweep.tuning import Tuning, storage


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


def test_tpe_draws_by_number_of_the_trial(tmp_path: Path) -> None:
    """Not what the first worker drew, again in every worker and after every start."""
    sweep = replace(SWEEP, tune=replace(TUNE, trials=4, sampler="tpe"))
    make = tunings(tmp_path, sweep)
    trials = [make().begin() for _ in range(4)]
    draws = [tuple(trial.params.values()) for trial in trials if trial is not None]
    assert len(set(draws)) == 4 and all(len(set(draw)) == 4 for draw in draws)
    again = tunings(tmp_path / "again", sweep)()
    assert [again.begin().params for _ in range(4)] == [one.params for one in trials]  # type: ignore[union-attr]


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
