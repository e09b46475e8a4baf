"""How far the flows of a word look: at one element, at a whole tensor, at a group of them."""

from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor

from ...dynamics import Dynamics, NoisyPart, State
from ..bundle import Bundle, Sums
from ..step import apply
from ..words.word import Substep

Reach = Literal["element", "tensor", "group"]


def reach(dynamics: Dynamics, pieces: Iterable[Substep], ranks: Iterable[int]) -> Reach:
    """Over what the flows add up, for tensors with so many axes; seen by trying them.

    "element" if every element moves by itself, "tensor" if means of rows or columns are taken,
    "group" if sums over all tensors are, or if the tensors share a variable.
    """
    if any(name != "t" for name in dynamics.scalars):
        return "group"
    spy = _Spy()
    pieces = [*pieces]
    for rank in sorted(set(ranks)):
        shape = (2,) * rank
        variables = {
            name: Bundle([torch.ones(dynamics.shape_of(name, shape), dtype=torch.float64)], spy)
            for name in dynamics.variables
        }
        ones = Bundle([torch.ones(shape, dtype=torch.float64)], spy)

        def draw(place: int, ones: Bundle = ones) -> list[tuple[float, Any]]:
            part = pieces[place].part
            return [(0.0, [ones] * part.normals)] if isinstance(part, NoisyPart) else []

        state = State({**variables, "g": ones})
        apply([(u.part, 0.0) for u in pieces], state, lambda _, ones=ones: ones, draw=draw)
    return spy.seen


class _Spy(Sums):
    """Notices that a sum is taken."""

    seen: Reach = "element"

    def totals(self, sums: list[Tensor]) -> list[Tensor]:
        self.seen = "group"
        return sums

    def mean(self, tensor: Tensor, place: int, axes: tuple[int, ...]) -> Tensor:
        if axes and self.seen == "element":
            self.seen = "tensor"
        return tensor.mean(dim=axes, keepdim=True) if axes else tensor
