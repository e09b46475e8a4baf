"""The quadratic bowl, whose every mode is a damped oscillator with a known solution."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from . import checks
from .constant import Constant
from .landscape import Landscape, Points


class Quadratic(Landscape):
    """f(x) = ½ (x − c)ᵀ H (x − c), H = Q diag(spectrum) Qᵀ, x of shape [d].

    m and L are the smallest and largest eigenvalue; the minimum is 0 at the centre c (one of many
    minimisers if an eigenvalue is 0). The start, c + Q·(1, …, 1), excites every mode by one unit.

    Args:
        spectrum: the eigenvalues of H, all >= 0; a number means d = 1.
        rotation: the orthogonal matrix Q [d, d] whose columns are the eigenvectors; an integer
            draws one uniformly (Haar measure) with that seed; None is the identity, and then
            everything is element by element.
        centre: the minimiser c, a number or an array of shape [d].

    Raises:
        ValueError: for a negative or non-finite eigenvalue, a Q that is not orthogonal, or a
            centre of the wrong shape.
    """

    def __init__(
        self, spectrum: Points, *, rotation: int | Points | None = None, centre: Points = 0.0
    ) -> None:
        self.spectrum = torch.atleast_1d(checks.array(spectrum, "spectrum"))
        if self.spectrum.ndim != 1 or self.spectrum.numel() == 0:
            raise ValueError(
                f"spectrum must be a list of eigenvalues; got shape {tuple(self.spectrum.shape)}"
            )
        if (self.spectrum < 0).any():
            raise ValueError(f"spectrum must be >= 0; its least value is {self.spectrum.min()}")
        d = self.spectrum.numel()
        self.rotation = None if rotation is None else _orthogonal(rotation, d)
        self.centre = checks.array(centre, "centre")
        if self.centre.ndim == 0:
            self.centre = self.centre.repeat(d)
        if self.centre.shape != (d,):
            raise ValueError(
                f"centre must be a number or have shape ({d},); got {tuple(self.centre.shape)}"
            )
        self._spectrum = Constant(self.spectrum)
        self._centre = Constant(self.centre)
        self._rotation = None if self.rotation is None else Constant(self.rotation)
        modes = torch.ones_like(self.spectrum)
        super().__init__(
            None,
            d,
            name="Quadratic",
            minimisers=self.centre,
            minimum=0.0,
            m=self.spectrum.min().item(),
            L=self.spectrum.max().item(),
            start=self.centre + (modes if self.rotation is None else self.rotation @ modes),
        )

    def __repr__(self) -> str:
        rotated = ", rotated" if self.rotation is not None else ""
        return f"Quadratic(d={self.dimension}, m={self.m:g}, L={self.L:g}{rotated})"

    def f(self, x: Tensor) -> Tensor:
        y = self._modes(x)
        return 0.5 * (self._spectrum.column(x) * y * y).sum(0)

    def df(self, x: Tensor) -> Tensor:
        force = self._spectrum.column(x) * self._modes(x)
        return force if self._rotation is None else _times(self._rotation.like(x), force)

    def _modes(self, x: Tensor) -> Tensor:
        # Through Qᵀ rather than H: each mode keeps its own relative precision, however large L / m.
        y = x - self._centre.column(x)
        return y if self._rotation is None else _times(self._rotation.like(x).T, y)


def _times(matrix: Any, x: Tensor) -> Tensor:
    return (matrix @ x.reshape(x.shape[0], -1)).reshape(x.shape)


def _orthogonal(rotation: int | Points, d: int) -> Tensor:
    if isinstance(rotation, bool):
        raise TypeError("rotation must be None, an integer seed or an orthogonal matrix; got bool")
    if isinstance(rotation, Integral):
        generator = torch.Generator().manual_seed(int(rotation))
        q, r = torch.linalg.qr(torch.randn(d, d, dtype=torch.float64, generator=generator))
        return q * r.diagonal().sign()  # without the signs the law would not be uniform
    q = checks.array(rotation, "rotation")
    if q.shape != (d, d):
        raise ValueError(f"rotation must have shape ({d}, {d}); got {tuple(q.shape)}")
    error = (q.T @ q - torch.eye(d, dtype=torch.float64)).abs().max().item()
    if error > 1e-10 * d:
        raise ValueError(f"rotation must be orthogonal; its QᵀQ differs from 1 by {error:.1e}")
    return q
