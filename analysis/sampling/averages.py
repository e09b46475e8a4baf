"""Stationary averages with honest errors, and a plain word when a run is too short for one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor

from .autocorrelation import Array, autocovariance, integrated_time

Series: TypeAlias = Tensor | np.ndarray | Sequence[Any]
"""Samples of a stationary process in time order, [T], or [T, *batch] of independent runs of it."""

_LEAST_SIZE = 50.0  # effective samples: below them the error itself is not known to 10 %
_LEAST_LENGTH = 20.0  # times τ in every trajectory: below them the start is not forgotten
_LARGE = 1e6  # numbers from here on are printed with an exponent
_FAR = 4.0  # standard errors by which the start of a run must not differ from its end
_ROUNDING = 8 * np.finfo(np.float64).eps


@dataclass(frozen=True)
class Average:
    """The mean of a stationary series, with its error. `str` gives it in one line.

    mean            of all samples that were kept
    standard_error  √(C(0) τ / N), N = samples · trajectories
    tau             integrated autocorrelation time τ = 1 + 2 Σ ρ(t) in samples, 1 if independent
                    (physicists' τ is half of it); times `spacing` it is a time
    effective_size  N / τ, the number of independent samples that would give the same error
    samples         per trajectory, after the start was discarded
    trajectories    independent runs that were averaged
    lost            trajectories left out because they hold NaN or infinity
    spacing         time between two samples (1 for a bare series)
    enough          False if the series does not support its own error; `message` says why
    """

    mean: float
    standard_error: float
    tau: float
    effective_size: float
    samples: int
    trajectories: int
    lost: int
    spacing: float
    enough: bool
    message: str

    def __str__(self) -> str:
        text = f"{rounded(self.mean, self.standard_error)} (τ = {self.tau * self.spacing:.3g}, "
        text += f"{self.effective_size:.3g} effective of {self.samples * self.trajectories})"
        return text if self.enough else f"{text}; not to be relied on: {self.message}"

    def deviation(self, value: float) -> float:
        """(mean − value) in standard errors, ±∞ if the error is 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.float64(self.mean - value) / self.standard_error)


def average(values: Series, *, discard: float = 0.0, spacing: float = 1.0) -> Average:
    """The average of a stationary series [T], or [T, *batch] of independent runs of one process.

    The error comes from the autocovariance of all runs about their common mean, summed by Geyer's
    initial monotone sequence (see `autocorrelation.integrated_time`). `discard` is the fraction of
    the times, 0 <= discard < 1, to be left out at the start; a bare series is taken as stationary.

    A series is reported as not enough (with everything computed all the same) if it holds fewer
    than 50 effective samples, if a trajectory is shorter than 20 τ, if its first tenth differs
    from its last half by more than 4 standard errors, if it is constant, or if trajectories were
    lost. What no run can tell is whether there are regions that it has not seen at all.

    Raises ValueError for an empty series, an axis of length 0, or `discard` out of range.
    """
    series, lost = kept(values, discard)
    return _average(series, lost, spacing)


def average_ratio(
    numerator: Series, denominator: Series, *, discard: float = 0.0, spacing: float = 1.0
) -> Average:
    """⟨a⟩/⟨b⟩ of two series of the same runs, both [T] or [T, *batch].

    The error is that of (a − r b)/⟨b⟩ with r = ⟨a⟩/⟨b⟩, to first order in it (the delta method);
    τ and the effective size belong to that series. Raises ValueError as `average` does.
    """
    a, b = array(numerator), array(denominator)
    if a.shape != b.shape:
        raise ValueError(f"a ratio needs two series of one shape; got {a.shape} and {b.shape}")
    both, lost = kept(np.stack((a, b), axis=1), discard, groups=2)
    half = both.shape[1] // 2
    a, b = both[:, :half], both[:, half:]
    scale = float(b.mean()) if b.size else math.nan
    if scale == 0:
        raise ValueError("the denominator averages to 0, so there is no ratio")
    ratio = float(a.mean()) / scale if b.size else math.nan
    found = _average((a - ratio * b) / scale, lost, spacing)
    return replace(found, mean=ratio)


