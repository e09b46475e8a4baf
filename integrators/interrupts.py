"""Ctrl-C that waits until what is going on can be left."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Pending:
    """Whether Ctrl-C was pressed."""

    def __init__(self) -> None:
        self.pressed = False

    def note(self, number: int, frame: FrameType | None) -> None:
        self.pressed = True


@contextmanager
def interrupts_wait() -> Iterator[Pending]:
    """Within, Ctrl-C is only noted; it is raised (by the handler that was there) at the end.

    In another thread than the main one, which never sees Ctrl-C, nothing changes.
    """
    pending = Pending()
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield pending
        return
    signal.signal(signal.SIGINT, pending.note)
    try:
        yield pending
    finally:
        signal.signal(signal.SIGINT, before)
        if pending.pressed:
            before(signal.SIGINT, None)
