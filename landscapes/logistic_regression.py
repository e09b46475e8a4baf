"""A strongly convex landscape from data."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

from . import checks
from .constant import Constant
from .landscape import Landscape, Points


class LogisticRegression(Landscape):
    """f(w) = mean_i log(1 + exp(−y_i X_i·w)) + ½ λ |w|², w of shape [d].

    m = λ and L = λ_max(XᵀX) / (4n) + λ; the minimiser is found by Newton's method in float64. The
    start is the origin, where f = log 2.

    Args:
        features: X, one row per sample, [n, d]; a column of ones makes an intercept.
        labels: y, each −1 or +1, [n].
        regularisation: λ > 0; without it separable data would have no minimiser.
        name, source: for titles and citations.

    Raises:
        ValueError: for other labels, shapes that do not match, or λ <= 0.
    """

    def __init__(
        self,
        features: Points,
        labels: Points,
        regularisation: float,
        *,
        name: str = "LogisticRegression",
        source: str = "",
    ) -> None:
        X, y = checks.array(features, "features"), checks.array(labels, "labels")
        if X.ndim != 2 or X.numel() == 0:
            raise ValueError(f"features must be a matrix [n, d]; got shape {tuple(X.shape)}")
        n, d = X.shape
        if y.shape != (n,):
            raise ValueError(f"labels must have shape ({n},) like features; got {tuple(y.shape)}")
        if not (y.abs() == 1).all():
            values = y.unique().tolist()
            raise ValueError(f"labels must be -1 or +1; got {values[:5]} (for 0 and 1: 2y - 1)")
        self.regularisation = checks.positive(regularisation, "regularisation")
        self.samples = n
        self._data = Constant(-y[:, None] * X)
        largest = torch.linalg.matrix_norm(X, 2).item() ** 2
        minimiser = self._newton(torch.zeros(d, dtype=torch.float64))
        super().__init__(
            None,
            d,
            name=name,
            minimisers=minimiser,
            minimum=self.f(minimiser).item(),
            m=self.regularisation,
            L=largest / (4 * n) + self.regularisation,
            source=source,
        )

    @classmethod
    def breast_cancer(cls, regularisation: float = 1e-2) -> LogisticRegression:
        """Malignant (−1) or benign (+1) from d = 30 standardised features of n = 569 tumours.

        No intercept. The data come with scikit-learn. With λ = 0.01: f* = 0.1024165657557,
        L = 3.330402, and the Hessian at the minimum lies between 0.010002 and 0.220086.

        Source: W. N. Street, W. H. Wolberg and O. L. Mangasarian, Proc. SPIE 1905 (1993) 861–870.
        """
        from sklearn.datasets import load_breast_cancer

        features, classes = load_breast_cancer(return_X_y=True)
        return cls(
            (features - features.mean(0)) / features.std(0),
            2 * classes - 1,
            regularisation,
            name="breast cancer",
            source="W. N. Street, W. H. Wolberg and O. L. Mangasarian, Nuclear feature extraction "
            "for breast tumor diagnosis, Proc. SPIE 1905 (1993) 861-870",
        )

    def __repr__(self) -> str:
        size = f"n={self.samples}, d={self.dimension}"
        return f"LogisticRegression({size}, regularisation={self.regularisation:g})"

    def f(self, x: Tensor) -> Tensor:
        # Beyond 40, softplus(z) is z to the last bit; at torch's own threshold of 20 it is not.
        loss = softplus(self._doubts(x), threshold=40).mean(0)
        return loss + 0.5 * self.regularisation * (x * x).sum(0)

    def df(self, x: Tensor) -> Tensor:
        errors = torch.sigmoid(self._doubts(x))
        slope = torch.tensordot(self._data.like(x).T, errors, dims=1)
        return slope / self.samples + self.regularisation * x

    def _doubts(self, x: Tensor) -> Tensor:
        """−y_i X_i·w for every sample, [n, *batch]."""
        return torch.tensordot(self._data.like(x), x, dims=1)

    def _newton(self, w: Tensor) -> Tensor:
        """Newton's method with step halving, until the decrement is below rounding."""
        Z = self._data.value
        ridge = self.regularisation * torch.eye(w.numel(), dtype=w.dtype)
        for _ in range(100):
            slope, errors = self.df(w), torch.sigmoid(Z @ w)
            hessian = (Z.T * (errors * (1 - errors))) @ Z / self.samples + ridge
            step = torch.linalg.solve(hessian, slope)
            decrement, length = slope @ step, 1.0
            # Near the minimum f can no longer tell two points apart, but full steps converge.
            while decrement > 1e-10 and (
                self.f(w - length * step) > self.f(w) - decrement * length / 4
            ):
                length /= 2
            w = w - length * step
            if decrement < 1e-28:
                break
        return w
