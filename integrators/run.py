"""The states of a run as it goes: what is saved, and what was lost to overflow."""

import math
import os
from collections.abc import Mapping

import torch
from torch import Tensor

from ..dynamics import State
from .advance import Advance
from .trajectory import Status

_INDEX = 44  # bytes of the number of a saved state: in a list, and as a time


def refuse_memory(s: State, names: tuple[str, ...], steps: int, save_every: int) -> None:
    """MemoryError for a run whose saved states do not fit, twice when they are joined."""
    values = [getattr(s, name) for name in names]
    each = 2 * sum(value.numel() * value.element_size() for value in values) + _INDEX
    count, there = steps // save_every + 2, _memory(s.x.device)
    if count * each > there:
        raise MemoryError(
            f"save_every={save_every} keeps {count:.3g} states of {steps:.3g} steps, which takes "
            f"{count * each / 2**30:.3g} GiB; {s.x.device} has {there / 2**30:.3g}. Take "
            f"save_every={-(-steps * each * 2 // there)} or more, or an ensemble, which keeps "
            "only what its reductions make"
        )


def _memory(device: torch.device) -> float:
    """Bytes of memory of a device; ∞ where nobody knows."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    if device.type != "cpu" or not hasattr(os, "sysconf"):
        return math.inf
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


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

    def save(self) -> None:
        """Save the present state."""
        if self.all_lost:
            return
        gone = self.stopped_at >= 0
        self._append(
            [self.done],
            {
                name: torch.where(gone, math.nan, getattr(self.s, name))[None]
                if self.any_lost
                else getattr(self.s, name)[None].clone()
                for name in self.names
            },
        )

    def stacked(self) -> dict[str, Tensor]:
        return {name: torch.cat(values) for name, values in self.saved.items()}

    def advance(self, steps: int, engine: Advance) -> None:
        """Several steps, and what is due to be saved of them."""
        begin, every = self.done, self.save_every
        due = list(range(begin - begin % every + every, begin + steps + 1, every))
        rows = {
            name: value.new_empty((len(due), *value.shape))
            for name in self.names
            for value in (getattr(self.s, name),)
        }
        try:
            engine.advance(self.s, begin, steps, self.stopped_at, every, rows)
        finally:  # also after Ctrl-C
            self.done = engine.done
            self._look_for_lost(engine)
            last = int(self.stopped_at.max()) if self.all_lost else math.inf
            kept = [index for index in due[: engine.written] if index < last]
            self._append(kept, {name: row[: len(kept)] for name, row in rows.items()})
        if self.done == self.last and self.last % every:
            self.save()

    def _append(self, indices: list[int], rows: Mapping[str, Tensor]) -> None:
        if indices:
            self.indices += indices
            for name, row in rows.items():
                self.saved[name].append(row)

    def _look_for_lost(self, engine: Advance) -> None:
        lost = self.stopped_at >= 0
        if self.any_lost or not bool(lost.any()):
            self.all_lost = self.any_lost and bool(lost.all())
            return
        self.any_lost, self.all_lost = True, bool(lost.all())
        first = lost & (self.stopped_at == self.stopped_at[lost].min())
        self.last_words = _describe(self.s, first, self.names)
        self.reason = engine.reason or "overflow"

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
