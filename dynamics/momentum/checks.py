"""What constructors of methods are given: single finite numbers."""

import math
from typing import Any

import torch


def is_finite(value: Any) -> bool:
    """Whether it is one finite number."""
    try:
        return math.isfinite(value)
    except (TypeError, ValueError, RuntimeError):
        return False


def is_single(value: Any) -> bool:
    """Whether it is one number: a float, or a tensor or an array with one element."""
    return torch.as_tensor(value).numel() == 1
