"""A ring of coupled double wells: the φ⁴ model on a line."""

from __future__ import annotations

import torch
from torch import Tensor

from . import checks
from .landscape import Landscape


class Phi4Chain(Landscape):
    """f(x) = Σ_i ½ κ (x_{i+1} − x_i)² + ¼ (x_i² − 1)², x of shape [n], a ring: x_{n+1} = x_1.

    The two minima, 0, are at ±(1, …, 1). A kink, where the chain changes from one well to the
    other, costs energy; kinks come in pairs and diffuse along the ring, which makes the mean of x
    slow to sample. For κ (2 − 2 cos(2π/n)) >= 1 the origin, of height n/4, is the only pass
    between the minima (Berglund, Fernandez, Gentz, Nonlinearity 20 (2007) 2551–2581); for small κ
    there are many local minima, one for every pattern of signs at κ = 0. A ring of one is the
    double well; the two neighbours in a ring of two meet twice.

    At temperature T its moments are known from the transfer operator with the kernel
    exp(−[½ κ (x − y)² + ⅛ (x² − 1)² + ⅛ (y² − 1)²] / T), whose n-th power has the trace Z.
    The start is (2, 1, …, 1), as that of the double well.

    Args:
        n: sites, >= 1.
        coupling: κ >= 0.

    Source: D. J. Scalapino, M. Sears and R. A. Ferrell, Statistical mechanics of one-dimensional
    Ginzburg–Landau fields, Physical Review B 6 (1972) 3409–3416.
    """

    def __init__(self, n: int = 16, coupling: float = 1.0) -> None:
        n = checks.integer(n, "n of Phi4Chain", 1)
        self.coupling = float(checks.array(coupling, "coupling of Phi4Chain"))
        if self.coupling < 0:
            raise ValueError(f"coupling of Phi4Chain must be >= 0; got {coupling!r}")
        ones = torch.ones(n, dtype=torch.float64)
        super().__init__(
            None,
            n,
            name="Phi4Chain",
            minimisers=torch.stack((-ones, ones)),
            minimum=0.0,
            start=ones + torch.eye(n, dtype=torch.float64)[0],
            source="D. J. Scalapino, M. Sears and R. A. Ferrell, Statistical mechanics of "
            "one-dimensional Ginzburg-Landau fields, Physical Review B 6 (1972) 3409-3416",
        )

    def __repr__(self) -> str:
        return f"Phi4Chain(n={self.dimension}, coupling={self.coupling:g})"

    def f(self, x: Tensor) -> Tensor:
        bonds, closing, wells = x[1:] - x[:-1], x[:1] - x[-1:], x * x - 1
        stretch = (bonds * bonds).sum(0) + (closing * closing).sum(0)
        return 0.5 * self.coupling * stretch + 0.25 * (wells * wells).sum(0)

    def df(self, x: Tensor) -> Tensor:
        neighbours = x.roll(1, 0) + x.roll(-1, 0)
        return x * (x * x - 1) + self.coupling * (2 * x - neighbours)
