"""Answers to wrong numbers: what was wrong, and what would be right."""

import math
import operator
from typing import Any


def whole(name: str, value: Any) -> int:
    """A whole number >= 1; ValueError for anything else."""
    try:
        count = operator.index(value)
    except TypeError:
        count = 0
    if isinstance(value, bool) or count < 1:
        raise ValueError(f"{name} must be a whole number >= 1; got {value!r}")
    return count


def positive(name: str, value: Any, meaning: str = "") -> float:
    """A finite number > 0; TypeError for what is no number, ValueError for another number."""
    try:
        if isinstance(value, str | bool):
            raise TypeError
        number = float(value)
    except OverflowError:
        number = math.inf
    except (TypeError, ValueError):
        told = f", {meaning}" if meaning else ""
        raise TypeError(f"{name} must be a number{told}; got {value!r}") from None
    if not 0 < number < math.inf:
        raise ValueError(f"{name} must be a finite number > 0; got {number}")
    return number
