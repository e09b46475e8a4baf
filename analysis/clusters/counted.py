"""A landscape that counts its gradients."""

import torch
from torch import Tensor

from ...landscapes import Landscape

_LANES = 16  # reductions treat the last few numbers of a row otherwise than whole vectors of them


class Counted:
    """A landscape as the integrators see it, with how many gradients every system has taken.

    The batch is filled up to a multiple of 16, so that a system's numbers are the same, to the
    last bit, whatever else is in the batch: a run over a landscape with very many minima depends
    on every bit.
    """

    def __init__(self, inner: Landscape) -> None:
        self.inner = inner
        self.gradients = 0
        self.shape, self.name = inner.shape, inner.name
        self.minimum, self.start = inner.minimum, inner.start

    def f(self, x: Tensor) -> Tensor:
        batch = x.shape[len(self.shape) :]
        return self.inner.f(self._filled(x))[: batch.numel()].reshape(batch)

    def df(self, x: Tensor) -> Tensor:
        self.gradients += 1
        batch = x.shape[len(self.shape) :]
        return self.inner.df(self._filled(x))[..., : batch.numel()].reshape(x.shape)

    def value(self, x: Tensor) -> Tensor:
        """f at x [B, *shape], coordinates last: [B]."""
        return self.f(x.movedim(0, -1).contiguous())

    def slope(self, x: Tensor) -> Tensor:
        """max |∇f| at x [B, *shape], coordinates last: [B]."""
        return self.df(x.movedim(0, -1).contiguous()).flatten(0, -2).abs().amax(0)

    def _filled(self, x: Tensor) -> Tensor:
        flat = x.reshape(*self.shape, -1)
        size = flat.shape[-1]
        places = torch.arange(-(-size // _LANES) * _LANES, device=x.device).clamp_max(size - 1)
        return flat if len(places) == size else flat.index_select(-1, places)
