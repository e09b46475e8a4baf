"""Many minima: two per coordinate."""

from __future__ import annotations

import math

from torch import Tensor

from . import checks
from .landscape import Landscape


class StyblinskiTang(Landscape):
    """f(x) = ½ Σ x_i⁴ − 16 x_i² + 5 x_i, x of shape [d].

    2^d local minima; the lowest has x_i = −2.9035…, the least root of 4x³ − 32x + 5, and the value
    −39.1662 d. Not convex, and its curvature is unbounded. The start is the origin, between them.

    Source: M. A. Styblinski and T.-S. Tang, Neural Networks 3 (1990) 467–483.
    """

    def __init__(self, d: int = 2) -> None:
        d = checks.integer(d, "d of StyblinskiTang", 1)
        # Viète's formula for the least of the three real roots of x³ − 8x + 5/4.
        root = -2 * math.sqrt(8 / 3) * math.cos(math.acos(15 / 64 * math.sqrt(3 / 8)) / 3)
        super().__init__(
            None,
            d,
            name="StyblinskiTang",
            minimisers=[root] * d,
            minimum=d * 0.5 * root * (root * (root * root - 16) + 5),
            start=[0.0] * d,
            source="M. A. Styblinski and T.-S. Tang, Experiments in nonconvex optimization: "
            "stochastic approximation with function smoothing and simulated annealing, "
            "Neural Networks 3 (1990) 467-483",
        )

    def __repr__(self) -> str:
        return f"StyblinskiTang(d={self.dimension})"

    def f(self, x: Tensor) -> Tensor:
        return 0.5 * (x * (x * (x * x - 16) + 5)).sum(0)
