"""Letters D, C and their sum G: damping that depends on the momentum alone. Letter W: on x."""

from dataclasses import dataclass
from typing import Any

from .elements import Scalar, exp, log1p, maximum, nonzero, phi1, soft_cap
from .part import NonNegative, Part
from .state import State


@dataclass(frozen=True)
class LinearDamping(Part):
    """p' = −γ p; exact flow e^{−γh} p."""

    letter = "D"
    reads = ("p",)
    writes = ("p",)
    gamma: NonNegative

    def rate(self, s: State) -> dict[str, Any]:
        return {"p": -self.gamma * s.p}

    def flow(self, s: State, h: Scalar) -> None:
        s.p = exp(-self.gamma * h) * s.p


@dataclass(frozen=True)
class CubicDamping(Part):
    """p' = −c p³, element by element; exact flow p / √(1 + 2 c h p²).

    After it |p| <= 1/√(2 c h), whatever the momentum was before.
    """

    letter = "C"
    reads = ("p",)
    writes = ("p",)
    c: NonNegative

    def rate(self, s: State) -> dict[str, Any]:
        return {"p": -self.c * s.p * s.p * s.p}

    def flow(self, s: State, h: Scalar) -> None:
        s.p = soft_cap(2 * self.c * h, s.p)

    def backward_limit(self, s: State) -> Any:
        """1/(2 c p²): where the solution came from infinity."""
        return _cubic_past(self.c, s.p)


@dataclass(frozen=True)
class CubicLinearDamping(Part):
    """p' = −γ p − c p³, element by element: C and D in one exact (Bernoulli) flow

        e^{−γh} p / √(1 + c φ p²),  φ = (1 − e^{−2γh})/γ = 2h φ₁(−2γh).

    After it |p| <= √(γ / (c (e^{2γh} − 1))), which is 1/√(2ch) at γ = 0.
    """

    letter = "G"
    reads = ("p",)
    writes = ("p",)
    gamma: NonNegative
    c: NonNegative

    def split(self) -> tuple[Part, ...]:
        values = self.hyperparameters
        return (LinearDamping(0.0).bind(values), CubicDamping(0.0).bind(values))

    def rate(self, s: State) -> dict[str, Any]:
        return {"p": -self.gamma * s.p - self.c * s.p * s.p * s.p}

    def flow(self, s: State, h: Scalar) -> None:
        phi = 2 * h * phi1(-2 * self.gamma * h)
        s.p = exp(-self.gamma * h) * soft_cap(self.c * phi, s.p)

    def backward_limit(self, s: State) -> Any:
        """ln(1 + γ/(c p²)) / (2γ), which is 1/(2 c p²) at γ = 0: where the flow's root vanishes.

        Written as T ln(1 + u)/u with T = 1/(2 c p²) and u = 2γT, so that γ = 0 needs no branch;
        u is kept below 1e30, where T is beyond any use.
        """
        cubic = _cubic_past(self.c, s.p)
        u = nonzero(-maximum(-2 * self.gamma * cubic, -1e30))
        return cubic * (log1p(u) / u)


def _cubic_past(c: Scalar, p: Any) -> Any:
    """1/(2 c p²): the time that p' = −c p³ has taken from infinity to p."""
    return 1 / nonzero(2 * c * p * p)


@dataclass(frozen=True)
class WeightDecay(Part):
    """x' = −w x with w = `weight_decay`; exact flow e^{−wh} x (decoupled, as in AdamW)."""

    letter = "W"
    reads = ("x",)
    writes = ("x",)
    weight_decay: NonNegative

    def rate(self, s: State) -> dict[str, Any]:
        return {"x": -self.weight_decay * s.x}

    def flow(self, s: State, h: Scalar) -> None:
        s.x = exp(-self.weight_decay * h) * s.x
