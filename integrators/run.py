"""The states of a run as it goes: what is saved, and what was lost to overflow."""

import math

import torch
from torch import Tensor

from ..dynamics import State
from .steppers import Stepper
from .trajectory import Status


class Run:
    """The states of a run so far, and which trajectories were lost to overflow at which step."""

    def __init__(
        self,
        s: State,
        names: tuple[str, ...],
        begin: int,
        steps: int,
        save_every: int,
        lost: Tensor | None,
    ) -> None:
        self.s = s
        self.names = names
        self.save_every = save_every
        self.done, self.last = begin, begin + steps
        self.batch = s.x.shape[s.rank :]
        self.stopped_at = torch.full(self.batch, -1, dtype=torch.int64, device=s.x.device)
        self.indices: list[int] = []
        self.saved: dict[str, list[Tensor]] = {name: [] for name in names}
        self.any_lost = self.all_lost = False
        self.last_words = ""
        self.reason = "overflow"
        if lost is not None:
            self.stopped_at.copy_(lost)
            self.any_lost = bool((lost >= 0).any())
        self.save()
        self.all_lost = bool(self.stopped_at.numel()) and bool((self.stopped_at >= 0).all())

    def is_due(self, index: int) -> bool:
        return index % self.save_every == 0 or index == self.last

    def save(self) -> None:
        if self.all_lost:
            return
        values: dict[str, Tensor] = {}
        for name in self.names:
            value = getattr(self.s, name)
            if self.any_lost:
                value = torch.where(self.stopped_at >= 0, math.nan, value)
            values[name] = value.clone()
        self.indices.append(self.done)
        for name, value in values.items():
            self.saved[name].append(value)

    def forget(self, count: int) -> None:
        """Take back everything saved after the first `count` states."""
        del self.indices[count:]
        for values in self.saved.values():
            del values[count:]

    def stacked(self) -> dict[str, Tensor]:
        return {name: torch.stack(values) for name, values in self.saved.items()}

    def advance(self, steps: int, stepper: Stepper) -> None:
        """Several steps; if anything overflowed, once more, one by one, to see what and when."""
        if not self.any_lost:
            before, done, count = self.s.copy(), self.done, len(self.indices)
            try:
                for _ in range(steps):
                    stepper(self.s, self.done)
                    self.done += 1
                    if self.is_due(self.done):
                        self.save()
            finally:  # also after Ctrl-C: what is saved has been looked at
                overflowed = not bool(self._finite(self.s).all())
                if overflowed:
                    self.s, self.done = before, done
                    self.forget(count)
            if not overflowed:
                return
        for _ in range(steps):
            previous = self.s.copy()
            stepper(self.s, self.done)
            self._freeze(previous, stepper)
            self.done += 1
            if self.all_lost:
                return
            if self.is_due(self.done):
                self.save()

    def _freeze(self, previous: State, stepper: Stepper) -> None:
        finite = self._finite(self.s)
        lost_now = ~finite & (self.stopped_at < 0)
        if bool(lost_now.any()):
            self.stopped_at[lost_now] = self.done + 1
            self.any_lost = True
            self.all_lost = bool((self.stopped_at >= 0).all())
            if not self.last_words:
                self.last_words = _describe(previous, lost_now, self.names)
                self.reason = stepper.explain(previous) or "overflow"
        if self.any_lost:
            frozen = self.stopped_at >= 0
            for name in self.names:
                old, new = getattr(previous, name), getattr(self.s, name)
                setattr(self.s, name, torch.where(frozen, old, new))
            self.s.g = None

    def _finite(self, s: State) -> Tensor:
        finite = torch.ones(self.batch, dtype=torch.bool, device=s.x.device)
        for name in self.names:
            value = torch.isfinite(getattr(s, name))
            extra = value.ndim - len(self.batch)
            finite &= value.flatten(0, extra - 1).all(0) if extra else value
        return finite

    def message(self, status: Status, step: float, damped: bool) -> str:
        """What happened; `damped`: without noise, so that a cautious word helps."""
        if status == "interrupted":
            return f"interrupted after step {self.done}"
        if not self.any_lost:
            return ""
        lost = self.stopped_at[self.stopped_at >= 0]
        first = int(lost.min())
        many = f"{len(lost)} of {self.stopped_at.numel()} trajectories; the first " * (
            self.stopped_at.numel() > 1
        )
        where = f"{many}at step {first} (t = {first * step:g})"
        if not self.last_words:
            return f"lost before the run went on: {where}"
        where += f", coming from {self.last_words}"
        if self.reason != "overflow":
            return f"no flow backwards: {where}: {self.reason}"
        advice = "a smaller step"
        if damped:
            advice += (
                ", or a word in which every kick is damped before the drift that follows, such as "
                "BCDA"
            )
        return f"overflow: {where}. Try {advice}"


def _describe(s: State, lost: Tensor, names: tuple[str, ...]) -> str:
    """The variables of the first lost trajectory just before it was lost."""
    index = tuple(lost.nonzero()[0].tolist())
    parts = []
    for name in names:
        value = getattr(s, name)
        value = value[(..., *index)] if index else value
        values = value.flatten()[:4].tolist()
        dots = ", ..." if value.numel() > 4 else ""
        parts.append(f"{name} = [{', '.join(f'{v:.3g}' for v in values)}{dots}]")
    return ", ".join(parts)
