"""A valley that narrows exponentially: hard to sample with one step size."""

from __future__ import annotations

import torch
from torch import Tensor

from . import checks
from .landscape import Landscape


class Funnel(Landscape):
    """f = v²/(2s²) + Σ_i ½ (x_i² e^{−v} + v), the point being (v, x_1, …, x_{d−1}).

    At temperature 1 the Gibbs law e^{−f} is Neal's funnel: v ~ N(0, s²), and given v every
    x_i ~ N(0, e^v). So E v = 0, Var v = s², E x_i = 0 and E x_i² = e^{s²/2}. f is minus the
    logarithm of that density without the constant ½ log(2π s²) + ½ (d − 1) log 2π, so f(0) = 0.

    The mode is far from the mass: the minimum, −s² (d − 1)²/8, is at v = −s² (d − 1)/2, x = 0,
    where the curvature in x is e^{s² (d − 1)/2} (for d = 10, s = 3: −91.125, v = −40.5, 4e17).
    The start is v = 0, x = (1, …, 1). Not convex, and its curvature is unbounded.

    Args:
        dimension: d >= 2, one for v and the others for x.
        scale: s > 0, the standard deviation of v.

    Source: R. M. Neal, Slice sampling, The Annals of Statistics 31 (2003) 705–767, section 8.
    """

    def __init__(self, dimension: int = 10, scale: float = 3.0) -> None:
        d = checks.integer(dimension, "dimension of Funnel", 2)
        self.scale = checks.positive(scale, "scale of Funnel")
        mode = torch.zeros(d, dtype=torch.float64)
        mode[0] = -(self.scale**2) * (d - 1) / 2
        start = torch.ones(d, dtype=torch.float64)
        start[0] = 0.0
        super().__init__(
            None,
            d,
            name="Funnel",
            minimisers=mode,
            minimum=-((self.scale * (d - 1)) ** 2) / 8,
            start=start,
            source="R. M. Neal, Slice sampling, The Annals of Statistics 31 (2003) 705-767",
        )

    def __repr__(self) -> str:
        return f"Funnel(d={self.dimension}, scale={self.scale:g})"

    def f(self, x: Tensor) -> Tensor:
        v, rest = x[0], x[1:]
        squares = (rest * rest).sum(0)
        neck = 0.5 * (v / self.scale) ** 2
        return neck + 0.5 * (squares * torch.exp(-v) + (self.dimension - 1) * v)

    def df(self, x: Tensor) -> Tensor:
        v, rest = x[:1], x[1:]
        pull = rest * torch.exp(-v)
        squares = (rest * pull).sum(0, keepdim=True)
        return torch.cat((v / self.scale**2 + 0.5 * (self.dimension - 1 - squares), pull))
