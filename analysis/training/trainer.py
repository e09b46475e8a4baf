"""A network is trained: in a folder, resumable at any moment, to the same bits on the CPU."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from ...integrators.ensembles.ranks import Ranks
from .events import writer
from .folder import BusyError, check, claim, held, tidy
from .journal import Progress
from .parallel import join
from .result import Result, Status
from .running import Look, Training
from .schedules import check_warmup
from .session import Session
from .settings import Settings
from .task import Task

__all__ = ["BusyError", "Look", "Progress", "Result", "Status", "Training", "train"]


def train(
    task: Task,
    settings: Settings,
    folder: Path | str,
    *,
    device: str | torch.device = "cpu",
    checkpoint_every: int | None = None,
    test: bool = False,
    tensorboard: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Train a network in a folder; a run that was cut off there goes on from its checkpoint.

    checkpoint_every  steps; None: where the validation data are looked at
    test              look at the test data, once, with the best weights, after the last step
    tensorboard       write the numbers of the log for TensorBoard too, in `events`
    progress          called with (step, numbers) when there is news: "loss" (the mean since the
                      last line of the log), "lr", "examples_per_second" since the last news,
                      "steps" of the whole run; "validation ..." after a look at these data;
                      "resumed" once, where a run goes on

    Files: settings.json once the network is made, log.jsonl, checkpoint.pt and the one before,
    best-STEP.pt (weights alone), result.json at the end. A run that has come to its end is not
    repeated: its result is returned. Ctrl-C and SIGTERM end it after a step with a checkpoint,
    status "interrupted"; a second Ctrl-C at once, with the last checkpoint. A file that cannot be
    written is a warning, tried again later, and named in the result. torch's global generator is
    as before after the call. Under torchrun all processes call this, with the same arguments.

    Raises ValueError for settings of another task, for a folder that holds a run of other settings
    or data, for a warm-up as long as the run, and for test data that the task has not; BusyError
    where another process trains in the folder; ImportError for the extra `tensorboard`.
    """
    folder = Path(folder)
    if (
        not re.match(rf"{re.escape(settings.task)}\b", task.name)
        or task.setting != settings.setting
    ):
        raise ValueError(
            f"the settings are for {settings.task}, {settings.setting}; the task is {task.name}, "
            f"{task.setting}"
        )
    if test and not task.has_test:
        raise ValueError(f"{task.name} has no test data; leave test out")
    if checkpoint_every is not None and checkpoint_every < 1:
        raise ValueError(f"checkpoint_every must be a whole number >= 1; got {checkpoint_every}")
    check_warmup(settings, settings.steps or task.plan.steps)
    if tensorboard:
        writer()
    ranks, here = join(torch.device(device))
    with _entered(folder, task, settings, ranks) as known:
        if known is not None and not (test and known.status == "finished" and known.test is None):
            return known
        with torch.random.fork_rng([here] if here.type == "cuda" else []):
            training = Training(task, settings, here, ranks)
            session = Session(training, folder, tensorboard=tensorboard)
            if not ranks.rank:
                claim(folder, task, settings)
            every = checkpoint_every or training.evaluate_every
            return session.to_the_end(every, test, progress)


@contextmanager
def _entered(folder: Path, task: Task, settings: Settings, ranks: Ranks) -> Iterator[Result | None]:
    """The folder, for all processes, and the result that is there.

    What the first process finds wrong with it all raise.
    """
    if ranks.rank:
        known = ranks.from_first(None)
        if isinstance(known, Exception):
            raise known
        yield known
        return
    told = False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with held(folder):
            check(folder, task, settings)
            tidy(folder)
            known = Result.read(folder)
            told = True
            yield ranks.from_first(known)
    except Exception as wrong:
        if not told:
            ranks.from_first(wrong)
        raise
