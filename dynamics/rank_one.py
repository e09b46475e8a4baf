"""Letter C of R-iKFAD: a matrix's friction, kept as one number per row and one per column."""

from dataclasses import dataclass
from typing import Any

from .elements import Scalar, abs, exp, nonzero, phi1
from .part import NonNegative, Part, Positive
from .state import State


@dataclass(frozen=True)
class RankOneFriction(Part):
    """P' = −Ξ⊙P,  r' = rowmean(P²)/μ − α r,  s' = colmean(P²)/μ − α s,  Ξ = r sᵀ/(r̄ + ε).

    For a matrix P [m, n]; r is the variable `rows` [m, 1], s is `cols` [1, n], r̄ = mean(r) and
    ε = `eps_stab`, in the units of a friction; Ξ = 0 where r̄ + ε = 0. Of a tensor with more axes
    the first are the rows and all others the columns. A vector (or a number) has the friction of
    iKFAD: Ξ = r with one r per coordinate, whatever ε is, and s, the mean of r, is not used.

    From equal means (zero is such a start) mean(r) = mean(s) for all t; at ε = 0 then
    mean(Ξ) = mean(r), and a matrix of one row or of one column has the friction of iKFAD.

    The flow is a palindrome, symmetric and of second order, which keeps r, s >= 0 and the signs
    of P for any h > 0 (h/2 is written ½): damp½ with P ← e^{−Ξh/2} P; r and s exactly, with P
    still; damp½ with the new Ξ. Backwards in time r and s may become negative,
    and Ξ with them.

    Rajpal, Leimkuhler 2026.
    """

    letter = "C"
    reads = ("p", "rows", "cols")
    writes = ("p", "rows", "cols")
    kind = "symmetric"
    alpha: NonNegative
    mu: Positive
    eps_stab: NonNegative = 0.0

    def shape_of(self, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        if name == "rows":
            return shape[:1] + (1,) * len(shape[1:])
        return (1,) * len(shape[:1]) + shape[1:] if name == "cols" else shape

    def friction(self, s: State) -> Any:
        """Ξ, shaped like p."""
        z = s.colmean(s.rows) + self.eps_stab
        size = nonzero(abs(z))
        # for r >= 0 the first factor is at most m, so nothing overflows; z/size is the sign of z
        return s.where_matrix(s.rows / size * (s.cols * (z / size)), s.rows)

    def rate(self, s: State) -> dict[str, Any]:
        p2 = s.p * s.p
        return {
            "p": -(self.friction(s) * s.p),
            "rows": s.rowmean(p2) / self.mu - self.alpha * s.rows,
            "cols": s.colmean(p2) / self.mu - self.alpha * s.cols,
        }

    def flow(self, s: State, h: Scalar) -> None:
        s.p = exp(self.friction(s) * (-h / 2)) * s.p
        decay, weight = exp(-self.alpha * h), h * phi1(-self.alpha * h)
        p2 = s.p * s.p
        s.rows = decay * s.rows + weight * (s.rowmean(p2) / self.mu)
        s.cols = decay * s.cols + weight * (s.colmean(p2) / self.mu)
        s.p = exp(self.friction(s) * (-h / 2)) * s.p
