"""Two minima and a barrier."""

from __future__ import annotations

import torch
from torch import Tensor

from . import checks
from .landscape import Landscape


class DoubleWell(Landscape):
    """f(x) = ¼ (x_1² − 1)² + ½ Σ_{i>1} x_i², x of shape [d].

    The minima, 0, are at ±e_1, with Hessian diag(2, 1, …, 1); between them, at the origin, is a
    saddle of height ¼. The start, (2, 1, …, 1), lies above it: f = 9/4 + (d − 1)/2.

    Source: the potential of G. Duffing, Erzwungene Schwingungen bei veränderlicher Eigenfrequenz,
    Vieweg (1918), with negative linear stiffness.
    """

    def __init__(self, d: int = 1) -> None:
        d = checks.integer(d, "d of DoubleWell", 1)
        e1 = torch.eye(d)[0]
        super().__init__(
            None,
            d,
            name="DoubleWell",
            minimisers=torch.stack((-e1, e1)),
            minimum=0.0,
            start=1 + e1,
            source="G. Duffing, Erzwungene Schwingungen bei veränderlicher Eigenfrequenz und ihre "
            "technische Bedeutung, Vieweg, Braunschweig (1918)",
        )

    def __repr__(self) -> str:
        return f"DoubleWell(d={self.dimension})"

    def f(self, x: Tensor) -> Tensor:
        well, bowl = x[0] * x[0] - 1, x[1:]
        return 0.25 * well * well + 0.5 * (bowl * bowl).sum(0)

    def df(self, x: Tensor) -> Tensor:
        first = x[:1]
        slope = first * (first * first - 1)
        return slope if self.dimension == 1 else torch.cat((slope, x[1:]))
