"""One step of an optimizer on a batch."""

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from ...integrators.ensembles.ranks import Ranks
from .parallel import Alone, shares
from .settings import Settings
from .task import Batch, Task

_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Step:
    """The gradient of a batch, in parts and on all processes, and a move along it.

    scaler  of the loss, for the small gradients of fp16; else it does nothing
    clip    largest norm of the gradient; None: any
    norm    of the last gradient before it was clipped, 0-dim; None where it is not clipped
    """

    norm: Tensor | None = None

    def __init__(
        self,
        task: Task,
        settings: Settings,
        layout: Alone,
        optimizer: Optimizer,
        ranks: Ranks,
        device: torch.device,
        clip: float | None,
    ) -> None:
        self._task, self._settings, self._layout = task, settings, layout
        self._optimizer, self._ranks, self._device = optimizer, ranks, device
        self.clip = None if clip is None or math.isinf(clip) else clip
        self.scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "fp16")
        self._parameters = [*layout.network.parameters()]

    def gradient(self, batch: Batch) -> Tensor:
        """Leave the gradient, clipped, at the parameters.

        Returns this process' part of the mean loss, on the device: their sum is that of the batch.
        """
        layout = self._layout
        self._optimizer.zero_grad(set_to_none=True)
        parts = shares(batch, self._settings.accumulate, self._ranks)
        total: Any = 0.0
        for place, ((inputs, targets), weight) in enumerate(parts, start=1):
            with layout.together(place == len(parts)):
                with self.autocast():
                    loss = self._task.loss(layout.module, (self._here(inputs), self._here(targets)))
                    loss = loss if weight == 1 else loss * weight
                self.scaler.scale(loss).backward()
            total = total + loss.detach()
        if layout.processes > 1:  # not the loss: so much larger it would leave fp16's range sooner
            grads = [each.grad for each in self._parameters if each.grad is not None]
            torch._foreach_mul_(grads, layout.processes)  # type: ignore[reportPrivateImportUsage]
        self.scaler.unscale_(self._optimizer)
        if self.clip is not None:
            self.norm = clip_grad_norm_(self._parameters, self.clip)
        return total

    def move(self) -> None:
        """Along the gradient, unless it is not finite for want of range in fp16."""
        self.scaler.step(self._optimizer)
        self.scaler.update()

    def autocast(self) -> AbstractContextManager[Any]:
        if self._settings.precision == "float32":
            return nullcontext()
        return torch.autocast(self._device.type, _TYPES[self._settings.precision])

    def _here(self, tensor: Tensor) -> Tensor:
        if self._device.type != "cuda":
            return tensor.to(self._device)
        return tensor.pin_memory().to(self._device, non_blocking=True)  # nobody waits for it
