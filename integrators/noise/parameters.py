"""The noise of a torch optimizer: every parameter is a trajectory, every element a coordinate."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ...dynamics import NoisyPart
from ..bundle import Bundle
from ..words.word import Substep
from .draws import by_driver
from .noise import Noise, channel_of


class ParameterNoise:
    """Normal numbers for the noisy letters of an optimizer's word.

    They depend on the seed, the place of the parameter in the optimizer, how many steps that
    parameter has made, and the element; so a resumed run has the noise it would have had. A
    variable with one number per group has the noise of the group's first parameter.
    """

    def __init__(self, substeps: Sequence[Substep]) -> None:
        self._turns = {
            place: (number, len(places))
            for places in by_driver(substeps)
            for number, place in enumerate(places)
        }

    def draw(
        self, seed: int, place: int, part: NoisyPart, steps: Sequence[int],
        owners: Sequence[tuple[int, Tensor]],
    ) -> list[Bundle]:  # fmt: skip
        """z[0], z[1], ... for the letter at `place` of the word.

        steps    of each parameter, how many it had begun before this one
        owners   of each parameter, the trajectory whose noise it has, and the noisy variable
        """
        number, per_step = self._turns[place]
        rows: list[list[Any]] = []
        for step, (trajectory, value) in zip(steps, owners, strict=True):
            tick = step * per_step + number
            noise = Noise(seed, first=trajectory)
            z = noise.normals(tick, channel_of(part.driver), part.normals, value.numel(), 1)
            z = z.reshape(part.normals, *value.shape).to(value.device, value.dtype)
            rows.append(list(z))
        return [Bundle(column) for column in zip(*rows, strict=True)]
