"""The noise of a torch optimizer: every parameter is a trajectory, every element a coordinate."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ...dynamics import Dynamics, NoisyPart
from ..bundle import Bundle
from ..words.word import Substep
from .noise import Noise, channel_of


class ParameterNoise:
    """Normal numbers for the noisy letters of an optimizer's word.

    They depend on the seed, the place of the parameter in the optimizer, how many steps that
    parameter has made, and the element; so a resumed run has the noise it would have had. A
    variable with one number per group has the noise of the group's first parameter.
    """

    def __init__(self, dynamics: Dynamics, substeps: Sequence[Substep]) -> None:
        self._dynamics = dynamics
        drivers = [u.part.driver if isinstance(u.part, NoisyPart) else None for u in substeps]
        self._numbers = [drivers[:place].count(driver) for place, driver in enumerate(drivers)]
        self._per_step = [drivers.count(driver) for driver in drivers]

    def draw(
        self, seed: int, place: int, part: NoisyPart, steps: Sequence[int],
        owners: Sequence[tuple[int, Tensor]],
    ) -> list[Bundle]:  # fmt: skip
        """z[0], z[1], ... for the letter at `place` of the word.

        steps    of each parameter, how many it had begun before this one
        owners   of each parameter, the trajectory whose noise it has, and the noisy variable
        """
        rows: list[list[Any]] = []
        for step, (trajectory, value) in zip(steps, owners, strict=True):
            tick = step * self._per_step[place] + self._numbers[place]
            noise = Noise(seed, first=trajectory)
            z = noise.normals(tick, channel_of(part.driver), part.normals, value.numel(), 1)
            z = z.reshape(part.normals, *value.shape).to(value.device, value.dtype)
            rows.append(list(z))
        return [Bundle(column) for column in zip(*rows, strict=True)]
