"""The normal numbers of a step of an optimizer whose dynamics has noise."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from ...dynamics import NoisyPart
from ..bundle import Bundle
from ..noise.parameters import ParameterNoise
from ..words.word import Substep
from .group import ActiveGroup
from .tensors import is_sharded, real_shape, shard_of


class StepNoise:
    """Noise by the place of a parameter in the optimizer, its steps and its elements.

    closing, opening  the pieces of the word that belong to the last step and to this one
    states, places    of parameters of the optimizer

    A parameter that lies on several ranks has the numbers it would have on one.
    """

    def __init__(
        self,
        noise: ParameterNoise,
        closing: Sequence[Substep],
        opening: Sequence[Substep],
        states: Mapping[Tensor, Mapping[str, Any]],
        places: Callable[[Sequence[Tensor]], list[int]],
    ) -> None:
        self._noise, self._states, self._places = noise, states, places
        self._closing, self._opening = len(closing), len(opening)

    def __call__(self, one: ActiveGroup, place: int) -> list[tuple[Any, list[Bundle]]]:
        """The time of the letter at `place` of the call, and its normal numbers."""
        piece = one.sizes.pieces[place]
        assert piece is not None
        part, time = piece
        assert isinstance(part, NoisyPart)
        # a closing piece belongs to the step before, of which a new parameter has none
        before = place < self._closing
        place += self._opening if before else -self._closing
        counts = [state["steps"] for state in one.states]
        trajectories = list(one.places)
        if part.noisy in one.dynamics.scalars:  # one number for the group
            group = one.group["params"]
            shared = max(self._states.get(p, {}).get("steps", 0) for p in group)
            counts = [shared] * len(counts)
            trajectories = self._places(group[:1]) * len(counts)
        steps = [max(0, count - before) for count in counts]
        bundle = getattr(one.state, part.noisy)
        pairs = list(zip(one.params, bundle.tensors, strict=True))
        cuts = [shard_of(param) if t.ndim else shard_of(t) for param, t in pairs]
        whole = [t.new_empty(real_shape(p)) if is_sharded(p) and t.ndim else t for p, t in pairs]
        owners = list(zip(trajectories, whole, strict=True))
        drawn = self._noise.draw(one.group["noise"], place, part, steps, owners)
        here = [[cut(z) for cut, z in zip(cuts, column.tensors, strict=True)] for column in drawn]
        return [(time, [bundle.like(tensors) for tensors in here])]
