"""A worker: does one run after the other, until nothing is left."""

import math
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ..training.folder import BusyError
from ..training.result import Result
from ..training.tasks import TASKS
from ..training.trainer import train
from . import folders
from .head import Head
from .plan import Run, Sweep

if TYPE_CHECKING:
    from .tuning import Tuning

_POLL = 1.0  # seconds between two looks at what others are doing


@dataclass(frozen=True)
class Place:
    """Where a sweep is done.

    out       the folder that is written
    storage   of the search, shared by all machines: a URL of a database, or a path
    data      folder of the data; None: stand-ins
    device    of the worker
    deadline  seconds since the epoch at which runs are left where they are
    """

    out: Path
    storage: str
    data: Path | None = None
    download: bool = False
    device: str = "cpu"
    deadline: float = math.inf


class Message(NamedTuple):
    """What a worker tells while it works."""

    kind: Literal["begun", "at", "over", "failed"]
    run: str
    text: str = ""
    step: int = 0
    steps: int = 0


class Worker:
    """Does what is open, in the order of `_offers`; what others hold it leaves to them.

    `tell` hears of it; when `tell` raises OSError, for there is nobody any more, work ends.
    """

    def __init__(self, sweep: Sweep, place: Place, tell: Callable[[Message], Any]) -> None:
        self.sweep, self.place, self._tell = sweep, place, tell
        self._is_stopped = False
        self._failed: set[Path] = set()
        self._failed_trials: dict[str, set[int]] = {name: set() for name in sweep.optimizers}
        self.task = TASKS[sweep.task](sweep.setting, place.data, download=place.download)
        self.head = Head.of(sweep, self.task, place.device)
        folders.claim(place.out, self.head)
        folders.plan(place.out, sweep.planned())
        self._tunings = self._searches()
        self._known = list(sweep.known_runs())

    def work(self) -> None:
        """Returns when all is done, when it is time, or when it is asked to stop."""
        while not self._should_stop():
            offer = next(self._offers(), None)
            if offer is not None:
                offer()
            elif self._is_waiting():
                time.sleep(_POLL)
            else:
                return

    def is_done(self) -> bool:
        """Whether nothing is left, for anybody."""
        searched = all(tuning.is_complete() for tuning in self._tunings)
        return searched and next(self._open_runs(), None) is None

    # --- what there is to do -----------------------------------------------------------------

    def _searches(self) -> "list[Tuning]":
        if self.sweep.tune is None:
            return []
        from .tuning import Tuning, storage

        shared, steps = storage(self.place.storage), self.sweep.common.get("steps")
        return [
            Tuning(
                self.sweep, name, shared, self.place.out, self.head, steps or self.task.plan.steps
            )
            for name in self.sweep.optimizers
        ]

    def _offers(self) -> Iterator[Callable[[], object]]:
        """What others left; then trials, of the optimizer with the fewest first, so that a search
        that is cut off is fair; then what follows from them.
        """
        for tuning in self._tunings:
            if trial := tuning.take_up(self._failed_trials[tuning.optimizer]):
                yield partial(self._search, tuning, trial)
        for tuning in sorted(self._tunings, key=lambda one: one.begun()):
            if trial := tuning.begin():
                yield partial(self._search, tuning, trial)
        for run in self._open_runs():
            if not folders.is_held(self.place.out / run.folder):
                yield partial(self._do, run)

    def _open_runs(self) -> Iterator[Run]:
        """What is known, not over, and has not failed here."""
        known = list(self._known)
        for tuning in self._tunings:
            if tuning.is_complete():
                known += self.sweep.chosen_runs(tuning.chosen())
        for run in known:
            if run.folder not in self._failed and not folders.is_over(self.place.out / run.folder):
                yield run

    def _is_waiting(self) -> bool:
        """Whether others are at work, so that there may be more to do."""
        trials = (one.is_waiting(self._failed_trials[one.optimizer]) for one in self._tunings)
        return any(trials) or next(self._open_runs(), None) is not None

    # --- doing it ----------------------------------------------------------------------------

    def _search(self, tuning: "Tuning", trial: Any) -> None:
        before = len(self._failed)
        tuning.attempt(trial, self._do)
        if len(self._failed) > before:
            self._failed_trials[tuning.optimizer].add(trial.number)

    def _do(
        self, run: Run, watch: Callable[[int, float | None], None] | None = None
    ) -> Result | None:
        """The result; None where it failed, or where another worker is at it."""
        folder, name = folders.announce(self.place.out, run), run.folder.as_posix()
        self._say(Message("begun", name))
        at, asked = 0, False

        def progress(step: int, numbers: dict[str, float]) -> None:
            nonlocal at, asked
            at = step
            value = numbers.get(f"validation {self.head.metric}")
            self._say(Message("at", name, _told(numbers), step, int(numbers.get("steps", 0))))
            if self._should_stop() and not asked:
                asked = True
                signal.raise_signal(signal.SIGTERM)  # the trainer ends with a checkpoint
            if watch is not None:
                watch(step, value if value is not None and math.isfinite(value) else None)

        try:
            result = train(
                self.task,
                run.settings,
                folder,
                device=self.place.device,
                test=run.test and self.head.has_test,
                progress=progress,
            )
        except BusyError:
            return None
        except folders.PrunedError:
            folders.prune(folder, at)
            folders.lighten(folder, None)
            self._say(Message("over", name, f"pruned at step {at}"))
            raise
        except Exception as error:  # the other runs go on; the sweep says so at its end
            self._failed.add(run.folder)
            self._say(Message("failed", name, f"{type(error).__name__}: {error}"))
            return None
        if result.status == "interrupted":
            self._is_stopped = True
        else:
            folders.lighten(folder, result.best_step if run.kind == "report" else None)
            self._say(Message("over", name, _ending(result)))
        return result

    def _should_stop(self) -> bool:
        return self._is_stopped or time.time() >= self.place.deadline

    def _say(self, message: Message) -> None:
        try:
            self._tell(message)
        except OSError:
            self._is_stopped = True


def _ending(result: Result) -> str:
    told = f"{result.status} after {result.steps} steps and {result.seconds:.0f} s"
    if result.best is None:
        return told
    return f"{told}, best validation {result.metric} {result.best:.4f} at step {result.best_step}"


def _told(numbers: dict[str, float]) -> str:
    shown = {k: v for k, v in numbers.items() if k == "loss" or k.startswith("validation ")}
    return ", ".join(f"{name} {value:.4g}" for name, value in shown.items())
