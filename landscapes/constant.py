"""A landscape's fixed numbers, at hand in whatever type and on whatever device x has."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Constant:
    """A tensor that is converted once to each dtype and device it is asked for.

    Integer tensors (class labels) follow the device and keep their type.
    """

    def __init__(self, value: Tensor) -> None:
        self.value = value.detach()
        self._copies: dict[tuple[torch.dtype, torch.device], Tensor] = {}

    def like(self, x: Tensor) -> Any:
        """The constant with x's dtype and device; a numpy array if x is an array of symbols."""
        if not isinstance(x, Tensor):
            return self.value.numpy()
        key = (x.dtype, x.device)
        copy = self._copies.get(key)
        if copy is None:
            dtype = x.dtype if self.value.is_floating_point() else self.value.dtype
            # A copy made in inference mode could not take part in a later backward pass.
            with torch.inference_mode(False):
                copy = self._copies[key] = self.value.to(x.device, dtype)
        return copy

    def column(self, x: Tensor) -> Any:
        """A vector constant [d], shaped to broadcast against x of shape [d, *batch]."""
        return self.like(x).reshape((-1,) + (1,) * (x.ndim - 1))
