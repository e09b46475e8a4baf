"""Averages over whole periods, and slopes that oscillations hardly touch.

A curve that decays and oscillates, log E(t) = -r t + (periodic), has its rate hidden under the
oscillation. Two averages bring it out. A running mean over one period P removes the oscillation of
period P and all its harmonics; a straight line fitted with weights that vanish smoothly at both
ends of its window hardly sees the periods that are left, because every oscillation with n periods
inside the window enters the slope with a factor that falls off as a high power of 1/n.

Times need not be uniform: curves are read as piecewise linear between the samples, and the running
means are exact integrals of that.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

NODES = 400
"""Points at which a smoothed window is represented."""

_SPECTRUM_POINTS = 8192
_FAINTEST = 1e-10  # an oscillation of E / trend with this amplitude or less is rounding


class Smooth(NamedTuple):
    """A curve averaged over whole periods.

    `log_energy` at the nodes `times`; `period` or nan; `ripple`, the root mean square of what was
    averaged away, in log E.
    """

    times: Array
    log_energy: Array
    period: float
    ripple: float


def running_mean(t: Array, y: Array, nodes: Array, width: float) -> Array:
    """(1/w) ∫ y over [s - w/2, s + w/2] at every node s, y piecewise linear through (t, y)."""
    pieces = 0.5 * (y[1:] + y[:-1]) * np.diff(t)
    total = np.concatenate(([0.0], np.cumsum(pieces)))

    def integral(s: Array) -> Array:
        k = np.clip(np.searchsorted(t, s, side="right") - 1, 0, t.size - 2)
        u = s - t[k]
        slope = (y[k + 1] - y[k]) / (t[k + 1] - t[k])
        return total[k] + u * (y[k] + 0.5 * u * slope)

    return (integral(nodes + 0.5 * width) - integral(nodes - 0.5 * width)) / width


def find_period(t: Array, log_energy: Array) -> float:
    """Slowest pronounced period of the curve, nan if there is none with four in the window.

    The signal is E divided by its trend (exp of a cubic fitted to log E). Energies of several
    modes add, so E / trend holds the frequency of each mode, whereas log E would also hold their
    differences. A peak of the Hann-windowed spectrum counts if it rises 10-fold in power above a
    valley on its low-frequency side (the trend that is left has no such valley), reaches a
    hundredth of the strongest one's power, and has at least three samples per period.
    """
    n = int(min(_SPECTRUM_POINTS, 2 * t.size))
    s = np.linspace(t[0], t[-1], n)
    u = np.linspace(-1.0, 1.0, n)
    y = np.interp(s, t, log_energy)
    trend = np.polynomial.chebyshev.chebval(u, np.polynomial.chebyshev.chebfit(u, y, 3))
    signal = np.exp(np.clip(y - trend, -40.0, 40.0))
    signal = signal - np.polynomial.chebyshev.chebval(
        u, np.polynomial.chebyshev.chebfit(u, signal, 3)
    )
    power = np.abs(np.fft.rfft(signal * np.hanning(n))) ** 2
    k = np.arange(1, power.size - 1)
    valley = np.minimum.accumulate(power[:-2])
    peak = (power[1:-1] >= power[:-2]) & (power[1:-1] > power[2:]) & (k >= 4)
    peak &= power[1:-1] > 10.0 * valley
    least = max(1e-8 * power[1:].max(), (_FAINTEST * n / 4.0) ** 2)
    peak &= (power[1:-1] > least) & (k < t.size / 3)
    if not peak.any():
        return float("nan")
    k = k[peak & (power[1:-1] >= 0.01 * power[1:-1][peak].max())][0]
    a, b, c = np.log(power[k - 1 : k + 2] + 1e-300)
    shift = 0.5 * (a - c) / (a - 2.0 * b + c) if a - 2.0 * b + c < 0 else 0.0
    return float((t[-1] - t[0]) / (k + shift))


def every_other(t: Array, y: Array) -> tuple[Array, Array]:
    """Every other sample of a curve, the last one included."""
    keep = np.unique(np.append(np.arange(0, t.size, 2), t.size - 1))
    return t[keep], y[keep]


def smooth(t: Array, log_energy: Array, period: float) -> Smooth:
    """Average E over whole periods: log Ē = M[log E] + log M[E / exp M[log E]], M a running mean.

    The first mean flattens the curve, the second averages the flat curve linearly, so that modes
    whose energies add do not beat against each other in the logarithm. The mean runs over one
    period (nan: none, then over two nodes), or over as many as lie between two nodes.
    """
    length = t[-1] - t[0]
    grain = length / NODES
    periods = max(1.0, np.ceil(grain / period)) if np.isfinite(period) else math.nan
    width = float(np.nan_to_num(periods * period, nan=2.0 * grain))
    nodes = np.linspace(t[0] + 0.5 * width, t[-1] - 0.5 * width, NODES)
    mean = running_mean(t, log_energy, nodes, width)
    line = np.polyfit(nodes, mean, 1)
    flat = log_energy - np.polyval(line, t) - np.interp(t, nodes, mean - np.polyval(line, nodes))
    ratio = np.exp(np.clip(flat, -60.0, 60.0))
    level = mean + np.log(running_mean(t, ratio, nodes, width))
    inner = flat[(t >= nodes[0]) & (t <= nodes[-1])]
    return Smooth(nodes, level, period, float(np.sqrt(np.mean(inner**2))) if inner.size else 0.0)


def slope(t: Array, y: Array, start: float, end: float) -> float:
    """Slope of the least-squares line through (t, y), weights sin²(π (t-start)/(end-start))."""
    keep = (t > start) & (t < end)
    u, v = t[keep], y[keep]
    w = np.sin(np.pi * (u - start) / (end - start)) ** 2
    centre = np.dot(w, u) / w.sum()
    u = u - centre
    return float(np.dot(w * u, v - v.mean()) / np.dot(w * u, u))


def undulation(curve: Smooth) -> float:
    """Twice the longest rise of the rate of a smoothed curve, or nan: a slow oscillation's period.

    The rate of any sum of decaying modes only falls, whether they decay exponentially or like 1/t.
    Where it rises by a tenth of itself (averaged over an eighth of the curve, or three periods if
    the period is known) something oscillates, and half a period is enough to see that. Not asked of
    a curve that grows, nor of one that hardly moves on average over a period that is known.
    """
    first, last = float(curve.times[0]), float(curve.times[-1])
    width = min(0.5, max(0.125, 3.0 * np.nan_to_num(curve.period) / (last - first)))
    half = 0.5 * width * (last - first)
    centres = np.linspace(first + half, last - half, 20)
    rates = np.array([-slope(curve.times, curve.log_energy, c - half, c + half) for c in centres])
    net, moved = float(rates.sum()), float(np.abs(rates).sum())
    if net < -0.5 * moved or (net < 0.5 * moved and np.isfinite(curve.period)):
        return float("nan")
    least = 0.1 * np.abs(rates).mean()
    longest, low, top = 0, 0, 0  # the present rise goes from centre `low` to centre `top`
    for k in range(1, rates.size):
        scale = 0.1 * max(abs(rates[k]), abs(rates[top]), least)
        if rates[k] >= rates[top]:
            top = k
        elif rates[top] - rates[k] > scale or rates[k] < rates[low]:
            low = top = k
        if rates[top] - rates[low] > scale:
            longest = max(longest, top - low)
    return 2.0 * longest * float(centres[1] - centres[0]) if longest else float("nan")


class Slopes(NamedTuple):
    """Slopes of one smoothed window over its whole and its first, middle and last half.

    `error` and `half_error` say how far the whole and the half slopes move when their window is
    shifted and shrunk by halves of a period, the steady drift of the slope taken out; the whole
    slope is not trusted beyond a third of the error of a half (2^(3/2) smaller if that is noise).
    """

    whole: float
    first: float
    middle: float
    last: float
    error: float
    half_error: float

    @property
    def drift(self) -> float:
        """Change of the slope from the first half to the last, half a window apart."""
        return self.last - self.first

    def with_noise(self, sigma: float) -> Slopes:
        """The same with a standard error of the whole slope added (of a half: 2^(3/2) times it)."""
        return self._replace(
            error=self.error + sigma, half_error=self.half_error + 2.0**1.5 * sigma
        )


def slopes(t: Array, y: Array, coarse: Array, period: float) -> Slopes:
    """Slopes over the whole window and its halves, with errors from shifting and shrinking.

    Ends move inwards by 0, 1/2 and 1 period (no period: 1/20 of the window; at most 1/12 of it).
    coarse: the same curve from every other sample; what that changes is added to the errors.
    """
    a, b = t[0], t[-1]
    length = b - a
    step = min(0.5 * period, length / 12.0) if np.isfinite(period) else length / 20.0
    whole = slope(t, y, a, b)
    first, middle, last = (
        slope(t, y, a + i * 0.25 * length, a + (i + 2) * 0.25 * length) for i in range(3)
    )
    trend = (last - first) / (0.5 * length)
    change = coarse - y
    sampling = abs(slope(t, change, a, b))
    half_sampling = max(
        abs(slope(t, change, a, a + 0.5 * length)), abs(slope(t, change, b - 0.5 * length, b))
    )

    def moved(start: float, end: float, value: float) -> float:
        """Largest change of a slope, beyond the drift, when the ends of its window move inwards."""
        return max(
            abs(
                slope(t, y, start + i * step, end - j * step) - value - trend * 0.5 * (i - j) * step
            )
            for i, j in ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (2, 2))
        )

    error = moved(a, b, whole) + sampling
    half_error = max(moved(a, a + 0.5 * length, first), moved(b - 0.5 * length, b, last))
    half_error += half_sampling
    return Slopes(whole, first, middle, last, max(error, half_error / 3.0), half_error)
