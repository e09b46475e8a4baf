"""Where an energy curve meets the floor that round-off or the step size puts under it."""

from __future__ import annotations

import math

import numpy as np

from .windows import Array

SAMPLES = 24  # fewer samples than this are no curve
FLOOR_MARGIN = 1e3  # energies are trusted above this multiple of the floor
_FLOOR_DEPTH = 1e-6  # a stagnation this far below the largest energy is a floor, not a plateau


def above_floor(t: Array, e: Array, floor: float | None) -> tuple[Array, Array, float]:
    """The part of the curve before it meets its floor, and the floor (nan if there is none)."""
    envelope = np.maximum.accumulate(e[::-1])[::-1]  # largest energy from here on
    if floor is not None:
        end = int(np.searchsorted(-envelope, -floor))
        t, e, envelope = t[:end], e[:end], envelope[:end]
        if t.size < SAMPLES:
            return t, e, floor
    level = _floor_level(t, e, envelope)
    if level is None:
        return t, e, math.nan if floor is None else floor
    end = int(np.searchsorted(-envelope, -FLOOR_MARGIN * level))
    return t[:end], e[:end], level


def _floor_level(t: Array, e: Array, envelope: Array) -> float | None:
    """Level on which the curve stagnates, if that is far below its largest energy.

    Stagnation: the tail in which the envelope stays within a factor of two of its last value takes
    a large part of the run, or follows a decay that would have gone on by e³ in that time; and
    within its last half log E shows no decline, or one that dies out. Energies that reach 0 (or
    below) by round-off have the largest energy after that as their floor.
    """
    deep = _FLOOR_DEPTH * envelope[0]
    zero = np.flatnonzero(e <= 0.0)
    if zero.size:
        level = max(envelope[zero[0]], envelope[max(zero[0] - 1, 0)])
        return float(level) if level < deep else None
    level = float(envelope[np.searchsorted(t, t[-1] - 0.05 * (t[-1] - t[0]))])
    if level > deep:
        return None
    start = int(np.searchsorted(-envelope, -2.0 * level))
    tail = t[-1] - t[start]
    before = np.interp(t[start] - tail, t, np.log(envelope)) - np.log(envelope[start])
    if t.size - start < 8 or (tail < 0.4 * (t[-1] - t[0]) and before < 3.0):
        return None
    half = int(np.searchsorted(t, t[-1] - 0.5 * tail))
    return level if _stagnates(t[half:], np.log(e[half:])) else None


def _stagnates(t: Array, log_energy: Array) -> bool:
    """No decline of log E over 16 blocks of time (t statistic < 4), or one that dies out.

    A decline below 1e-9 is none: solvers with a relative tolerance leave that much.
    """
    blocks = np.interp(np.linspace(t[0], t[-1], 512), t, log_energy).reshape(16, 32).mean(axis=1)
    k = np.arange(16) - 7.5
    trend = float(np.dot(k, blocks) / np.dot(k, k))
    scatter = blocks - blocks.mean() - trend * k
    error = math.sqrt(float(np.dot(scatter, scatter)) / 14.0 / float(np.dot(k, k)))
    early = blocks[:4].mean() - blocks[4:8].mean()
    late = blocks[8:12].mean() - blocks[12:].mean()
    return -trend < max(4.0 * error, 1e-10) or late < 0.25 * early
