"""Letter C of KFAD and iKFAD: friction that follows the kinetic energy."""

from dataclasses import dataclass
from typing import Any, Literal

from .elements import Scalar, exp, phi1, sqrt
from .part import NonNegative, Part, Positive
from .state import State

Scheme = Literal["palindrome", "rotation"]


@dataclass(frozen=True)
class KineticFriction(Part):
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

    letter = "C"
    reads = ("p", "xi")
    writes = ("p", "xi")
    kind = "symmetric"
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

    @property
    def scalars(self) -> tuple[str, ...]:
        return ("xi",) if self.scalar else ()

    def _heat(self, s: State) -> Any:
        q = s.total(s.p * s.p) if self.scalar else s.p * s.p
        return q / self.mu

    def rate(self, s: State) -> dict[str, Any]:
        return {"p": -(s.xi * s.p), "xi": self._heat(s) - self.alpha * s.xi}

    def flow(self, s: State, h: Scalar) -> None:
        if self.scheme == "palindrome":
            s.p = exp(s.xi * (-h / 2)) * s.p
            weight = h * phi1(-self.alpha * h)
            s.xi = exp(-self.alpha * h) * s.xi + weight * self._heat(s)
            s.p = exp(s.xi * (-h / 2)) * s.p
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

    def energy(self, s: State) -> Any:
        return 0.5 * self.mu * (s.xi * s.xi if self.scalar else s.total(s.xi * s.xi))
