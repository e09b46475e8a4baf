"""Pieces of a kernel side by side: Ctrl-C waits until nobody writes any more."""

import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from dashpot.integrators.kernels import threads
from dashpot.integrators.kernels.threads import side_by_side


def test_pieces_are_whole_and_equal() -> None:
    seen: list[tuple[int, int]] = []
    side_by_side(lambda first, last: seen.append((first, last)), 10, 3)
    assert sorted(seen) == [(0, 3), (3, 6), (6, 10)]


def test_an_error_of_a_piece_is_raised() -> None:
    def call(first: int, last: int) -> None:
        if first:
            raise OSError(f"piece {first}")

    with pytest.raises(OSError, match="piece 1"):
        side_by_side(call, 2, 2)


@pytest.mark.parametrize("times", [1, 3])
def test_interrupts_are_raised_when_all_is_done(times: int) -> None:
    """Pressed again and again while others still write."""
    release, written = threading.Event(), []

    def call(first: int, last: int) -> None:
        if first:
            release.wait(20)
            written.append(first)

    def press() -> None:
        for _ in range(times):
            time.sleep(0.1)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        time.sleep(0.1)
        release.set()

    presser = threading.Thread(target=press)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        side_by_side(call, 2, 2)
    assert written == [1]
    presser.join()


def test_an_interrupt_while_pieces_are_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that were handed out are waited for."""
    written: list[int] = []

    def call(first: int, last: int) -> None:
        time.sleep(0.3)
        written.append(first)

    class Pressed:
        def submit(self, call: Callable[[int, int], None], first: int, last: int) -> Future[None]:
            if first > 1:
                raise KeyboardInterrupt
            return pool.submit(call, first, last)

    monkeypatch.setattr(threads, "_pool", lambda *_: Pressed())
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(KeyboardInterrupt):
            side_by_side(call, 3, 3)
        assert written == [1]
