"""Numbers that converters are given: checked once, in words."""

import math

from ...dynamics import Dynamics


def positive(purpose: str = "", /, **values: float) -> None:
    """Raise ValueError, naming it, for a value that is not a finite number > 0."""
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            wanted = " ".join(("a finite number > 0", *purpose.split()))
            raise ValueError(f"{name} must be {wanted}; got {value}")


def number(dynamics: Dynamics, name: str) -> float:
    """A hyperparameter as one number; 0 for one that the dynamics does not have."""
    value = dynamics.hyperparameters.get(name, 0.0)
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{name} must be one number to be converted; got {value}") from None
