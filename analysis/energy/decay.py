"""How fast the energy of a trajectory decays: exponentially, like 1/t, or not at all.

Both laws are read off one number. With the rate r = -d log E/dt, averaged over whole periods,

    r ∝ E^q:    q = 0  exponential, E ~ exp(-r t)
                q = 1  algebraic,   E ~ 1/(κ t), and d(1/E)/dt = r/E = κ
                q = 1/n             E ~ t^(-n)

q is the slope of log r against log E. It needs no decade of decay: after a fast start E may sit on
a plateau E₁ until t ~ 1/(κ E₁), where a log-log plot of E shows nothing, while r/E = κ all along.

Rates are those of the late times. A sum of modes decays in the end at the slowest one, so the rate
drifts, and the interval must hold what it drifts to; how far that is follows from the drift itself:

    E = Σ aᵢ e^(-λᵢ t):       -dr/dt is the variance of λᵢ, weighted by the modes' energies, so the
                              slowest λ is within about one standard deviation √(-dr/dt) of r;
    E = Σ 1/(κᵢ (t + τᵢ)):    s = d(1/E)/dt exceeds its limit 1/Σ(1/κᵢ) by about ½ A |ds/dt|, with
                              the age A = 1/(s E), the time that the 1/t law needs to reach E.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .floor import FLOOR_MARGIN, SAMPLES, above_floor
from .windows import Array, Slopes, every_other, find_period, slopes, smooth, undulation

if TYPE_CHECKING:
    from ...integrators import Trajectory

Model = Literal["exponential", "algebraic", "none"]

_PERIODS = 4.0  # a window holds at least this many periods
_FRACTIONS = (1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.125)  # late windows tried
_MIXED = 2.5  # standard deviations below r at which the slowest of mixed rates may lie: it
# is there if it carries at least 1 / (1 + 2.5²) = 14 % of the energy
_SMALLEST_DRIFT = 3e-5  # relative drift of a rate that is taken seriously
_DOUBTFUL_DRIFT = 2e-3  # and that speaks against other windows when it does not slow down
_FINEST = 5e-4  # no rate is claimed to be known better than this, relatively
_ROUND_OFF = 1e-11  # changes of log E below this are rounding and solver errors
_WIDEST = 0.35  # a rate whose relative half-interval exceeds this is not reported


@dataclass(frozen=True)
class DecayRate:
    """The decay law of one energy curve.

    model: "exponential", "algebraic" or "none".
    rate: exponential: γ of E ~ exp(-γ t); algebraic: κ of E ~ 1/(κ t); nan for none.
    rate_low, rate_high: interval that holds the asymptotic rate, from windows shifted and shrunk
        over whole periods and from the remaining drift; nan for none.
    reason: one sentence on why this model, or why none.
    window: the times (t0, t1) that the rate is read from.
    floor: energy at which the curve stops decaying for numerical reasons, nan if it does not.
    """

    model: Model
    rate: float
    rate_low: float
    rate_high: float
    reason: str
    window: tuple[float, float]
    floor: float = math.nan

    @property
    def is_decided(self) -> bool:
        """False where "none" means that the curve does not tell, not that nothing decays."""
        undecided = ("undecided", "too short", "neither")
        return self.model != "none" or not self.reason.startswith(undecided)


class _Fit(NamedTuple):
    """What one late window says: a model with its interval, or why it gives none."""

    model: Model
    rate: float
    low: float
    high: float
    window: tuple[float, float]
    reason: str
    decided: bool  # the exponent q is known, whatever it is
    unsettled: bool  # the rate drifts, and ever faster
    late_rate: tuple[float, float]  # r in the last half of the window
    late_growth: tuple[float, float]  # d(1/E)/dt there

    @property
    def width(self) -> float:
        return (self.high - self.low) / self.rate


# --------------------------------------------------------------------------- public functions


def fit_decay(times: ArrayLike, energy: ArrayLike, *, floor: float | None = None) -> DecayRate:
    """Decay law and rate of one energy curve E(t) >= 0, which may oscillate.

    times, energy: one-dimensional, of one length, times increasing, spaced evenly or not (but
    several samples per period of the oscillation). floor: energies at or below it are not used;
    without it, a round-off or step-size floor is looked for.

    Method: windows that end where the curve ends (or meets its floor) and start later and later are
    averaged over whole periods; in each, the rate in its first, middle and last half gives the
    exponent q of r ∝ E^q and the drift. The latest window that decides on q names the model, the
    one with the narrowest interval gives the rate. Raises ValueError for malformed input; whatever
    the curve does is answered by `model="none"` with a reason.
    """
    t, e = _checked(times, energy)
    span = (float(t[0]), float(t[-1])) if t.size else (math.nan, math.nan)
    if (reason := _unusable(t, e)) is not None:
        return _none(reason, span)
    t, e, level = above_floor(t, e, floor)
    if t.size < SAMPLES:
        text = f"too short: only {t.size} samples lie clearly above the floor of {level:.2g}"
        return _none(text, span, level)
    cut = not math.isnan(level) and level != floor
    fit = _choose(_fit_windows(t, _log_energy(t, e), bias=1.0 / FLOOR_MARGIN if cut else 0.0))
    if fit.model == "none":
        return _none(fit.reason, fit.window, level)
    reason = f"{fit.reason}; then it stagnates near {level:.2g} (round-off or step size)"
    reason = reason if cut else fit.reason
    low, high = float(fit.low), float(fit.high)
    return DecayRate(fit.model, float(fit.rate), low, high, reason, fit.window, level)


def decay_rate(run: Trajectory, index: int | tuple[int, ...] | None = None) -> DecayRate:
    """Decay law and rate of the mechanical energy E = f - f* + ½|p|² of one trajectory of a run.

    index: which trajectory of a batch, required if there is a batch (so that the answer is always
    one DecayRate); all of them: `[decay_rate(run, i) for i in range(n)]`. Raises ValueError if the
    landscape's minimum f* is unknown, because E then does not tend to 0. See `fit_decay`.
    """
    if run.settings.get("minimum") is None:
        raise ValueError(
            "decay_rate needs E = f - f* + ½|p|², but the landscape of this run has no known "
            "minimum f*. Give the landscape its minimum, or subtract your own estimate: "
            "fit_decay(run.times, run.mechanical_energy - minimum)."
        )
    times = np.asarray(run.times, dtype=np.float64)
    energy = np.asarray(run.mechanical_energy, dtype=np.float64)
    batch = energy.shape[1:]
    if batch and index is None:
        raise ValueError(
            f"this run holds a batch of shape {batch}; choose one trajectory, decay_rate(run, 0), "
            "or take all: [decay_rate(run, i) for i in range(n)]."
        )
    position = () if index is None else index if isinstance(index, tuple) else (index,)
    if len(position) != len(batch):
        raise ValueError(f"index {index} does not name one trajectory of a batch of shape {batch}.")
    energy = energy[(slice(None), *position)]
    end = int(np.isfinite(energy).argmin()) if not np.isfinite(energy).all() else energy.size
    if run.status != "diverged" or (end and energy[end - 1] < energy[0]):
        times, energy = times[:end], energy[:end]  # stopped early: what was computed counts
    return fit_decay(times, energy)


# --------------------------------------------------------------------------- the usable curve


def _checked(times: ArrayLike, energy: ArrayLike) -> tuple[Array, Array]:
    t = np.asarray(times, dtype=np.float64)
    e = np.asarray(energy, dtype=np.float64)
    if t.ndim != 1 or t.shape != e.shape:
        raise ValueError(
            f"times and energy must be one-dimensional and of one length, got {t.shape} "
            f"and {e.shape}; for a batch, fit one column at a time."
        )
    if not (np.isfinite(t).all() and (np.diff(t) > 0).all()):
        raise ValueError("times must be finite and strictly increasing.")
    return t, e


def _unusable(t: Array, e: Array) -> str | None:
    """Why a curve cannot be fitted at all, or None."""
    if not np.isfinite(e).all():
        bad = t[np.flatnonzero(~np.isfinite(e))[0]]
        return f"the run diverged: its energy is not finite from t = {bad:.4g} on"
    if t.size < SAMPLES:
        return f"too short: {t.size} samples, at least {SAMPLES} are needed"
    top = float(e.max())
    if top <= 0.0:
        return "the energy is nowhere positive: the start is a minimum, or f* is too large"
    if -float(e.min()) > 1e-6 * top:
        return f"the energy falls to {e.min():.2g}: below 0 means that f* is too large"
    if top - float(e.min()) <= 1e-9 * top:
        return "the energy is conserved: it changed by less than 1e-9 of itself"
    return None


def _log_energy(t: Array, e: Array) -> Array:
    """log E, interpolated across isolated samples that round-off made zero or negative."""
    good = e > 0.0
    return np.interp(t, t[good], np.log(e[good]))


# --------------------------------------------------------------------------- windows and models


def _fit_windows(t: Array, log_energy: Array, bias: float) -> list[_Fit]:
    """One fit per late window of at least four periods, the latest first; or one that says why.

    bias: what a floor F below the curve may add to log E = log(e^(-γt) + F) at its end.
    """
    period = find_period(t, log_energy)
    curve = smooth(t, log_energy, period)
    slowest = np.fmax(period, undulation(curve))
    length = float(t[-1] - t[0])
    if length < _PERIODS * slowest:
        window = (float(t[0]), float(t[-1]))
        late = curve.log_energy[len(curve.log_energy) // 2 :]
        low, high = math.exp(float(late.min())), math.exp(float(late.max()))
        text = (
            f"too short: fewer than {_PERIODS:g} periods, of about {slowest:.3g}, to average over"
        )
        if high < 1.05 * low:
            text = (
                f"no decay: over the second half the energy stays between {low:.3g} and {high:.3g} "
                "(conserved, a plateau or a limit cycle)"
            )
        return [_no_fit(text, window)]
    fits: list[_Fit] = []
    for fraction in _FRACTIONS:
        keep = int(np.searchsorted(t, t[-1] - fraction * length * (1.0 + 1e-12)))
        if t.size - keep < SAMPLES:
            break
        own = find_period(t[keep:], log_energy[keep:])
        if np.isfinite(own):
            period, slowest = own, np.fmax(slowest, own)
        if t[-1] - t[keep] < _PERIODS * slowest:
            break
        fits.append(_fit_window(t[keep:], log_energy[keep:], period, bias))
    return fits[::-1]


def _choose(fits: list[_Fit]) -> _Fit:
    """The narrowest fit of the model that the latest decided window names.

    Its interval must agree with the late slopes of all windows that start later; if none does, the
    curve bends at its end, where a slower mode, a plateau or a floor comes out. So it does if the
    rate drifts ever faster in a later window, or in one of the next two longer ones, whose drift
    a short window may not show; and if one of those two decides for another exponent, because
    an exponent that passes through 0 or 1 on its way is no law.
    """
    decided = [f for f in fits if f.decided]
    if not decided:
        return fits[-1]
    model = decided[0].model
    if model == "none":
        return decided[0]
    agreed = [
        f
        for i, f in enumerate(fits)
        if f.decided
        and f.model == model
        and all(_agrees(f, late) for late in fits[:i])
        and not any(other.unsettled for other in fits[: i + 3])
        and not any(longer.decided and longer.model == "none" for longer in fits[i + 1 : i + 3])
    ]
    if not agreed:
        return _no_fit(
            "undecided: the decay changes near the end, where a slower decay, a plateau or a floor "
            "comes out; a longer run, or floor=, would tell",
            fits[-1].window,
        )
    best = min(agreed, key=lambda f: f.width)
    return best._replace(low=min([best.low, *_slower_before(best, fits)]))


def _slower_before(fit: _Fit, fits: list[_Fit]) -> list[float]:
    """Late slopes of the longer windows, of which a lower one widens the interval.

    Modes only slow down, so a slope that was lower before belongs to a slow oscillation.
    """
    spans = [f.late_rate if fit.model == "exponential" else f.late_growth for f in fits]
    return [
        0.5 * (low + high)
        for f, (low, high) in zip(fits, spans, strict=True)
        if f.window[0] < fit.window[0] and 0.5 * (low + high) > (1.0 - _WIDEST) * fit.rate
    ]


def _agrees(fit: _Fit, late: _Fit) -> bool:
    """Whether the slope in the last half of a later window is possible under this fit."""
    low, high = late.late_rate if fit.model == "exponential" else late.late_growth
    return low <= fit.high and high >= fit.low


def _fit_window(t: Array, log_energy: Array, period: float, bias: float) -> _Fit:
    """Exponent q of r ∝ E^q in one window, and the rate with its interval if q is 0 or 1."""
    nodes, level, period, ripple = smooth(t, log_energy, period)
    coarse = smooth(*every_other(t, log_energy), period).log_energy
    inverse = np.exp(level[-1] - level)
    r = slopes(nodes, -level, -coarse, period)
    s = slopes(nodes, inverse, np.exp(level[-1] - coarse), period)
    noise = bias / (t[-1] - t[0])
    if not np.isfinite(period):  # a ripple without a period is noise, as in undersampled curves
        noise += 4.0 * ripple / math.sqrt(t.size) / (t[-1] - t[0])
    if noise > 0.0:
        r, s = r.with_noise(noise), s.with_noise(noise * abs(s.last / r.last))
    unit = math.exp(min(-float(level[-1]), 700.0))
    fit = _no_fit("", (float(nodes[0]), float(nodes[-1])))
    fit = fit._replace(late_rate=_late(r, 1.0), late_growth=_late(s, unit))
    low, high = fit.late_rate
    least = (_ROUND_OFF + 0.01 * ripple) / float(nodes[-1] - nodes[0])
    mean = math.exp(float(level[len(level) // 2 :].mean()))
    if high < -least:
        if r.first < 2.0 * r.last:
            text = f"the energy grows and settles near {mean:.3g}: a plateau or limit cycle"
        else:
            text = f"the energy grows, at a rate of {-r.whole:.3g} per unit of time"
        return fit._replace(reason=text, decided=True)
    if min(low, r.first - 3.0 * r.half_error) <= least:
        text = f"no decay: the energy stays near {mean:.3g} (conserved, a plateau or a limit cycle)"
        return fit._replace(reason=text)
    q, q_error = _exponent(r, s, level)
    if q_error > 0.25:
        text = (
            "too short: the energy changes too little to tell the laws apart "
            f"(r ∝ E^q with q = {q:.2g} ± {q_error:.1g})"
        )
        return fit._replace(reason=text)
    if abs(q) < 0.3:
        return _exponential(fit, r)
    if abs(q - 1.0) < 0.3:
        return _algebraic(fit, s, inverse, unit)
    if q > 2.5:
        text = f"the energy settles near {mean:.3g}: a plateau or limit cycle"
    elif q > 0.0:
        text = f"neither law, or not yet: the energy falls like t^-{1 / q:.2g} here"
    else:
        text = f"neither law: the decay becomes faster as the energy falls (r ∝ E^{q:.2g})"
    return fit._replace(reason=text, decided=True)


def _late(s: Slopes, unit: float) -> tuple[float, float]:
    """Interval of the slope in the last half of a window."""
    error = 3.0 * s.half_error + _FINEST * abs(s.last)
    return (s.last - error) * unit, (s.last + error) * unit


def _exponent(r: Slopes, s: Slopes, level: Array) -> tuple[float, float]:
    """q = Δlog r / Δlog E between the first and the last half, and its error.

    The oscillation enters r and s = r/E by the same relative error, which is seen best in the one
    of the two that drifts less.
    """
    n = len(level)
    fall = float(level[n // 4] - level[(3 * n) // 4])
    error = 4.0 * min(f.half_error / min(abs(f.first), abs(f.last)) for f in (r, s))
    return math.log(r.first / r.last) / fall, error / abs(fall)


def _limit(s: Slopes) -> tuple[float, float]:
    """Where three successive slopes tend to (Aitken), and the ratio of their changes."""
    early, late = s.middle - s.first, s.last - s.middle
    ratio = late / early if early else 0.0
    return (s.last + late * ratio / (1.0 - ratio) if 0.0 < ratio < 0.9 else s.last), ratio


def _exponential(fit: _Fit, r: Slopes) -> _Fit:
    """E ~ exp(-γ t): the rate r, or what its drift tends to.

    Interval: the slopes seen and their limit, widened by the oscillation error, downwards by 2.5
    standard deviations √(-dr/dt) of the rates still mixed in, upwards by twice a rising drift. A
    drift that does not slow down has no limit yet (a slow mode is emerging) and is not reported.
    """
    start, end = fit.window
    length = end - start
    limit, ratio = _limit(r)
    drifts = abs(r.drift) > 3.0 * r.half_error + _SMALLEST_DRIFT * r.whole
    if drifts and not -0.5 < ratio < 0.9:
        text = f"undecided: the rate still changes, from {r.first:.3g} to {r.last:.3g}; run longer"
        return fit._replace(reason=text, unsettled=ratio >= 1.0 and _matters(r))
    rate, seen = (limit, r.last) if drifts else (r.whole, r.whole)
    error = 3.0 * (r.half_error if drifts else r.error) + _FINEST * seen
    spread = math.sqrt(2.0 * (max(-r.drift, 0.0) + r.half_error) / length)
    low = min(rate, seen) - error - _MIXED * spread
    high = max(rate, seen) + error + 2.0 * max(r.drift, 0.0)
    if rate <= 0.0 or high - low > 2.0 * _WIDEST * rate:
        text = f"undecided: an exponential decay at a rate between {low:.3g} and {high:.3g}"
        return fit._replace(reason=text)
    text = f"log E falls linearly, by {rate * length:.3g} over t = {start:.4g} to {end:.4g}"
    return fit._replace(
        model="exponential", rate=rate, low=low, high=high, reason=text, decided=True
    )


def _algebraic(fit: _Fit, s: Slopes, inverse: Array, unit: float) -> _Fit:
    """E ~ 1/(κ t): the slope s = d(1/E)/dt, or what its drift tends to; 1/E = inverse · unit.

    Interval: the slopes seen and their limit, widened by the oscillation error and by six times
    the distance to the limit that the drift implies, ½ A |ds/dt| with the age A = 1/(s E): modes of
    unequal energies decide late. If s changes as fast in log t at the end as at the start, it has
    no limit yet and is not reported.
    """
    start, end = fit.window
    if min(s.whole, s.first, s.last) <= 0.0:
        return fit._replace(reason="undecided: 1/E does not grow steadily")
    noise = 3.0 * s.half_error + _SMALLEST_DRIFT * s.whole
    drifts = abs(s.drift) > noise
    if drifts and _settles_late(s, inverse):
        text = (
            f"undecided: d(1/E)/dt still changes, from {s.first * unit:.3g} to "
            f"{s.last * unit:.3g}; run longer"
        )
        return fit._replace(reason=text, unsettled=_matters(s))
    age = float(inverse[-1]) / s.last / (end - start)
    rate, seen = (s.last + s.drift * age, s.last) if drifts else (s.whole, s.whole)
    error = 3.0 * (s.half_error if drifts else s.error) + _FINEST * seen
    reach = 5.0 * (abs(s.drift) + s.half_error) * age
    low = min(rate, seen) - error - reach * (s.drift < noise)
    high = max(rate, seen) + error + reach * (s.drift > -noise)
    if rate <= 0.0 or high - low > 2.0 * _WIDEST * rate:
        text = (
            f"undecided: d(1/E)/dt tends to a value between {max(low, 0.0) * unit:.3g} "
            f"and {high * unit:.3g}"
        )
        return fit._replace(reason=text)
    growth = inverse[-1] / inverse[0]
    text = f"1/E grows linearly, {growth:.3g}-fold over t = {start:.4g} to {end:.4g}"
    return fit._replace(
        model="algebraic",
        rate=rate * unit,
        low=low * unit,
        high=high * unit,
        reason=text,
        decided=True,
    )


def _matters(s: Slopes) -> bool:
    """Whether a drift is large enough to let the windows beside this one be doubted."""
    return abs(s.drift) > _DOUBTFUL_DRIFT * abs(s.whole)


def _settles_late(s: Slopes, inverse: Array) -> bool:
    """Whether s changes as much per factor of 1/E in the late part of the window as in the early.

    Modes of unequal energies settle like s - κ ∝ t^-2; a drift that does not slow down in log t
    means that another mode is only now taking over.
    """
    n = len(inverse)
    a, b, c = (float(inverse[i]) for i in (n // 4, n // 2, (3 * n) // 4))
    early = (s.middle - s.first) / math.log(b / a)
    late = (s.last - s.middle) / math.log(c / b)
    return early * late <= 0.0 or abs(late) > abs(early)


def _no_fit(reason: str, window: tuple[float, float]) -> _Fit:
    everything = (-math.inf, math.inf)
    return _Fit(
        "none", math.nan, math.nan, math.nan, window, reason, False, False, everything, everything
    )


def _none(reason: str, window: tuple[float, float], floor: float = math.nan) -> DecayRate:
    return DecayRate("none", math.nan, math.nan, math.nan, reason, window, floor)
