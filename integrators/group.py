"""What a step of an optimizer moves: the parameters of a group, and their state."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..dynamics import Dynamics, State
from .bundle import Bundle, step_sizes


class ActiveGroup:
    """What a step moves of one group: its parameters with gradients, and their state."""

    def __init__(
        self,
        group: dict[str, Any],
        params: list[Tensor],
        state: State,
        dynamics: Dynamics,
        sizes: list[float],
    ) -> None:
        self.group, self.params, self.state, self.dynamics = group, params, state, dynamics
        self.last = step_sizes(sizes, params)  # last step size, 0 where the parameter is new
        self._leader = max(range(len(params)), key=lambda i: sizes[i] != 0)
        self.shared = [name for name in dynamics.scalars if name != "t"]

    def share_friction(self) -> None:
        """After the closing piece, a new parameter takes the friction of the others."""
        for name in self.shared:
            copies = getattr(self.state, name).tensors
            leader = copies[self._leader]
            setattr(self.state, name, Bundle([leader.to(t.device) for t in copies]))


def write(params: Sequence[Tensor], x: Bundle) -> None:
    """Put the values into the parameters."""
    for param, value in zip(params, x.tensors, strict=True):
        param.copy_(value)


def state_dtype(param: Tensor) -> torch.dtype:
    """That of the parameter, but float32 at least."""
    return torch.promote_types(param.dtype, torch.float32)