def kept(values: Series, discard: float, groups: int = 1) -> tuple[Array, int]:
    """The series as [T', M] without its start and without lost trajectories, and their number.

    With `groups` the first axis after time holds that many series of the same runs; a run that is
    lost in one is left out of all.
    """
    series = array(values)
    if series.ndim == 0 or series.size == 0:
        raise ValueError(f"an average needs a series [T, ...] of samples; got shape {series.shape}")
    start = first_kept(discard, len(series))
    series = series[start:].reshape(len(series) - start, groups, -1)
    finite = np.isfinite(series).all(axis=(0, 1))
    lost = int((~finite).sum())
    return series[:, :, finite].reshape(len(series), -1), lost


def first_kept(discard: float, times: int) -> int:
    """The first of so many times that is kept: no less than the fraction `discard` is left out."""
    if not 0 <= discard < 1:
        raise ValueError(
            f"discard is the fraction of the times left out at the start, 0 <= discard < 1; "
            f"got {discard!r}"
        )
    start = math.ceil(discard * times * (1 - _ROUNDING))
    if start >= times:
        raise ValueError(f"discard = {discard:g} leaves nothing of {times} samples")
    return start


def rounded(mean: float, error: float) -> str:
    """Both with the digits that two digits of the error allow; large ones with an exponent."""
    if not (math.isfinite(error) and error > 0):
        return f"{mean:.6g} ± {error:.2g}"
    if max(abs(mean), error) >= _LARGE:
        digits = 2 + math.floor(math.log10(max(abs(mean), error))) - math.floor(math.log10(error))
        return f"{mean:.{min(digits, 12)}g} ± {error:.2g}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    return (
        f"{mean:.{digits}f} ± {error:.{digits}f}" if digits < 12 else f"{mean:.12g} ± {error:.2g}"
    )


def array(values: Series) -> Array:
    """The samples as float64 numbers of numpy."""
    return np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values, dtype=float)


def _average(series: Array, lost: int, spacing: float) -> Average:
    times, count = series.shape
    total = times * count
    found = Average(
        math.nan, math.nan, math.nan, math.nan, times, count, lost, spacing, False,
        "no trajectory stayed finite",
    )  # fmt: skip
    if count == 0:
        return found
    found = replace(found, mean=float(series.mean()))
    if times < 2 and count < 2:
        return replace(found, message="a single sample has no error")
    variance, tau = _variance_and_time(series)
    if np.ptp(series) <= _ROUNDING * np.abs(series).max() or not variance > 0:
        text = "the series is constant: without fluctuations there is no error to estimate"
        return replace(found, standard_error=0.0, message=text)
    found = replace(
        found,
        standard_error=math.sqrt(variance * tau / total),
        tau=tau,
        effective_size=total / tau,
    )
    reasons = _doubts(series, found)
    return replace(found, enough=not reasons, message="; ".join(reasons))


def _doubts(series: Array, found: Average) -> list[str]:
    """Why the error of an average is not to be believed, as far as the series itself shows it."""
    doubts = []
    if found.lost:
        whole = found.lost + found.trajectories
        doubts.append(f"{found.lost} of {whole} trajectories hold NaN or infinity and are left out")
    if found.effective_size < _LEAST_SIZE:
        doubts.append(
            f"too short: only {found.effective_size:.2g} effective samples, where "
            f"{_LEAST_SIZE:.0f} are the least that give an error"
        )
    elif 1 < found.samples < _LEAST_LENGTH * found.tau:
        doubts.append(
            f"too short: every trajectory lasts {found.samples / found.tau:.2g} autocorrelation "
            f"times, where {_LEAST_LENGTH:.0f} are the least that forget the start"
        )
    apart = _start_from_end(series)
    if apart > _FAR:
        doubts.append(
            f"not stationary: the first tenth of the run is {apart:.2g} standard errors away from "
            "its last half; discard more of the start"
        )
    return doubts


def _start_from_end(series: Array) -> float:
    """|mean of the first tenth − mean of the last half|, in standard errors.

    The errors are those of the last half, which a start that was far away does not inflate
    (J. Geweke, in Bayesian Statistics 4, Oxford University Press (1992) 169–193).
    """
    times = len(series)
    first, last = series[: times // 10], series[times - times // 2 :]
    if not first.size:
        return 0.0
    gap = abs(float(first.mean() - last.mean()))
    variance, tau = _variance_and_time(last)
    if not variance > 0:
        return math.inf if gap > 0 else 0.0
    return gap / math.sqrt(variance * tau * (1 / first.size + 1 / last.size))


def _variance_and_time(series: Array) -> tuple[float, float]:
    covariance = autocovariance(series)
    variance = float(covariance[0])
    if not variance > 0:
        return 0.0, math.nan
    return variance, integrated_time(covariance / variance, series.size)[0]
