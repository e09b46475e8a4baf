"""Between iKFAD and CD, and between CD's c and the cap it puts on a step."""

import math

from ...dynamics import CD, IKFAD
from .checks import number, positive


def ikfad_to_cd(dynamics: IKFAD) -> CD:
    """CD with c = 1/(αμ), to which IKFAD tends as α → ∞ at fixed αμ.

    Trajectories differ by O(1/α); terminal velocities under a constant force agree for any α.
    Raises ValueError at α = 0, where the friction never fades.
    """
    alpha, mu = (number(dynamics, name) for name in ("alpha", "mu"))
    positive(alpha=alpha, mu=mu)
    return CD(number(dynamics, "gamma"), 1 / (alpha * mu))


def cd_to_ikfad(dynamics: CD, alpha: float) -> IKFAD:
    """IKFAD with μ = 1/(cα): O(1/α) from CD, with the same terminal velocities.

    1/α is the memory of the friction ξ, which follows c p². Raises ValueError unless c, α > 0.
    """
    c = number(dynamics, "c")
    positive(c=c, alpha=alpha)
    return IKFAD(number(dynamics, "gamma"), alpha, 1 / (c * alpha))


def max_step_to_c(lr: float, max_step: float) -> float:
    """The c at which a full cubic step caps a coordinate's move at `max_step`: c = h/(2 max_step²).

    After C, |p| <= 1/√(2ch), so |h p| <= √(h/(2c)); it caps the move in words that put C between
    the kick and the drift (BCDA).
    """
    positive("to give c", lr=lr, max_step=max_step)
    return lr / (2 * max_step**2)


def c_to_max_step(lr: float, c: float) -> float:
    """The most a coordinate moves in a step of BCDA: √(h/(2c)), the inverse of `max_step_to_c`."""
    positive("to give a cap", lr=lr, c=c)
    return math.sqrt(lr / (2 * c))
