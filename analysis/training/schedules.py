"""How lr changes in the course of a run."""

import math

import torch
from torch import Tensor
from torch.optim import Optimizer

from .settings import Settings


def factor(settings: Settings, steps: int, step: int) -> float:
    """lr of the step number 0, 1, ..., `steps` − 1, over the lr of the settings.

    It rises linearly, (step + 1)/(warmup + 1), over the first `warmup` steps. With
    s = (step − warmup)/(steps − warmup) it then is 1 ("constant"), 1 − (1 − final) s ("linear")
    or 1 − (1 − final)(1 − cos πs)/2 ("cosine"): `final` is where it would be after the last step.
    """
    if step < settings.warmup:
        return (step + 1) / (settings.warmup + 1)
    done = (step - settings.warmup) / (steps - settings.warmup)
    fall = {
        "constant": 0.0,
        "linear": done,
        "cosine": (1 - math.cos(math.pi * done)) / 2,
    }[settings.schedule]
    return 1 - (1 - settings.final) * fall


def check_warmup(settings: Settings, steps: int) -> None:
    """ValueError for a warm-up without an end."""
    if settings.warmup >= steps:
        raise ValueError(
            f"warmup must be shorter than the run; got {settings.warmup} of {steps} steps"
        )


class Scheduled:
    """lr of every group of an optimizer as a function of the step: nothing to be saved.

    To be made before the optimizer's state is loaded.
    """

    def __init__(self, optimizer: Optimizer, settings: Settings, steps: int) -> None:
        self._optimizer, self._settings, self._steps = optimizer, settings, steps
        self._whole = [float(group["lr"]) for group in optimizer.param_groups]

    def set(self, step: int) -> None:
        """Make lr what it is at a step."""
        part = factor(self._settings, self._steps, step)
        for group, lr in zip(self._optimizer.param_groups, self._whole, strict=True):
            if isinstance(group["lr"], Tensor):
                with torch.no_grad():
                    group["lr"].fill_(lr * part)
            else:
                group["lr"] = lr * part
