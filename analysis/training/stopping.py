"""Ctrl-C and SIGTERM ask a run to stop: it does so when its step is done."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch

from ...integrators.ensembles.ranks import Ranks

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LEFT_ALONE = (signal.SIG_IGN, None)  # None: not Python's


class Stop:
    """Whether the run was asked to stop.

    A second time it is KeyboardInterrupt at once; never while something is `held` together, and
    the first time already in what can be `left`.
    """

    def __init__(self) -> None:
        self.asked = False
        self._held = self._left = False

    def note(self, number: int, frame: FrameType | None) -> None:
        again, self.asked = self.asked, True
        if (again or self._left) and not self._held:
            raise KeyboardInterrupt

    @contextmanager
    def held(self) -> Iterator[None]:
        """What is done within is done wholly."""
        before, self._held = self._held, True
        try:
            yield
        finally:
            self._held = before

    @contextmanager
    def left(self, can_be: bool = True) -> Iterator[None]:
        """What is done within may be left, for it changes nothing."""
        self._left = can_be
        try:
            if can_be and self.asked:
                raise KeyboardInterrupt
            yield
        finally:
            self._left = False


@contextmanager
def stop_signals() -> Iterator[Stop]:
    """Within, signals are noted. A signal that the caller ignores stays ignored.

    In another thread than the main one, which sees no signals, nothing changes.
    """
    stop = Stop()
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        before = {n: handler for n, handler in before.items() if handler not in _LEFT_ALONE}
    for number in before:
        signal.signal(number, stop.note)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Agreement:
    """Whether all processes of a run are to stop now: if one of them was asked to.

    They ask each other about once a second, but every `most` steps at least.
    """

    def __init__(self, stop: Stop, ranks: Ranks, most: int) -> None:
        self._stop, self._ranks, self._most = stop, ranks, most
        self._next = 0
        self._last: tuple[int, float] | None = None

    def stops(self, step: int) -> bool:
        """The same on all processes, which all call it after every step."""
        if self._ranks.size == 1:
            return self._stop.asked
        if step < self._next:
            return False
        now, rate = time.perf_counter(), 0.0
        if self._last is not None and step > self._last[0]:
            rate = (step - self._last[0]) / (now - self._last[1])
        here = torch.tensor([float(self._stop.asked), rate], dtype=torch.float64)
        asked, rates = self._ranks.added(here).tolist()
        self._next = step + min(max(1, int(rates / self._ranks.size)), self._most)
        self._last = step, now
        return asked > 0
