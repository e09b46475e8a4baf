"""What is asked of ODEs only says so, and what to ask of a stochastic equation instead."""

from ..dynamics import Dynamics
from ..integrators.field import Field, SampledField
from ..integrators.start import not_a_dynamics


def refuse_noise(dynamics: Dynamics, what: str, instead: str) -> None:
    """ValueError for a dynamics with noise, TypeError for what is none."""
    if not isinstance(dynamics, Dynamics):
        raise TypeError(not_a_dynamics(dynamics))
    if dynamics.is_noisy:
        raise ValueError(f"{dynamics.name} has noise, and {what}; {instead}")


def refuse_sampled(landscape: Field, what: str) -> None:
    """ValueError for a landscape whose gradients are sampled, such as minibatches."""
    if isinstance(landscape, SampledField):
        raise ValueError(
            f"{landscape.name} samples its gradients, and {what}; give the landscape that is "
            "sampled, with its whole gradient"
        )
