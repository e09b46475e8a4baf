"""A session of a run: from where its last checkpoint was until it ends, or is interrupted."""

import math
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from . import checkpoint
from .best import Best
from .journal import Journal, News, Progress
from .parallel import finite, mean_losses
from .result import Result, Status, state_bytes
from .running import Training
from .stopping import Agreement, Stop, stop_signals
from .task import Part
from .watch import Watch

_LOSSES_EVERY = 10  # steps between two lines of the log with the training loss
_SECONDS = 0.5  # between two calls of `progress` where steps are slow


class Session:
    """Takes the steps of a training, measures between them, and keeps what comes out."""

    def __init__(self, training: Training, folder: Path, *, tensorboard: bool = False) -> None:
        self._training, self._folder = training, folder
        self._task, self._ranks, self._device = training.task, training.ranks, training.device
        self._best = Best()
        self._evaluated, self._saved = -1, 0  # at which steps
        self._waiting: list[Tensor] = []  # losses on the device
        self._losses: list[float] = []  # since the last line of the log
        self._watch, self._stop, self._moving = Watch(training.device), Stop(), False
        is_first = not self._ranks.rank
        before = self._ranks.from_first(checkpoint.load(folder) if is_first else None)
        if before is not None:
            self._restore(before)
        self._journal: Journal | None = None
        if is_first:
            length = 0 if before is None else before["log"]
            self._journal = Journal(folder, length, training.step, tensorboard=tensorboard)

    def to_the_end(self, checkpoint_every: int, test: bool, progress: Progress | None) -> Result:
        """All steps that are left."""
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        training, listener = self._training, None if self._ranks.rank else progress
        self._news = News(listener, training.steps, training.batch_size, training.step)
        tested: dict[str, float] | None = None
        with stop_signals() as self._stop:
            self._agreement = Agreement(self._stop, self._ranks, _LOSSES_EVERY)
            try:
                with self._watch.timed("train"):
                    status = self._run(checkpoint_every)
                if test and status == "finished":
                    tested = self._test()
            except KeyboardInterrupt:
                status = "interrupted"
                if not self._moving:
                    self._save()
            with self._stop.held():
                return self._result(status, tested)

    def _run(self, checkpoint_every: int) -> Status:
        training = self._training
        self._news.start(self._watch.read("train"))
        while True:
            step, at_end = training.step, training.step == training.steps
            evaluates = at_end or step % training.evaluate_every == 0
            saves = at_end or step % checkpoint_every == 0
            writes = at_end or step % _LOSSES_EVERY == 0
            stops = not at_end and self._agreement.stops(step)
            if (evaluates or saves or writes or stops) and self._diverged():
                return "diverged"
            if writes:
                self._write_losses()
            if stops:
                self._save()
                return "interrupted"
            if evaluates and self._evaluated != step:
                self._evaluate()
            if saves and self._saved != step:
                self._save()
            if at_end:
                if self._saved == step:
                    return "finished"
                self._write("diverged")
                return "diverged"
            self._advance()

    def _advance(self) -> None:
        training = self._training
        batch, look = training.batch(), training.look_of_step()
        seen: dict[str, Any] | None = None
        self._moving = True
        self._waiting.append(training.gradient(batch))
        if look is not None:
            with self._watch.timed("look"):
                look.before(training, batch)
        training.stepping.move()
        if look is not None:
            with self._watch.timed("look"):
                seen = look.after(training, batch)
        with self._stop.held():
            if seen is not None:
                self._write("look", **seen)
            training.step += 1
            self._moving = False
        self._tell_of_slow_steps()

    # --- what is measured --------------------------------------------------------------------

    def _diverged(self) -> bool:
        """Whether a loss was not finite; then the run has taken the steps before it."""
        with self._stop.held():
            if self._waiting:
                self._losses += mean_losses(self._waiting, self._ranks)
                self._waiting = []
        for place, loss in enumerate(self._losses):
            if not math.isfinite(loss):
                self._training.step += place - len(self._losses)
                self._write("diverged")
                return True
        return False

    def _write_losses(self) -> None:
        """The mean training loss since the last line."""
        if not self._losses:
            return
        with self._stop.held():
            loss, seconds = math.fsum(self._losses) / len(self._losses), self._watch.read("train")
            lr = float(self._training.optimizer.param_groups[0]["lr"])
            self._write("train", loss=loss, lr=lr, seconds=seconds)
            self._losses = []
        self._news.tell(self._training.step, seconds, {"loss": loss, "lr": lr})

    def _tell_of_slow_steps(self) -> None:
        """A CUDA device is not waited for, other processes are not asked."""
        if self._device.type == "cuda" or self._ranks.size > 1:
            return
        seconds = self._watch.read("train")
        if self._news.is_due(seconds, _SECONDS):
            self._news.tell(self._training.step, seconds, {"loss": self._waiting[-1].item()})

    @torch.no_grad()
    def _evaluate(self) -> None:
        """Look at the validation data; weights that are the best so far are kept."""
        numbers, step = self._numbers("validation"), self._training.step
        with self._stop.held():
            seconds = self._watch.read("train")
            self._write("validation", **numbers, seconds=seconds)
            self._best.look(self._task, step, numbers, self._training.layout.weights)
            self._evaluated = step
        told = {f"validation {name}": number for name, number in numbers.items()}
        self._news.tell(step, seconds, told)

    @torch.no_grad()
    def _test(self) -> dict[str, float] | None:
        """The test data, with the best weights."""
        weights = None if self._ranks.rank else self._best.weights(self._folder)
        weights = self._ranks.from_first(weights)
        if weights is None:
            return None
        self._moving = True  # the weights are not those of the last step any more
        self._training.layout.load_weights(weights)
        numbers = self._numbers("test")
        with self._stop.held():
            self._write("test", **numbers)
        return numbers

    def _numbers(self, part: Part) -> dict[str, float]:
        """Every process measures them, and takes those of the first."""
        alone = self._ranks.size == 1  # several processes wait for each other
        network, autocast = self._training.network, self._training.stepping.autocast()
        network.eval()
        try:
            with self._watch.timed("evaluate"), self._stop.left(alone), autocast:
                numbers = self._task.evaluate(network, part, self._device)
        finally:
            network.train()
        return self._ranks.from_first(numbers)

    # --- what is kept ------------------------------------------------------------------------

    def _write(self, kind: str, **values: Any) -> None:
        if self._journal is not None:
            self._journal.write(kind, self._training.step, **values)

    def _save(self) -> None:
        """Write a checkpoint; none where the losses or the weights are not finite any more."""
        with self._watch.timed("save"), self._stop.held():
            if self._diverged() or not finite(self._training.network, self._ranks):
                return
            saved, self._saved = self._training.as_saved(), self._training.step
            if self._journal is not None:
                write = partial(self._write_checkpoint, self._journal, saved)
                self._journal.attempt("checkpoint.pt", write)

    def _write_checkpoint(self, journal: Journal, saved: dict[str, Any]) -> None:
        """What a checkpoint speaks of is on the disk before it."""
        journal.log.sync()
        self._best.write(self._folder)
        content = {
            **saved,
            "best": self._best.as_saved(),
            "evaluated": self._evaluated,
            "losses": self._losses,
            "seconds": self._watch.seconds,
            "log": journal.log.length,
        }
        checkpoint.save(self._folder, content)
        self._best.forget_others(self._folder)

    def _restore(self, content: dict[str, Any]) -> None:
        self._training.restore(content)
        self._best.restore(content["best"])
        self._losses = content["losses"]
        self._evaluated, self._saved = content["evaluated"], content["step"]
        self._watch.seconds = content["seconds"]

    def _result(self, status: Status, tested: dict[str, float] | None) -> Result:
        journal, seconds, steps = self._journal, self._watch.seconds, self._training.step
        if journal is not None:
            journal.close()
            if status != "interrupted":
                journal.attempt("best weights", partial(self._best.write, self._folder))
        cuda = self._device.type == "cuda"
        made = partial(
            Result,
            status=status,
            steps=steps,
            metric=self._task.metric,
            best=self._best.value,
            best_step=self._best.step,
            validation=self._best.numbers,
            test=tested,
            seconds=sum(seconds.values()) - seconds["save"],
            ms_per_step=1e3 * seconds["train"] / steps if steps else None,
            state_bytes=state_bytes(self._training.optimizer),
            peak_bytes=torch.cuda.max_memory_allocated(self._device) if cuda else None,
        )
        unwritten = () if journal is None else tuple(journal.unwritten)
        if journal is not None and status != "interrupted":
            result = made(unwritten=unwritten)
            journal.attempt("result.json", partial(result.write, self._folder))
            unwritten = tuple(journal.unwritten)
        return self._ranks.from_first(made(unwritten=unwritten))
