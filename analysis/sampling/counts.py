"""Counts of correlated samples beside their expected shares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from .autocorrelation import Array

_LEAST_COUNT = 5.0  # effective samples expected in a bin that takes part in χ²


@dataclass(frozen=True)
class ChiSquare:
    """χ² of correlated counts.

    value           N_eff Σ (share − expected)²/expected over the bins that took part
    degrees         their number less one, the mean of `value` if the expected shares are right
    effective_size  N_eff, independent samples that would scatter as much over the bins
    p_value         probability of a larger one

    NaN where fewer than two bins or three blocks are left to compare.
    """

    value: float
    degrees: int
    effective_size: float
    p_value: float


def block_shares(points: Array, edges: list[Array], blocks: int) -> Array:
    """Shares of the bins in every block of the samples [T, k, M]: [blocks · M, n + 2, ...].

    Each of the M trajectories is cut into `blocks` of equal length; what does not divide is left
    out at the start.
    """
    length = len(points) // blocks
    points = points[len(points) - length * blocks :]
    shape = tuple(len(edge) + 1 for edge in edges)
    places = [np.searchsorted(edge, points[:, k]) for k, edge in enumerate(edges)]
    bins = np.ravel_multi_index(tuple(places), shape)  # [T, M]
    count, size = blocks * points.shape[2], int(np.prod(shape))
    owner = np.arange(len(points)) // length
    owner = owner[:, None] * points.shape[2] + np.arange(points.shape[2])
    counts = np.bincount((owner * size + bins).ravel(), minlength=count * size)
    return counts.reshape(count, *shape) / length


def chi_square(shares: Array, expected: Array, samples: float, effective: float) -> ChiSquare:
    """Compare the mean of block shares [B, K] with `expected` [K], B independent blocks.

    With D = diag(expected), V the covariance of the mean share (from the spread of the blocks) and
    A = N D^{-1/2} V D^{-1/2}, Pearson's N Σ (share − expected)²/expected has the mean tr A and the
    variance 2 tr A²; it is referred to F with (tr A)²/tr A² degrees of freedom (Rao, Scott, Annals
    of Statistics 12 (1984) 46–60; with F for the estimated V, Thomas, Rao, J. Amer. Statist.
    Assoc. 82 (1987) 630–636). tr A² is corrected for the noise of V as for a Wishart matrix.

    samples    N, all samples
    effective  a first guess of N_eff: bins that expect fewer than 5 of these are taken together
    """
    shares, expected = _merged(shares, expected, effective)
    blocks, bins = shares.shape
    if bins < 2 or blocks < 3:
        return ChiSquare(np.nan, bins - 1, np.nan, np.nan)
    residual = shares.mean(0) - expected
    scaled = (shares - shares.mean(0)) / np.sqrt(expected)
    own = scaled @ scaled.T if blocks < bins else scaled.T @ scaled  # the same traces
    factor, free = samples / (blocks * (blocks - 1)), blocks - 1
    trace, square = factor * float(np.trace(own)), factor**2 * float((own * own).sum())
    square = (square - trace**2 / free) * free**2 / ((free - 1) * (free + 2))
    degrees = float(np.clip(trace**2 / max(square, 1e-300), 1.0, bins - 1))
    pearson = samples * float((residual**2 / expected).sum())
    scale = (bins - 1) / trace
    return ChiSquare(
        pearson * scale,
        bins - 1,
        samples * scale,
        float(stats.f.sf(pearson / trace, degrees, degrees * free)),
    )


def _merged(shares: Array, expected: Array, effective: float) -> tuple[Array, Array]:
    """Bins with too little expected become one; that joins the least other if still too little."""
    order = np.argsort(expected)
    shares, expected = shares[:, order], expected[order]
    total = np.cumsum(expected)
    few = int((expected * effective < _LEAST_COUNT).sum())
    while 0 < few < len(expected) and total[few - 1] * effective < _LEAST_COUNT:
        few += 1
    few = max(few, 1)
    first = shares[:, :few].sum(1, keepdims=True)
    return np.hstack((first, shares[:, few:])), np.concatenate(([total[few - 1]], expected[few:]))
