"""Letter E: the running second moment of the gradient."""

from dataclasses import dataclass
from typing import Any

from .elements import Scalar, exp, phi1
from .part import NonNegative, Part
from .state import State


@dataclass(frozen=True)
class SecondMoment(Part):
    """ζ' = g² − α ζ, element by element; exact flow e^{−αh} ζ + h φ₁(−αh) g²."""

    letter = "E"
    reads = ("g", "zeta")
    writes = ("zeta",)
    alpha: NonNegative

    def rate(self, s: State) -> dict[str, Any]:
        return {"zeta": s.g * s.g - self.alpha * s.zeta}

    def flow(self, s: State, h: Scalar) -> None:
        weight = h * phi1(-self.alpha * h)
        s.zeta = exp(-self.alpha * h) * s.zeta + weight * (s.g * s.g)
