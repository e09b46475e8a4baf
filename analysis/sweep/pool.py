"""Workers in processes of their own, and what the terminal shows of them."""

import multiprocessing
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from tqdm import tqdm

from ..study.worker import start_worker
from .plan import Sweep
from .work import Message, Place, Worker


@dataclass
class Outcome:
    """How it went.

    failures     runs that raised an error, and workers that died
    interrupted  by Ctrl-C
    left         runs that are neither over nor failed
    """

    failures: list[str] = field(default_factory=list)
    interrupted: bool = False
    left: int = 0


def run(sweep: Sweep, places: Sequence[Place], over: Collection[str] = ()) -> Outcome:
    """One worker in each place, of one thread each; returns when all have come to their end.

    over  folders of the runs that are over already; where these are all, no worker is started

    Ctrl-C leaves every run with a checkpoint, and the same call goes on from there; pressed
    again it ends the workers at once, with the checkpoints that are there.
    """
    outcome = Outcome()
    if over and Worker(sweep, places[0], lambda message: None).is_done():
        return outcome
    context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    show = _Show(sweep, len(places), over)
    workers: dict[Connection, SpawnProcess] = {}
    for number, place in enumerate(places):
        ours, theirs = context.Pipe(duplex=False)
        name = f"worker {number}"
        process = context.Process(target=_work, args=(sweep, place, theirs), name=name)
        process.start()
        theirs.close()  # so that the end of the worker is the end of the pipe
        workers[ours] = process
    while workers:
        try:
            _listen(workers, show, outcome)
        except KeyboardInterrupt:
            for process in workers.values():
                process.kill() if outcome.interrupted else process.terminate()
            outcome.interrupted = True
    show.close()
    outcome.left = show.left
    return outcome


def _listen(workers: dict[Connection, SpawnProcess], show: "_Show", outcome: Outcome) -> None:
    for connection in wait(list(workers)):
        assert isinstance(connection, Connection)
        process = workers[connection]
        try:
            message: Message = connection.recv()
        except (EOFError, OSError):
            del workers[connection]
            process.join()
            if process.exitcode and not outcome.interrupted:
                outcome.failures.append(f"{process.name} died with exit code {process.exitcode}")
            continue
        if message.kind == "failed":
            outcome.failures.append(f"{message.run}: {message.text}")
        show.hear(process.name, message)


def _work(sweep: Sweep, place: Place, connection: Connection) -> None:
    start_worker()
    Worker(sweep, place, connection.send).work()


class _Show:
    """A bar for all runs and one for each worker on a terminal, else a line for each run."""

    def __init__(self, sweep: Sweep, workers: int, over: Iterable[str]) -> None:
        options: dict[str, Any] = {"disable": None, "dynamic_ncols": True}
        name, self._runs, self._over = f"{sweep.task} {sweep.setting}", len(sweep), set(over)
        done = self._runs - self.left
        self._all = tqdm(
            desc=name, total=self._runs, initial=done, unit="run", position=0, **options
        )
        self._tell(f"{name}: {self._runs} runs, {done} of them over")
        self._bars = {
            f"worker {n}": tqdm(unit="step", position=n + 1, leave=False, **options)
            for n in range(workers)
        }

    def hear(self, worker: str, message: Message) -> None:
        bar = self._bars[worker]
        if message.kind == "begun":
            bar.set_description(message.run)
            bar.reset()
        elif message.kind == "at":
            bar.total, bar.n = message.steps or bar.total, message.step
            if message.text:
                bar.set_postfix_str(message.text, refresh=False)
            bar.refresh()
        else:
            self._over.add(message.run)
            self._all.update(self._runs - self.left - self._all.n)
            failed = "failed: " if message.kind == "failed" else ""
            self._tell(f"{message.run}: {failed}{message.text}; {self.left} of {self._runs} left")

    @property
    def left(self) -> int:
        """Fewer where a trial of several seeds ended early."""
        return max(0, self._runs - len(self._over))

    def _tell(self, line: str) -> None:
        if self._all.disable:
            print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        for bar in (*self._bars.values(), self._all):
            bar.close()
