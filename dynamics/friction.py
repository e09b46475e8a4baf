"""Letter C of KFAD and iKFAD: friction that follows the kinetic energy."""

from dataclasses import dataclass
from typing import Any, Literal

from .elements import Scalar, exp, phi1, sqrt
from .part import NonNegative, Part, Positive
from .state import State

Scheme = Literal["palindrome", "rotation"]


class _AdaptiveFriction(Part, abstract=True):
    """p' = −ξ p with a friction ξ of thermal mass μ that the momenta heat, each or all together."""

    letter = "C"
    reads = ("p", "xi")
    writes = ("p", "xi")
    kind = "symmetric"
    mu: Scalar
    scalar: bool

    @property
    def scalars(self) -> tuple[str, ...]:
        return ("xi",) if self.scalar else ()

    def _excess(self, s: State) -> Any:
        """What heats the friction, element by element."""
        return s.p * s.p

    def _heat(self, s: State) -> Any:
        q = self._excess(s)
        return (s.total(q) if self.scalar else q) / self.mu

    def _palindrome(self, s: State, h: Scalar, alpha: Scalar) -> None:
        s.p = exp(s.xi * (-h / 2)) * s.p
        weight = h * phi1(-alpha * h)
        s.xi = exp(-alpha * h) * s.xi + weight * self._heat(s)
        s.p = exp(s.xi * (-h / 2)) * s.p

    def energy(self, s: State) -> Any:
        return 0.5 * self.mu * (s.xi * s.xi if self.scalar else s.total(s.xi * s.xi))


@dataclass(frozen=True)
class KineticFriction(_AdaptiveFriction):
    """p' = −ξ p,  ξ' = q/μ − α ξ,  with q = p² per coordinate, or q = |p|² and one ξ (`scalar`).

    For α > 0 the flow has no known closed form; both schemes are symmetric, second order, and
    keep ξ >= 0 and the sign of p for any h > 0 (h/2 is written ½):

    * "palindrome": damp½, ξ, damp½ with p ← e^{−ξh/2} p and ξ ← e^{−αh} ξ + h φ₁(−αh) q/μ.
      Overshoots ξ when h|p|/√μ is above 1: a gradient spike then freezes the coordinate.
    * "rotation": decay½, exact flow at α = 0, decay½. At α = 0, R² = ξ² + q/μ is conserved and,
      with τ = tanh(Rh): p ← p sech(Rh)/(1 + ξτ/R), ξ ← (ξ + Rτ)/(1 + ξτ/R). Some hundred times
      more accurate in strong transients, less accurate when αh is large.

    Karoni, Leimkuhler, Stoltz 2023 (KFAD); Karoni, Rajpal, Leimkuhler, Stoltz 2026 (iKFAD).
    """

    alpha: NonNegative
    mu: Positive
    scalar: bool = False
    scheme: Scheme = "palindrome"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scheme not in ("palindrome", "rotation"):
            raise ValueError(
                f"scheme must be 'palindrome' or 'rotation'; got {self.scheme!r} "
                "(in KineticFriction)"
            )

    def rate(self, s: State) -> dict[str, Any]:
        return {"p": -(s.xi * s.p), "xi": self._heat(s) - self.alpha * s.xi}

    def flow(self, s: State, h: Scalar) -> None:
        if self.scheme == "palindrome":
            self._palindrome(s, h, self.alpha)
        else:
            half = exp(-self.alpha * h / 2)
            s.xi = half * s.xi
            self._rotate(s, h)
            s.xi = half * s.xi

    def _rotate(self, s: State, h: Scalar) -> None:
        """The exact flow at α = 0, written with e^{−Rh} so that nothing overflows."""
        r2 = s.xi * s.xi + self._heat(s)
        r = sqrt(r2)
        e = exp(r * -h)
        tau_over_r = 2 * h * phi1(r * (-2 * h)) / (1 + e * e)  # tanh(Rh)/R, = h at R = 0
        d = 1 + s.xi * tau_over_r
        s.p = 2 * e / ((1 + e * e) * d) * s.p
        s.xi = (s.xi + r2 * tau_over_r) / d


@dataclass(frozen=True)
class Thermostat(_AdaptiveFriction):
    """p' = −ξ p,  ξ' = (q − T)/μ per coordinate, or (|p|² − dT)/μ and one ξ (`scalar`).

    The friction of Nosé and Hoover: it grows while the momenta are hotter than T and becomes
    negative, driving them, while they are colder. The flow is the palindrome of
    `KineticFriction`, symmetric and of second order; at T = 0 it is that part at α = 0, bit for
    bit. (For T > 0 the conserved μξ² + p² − 2T ln|p| has no elementary solution: no rotation.)

    mu: thermal mass μ > 0; temperature: T >= 0, in units of energy.

    Hoover, Canonical dynamics, 1985.
    """

    mu: Positive
    temperature: NonNegative
    scalar: bool = False

    def _excess(self, s: State) -> Any:
        return super()._excess(s) - self.temperature

    def rate(self, s: State) -> dict[str, Any]:
        return {"p": -(s.xi * s.p), "xi": self._heat(s)}

    def flow(self, s: State, h: Scalar) -> None:
        self._palindrome(s, h, 0.0)
