"""Another landscape with a penalty on its slope: the modified loss of a discretization."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .landscape import Landscape


class GradientPenalty(Landscape):
    """Φ(x) + ½ w |∇Φ(x)|², with gradient ∇Φ + w ∇²Φ ∇Φ.

    Gradient descent with step h follows the gradient flow of w = h/2 to O(h²); heavy ball and
    Nesterov with momentum λ follow that of w = h κ, speeded up by 1/(1 − λ), where κ is
    (1 + λ)/(2(1 − λ)²) and (1 − λ + 2λ²)/(2(1 − λ)²). For w >= 0 the minimum and the minimisers
    are those of Φ, because ∇Φ is 0 there; otherwise they are not known. m and L are not known.

    Args:
        landscape: Φ, twice differentiable in torch operations.
        weight: w, any finite number.

    Raises:
        TypeError: if `landscape` is not a Landscape. ValueError: for a weight that is not finite.

    Source: D. G. T. Barrett and B. Dherin, Implicit gradient regularization, ICLR (2021); with
    momentum N. B. Kovachki and A. M. Stuart, JMLR 22(17) (2021).
    """

    def __init__(self, landscape: Landscape, weight: float) -> None:
        if not isinstance(landscape, Landscape):
            raise TypeError(f"GradientPenalty takes a Landscape first; got {landscape!r}")
        if not math.isfinite(weight):
            raise ValueError(f"weight must be a finite number; got {weight!r}")
        self.inner = landscape
        self.weight = float(weight)
        known: dict[str, Any] = {}
        if weight >= 0:
            known = {"minimisers": landscape.minimisers, "minimum": landscape.minimum}
        super().__init__(
            None,
            landscape.shape,
            name=f"{landscape.name} + {weight / 2:g} |gradient|²",
            start=landscape.start,
            source=landscape.source,
            **known,
        )

    def f(self, x: Tensor) -> Tensor:
        slope = self.inner.df(x)
        coordinates = tuple(range(len(self.shape)))
        squares = (slope * slope).sum(coordinates) if coordinates else slope * slope
        return self.inner.f(x) + 0.5 * self.weight * squares

    def df(self, x: Tensor) -> Tensor:
        # The Hessian is symmetric: pulling the gradient back through ∇Φ multiplies it by ∇²Φ.
        pulled = torch.func.vjp(self.inner.df, x)
        slope, pull_back = pulled[0], pulled[1]
        return slope + self.weight * pull_back(slope)[0]
