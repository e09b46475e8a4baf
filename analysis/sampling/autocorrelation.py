"""How long a stationary series remembers: autocorrelation and its integrated time."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_AT_ONCE = 2**22  # numbers that are transformed together


def autocovariance(series: Array) -> Array:
    """C(t) = (1/(T M)) Σ_j Σ_{s<T−t} (a_{s,j} − ā)(a_{s+t,j} − ā) of a [T, M], for 0 <= t < T: [T].

    One function for M independent trajectories of the same process, about their common mean: a
    trajectory that stays away from the others shows as correlation that does not decay, and
    1 + 2 Σ C(t)/C(0) over all lags is exactly M T times the variance between their means over C(0).
    By fast Fourier transforms, O(M T log T).
    """
    times, count = series.shape
    centred = series - series.mean()
    length = 1 << (2 * times - 1).bit_length()  # zeros keep the ends apart
    power = np.zeros(length // 2 + 1)
    for start in range(0, count, share := max(1, _AT_ONCE // length)):
        transform = np.fft.rfft(centred[:, start : start + share], length, axis=0)
        power += (transform.real**2 + transform.imag**2).sum(1)
    return np.fft.irfft(power, length)[:times] / (times * count)


def autocorrelation(series: Array) -> Array:
    """ρ(t) = C(t)/C(0) of a series [T, M] (see `autocovariance`): [T]; NaN for a constant one."""
    covariance = autocovariance(series)
    with np.errstate(invalid="ignore"):
        return covariance / covariance[0] if covariance[0] > 0 else np.full_like(covariance, np.nan)


def integrated_time(correlation: Array, samples: int) -> tuple[float, int]:
    """τ = 1 + 2 Σ_{t>=1} ρ(t), in samples, and the number of lags that were summed.

    The sum stops by Geyer's initial monotone sequence (Practical Markov chain Monte Carlo,
    Statistical Science 7 (1992) 473–483): the sums of neighbours Γ_k = ρ(2k) + ρ(2k+1), positive
    and decreasing for a reversible chain, are added until one is not positive, each bounded by
    those before it. Where correlations oscillate the sum stops before the negative lobes, so τ is
    rather too large. Two corrections for finite series: a factor 1 + (2W + 1)/N for what is lost
    from W lags when the mean of N samples is subtracted (Wolff, Computer Physics Communications
    156 (2004) 143–153), and τ >= 1/log₁₀ N, because the gain of alternating series is not known
    better (Vehtari et al., Bayesian Analysis 16 (2021) 667–718).
    """
    pairs = np.append(correlation, [0.0] * (len(correlation) % 2)).reshape(-1, 2).sum(1)
    positive = pairs > 0
    count = len(pairs) if positive.all() else int(np.argmin(positive))
    tau = 2 * float(np.minimum.accumulate(pairs[:count]).sum()) - 1
    lags = max(0, 2 * count - 1)
    least = 1 / math.log10(max(samples, 10))
    return max(tau, least) * (1 + (2 * lags + 1) / samples), lags
