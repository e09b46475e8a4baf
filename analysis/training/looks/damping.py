"""How much of the momentum the damping of a step leaves, coordinate by coordinate."""

import math
from typing import Any

import torch
from torch import Tensor

from ....dynamics import KineticFriction, LinearDamping
from ....dynamics.elements import exp
from .layers import Layers
from .replay import Portion, Substep, damps, feels_cap, is_cubic, joined

FROZEN = 0.1
"""A coordinate is frozen where a step leaves less than this part of its momentum."""


class Damping:
    """Effective momentum: the factor by which the letters that damp multiply p in a step.

    It is e^{−γh} in LDHD, e^{−γh}/√(1 + 2chp²) in CD and CADAM, e^{−(γ+ξ)h} in IKFAD with ξ as it
    changes within the step. A coordinate without momentum before has none.
    """

    def __init__(self, layers: Layers) -> None:
        self._layers = layers
        self._counts: dict[str, Tensor] = {}
        self._params: list[Tensor] = []
        self._factors: list[Tensor] = []
        self._frictions: list[Tensor] = []
        self._watched: list[tuple[Tensor, Tensor]] = []
        self._thaws: list[Tensor] = []

    def begin(self, portion: Portion) -> None:
        self._product: Tensor | None = None
        self._felt: Tensor | None = None
        self._linear: Any = 0.0  # γh
        self._kinetic: KineticFriction | None = None
        self._time: Any = 0.0  # for which it acts

    def see(self, portion: Portion, substep: Substep) -> None:
        part, time = substep.part, substep.time
        if not damps(part):
            return
        if is_cubic(part):
            felt = feels_cap(substep)
            self._felt = felt if self._felt is None else self._felt | felt
        if isinstance(part, LinearDamping):
            self._linear = self._linear + part.gamma * time
        if isinstance(part, KineticFriction) and not part.scalar:
            self._kinetic, self._time = part, self._time + time
        if self._product is None:
            self._product = substep.after / substep.before
        elif isinstance(part, LinearDamping):
            self._product = self._product * exp(-part.gamma * time)
        else:  # what has come to 0 by now stays there
            before, after = substep.before, substep.after
            self._product = self._product * torch.where(before == 0, 1.0, after / before)

    def end(self, portion: Portion) -> None:
        if self._product is None:
            return
        params, factors, layers = portion.params, self._product, self._layers
        frozen = factors < FROZEN
        self._count("moving", portion, factors == factors)
        self._count("frozen", portion, frozen)
        if self._felt is not None:
            self._count("capped", portion, self._felt)
        self._params += params
        self._factors.append(layers.sampled(params, factors))
        self._watched.append(layers.watched(params, frozen))
        if self._kinetic is not None:
            xi = joined(portion.state.xi)
            self._frictions.append(layers.sampled(params, xi))
            hot, linear, time = (_at(frozen, one) for one in (xi, self._linear, self._time))
            # until e^{−(γ+ξ)h} is FROZEN, if nothing heats ξ, which then decays like e^{−αt}
            most = -math.log(FROZEN) - linear
            steps = torch.log(hot * time / most) / (self._kinetic.alpha * time)
            self._thaws.append(steps.clamp(min=0))

    def _count(self, name: str, portion: Portion, hits: Tensor) -> None:
        counts = self._layers.counts(portion.params, hits)
        self._counts[name] = self._counts.get(name, 0.0) + counts

    # --- what is told ------------------------------------------------------------------------

    def fractions(self) -> dict[str, Tensor]:
        """ "frozen" and "capped" coordinates, and of how many with a momentum: [2, layers]."""
        counts = {name: self._layers.whole(hits) for name, hits in self._counts.items()}
        of = counts.pop("moving", self._layers.zeros())
        return {name: torch.stack((hits, of)) for name, hits in counts.items()}

    def quantiles(self) -> dict[str, Tensor]:
        """ "momentum" and "friction" (ξ after the step), each [layers, quantiles]."""
        found = {"momentum": self._factors, "friction": self._frictions}
        return {
            name: self._layers.quantiles(self._params, torch.cat(values))
            for name, values in found.items()
            if values
        }

    def numbers(self) -> dict[str, Tensor]:
        """ "watched": which of the coordinates that are followed are frozen; "thaw": for how many
        steps at least frozen coordinates stay so, in the mean and at most, where ξ freezes them.
        """
        found: dict[str, Tensor] = {}
        if self._watched:
            places, hits = map(torch.cat, zip(*self._watched, strict=True))
            found["watched"] = places[hits]
        if self._thaws and len(thaws := torch.cat(self._thaws)):
            found["thaw"] = torch.stack((thaws.mean(), thaws.max()))
        return found


def _at(places: Tensor, value: Any) -> Any:
    """A value of every coordinate, or of all of them, at some."""
    return value[places] if isinstance(value, Tensor) and value.dim() else value
