"""The search for an optimizer's hyperparameters: trials in a storage that many workers share."""

import time
from collections.abc import Callable, Container
from contextlib import suppress
from pathlib import Path
from statistics import fmean
from typing import TypeAlias

from ..training.result import Result
from ..training.search import search
from . import folders
from .head import Head
from .plan import Run, Sweep

try:
    import optuna
    import optuna.storages.journal
    from optuna.exceptions import UpdateFinishedTrialError
    from optuna.trial import FrozenTrial, Trial, TrialState

    from .samplers import SobolByNumber, TpeByNumber
except ImportError as error:
    raise ImportError("a search needs the extra sweep: pip install 'dashpot[sweep]'") from error

Watch: TypeAlias = Callable[[int, float | None], None]
Do: TypeAlias = Callable[[Run, Watch], Result | None]
_SEEN, _DIVERGED = "seen", "diverged"  # attributes of a trial
_BEAT = 60.0  # seconds between two signs of life
_LEASE = 20 * 60.0  # seconds without one, after which a worker on another machine is given up


def middle(task: str, optimizer: str) -> dict[str, float]:
    """The geometric middle of what is searched."""
    ranges = search(task, optimizer).ranges
    return {name: (low * high) ** 0.5 for name, (low, high) in ranges.items()}


def storage(place: str) -> optuna.storages.BaseStorage:
    """A database, where `place` is a URL; else the journal file of that path."""
    if "://" in place:
        return optuna.storages.RDBStorage(place)
    Path(place).parent.mkdir(parents=True, exist_ok=True)
    return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(place))


class Tuning:
    """The trials of one optimizer: as many as asked for, each taken by one worker at a time.

    A trial whose worker is gone is taken up again where it stopped. Were it taken twice, both
    would find the same: a run depends on its settings alone.
    """

    def __init__(
        self,
        sweep: Sweep,
        optimizer: str,
        place: optuna.storages.BaseStorage,
        out: Path,
        head: Head,
        steps: int,
    ) -> None:
        assert sweep.tune is not None
        self.sweep, self.optimizer, self._out, self._head = sweep, optimizer, out, head
        self._tune = tune = sweep.tune
        self._ranges = search(sweep.task, optimizer).ranges
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        samplers = {
            "sobol": lambda: SobolByNumber(self._ranges, tune.seed),
            "tpe": lambda: TpeByNumber(tune.seed),
        }
        pruners = {
            "median": lambda: optuna.pruners.MedianPruner(n_warmup_steps=steps // 4),
            "hyperband": lambda: optuna.pruners.HyperbandPruner(max(1, steps // 9), steps),
            "none": optuna.pruners.NopPruner,
        }
        self._study = optuna.create_study(
            storage=place,
            study_name=f"{head.name} {head.setting}: {optimizer}",
            sampler=samplers[tune.sampler](),
            pruner=pruners[tune.pruner](),
            direction="maximize" if head.larger_is_better else "minimize",
            load_if_exists=True,
        )

    # --- which trial -------------------------------------------------------------------------

    def begun(self) -> int:
        """Trials that somebody has taken."""
        return len(self._trials())

    def is_complete(self) -> bool:
        trials = self._trials()
        return len(trials) == self._tune.trials and all(one.state.is_finished() for one in trials)

    def is_waiting(self, failed: Container[int] = ()) -> bool:
        """Whether something may still come of others' trials."""
        unfinished = [one for one in self._trials() if not one.state.is_finished()]
        return any(one.number not in failed for one in unfinished)

    def take_up(self, failed: Container[int] = ()) -> Trial | None:
        """A trial that was left, and has not failed here; None if there is none."""
        for one in self._trials():
            is_open = not one.state.is_finished() and one.number not in failed
            if is_open and self._is_abandoned(one):
                with suppress(UpdateFinishedTrialError):  # it came to its end in this moment
                    return self._signed(Trial(self._study, one._trial_id))
        return None

    def begin(self) -> Trial | None:
        """A new trial; None if there are as many as asked for."""
        if self.begun() == self._tune.trials:
            return None
        trial = self._study.ask()
        if trial.number >= self._tune.trials:  # others were faster; it waits for more trials
            return None
        return self._signed(trial)

    def _trials(self) -> list[FrozenTrial]:
        known = self._study.get_trials(deepcopy=False)
        return [one for one in known if one.number < self._tune.trials]

    def _is_abandoned(self, trial: FrozenTrial) -> bool:
        """Nobody holds its folder; or, of a worker on another machine, nothing was heard."""
        drawn = len(trial.params) == len(self._ranges)
        places = [self._out / run.folder for run in self._runs(trial)] if drawn else []
        here = [place for place in places if place.exists()]
        if not here:
            begun = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
            return time.time() - trial.user_attrs.get(_SEEN, begun) > _LEASE
        return not any(map(folders.is_held, here))

    def _signed(self, trial: Trial) -> Trial:
        """With a sign of life, with its draw, and with its folder."""
        trial.set_user_attr(_SEEN, time.time())
        for name, (low, high) in self._ranges.items():
            trial.suggest_float(name, low, high, log=True)
        folders.announce(self._out, self._runs(trial)[0])
        return trial

    # --- what it is --------------------------------------------------------------------------

    def _runs(self, trial: Trial | FrozenTrial) -> list[Run]:
        return self.sweep.trial_runs(self.optimizer, trial.number, trial.params)

    def chosen(self) -> list[Run]:
        """The runs of the best trial that went to its end; empty if none did."""
        done = [one for one in self._trials() if one.state == TrialState.COMPLETE]
        sign = -1 if self._head.larger_is_better else 1
        best = min(done, key=lambda one: (sign * (one.value or 0.0), one.number), default=None)
        return [] if best is None else self._runs(best)

    # --- its runs ----------------------------------------------------------------------------

    def attempt(self, trial: Trial, do: Do) -> bool:
        """Do what is left of a trial; whether it is over."""
        reported = set(self._study.get_trials(deepcopy=False)[trial.number].intermediate_values)
        values = []
        for number, run in enumerate(self._runs(trial)):
            if folders.is_pruned(self._out / run.folder):
                break
            try:
                result = do(run, self._watch(trial, reported if number == 0 else None))
            except folders.PrunedError:
                break
            if result is None or result.status == "interrupted":
                return False
            if result.status == "diverged" or result.best is None:
                with suppress(UpdateFinishedTrialError):  # another worker has just said so
                    trial.set_user_attr(_DIVERGED, True)
                break
            values.append(result.best)
        if len(values) == len(self._tune.seeds):
            self._study.tell(trial, fmean(values), skip_if_finished=True)
        else:
            self._study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
        return True

    def _watch(self, trial: Trial, reported: set[int] | None) -> Watch:
        """Signs of life; of the first run also its values, by which it may be pruned."""
        last = time.monotonic()

        def watch(step: int, value: float | None) -> None:
            nonlocal last
            if time.monotonic() - last > _BEAT:
                last = time.monotonic()
                trial.set_user_attr(_SEEN, time.time())
            if value is None or reported is None or step in reported:
                return
            reported.add(step)
            trial.report(value, step)
            if trial.should_prune():
                raise folders.PrunedError(f"at step {step}")

        return watch
