"""Converters between torch's optimizers and words of a dynamics, exact wherever possible.

    from_sgd(lr=0.1, momentum=0.9).code()  # optim.LDHD(params, lr=0.316…, gamma=0.333…, word="BAD")
    to_sgd(LDHD(gamma=0.333), "BDA", lr=0.316).code()  # torch.optim.SGD(params, lr=…, momentum=…)
    from_adam(weight_decay=0.01, decoupled=True).optimizer(model.parameters())  # AdamW

A word's step size h is its `lr`; β = e^{−γh} is the momentum kept from one step to the next.
IKFAD and CD, and a cap on the step and CD's c, are converted here too.
"""

import math

from ..dynamics import CD, IKFAD
from .adam import from_adam, to_adam
from .checks import number, positive
from .equivalent import Equivalent, TorchEquivalent
from .heavy_ball import kick_factor
from .sgd import effective_lr, from_sgd, ode_model_of_sgd, to_sgd

__all__ = [
    "Equivalent",
    "TorchEquivalent",
    "c_to_max_step",
    "cd_to_ikfad",
    "effective_lr",
    "from_adam",
    "from_sgd",
    "ikfad_to_cd",
    "kick_factor",
    "max_step_to_c",
    "ode_model_of_sgd",
    "to_adam",
    "to_sgd",
]


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
