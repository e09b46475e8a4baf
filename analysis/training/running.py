"""What trains: a network, its optimizer, and the steps that they take together."""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from ...integrators.ensembles.ranks import Ranks
from .order import mixed
from .parallel import lay_out
from .schedules import Scheduled
from .settings import Settings
from .step import Step
from .task import Batch, Task

_NETWORK, _STEP = 1 << 35, 1 << 36  # weights, and dropout, are drawn apart from all else


class Look(Protocol):
    """Something that is measured on a step."""

    def before(self, training: "Training", batch: Batch) -> None:
        """The gradients are there, clipped; the optimizer has not moved."""

    def after(self, training: "Training", batch: Batch) -> dict[str, Any]:
        """It has; what is to be logged."""
        ...


class Training:
    """A network and its optimizer after some steps; new ones at first.

    network    with its own names, also where `layout.module` computes the losses
    step       how many steps were made
    look       what is measured every `settings.look_every` steps
    """

    def __init__(self, task: Task, settings: Settings, device: torch.device, ranks: Ranks) -> None:
        self.task, self.settings, self.device, self.ranks = task, settings, device, ranks
        plan, self.step = task.plan, 0
        self.steps = settings.steps or plan.steps
        self.batch_size = settings.batch_size or plan.batch_size
        self.evaluate_every = settings.evaluate_every or plan.evaluate_every
        clip = plan.clip if settings.clip is None else settings.clip
        self._seed(_NETWORK)
        self.layout = lay_out(task.network(), settings.parallel, ranks, device)
        self.network = self.layout.network.train()
        self.optimizer = settings.build(self.network.named_parameters())
        self.stepping = Step(task, settings, self.layout, self.optimizer, ranks, device, clip)
        self._schedule = Scheduled(self.optimizer, settings, self.steps)
        self.look = self._look()

    def _look(self) -> Look | None:
        if not self.settings.look_every:
            return None
        from .looks.looking import Looks

        return Looks(self)

    def look_of_step(self) -> Look | None:
        """The look, if the coming step is to be looked at."""
        every = self.settings.look_every
        return self.look if every and self.step % every == 0 else None

    def batch(self) -> Batch:
        """What the coming step sees."""
        return self.task.batch(self.step, self.batch_size, self.settings.seed)

    def gradient(self, batch: Batch) -> Tensor:
        """Leave the gradient of the coming step at the parameters; returns its loss as `Step`."""
        self._seed(_STEP, self.step, self.ranks.rank)
        self._schedule.set(self.step)
        return self.stepping.gradient(batch)

    def as_saved(self) -> dict[str, Any]:
        """For a checkpoint: all of it on the first process, which all of them ask for."""
        return {
            "step": self.step,
            "network": self.layout.weights(),
            "optimizer": self.layout.state(self.optimizer),
            "scaler": self.stepping.scaler.state_dict(),
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        self.layout.load(self.optimizer, saved["network"], saved["optimizer"])
        self.stepping.scaler.load_state_dict(saved["scaler"])
        self.step = saved["step"]

    def _seed(self, *numbers: int) -> None:
        """What the network draws from now on: torch's global generators."""
        seed = mixed(self.settings.seed, *numbers)
        torch.default_generator.manual_seed(seed)  # torch.manual_seed remembers calls for CUDA
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)
