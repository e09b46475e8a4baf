"""The step sizes of a group in one call, and the times for which its letters flow."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ...dynamics import Dynamics, Part, WeightDecay
from ..bundle import Bundle
from ..words.word import Substep
from .options import number, waits
from .state import last_size

Piece = tuple[Part, Any]
"""A part with its own hyperparameters, and the time for which it flows."""


class StepSizes:
    """The step size of a group, and the last one of each of its parameters.

    h       with a tensor lr and `capturable` (or `differentiable`) a tensor on the device, which
            nobody waits for; else a number
    last    one for all parameters, or a Bundle with one for each; 0 where a parameter is new
    moves   whether h is not 0, where nobody waits for it; else None
    pieces  the parts of closing and opening; None for one that has nothing to do

    x        the parameters, as they are computed with
    tracing  for torch's compiler numbers are tensors: other numbers compile nothing anew
    """

    h: Any
    last: Any
    pieces: list[Piece | None]

    def __init__(
        self,
        dynamics: Dynamics,
        closing: Sequence[Substep],
        opening: Sequence[Substep],
        group: Mapping[str, Any],
        states: Sequence[Mapping[str, Any]],
        x: Bundle,
        tracing: bool,
    ) -> None:
        self._group, self._waits = group, waits(group)
        self._device = x.tensors[0].device
        self.moves: Tensor | None = None
        if self._waits:
            sizes = [last_size(state) for state in states]
            self._leader = max(range(len(sizes)), key=lambda i: sizes[i] != 0)
            self.h = number(group["lr"])
            self.last = sizes[0]
            if any(size != sizes[0] for size in sizes):
                self.last = self._each(sizes, x)
            elif tracing and sizes[0]:
                self.last = self._tensor(sizes[0])
            if tracing:
                self.h = self._tensor(self.h)
        else:
            self.h = self._tensor(group["lr"].reshape(()))
            self.moves = self.h.detach() != 0
            self.last = self._each([state.get("h", 0.0) for state in states], x)
        values = group
        if tracing:
            values = {name: self._tensor(group[name]) for name in dynamics.hyperparameters}
        parts = dynamics.bind(values).letters
        self.pieces = [
            self._piece(parts[substep.part.letter], size, float(substep.fraction))
            for substeps, size in ((closing, self.last), (opening, self.h))
            for substep in substeps
        ]

    def _tensor(self, value: Any) -> Tensor:
        """On the device; one that is there already is waited for by nobody."""
        if isinstance(value, Tensor):
            return value.to(self._device, torch.float64)
        return torch.full((), value, dtype=torch.float64, device=self._device)

    def _each(self, sizes: Sequence[Any], x: Bundle) -> Bundle:
        """One for each parameter, where that is."""
        pairs = zip(sizes, x.tensors, strict=True)
        return x.like([self._tensor(size).to(t.device) for size, t in pairs])

    def _piece(self, part: Part, size: Any, fraction: float) -> Piece | None:
        decay = self._group["weight_decay"]
        rests = not isinstance(decay, Tensor) and decay == 0 and isinstance(part, WeightDecay)
        still = isinstance(size, float) and size == 0
        return None if rests or still else (part, size * fraction)

    def of(self, chosen: Callable[[Sequence[Any]], list[Any]], bundle: Bundle) -> "StepSizes":
        """Those of some of the parameters, which compute as `bundle` does."""

        def narrowed(value: Any) -> Any:
            return bundle.like(chosen(value.tensors)) if isinstance(value, Bundle) else value

        some = copy.copy(self)
        some.last = narrowed(self.last)
        some.pieces = [piece and (piece[0], narrowed(piece[1])) for piece in self.pieces]
        return some

    def leader(self, copies: Sequence[Tensor]) -> Tensor:
        """Of a number that the parameters share, the copy of one that is not new."""
        if self._waits:
            return copies[self._leader]
        old = torch.stack(self.last.tensors).ne(0).to(torch.uint8).argmax().reshape(1)
        return torch.stack(list(copies)).index_select(0, old).reshape(())

    def count(self, states: Sequence[dict[str, Any]]) -> None:
        """What is to be known of this step at the next one."""
        for state in states:
            if "h" in state:
                state["h"] = number(self._group["lr"]) if self._waits else self._counted(state["h"])
            if "steps" in state:
                state["steps"] += 1

    def _counted(self, last: Any) -> Tensor:
        """The last step size from now on, in the tensor in which it is kept."""
        assert self.moves is not None
        last = self._tensor(last)
        size = torch.where(self.moves, self.h, last)
        return size if self._group["differentiable"] else last.copy_(size)
