"""Where the energy of a step comes from and goes to: E = f + ½|p|², letter by letter."""

import torch
from torch import Tensor

from ....dynamics import Dynamics, Part, State
from ....integrators.bundle import Bundle
from ....integrators.optimizer import WordOptimizer
from .layers import Layers
from .replay import Portion, Substep, damps, joined


class _Density(State):
    """A state whose sums over coordinates are left undone: an energy of it is its density."""

    def total(self, value: Bundle) -> Bundle:
        return value


def kinetic(dynamics: Dynamics, s: State) -> Tensor:
    """½p² of every coordinate (CADAM: ½ p²/(√ζ + ε)), in one row."""
    return joined(dynamics.mechanical_energy(_Density(s.__dict__, s.rank), 0.0))


class Energy:
    """The kinetic energy of every layer before a step and after each of its letters."""

    def __init__(self, optimizer: WordOptimizer, layers: Layers) -> None:
        self._layers = layers
        self._parts: dict[int, Part] = {}  # those that do something, by place
        places = len(optimizer.closing) + len(optimizer.opening)
        self._levels = torch.stack([layers.zeros() for _ in range(places + 1)])

    def begin(self, portion: Portion) -> None:
        self._next = 0
        self._now = self._layers.sums(portion.params, kinetic(portion.dynamics, portion.state))

    def see(self, portion: Portion, substep: Substep) -> None:
        self._parts[substep.place] = substep.part
        self._hold(substep.place + 1)
        if set(substep.part.writes) - {"x"}:
            sums = kinetic(portion.dynamics, portion.state)
            self._now = self._layers.sums(portion.params, sums)

    def end(self, portion: Portion) -> None:
        self._hold(len(self._levels))

    def _hold(self, place: int) -> None:
        """The energy is what it was at all places before this one."""
        self._levels[self._next : place] += self._now
        self._next = place

    def levels(self) -> Tensor:
        """Before the step and after each place of it, [places + 1, layers]."""
        return self._layers.whole(self._levels)

    def changes(self, levels: Tensor) -> dict[str, Tensor]:
        """Of the kinetic energy of the network by each letter; what moves x alone leaves it."""
        found: dict[str, Tensor] = {}
        changes = levels.sum(1).diff()
        for place, part in sorted(self._parts.items()):
            found[part.letter] = found.get(part.letter, 0.0) + changes[place]
        return found

    def moving(self) -> str:
        """The letters that move x."""
        parts = (part for _, part in sorted(self._parts.items()))
        return "".join(dict.fromkeys(part.letter for part in parts if "x" in part.writes))

    def friction(self, levels: Tensor, h: float) -> Tensor:
        """Γ: all letters that damp multiply the kinetic energy by e^{−2Γh}, 0-dim."""
        damping = [place for place, part in self._parts.items() if damps(part)]
        return -levels.sum(1).log().diff()[damping].sum() / (2 * h)
