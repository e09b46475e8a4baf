"""What is asked of ODEs only says so, and what to ask of a stochastic equation instead."""

from ..dynamics import Dynamics


def refuse_noise(dynamics: Dynamics, what: str, instead: str) -> None:
    """ValueError for a dynamics with noise."""
    if dynamics.is_noisy:
        raise ValueError(f"{dynamics.name} has noise, and {what}; {instead}")
