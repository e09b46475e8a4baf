"""Three wells in a curved valley, with two passes between them."""

from __future__ import annotations

import torch
from torch import Tensor

from .constant import Constant
from .landscape import Landscape

_TERMS = (  # A, a, b, c, x₀, y₀ of each of the four Gaussians
    (-200.0, -1.0, 0.0, -10.0, 1.0, 0.0),
    (-100.0, -1.0, 0.0, -10.0, 0.0, 0.5),
    (-170.0, -6.5, 11.0, -6.5, -0.5, 1.5),
    (15.0, 0.7, 0.6, 0.7, -1.0, 1.0),
)
_MINIMA = (  # deepest first; by Newton's method in 40 digits, like the saddles
    (-0.55822363463302428, 1.4417258418046687),
    (0.62349940493087651, 0.028037758528685666),
    (-0.050010822998206058, 0.46669410487197209),
)
_SADDLES = (  # between the deepest and the shallow minimum, and between that and the right one
    (-0.82200155873273210, 0.62431280281487136),
    (0.21248658200066201, 0.29298832510736777),
)


class MuellerBrown(Landscape):
    """f(x, y) = Σ_k A_k exp(a_k (x − x_k)² + b_k (x − x_k)(y − y_k) + c_k (y − y_k)²).

    The model of a chemical reaction: three minima along a curved valley and two saddles.

        minima   −146.699517 at (−0.558224, 1.441726), the global one
                 −108.166724 at (0.623499, 0.028038)
                  −80.767818 at (−0.050011, 0.466694)
        saddles   −40.664844 at (−0.822002, 0.624313), −72.248940 at (0.212487, 0.292988)

    `minima` [3, 2] and `saddles` [2, 2] have them in this order. Far away f grows like the
    exponential of a square. The start, (0.5, 0), is in the basin of the second minimum.

    Source: K. Müller and L. D. Brown, Theoretica Chimica Acta 53 (1979) 75–93.
    """

    def __init__(self) -> None:
        terms = torch.tensor(_TERMS, dtype=torch.float64)
        self._terms = [Constant(column) for column in terms.unbind(1)]
        self.minima = torch.tensor(_MINIMA, dtype=torch.float64)
        self.saddles = torch.tensor(_SADDLES, dtype=torch.float64)
        super().__init__(
            None,
            2,
            name="MuellerBrown",
            minimisers=self.minima[0],
            minimum=-146.69951720995401,
            start=[0.5, 0.0],
            source="K. Müller and L. D. Brown, Location of saddle points and minimum energy paths "
            "by a constrained simplex optimization procedure, Theoretica Chimica Acta 53 (1979) "
            "75-93",
        )

    def __repr__(self) -> str:
        return "MuellerBrown()"

    def f(self, x: Tensor) -> Tensor:
        return self._gaussians(x)[0].sum(0)

    def df(self, x: Tensor) -> Tensor:
        gaussians, by_x, by_y = self._gaussians(x)
        return torch.stack(((gaussians * by_x).sum(0), (gaussians * by_y).sum(0)))

    def _gaussians(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The four terms [4, *batch], and the slopes of their exponents in x and in y."""
        A, a, b, c, x0, y0 = (constant.column(x) for constant in self._terms)
        u, v = x[0] - x0, x[1] - y0
        return A * torch.exp(u * (a * u + b * v) + c * v * v), 2 * a * u + b * v, b * u + 2 * c * v
