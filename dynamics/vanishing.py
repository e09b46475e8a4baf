"""Letters D and B with a clock: damping that vanishes like r/t, and the kick that goes with it."""

from dataclasses import dataclass
from typing import Any

from .elements import Scalar, nonzero
from .part import NonNegative, Part
from .state import State


@dataclass(frozen=True)
class VanishingDamping(Part):
    """p' = −r p/(t + t₀),  t' = 1; exact flow p ((t + t₀)/(t + t₀ + h))^r,  t + h.

    It carries the clock. From t + t₀ = 0 the flow is finite: it leaves p = 0, whatever p was.
    Backwards it ends there, at t = −t₀.

    r: strength, 3 for Nesterov's method; onset: t₀ >= 0, the age of the clock at t = 0.
    """

    letter = "D"
    reads = ("p", "t")
    writes = ("p", "t")
    r: NonNegative
    onset: NonNegative = 0.0

    @property
    def scalars(self) -> tuple[str, ...]:
        return ("t",)

    def rate(self, s: State) -> dict[str, Any]:
        age = nonzero(s.t + self.onset)
        return {"p": -self.r / age * s.p, "t": 0.0 * s.t + 1.0}

    def flow(self, s: State, h: Scalar) -> None:
        age = s.t + self.onset
        s.p = (age / nonzero(age + h)) ** self.r * s.p
        s.t = s.t + h

    def backward_limit(self, s: State) -> Any:
        """t + t₀: the age of the clock, at which p came from infinity."""
        return s.t + self.onset


@dataclass(frozen=True)
class RisingKick(Part):
    """p' = −t/(t + t₀) ∇f(x); exact flow p − h t/(t + t₀) ∇f(x) (x and t stand still).

    The force sets in over the time t₀ = `onset` >= 0. Some other part must advance t, which
    stays above −t₀; there the flow exists backwards for ever.
    """

    letter = "B"
    reads = ("g", "t")
    writes = ("p",)
    onset: NonNegative

    def rate(self, s: State) -> dict[str, Any]:
        return {"p": -(s.t / nonzero(s.t + self.onset)) * s.g}

    def flow(self, s: State, h: Scalar) -> None:
        s.p = s.p - h * (s.t / nonzero(s.t + self.onset)) * s.g
