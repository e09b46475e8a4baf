"""Letter O: friction and the noise that balances it. Letter U: the drift with them, exactly."""

from dataclasses import dataclass
from typing import Any, ClassVar

from ..drift import Drift
from ..elements import Scalar, exp, phi1, sqrt, tanh_gap
from ..part import NonNegative, Part
from ..state import State
from .noisy import SILENCE, NoisyPart


def relaxed(v: Any, u: Any, shock: Any, z: Any) -> Any:
    """e^{−u} v + shock z₁: what is left of v, and what the noise has brought.

    The exact step of an Ornstein–Uhlenbeck process with u = rate · h.
    """
    return exp(-u) * v + shock * z[0]


def spread(variance: Any, u: Any) -> Any:
    """√(V (1 − e^{−2u})): the shock of such a step where V is the stationary variance."""
    return sqrt(variance * (2 * u * phi1(-2 * u)))


def path(h: Scalar, u: Any, z: Any) -> Any:
    """W(h) = √h (φ₁(−u)/√φ₁(−2u) z₁ + ½u √((v − tanh v)/v³) z₂) of that step, with v = u/2."""
    seen = phi1(-u) / sqrt(phi1(-2 * u))
    return sqrt(h) * (seen * z[0] + 0.5 * u * sqrt(tanh_gap(u / 2)) * z[1])


@dataclass(frozen=True)
class _Bath(NoisyPart, abstract=True):
    """dp = −γ p dt + √(2γT) dW, with others or alone."""

    reads: ClassVar[tuple[str, ...]] = ("p",)
    noisy: ClassVar[str] = "p"
    path_normals: ClassVar[int] = 2
    gamma: NonNegative
    temperature: NonNegative

    def rate(self, s: State) -> dict[str, Any]:
        return {"p": -self.gamma * s.p}

    def amplitude(self, s: State) -> Any:
        return sqrt(2 * self.gamma * self.temperature)

    def increment(self, h: Scalar, z: Any) -> Any:
        return path(h, self.gamma * h, z)


@dataclass(frozen=True)
class OrnsteinUhlenbeck(_Bath):
    """dp = −γ p dt + √(2γT) dW; exact flow e^{−γh} p + √(T (1 − e^{−2γh})) z.

    γ = `gamma` in units of 1/time, T = `temperature` in units of energy. At T = 0 it is linear
    damping. Its normal number z is that of the integral ∫ e^{−γ(h−s)} dW(s); a second one makes
    it W(h) itself.
    """

    letter = "O"
    writes = ("p",)

    def flow(self, s: State, h: Scalar, z: Any = SILENCE) -> None:
        u = self.gamma * h
        s.p = relaxed(s.p, u, spread(self.temperature, u), z)


@dataclass(frozen=True)
class DriftOrnsteinUhlenbeck(_Bath):
    """dx = p dt,  dp = −γ p dt + √(2γT) dW: A and O in one exact flow.

    With u = γh, σ² = 2γT and the normals z₁ (that of O) and z₂:
        x ← x + h φ₁(−u) p + σ h^{3/2} (½ φ₁(−u)²/√φ₁(−2u) z₁ + ½ √((v − tanh v)/v³) z₂),  v = u/2
        p ← e^{−u} p + σ √(h φ₁(−2u)) z₁
    """

    letter = "U"
    writes = ("x", "p")
    normals = 2

    @property
    def driver(self) -> str:
        return OrnsteinUhlenbeck.letter

    def split(self) -> tuple[Part, ...]:
        return (Drift(), OrnsteinUhlenbeck(0.0, 0.0).bind(self.hyperparameters))

    def rate(self, s: State) -> dict[str, Any]:
        return {"x": s.p, **super().rate(s)}

    def flow(self, s: State, h: Scalar, z: Any = SILENCE) -> None:
        u = self.gamma * h
        kick = self.amplitude(s) * sqrt(h)
        reach, root = phi1(-u), sqrt(phi1(-2 * u))
        seen = 0.5 * h * kick * reach * reach / root  # scalars first: they cost nothing
        rest = 0.5 * h * kick * sqrt(tanh_gap(u / 2))
        s.x = s.x + h * reach * s.p + seen * z[0] + rest * z[1]
        s.p = relaxed(s.p, u, kick * root, z)

    def energy(self, s: State) -> Any:
        return Drift().energy(s)
