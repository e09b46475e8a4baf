"""The curved valley."""

from __future__ import annotations

import torch
from torch import Tensor

from . import checks
from .landscape import Landscape


class Rosenbrock(Landscape):
    """f(x) = Σ_{i<d} 100 (x_{i+1} − x_i²)² + (1 − x_i)², x of shape [d], d >= 2.

    The minimum is 0 at (1, …, 1); for d >= 4 there is a second, local minimum near (−1, 1, …, 1).
    Not convex, and its curvature is unbounded. The start is (−1.2, 1, −1.2, …).

    Source: H. H. Rosenbrock, The Computer Journal 3 (1960) 175–184, for d = 2; the start for more
    is that of J. J. Moré, B. S. Garbow and K. E. Hillstrom, ACM Trans. Math. Software 7 (1981)
    17–41.
    """

    def __init__(self, d: int = 2) -> None:
        d = checks.integer(d, "d of Rosenbrock", 2)
        super().__init__(
            None,
            d,
            name="Rosenbrock",
            minimisers=torch.ones(d),
            minimum=0.0,
            start=[-1.2 if i % 2 == 0 else 1.0 for i in range(d)],
            source="H. H. Rosenbrock, An automatic method for finding the greatest or least value "
            "of a function, The Computer Journal 3 (1960) 175-184",
        )

    def __repr__(self) -> str:
        return f"Rosenbrock(d={self.dimension})"

    def f(self, x: Tensor) -> Tensor:
        a, b = x[:-1], x[1:]
        off, left = b - a * a, 1 - a
        return (100 * off * off + left * left).sum(0)

    def df(self, x: Tensor) -> Tensor:
        a, b = x[:-1], x[1:]
        by_b = 200 * (b - a * a)
        by_a = 2 * (a - 1) - 2 * a * by_b
        if self.dimension == 2:  # each coordinate is in one place only: half the time
            return torch.cat((by_a, by_b))
        return torch.cat((by_a[:1], by_a[1:] + by_b[:-1], by_b[-1:]))
