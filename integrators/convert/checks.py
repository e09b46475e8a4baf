"""Numbers that converters are given: checked once, in words."""

from typing import Any

from ...dynamics import Dynamics
from ...dynamics.momentum.checks import is_finite


def finite(**values: Any) -> None:
    """Raise ValueError, naming it, for a value that is not a finite number."""
    for name, value in values.items():
        if not is_finite(value):
            raise ValueError(f"{name} must be a finite number; got {value!r}")


def positive(purpose: str = "", /, **values: Any) -> None:
    """Raise ValueError, naming it, for a value that is not a finite number > 0."""
    for name, value in values.items():
        if not (is_finite(value) and value > 0):
            wanted = " ".join(("a finite number > 0", *purpose.split()))
            raise ValueError(f"{name} must be {wanted}; got {value!r}")


def number(dynamics: Dynamics, name: str) -> float:
    """A hyperparameter as one number; 0 for one that the dynamics does not have."""
    value = dynamics.hyperparameters.get(name, 0.0)
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{name} must be one number to be converted; got {value}") from None


def parts_of(dynamics: Dynamics) -> str:
    """Its parts, for a message that refuses them."""
    return ", ".join(map(repr, dynamics.parts.values()))
