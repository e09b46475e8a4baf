"""Trains, is killed, goes on: python killed_training.py FOLDER OPTIMIZER ...

FOLDER/OPTIMIZER/one is left by an uninterrupted run, `times` by one that was killed at random
times, `events`, of the first optimizer, by one that was killed at every kind of event.
Sessions are forks of this process, which has imported everything and has one thread.
"""

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from small_training import Sine, settings

from dashpot.analysis.training.trainer import train

CHANGES: dict[str, Any] = {"schedule": "cosine", "warmup": 3, "accumulate": 2, "clip": 0.5}
FIRST = 6  # event at which a session is killed: the first ones later on write nothing anew


def run(optimizer: str, folder: Path) -> None:
    """24 steps with dropout, all in all."""
    task = Sine(dropout=0.3, dtype=torch.float32)
    train(task, settings(optimizer, **CHANGES), folder, checkpoint_every=4, test=True)


def at_event(event: int, optimizer: str, folder: Path) -> None:
    """Train, and be killed at the n-th thing that is done with files of the folder, n = `event`.

    What counts: that a file is opened, renamed or removed, and that half of it is written.
    """
    count = 0

    def happens() -> None:
        nonlocal count
        count += 1
        if count == event:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(name: str, args: tuple[Any, ...]) -> None:
        if name in ("open", "os.rename", "os.remove") and str(args[0]).startswith(str(folder)):
            happens()

    torch.save = _in_two_halves(torch.save, happens)
    sys.addaudithook(hook)
    run(optimizer, folder)


def _in_two_halves(save: Callable[..., None], between: Callable[[], None]) -> Callable[..., None]:
    def save_in_two_halves(content: Any, handle: Any) -> None:
        save(content, buffer := BytesIO())
        data = buffer.getvalue()
        handle.write(data[: len(data) // 2])
        handle.flush()
        between()
        handle.write(data[len(data) // 2 :])

    return save_in_two_halves


def session(work: Callable[[], None], seconds: float | None = None) -> bool:
    """Whether it came to its end, in a process that is killed after some seconds."""
    number = os.fork()
    if not number:
        try:
            work()
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(number, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
    if code not in (0, -signal.SIGKILL):
        raise SystemExit(f"a session ended with {code}")
    return code == 0


def main(folder: Path, optimizers: list[str]) -> None:
    drawn = random.Random(0)
    for optimizer in optimizers:
        here = folder / optimizer
        began = time.perf_counter()
        run(optimizer, here / "one")
        needed = time.perf_counter() - began
        for _ in range(3):
            session(lambda o=optimizer, h=here: run(o, h / "times"), drawn.uniform(0, needed))
        assert session(lambda o=optimizer, h=here: run(o, h / "times"))
    here, event = folder / optimizers[0], FIRST
    while not session(lambda e=event: at_event(e, optimizers[0], here / "events")):
        event += 1
    (here / "sessions").write_text(str(event - FIRST))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), sys.argv[2:])
