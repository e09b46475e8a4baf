"""Letter A: positions move with the momentum. Letter T: time itself."""

from dataclasses import dataclass
from typing import Any, ClassVar

from .elements import Scalar, nonzero, phi1, sqrt
from .part import NonNegative, Part, Positive
from .state import State


@dataclass(frozen=True)
class Drift(Part):
    """x' = p; exact flow x + h p. Keeps the kinetic energy ½|p|²."""

    letter = "A"
    reads = ("p",)
    writes = ("x",)

    def rate(self, s: State) -> dict[str, Any]:
        return {"x": s.p}

    def flow(self, s: State, h: Scalar) -> None:
        s.x = s.x + h * s.p

    def energy(self, s: State) -> Any:
        return 0.5 * s.total(s.p * s.p)


@dataclass(frozen=True)
class MassiveDrift(Part):
    """x' = p/m with m = `mass`; exact flow x + h p/m. Keeps the kinetic energy |p|²/(2m)."""

    letter = "A"
    reads = ("p",)
    writes = ("x",)
    mass: Positive

    def rate(self, s: State) -> dict[str, Any]:
        return {"x": s.p / self.mass}

    def flow(self, s: State, h: Scalar) -> None:
        s.x = s.x + h / self.mass * s.p

    def energy(self, s: State) -> Any:
        return 0.5 * s.total(s.p * s.p) / self.mass


@dataclass(frozen=True)
class PreconditionedDrift(Part):
    """x' = p / (√ζ + ε), element by element; exact flow x + h p / (√ζ + ε).

    Keeps the kinetic energy ½ Σ p²/(√ζ + ε) of CADAM (Karoni, Rajpal, Leimkuhler, Stoltz 2026).
    """

    letter = "A"
    reads: ClassVar[tuple[str, ...]] = ("p", "zeta")
    writes = ("x",)
    eps: NonNegative

    def metric(self, s: State) -> Any:
        """The divisor √ζ + ε, the mass of each coordinate; at rest with ζ = ε = 0 it moves not."""
        return nonzero(sqrt(s.zeta) + self.eps)

    def rate(self, s: State) -> dict[str, Any]:
        return {"x": s.p / self.metric(s)}

    def flow(self, s: State, h: Scalar) -> None:
        s.x = s.x + h * (s.p / self.metric(s))

    def energy(self, s: State) -> Any:
        return 0.5 * s.total(s.p * s.p / self.metric(s))


@dataclass(frozen=True)
class BiasCorrectedDrift(PreconditionedDrift):
    """x' = (s₂/s₁) p / (√ζ + ε s₂), s₁ = 1 − e^{−γt}, s₂ = √(1 − e^{−αt}).

    The drift of torch's Adam: both moments are divided by the weight their averages have
    collected by the time t. The flow holds t still (exact), so a `Clock` must advance t before
    the first drift; the speed grows like 1/√t as t → 0.
    """

    reads: ClassVar[tuple[str, ...]] = ("p", "zeta", "t")
    gamma: Positive
    alpha: Positive

    def metric(self, s: State) -> Any:
        s1 = self.gamma * s.t * phi1(-self.gamma * s.t)
        s2 = sqrt(self.alpha * s.t * phi1(-self.alpha * s.t))
        return nonzero(s1 / nonzero(s2) * (sqrt(s.zeta) + self.eps * s2))


@dataclass(frozen=True)
class Clock(Part):
    """t' = 1; exact flow t + h. For parts whose rate depends on time."""

    letter = "T"
    reads = ()
    writes = ("t",)

    @property
    def scalars(self) -> tuple[str, ...]:
        return ("t",)

    def rate(self, s: State) -> dict[str, Any]:
        return {"t": 0.0 * s.t + 1.0}

    def flow(self, s: State, h: Scalar) -> None:
        s.t = s.t + h
