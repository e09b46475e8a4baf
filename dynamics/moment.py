"""Letter E: the running second moment of the gradient."""

from dataclasses import dataclass
from typing import Any

from .elements import Scalar, exp, log1p, maximum, nonzero, phi1
from .part import NonNegative, Part
from .state import State


@dataclass(frozen=True)
class SecondMoment(Part):
    """ζ' = g² − α ζ, element by element; exact flow e^{−αh} ζ + h φ₁(−αh) g².

    Forwards it keeps ζ >= 0; backwards it is a mean of squares only as long as it is not negative.
    """

    letter = "E"
    reads = ("g", "zeta")
    writes = ("zeta",)
    alpha: NonNegative

    def rate(self, s: State) -> dict[str, Any]:
        return {"zeta": s.g * s.g - self.alpha * s.zeta}

    def flow(self, s: State, h: Scalar) -> None:
        weight = h * phi1(-self.alpha * h)
        s.zeta = exp(-self.alpha * h) * s.zeta + weight * (s.g * s.g)

    def backward_limit(self, s: State) -> Any:
        """−ln(1 − αζ/g²)/α, which is ζ/g² at α = 0: where ζ was 0; without end if αζ >= g².

        From e^{ατ} ζ = (e^{ατ} − 1) g²/α. Written as T ln(1 + u/(1 − u))/u with T = ζ/g² and
        u = αT, so that α = 0 needs no branch; u = 1 stands for all larger ones, and for "without
        end" a time of at least ln(largest number)/α, after which e^{ατ} overflows.
        """
        time = 1 / nonzero(s.g * s.g / nonzero(s.zeta))
        u = nonzero(-maximum(-self.alpha * time, -1.0))
        return time * (log1p(u / nonzero(1 - u)) / u)
