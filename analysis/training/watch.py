"""How long a run spends on what."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Watch:
    """Seconds by what they went to; what is `timed` within something else is not counted there.

    A CUDA device is waited for only where the time goes from one thing to another.
    """

    def __init__(self, device: torch.device) -> None:
        self.seconds = {"train": 0.0, "evaluate": 0.0, "look": 0.0, "save": 0.0}
        self._device, self._now, self._since = device, "", 0.0

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        before = self._turn(what)
        try:
            yield
        finally:
            self._turn(before)

    def read(self, what: str) -> float:
        """Seconds until now."""
        self._turn(self._now)
        return self.seconds[what]

    def _turn(self, what: str) -> str:
        before, self._now = self._now, what
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        if before:
            self.seconds[before] += now - self._since
        self._since = now
        return before
