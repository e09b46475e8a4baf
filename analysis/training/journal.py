"""What a run writes and tells while it lasts; a disk that is full does not end it."""

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from .events import Events
from .log import Log

Progress = Callable[[int, dict[str, float]], object]


class Journal:
    """The log of a run, TensorBoard's events, and whoever watches; made by the first process.

    unwritten  why, by the name of the file, for all whose last write has failed
    """

    def __init__(self, folder: Path, length: int, step: int, *, tensorboard: bool) -> None:
        """Goes on at a step, after the first `length` bytes of the log."""
        self.folder = folder
        self.unwritten: dict[str, str] = {}
        self.log = Log(folder, length)
        self._events = Events(folder, step) if tensorboard else None

    def attempt(self, name: str, write: Callable[[], object]) -> None:
        """Write a file; the first time that it cannot be written there is a warning."""
        try:
            write()
        except OSError as error:
            if name not in self.unwritten:
                told = f"{self.folder / name} cannot be written, the run goes on: {error}"
                warnings.warn(told, stacklevel=2)
            self.unwritten[name] = str(error)
        else:
            self.unwritten.pop(name, None)

    def write(self, kind: str, step: int, **values: Any) -> None:
        """A line of the log."""
        self.attempt("log.jsonl", partial(self.log.write, kind, step, **values))
        if self._events is not None:
            self.attempt("events", partial(self._events.write, kind, step, values))

    def close(self) -> None:
        self.attempt("log.jsonl", self.log.sync)
        if self._events is not None:
            self.attempt("events", self._events.close)


class News:
    """What `progress` is told: it is called with (step, numbers).

    steps, size  of the whole run, and examples of one
    step         at which this session begins
    """

    def __init__(self, progress: Progress | None, steps: int, size: int, step: int) -> None:
        self._progress, self._steps, self._size = progress, steps, size
        self._step, self._seconds = step, 0.0

    def start(self, seconds: float) -> None:
        """After so many seconds of training; a run that goes on says where."""
        self._seconds = seconds
        if self._progress is not None and self._step:
            self._progress(self._step, {"resumed": 1.0, "steps": float(self._steps)})

    def is_due(self, seconds: float, after: float) -> bool:
        """Whether somebody has waited for too long."""
        return self._progress is not None and seconds - self._seconds > after

    def tell(self, step: int, seconds: float, numbers: dict[str, float]) -> None:
        if self._progress is None:
            return
        if step > self._step and seconds > self._seconds:
            rate = (step - self._step) * self._size / (seconds - self._seconds)
            numbers = {**numbers, "examples_per_second": rate}
        self._step, self._seconds = step, seconds
        self._progress(step, {**numbers, "steps": float(self._steps)})
