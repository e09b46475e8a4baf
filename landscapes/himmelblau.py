"""Four equal minima."""

from __future__ import annotations

import torch
from torch import Tensor

from .landscape import Landscape


class Himmelblau(Landscape):
    """f(x, y) = (x² + y − 11)² + (x + y² − 7)², points of shape [2].

    Four minima of value 0, at (3, 2) and near (−2.81, 3.13), (−3.78, −3.28) and (3.58, −1.85).
    Not convex, and its curvature is unbounded. The start is (0, 0), near the maximum in the middle.

    Source: D. M. Himmelblau, Applied Nonlinear Programming, McGraw-Hill (1972).
    """

    def __init__(self) -> None:
        super().__init__(
            None,
            2,
            name="Himmelblau",
            minimisers=_roots(),
            minimum=0.0,
            start=[0.0, 0.0],
            source="D. M. Himmelblau, Applied Nonlinear Programming, McGraw-Hill, New York (1972)",
        )

    def __repr__(self) -> str:
        return "Himmelblau()"

    def f(self, x: Tensor) -> Tensor:
        a = x[0] * x[0] + x[1] - 11
        b = x[0] + x[1] * x[1] - 7
        return a * a + b * b


def _roots() -> Tensor:
    """The four common zeros of both brackets, by Newton from their first digits."""
    x, y = torch.tensor(
        [[3.0, -2.8, -3.8, 3.6], [2.0, 3.1, -3.3, -1.8]], dtype=torch.float64
    ).unbind()
    for _ in range(6):
        a, b = x * x + y - 11, x + y * y - 7
        determinant = 4 * x * y - 1  # of the Jacobian [[2x, 1], [1, 2y]]
        x, y = x - (2 * y * a - b) / determinant, y - (2 * x * b - a) / determinant
    return torch.stack((x, y), dim=1)
