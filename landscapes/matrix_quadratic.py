"""The quadratic bowl for matrices: the same oscillators in every column."""

from __future__ import annotations

import torch
from torch import Tensor

from . import checks
from .landscape import Landscape, Points
from .quadratic import Quadratic


class MatrixQuadratic(Landscape):
    """f(X) = ½ tr(XᵀAX), A = Q diag(spectrum) Qᵀ, for matrices X [m, n].

    The columns are n independent points of `Quadratic(spectrum, rotation=rotation)`. The minimum
    is 0 at X = 0; m and L are the least and the largest eigenvalue of A. The start, Q·(1, …, 1)/j
    in column j = 1, …, n, excites every mode.

    Args:
        spectrum: the m eigenvalues of A, all >= 0; a number means m = 1.
        columns: their number n >= 1.
        rotation: the orthogonal matrix Q [m, m], a seed that draws one, or None: A is diagonal.

    Raises:
        ValueError: for what `Quadratic` refuses, and for columns < 1 (TypeError: not an integer).
    """

    def __init__(
        self, spectrum: Points, columns: int, *, rotation: int | Points | None = None
    ) -> None:
        self.column = Quadratic(spectrum, rotation=rotation)
        columns = checks.integer(columns, "columns", 1)
        first = self.column.start
        super().__init__(
            None,
            (len(first), columns),
            name="MatrixQuadratic",
            minimisers=torch.zeros(len(first), columns, dtype=first.dtype),
            minimum=0.0,
            m=self.column.m,
            L=self.column.L,
            start=first[:, None] / torch.arange(1, columns + 1, dtype=first.dtype),
        )

    def __repr__(self) -> str:
        m, n = self.shape
        return f"MatrixQuadratic({m} × {n}, of {self.column!r})"

    # To the column's bowl the columns of X are a batch of points, before the batch of matrices.

    def f(self, x: Tensor) -> Tensor:
        return self.column.f(x).sum(0)

    def df(self, x: Tensor) -> Tensor:
        return self.column.df(x)
