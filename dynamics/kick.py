"""Letter B: the force changes the momentum."""

from dataclasses import dataclass
from typing import Any

from .elements import Scalar
from .part import Part
from .state import State


@dataclass(frozen=True)
class Kick(Part):
    """p' = −∇f(x); exact flow p − h ∇f(x), because x stands still meanwhile."""

    letter = "B"
    reads = ("g",)
    writes = ("p",)

    def rate(self, s: State) -> dict[str, Any]:
        return {"p": -s.g}

    def flow(self, s: State, h: Scalar) -> None:
        s.p = s.p - h * s.g
