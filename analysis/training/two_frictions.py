"""CD and IKFAD together, which tells apart what each of their frictions does."""

from dataclasses import dataclass

from ...dynamics import CubicDamping, Drift, Dynamics, Kick, KineticFriction, LinearDamping


@dataclass(frozen=True)
class SecondCubicDamping(CubicDamping):
    """`CubicDamping` beside another nonlinear friction, which has the letter C."""

    letter = "Q"


def both(gamma: float, alpha: float, mu: float, c: float) -> Dynamics:
    """x' = p,  p' = −∇f − (γ + ξ) p − c p³,  ξ' = p²/μ − α ξ, per coordinate.

    The word is BAQCD: the published one, and the cubic part before C. At c = 0 it is IKFAD, and
    CD as μ → ∞.
    """
    return Dynamics(
        Drift(),
        Kick(),
        LinearDamping(gamma),
        KineticFriction(alpha, mu),
        SecondCubicDamping(c),
        word="BAQCD",
        name="IKFAD+cubic",
    )
