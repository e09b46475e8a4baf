"""Threads that run pieces of a kernel side by side: ctypes gives up Python's lock for a call."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache

import torch


def count(work: int, least: int) -> int:
    """How many threads are worth it for so much work, of which one should have `least`."""
    return max(1, min(torch.get_num_threads(), work // least))


def side_by_side(call: Callable[[int, int], object], total: int, threads: int) -> None:
    """`call(first, last)` for equal pieces of 0 … total, one of them in this thread."""
    if threads == 1:
        call(0, total)
        return
    ends = [total * k // threads for k in range(threads + 1)]
    pool = _pool(os.getpid(), threads - 1)
    others: list[Future[object]] = []
    try:
        for k in range(1, threads):
            others.append(pool.submit(call, *ends[k : k + 2]))
        call(*ends[:2])
    finally:
        _wait_for(others)
    for other in others:
        other.result()


def _wait_for(others: Sequence[Future[object]]) -> None:
    """Until all are done, also when interrupted: nobody may go on writing afterwards.

    What the calls write to is kept by those who wait here.
    """
    interrupt: KeyboardInterrupt | None = None
    while not all(other.done() for other in others):
        try:
            wait(others)
        except KeyboardInterrupt as pressed:
            interrupt = pressed
    if interrupt is not None:
        raise interrupt


@cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """The pool of a process; one that was forked has no threads and makes new ones."""
    return ThreadPoolExecutor(threads, thread_name_prefix=f"dashpot-{process}")
