"""A training run while it lasts."""

import math
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from ...integrators.ensembles.ranks import Ranks
from . import checkpoint
from .best import Best
from .journal import Journal, News, Progress
from .order import mixed
from .parallel import finite, lay_out, mean_losses
from .result import Result, Status, state_bytes
from .schedules import Scheduled
from .settings import Settings
from .step import Step
from .stopping import Agreement, Stop, stop_signals
from .task import Batch, Part, Task
from .watch import Watch

_LOSSES_EVERY = 10  # steps between two lines of the log with the training loss
_SECONDS = 0.5  # between two calls of `progress` where steps are slow
_NETWORK, _STEP = 1 << 35, 1 << 36  # weights, and dropout, are drawn apart from all else


class Look(Protocol):
    """Something that is measured on a step."""

    def before(self, training: "Training", batch: Batch) -> None:
        """The gradients are there, clipped; the optimizer has not moved."""

    def after(self, training: "Training", batch: Batch) -> dict[str, Any]:
        """It has; what is to be logged."""
        ...


class Training:
    """A run while it lasts; made anew it stands where its last checkpoint was.

    network    with its own names, also where `layout.module` computes the losses
    step       how many steps were made
    look       what is measured every `settings.look_every` steps
    """

    def __init__(
        self,
        task: Task,
        settings: Settings,
        folder: Path,
        device: torch.device,
        ranks: Ranks,
        *,
        tensorboard: bool = False,
    ) -> None:
        self.task, self.settings, self.folder, self.device = task, settings, folder, device
        self.ranks, plan = ranks, task.plan
        self.steps = settings.steps or plan.steps
        self.batch_size = settings.batch_size or plan.batch_size
        self.evaluate_every = settings.evaluate_every or plan.evaluate_every
        clip = plan.clip if settings.clip is None else settings.clip
        _seed(device, settings.seed, _NETWORK)
        self.layout = lay_out(task.network(), settings.parallel, ranks, device)
        self.network = self.layout.network.train()
        self.optimizer = settings.build(self.network.named_parameters())
        self.stepping = Step(task, settings, self.layout, self.optimizer, ranks, device, clip)
        self._schedule = Scheduled(self.optimizer, settings, self.steps)
        self.look = self._look()
        self.step, self.best = 0, Best()
        self._evaluated, self._saved = -1, 0  # at which steps
        self._waiting: list[Tensor] = []  # losses on the device
        self._losses: list[float] = []  # since the last line of the log
        self._watch, self._stop, self._moving = Watch(device), Stop(), False
        before = ranks.from_first(None if ranks.rank else checkpoint.load(folder))
        if before is not None:
            self._load(before)
        self.journal: Journal | None = None
        if not ranks.rank:
            length = 0 if before is None else before["log"]
            self.journal = Journal(folder, length, self.step, tensorboard=tensorboard)

    def _look(self) -> Look | None:
        if not self.settings.look_every:
            return None
        from .looks.looking import Looks

        return Looks(self)

    def to_the_end(self, checkpoint_every: int, test: bool, progress: Progress | None) -> Result:
        """All steps that are left."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        listener = None if self.ranks.rank else progress
        self._news = News(listener, self.steps, self.batch_size, self.step)
        tested: dict[str, float] | None = None
        with stop_signals() as self._stop:
            self._agreement = Agreement(self._stop, self.ranks, _LOSSES_EVERY)
            try:
                with self._watch.timed("train"):
                    status = self._run(checkpoint_every)
                if test and status == "finished":
                    tested = self._test()
            except KeyboardInterrupt:
                status = "interrupted"
                if not self._moving:
                    self.save()
            with self._stop.held():
                return self._result(status, tested)

    def _run(self, checkpoint_every: int) -> Status:
        self._news.start(self._watch.read("train"))
        while True:
            at_end = self.step == self.steps
            evaluates = at_end or self.step % self.evaluate_every == 0
            saves = at_end or self.step % checkpoint_every == 0
            writes = at_end or self.step % _LOSSES_EVERY == 0
            stops = not at_end and self._agreement.stops(self.step)
            if (evaluates or saves or writes or stops) and self._diverged():
                return "diverged"
            if writes:
                self._write_losses()
            if stops:
                self.save()
                return "interrupted"
            if evaluates and self._evaluated != self.step:
                self._evaluate()
            if saves and self._saved != self.step:
                self.save()
            if at_end:
                if self._saved == self.step:
                    return "finished"
                self._write("diverged")
                return "diverged"
            self._advance()

    def _advance(self) -> None:
        batch = self.task.batch(self.step, self.batch_size, self.settings.seed)
        every = self.settings.look_every
        look = self.look if every and self.step % every == 0 else None
        seen: dict[str, Any] | None = None
        self._moving = True
        _seed(self.device, self.settings.seed, _STEP, self.step, self.ranks.rank)
        self._schedule.set(self.step)
        self._waiting.append(self.stepping.gradient(batch))
        if look is not None:
            with self._watch.timed("look"):
                look.before(self, batch)
        self.stepping.move()
        if look is not None:
            with self._watch.timed("look"):
                seen = look.after(self, batch)
        with self._stop.held():
            if seen is not None:
                self._write("look", **seen)
            self.step += 1
            self._moving = False
        self._tell_of_slow_steps()

    # --- what is measured --------------------------------------------------------------------

    def _diverged(self) -> bool:
        """Whether a loss was not finite; then the run has taken the steps before it."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._losses += mean_losses(waiting, self.ranks)
        for place, loss in enumerate(self._losses):
            if not math.isfinite(loss):
                self.step += place - len(self._losses)
                self._write("diverged")
                return True
        return False

    def _write_losses(self) -> None:
        """The mean training loss since the last line."""
        losses, self._losses = self._losses, []
        if losses:
            loss, seconds = math.fsum(losses) / len(losses), self._watch.read("train")
            lr = float(self.optimizer.param_groups[0]["lr"])
            self._write("train", loss=loss, lr=lr, seconds=seconds)
            self._news.tell(self.step, seconds, {"loss": loss, "lr": lr})

    def _tell_of_slow_steps(self) -> None:
        """A CUDA device is not waited for, other processes are not asked."""
        if self.device.type == "cuda" or self.ranks.size > 1:
            return
        seconds = self._watch.read("train")
        if self._news.is_due(seconds, _SECONDS):
            self._news.tell(self.step, seconds, {"loss": self._waiting[-1].item()})

    @torch.no_grad()
    def _evaluate(self) -> None:
        """Look at the validation data; weights that are the best so far are kept."""
        numbers = self._numbers("validation")
        with self._stop.held():
            seconds = self._watch.read("train")
            self._write("validation", **numbers, seconds=seconds)
            self.best.look(self.task, self.step, numbers, self.layout.weights)
            self._evaluated = self.step
        told = {f"validation {name}": number for name, number in numbers.items()}
        self._news.tell(self.step, seconds, told)

    @torch.no_grad()
    def _test(self) -> dict[str, float] | None:
        """The test data, with the best weights."""
        weights = None if self.ranks.rank else self.best.weights(self.folder)
        weights = self.ranks.from_first(weights)
        if weights is None:
            return None
        self._moving = True  # the weights are not those of the last step any more
        self.layout.load_weights(weights)
        numbers = self._numbers("test")
        with self._stop.held():
            self._write("test", **numbers)
        return numbers

    def _numbers(self, part: Part) -> dict[str, float]:
        alone = self.ranks.size == 1  # several processes wait for each other
        self.network.eval()
        try:
            with self._watch.timed("evaluate"), self._stop.left(alone), self.stepping.autocast():
                numbers = self.task.evaluate(self.network, part, self.device)
        finally:
            self.network.train()
        return self.ranks.from_first(numbers)

    def _write(self, kind: str, **values: Any) -> None:
        if self.journal is not None:
            self.journal.write(kind, self.step, **values)

    # --- what is kept ------------------------------------------------------------------------

    def save(self) -> None:
        """Write a checkpoint; none where the losses or the weights are not finite any more."""
        with self._watch.timed("save"), self._stop.held():
            if self._diverged() or not finite(self.network, self.ranks):
                return
            weights, state = self.layout.weights(), self.layout.state(self.optimizer)
            self._saved = self.step
            if self.journal is not None:
                self.journal.attempt(
                    "checkpoint.pt", partial(self._write_checkpoint, self.journal, weights, state)
                )

    def _write_checkpoint(
        self, journal: Journal, weights: dict[str, Any], state: dict[str, Any]
    ) -> None:
        """What a checkpoint speaks of is on the disk before it."""
        journal.log.sync()
        self.best.write(self.folder)
        content = {
            "step": self.step,
            "network": weights,
            "optimizer": state,
            "scaler": self.stepping.scaler.state_dict(),
            "best": self.best.as_saved(),
            "evaluated": self._evaluated,
            "losses": self._losses,
            "seconds": self._watch.seconds,
            "log": journal.log.length,
        }
        checkpoint.save(self.folder, content)
        self.best.forget_others(self.folder)

    def _load(self, content: dict[str, Any]) -> None:
        self.layout.load(self.optimizer, content["network"], content["optimizer"])
        self.stepping.scaler.load_state_dict(content["scaler"])
        self.best.restore(content["best"])
        self.step, self._losses = content["step"], content["losses"]
        self._evaluated, self._saved = content["evaluated"], self.step
        self._watch.seconds = content["seconds"]

    def _result(self, status: Status, tested: dict[str, float] | None) -> Result:
        journal, seconds = self.journal, self._watch.seconds
        if journal is not None:
            journal.close()
            if status != "interrupted":
                journal.attempt("best weights", partial(self.best.write, self.folder))
        cuda = self.device.type == "cuda"
        made = partial(
            Result,
            status=status,
            steps=self.step,
            metric=self.task.metric,
            best=self.best.value,
            best_step=self.best.step,
            validation=self.best.numbers,
            test=tested,
            seconds=sum(seconds.values()) - seconds["save"],
            ms_per_step=1e3 * seconds["train"] / self.step if self.step else None,
            state_bytes=state_bytes(self.optimizer),
            peak_bytes=torch.cuda.max_memory_allocated(self.device) if cuda else None,
        )
        unwritten = () if journal is None else tuple(journal.unwritten)
        if journal is not None and status != "interrupted":
            result = made(unwritten=unwritten)
            journal.attempt("result.json", partial(result.write, self.folder))
            unwritten = tuple(journal.unwritten)
        return self.ranks.from_first(made(unwritten=unwritten))


def _seed(device: torch.device, *numbers: int) -> None:
    """What the network draws from now on: torch's global generators."""
    seed = mixed(*numbers)
    torch.default_generator.manual_seed(seed)  # torch.manual_seed remembers every call for CUDA
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
