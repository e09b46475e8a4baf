"""Letter O: friction and the noise that balances it. Letter U: the drift with them, exactly."""

from dataclasses import dataclass
from typing import Any

from .drift import Drift
from .elements import Scalar, exp, phi1, sqrt, tanh_gap
from .noisy import SILENCE, NoisyPart
from .part import NonNegative, Part
from .state import State


@dataclass(frozen=True)
class OrnsteinUhlenbeck(NoisyPart):
    """dp = −γ p dt + √(2γT) dW; exact flow e^{−γh} p + √(T (1 − e^{−2γh})) z.

    γ = `gamma` in units of 1/time, T = `temperature` in units of energy. At T = 0 it is linear
    damping. Its normal number z is that of the integral ∫ e^{−γ(h−s)} dW(s); a second one makes
    it W(h) itself.
    """

    letter = "O"
    reads = ("p",)
    writes = ("p",)
    noisy = "p"
    path_normals = 2
    gamma: NonNegative
    temperature: NonNegative

    def rate(self, s: State) -> dict[str, Any]:
        return {"p": -self.gamma * s.p}

    def amplitude(self, s: State) -> Any:
        return sqrt(2 * self.gamma * self.temperature)

    def flow(self, s: State, h: Scalar, z: Any = SILENCE) -> None:
        s.p = relaxed(s.p, self.gamma * h, self.temperature, z)

    def increment(self, h: Scalar, z: Any) -> Any:
        return path(h, self.gamma * h, z)


def relaxed(v: Any, u: Any, variance: Any, z: Any) -> Any:
    """e^{−u} v + √(V (1 − e^{−2u})) z₁: what is left of v, and what the noise has brought.

    The exact step of an Ornstein–Uhlenbeck process with stationary variance V and u = rate · h.
    """
    return exp(-u) * v + sqrt(variance * (2 * u * phi1(-2 * u))) * z[0]


def path(h: Scalar, u: Any, z: Any) -> Any:
    """W(h) = √h (φ₁(−u)/√φ₁(−2u) z₁ + ½u √((v − tanh v)/v³) z₂) of that step, with v = u/2."""
    seen = phi1(-u) / sqrt(phi1(-2 * u))
    return sqrt(h) * (seen * z[0] + 0.5 * u * sqrt(tanh_gap(u / 2)) * z[1])


@dataclass(frozen=True)
class DriftOrnsteinUhlenbeck(NoisyPart):
    """dx = p dt,  dp = −γ p dt + √(2γT) dW: A and O in one exact flow.

    With u = γh, σ² = 2γT and the normals z₁ (that of O) and z₂:
        x ← x + h φ₁(−u) p + σ h^{3/2} (½ φ₁(−u)²/√φ₁(−2u) z₁ + ½ √((v − tanh v)/v³) z₂),  v = u/2
        p ← e^{−u} p + σ √(h φ₁(−2u)) z₁
    """

    letter = "U"
    reads = ("p",)
    writes = ("x", "p")
    noisy = "p"
    normals = 2
    path_normals = 2
    gamma: NonNegative
    temperature: NonNegative

    @property
    def driver(self) -> str:
        return OrnsteinUhlenbeck.letter

    def split(self) -> tuple[Part, ...]:
        return (Drift(), OrnsteinUhlenbeck(0.0, 0.0).bind(self.hyperparameters))

    def rate(self, s: State) -> dict[str, Any]:
        return {"x": s.p, "p": -self.gamma * s.p}

    def amplitude(self, s: State) -> Any:
        return sqrt(2 * self.gamma * self.temperature)

    def flow(self, s: State, h: Scalar, z: Any = SILENCE) -> None:
        u = self.gamma * h
        kick = self.amplitude(s) * sqrt(h)
        reach, spread = phi1(-u), sqrt(phi1(-2 * u))
        seen = 0.5 * h * kick * reach * reach / spread  # scalars first: they cost nothing
        rest = 0.5 * h * kick * sqrt(tanh_gap(u / 2))
        s.x = s.x + h * reach * s.p + seen * z[0] + rest * z[1]
        s.p = exp(-u) * s.p + kick * spread * z[0]

    def energy(self, s: State) -> Any:
        return Drift().energy(s)

    def increment(self, h: Scalar, z: Any) -> Any:
        return path(h, self.gamma * h, z)
