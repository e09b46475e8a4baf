"""Answers to wrong arguments: what was wrong, where, and what would be right."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
import torch
from torch import Tensor


def integer(value: Any, what: str, least: int) -> int:
    """value as an int of at least `least`; TypeError or ValueError naming `what` otherwise."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{what} must be an integer >= {least}; got {value!r}") from None
    if number < least:
        raise ValueError(f"{what} must be an integer >= {least}; got {number}")
    return number


def positive(value: Any, what: str) -> float:
    """value as a finite float > 0."""
    number = float(value)
    if not (number > 0 and math.isfinite(number)):
        raise ValueError(f"{what} must be a finite number > 0; got {value!r}")
    return number


def array(value: Any, what: str) -> Tensor:
    """value as a finite float64 tensor on the CPU, sharing nothing with the argument."""
    if isinstance(value, Tensor):
        tensor = value.detach().to("cpu", torch.float64, copy=True)
    else:
        tensor = torch.from_numpy(np.array(value, dtype=np.float64))
    if not torch.isfinite(tensor).all():
        raise ValueError(f"{what} must be finite; got {value!r}")
    return tensor
