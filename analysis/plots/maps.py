"""The figure of an ensemble over two hyperparameters: time to target, decay rate, outcome."""

import math
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import BoundaryNorm, ListedColormap, LogNorm
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from ...integrators.ensembles import Ensemble

NEEDED = ("time_to_target", "rate", "stopped_at", "rate_error", "rate_r2")
LABELS = {
    "gamma": "friction γ  [1/time]",
    "c": "cubic friction c  [1/(time·momentum²)]",
    "alpha": "decay rate α  [1/time]",
    "mu": "thermal mass μ  [time²·momentum²]",
    "eps": "ε  [√ζ]",
    "eta": "mobility η  [time]",
    "temperature": "temperature T  [energy]",
    "step": "step size h  [time]",
}
_NOTHING, _TOO_FAST = "0.85", "0.55"  # no value
_OUTCOMES = ("reached", "not reached", "overflow")
_SHADES = ("#0072B2", "#F0E442", "#D55E00")  # told apart with any colour vision
_TARGET = re.compile(r"TimeToTarget\(target=([^,]+), name='time_to_target'\)")
_DECADES = 4.0  # of rates that the colours span
_ERRORS, _R2 = 2.0, 0.5  # a rate is at least so many standard errors, its line explains so much


def plot_map(
    found: Ensemble, *, target: float | None = None, axes: Sequence[Axes] | None = None
) -> list[Axes]:
    """Three panels over the two varied axes of an ensemble, the first of them across.

    found   with the reductions TimeToTarget and FittedRate
    target  the energy of TimeToTarget, for the label; None: as the ensemble has it
    axes    three to draw into; None: a new figure, with a caption

    Left: the first time at which E <= target. Middle: the rate r of E ~ e^(−rt), where it decays:
    r is two standard errors or more, and the line explains half the variance of log E (R² >= ½);
    dark grey where E fell too fast for the times saved. With noise at T > 0 there is no such rate.
    Right: what became of the trajectory, in shares of the trajectories that are computed. Of
    several starts: the median, in which one that never arrives counts as infinite and one that
    does not decay as the slowest, and the worst outcome. Grey is where there is no value.

    Raises TypeError for what is no ensemble; ValueError unless two axes of the grid have several
    values, and results are there; for a `target` that is not the ensemble's.
    """
    if not isinstance(found, Ensemble):
        hint = f"Ensemble.load({found!r})" if isinstance(found, str | Path) else "ensemble(...)"
        raise TypeError(f"plot_map draws an ensemble, such as {hint}; got {found!r}")
    names, across = _two_axes(found)
    target = _target(found, target)
    if axes is not None and len(axes) != 3:
        raise ValueError(f"plot_map draws into three axes; got {len(axes)}")
    if axes is None:
        figure, drawn = plt.subplots(1, 3, figsize=(13.5, 4.6), layout="constrained", sharey=True)
        axes = list(drawn)
        figure.suptitle(_title(found))
        figure.supxlabel(_caption(found, target), fontsize=9, x=0.01, ha="left")
    edges = [_edges(found.axes[name]) for name in names]
    time, rate, lost, error, r2 = (_arranged(found, name, across) for name in NEEDED)
    computed = _arranged(found, "computed", across)
    ended = np.where(computed, np.where(lost >= 0, 2.0, np.where(np.isfinite(time), 0, 1)), np.nan)
    known = np.where(ended == 0, time, np.inf)
    goal = "target" if target is None else f"E ≤ {target:g}"
    _shade(axes[0], edges, _median(known, computed), "cividis_r")
    if _has_heat(found):
        _say(axes[1], "with noise at T > 0\nE does not decay to 0")
    else:
        is_noise = ~np.isnan(rate) & ~((rate >= _ERRORS * error) & (r2 >= _R2))
        rates = _median(_ranked(np.where(is_noise, 0.0, rate), ended), computed)
        _shade(axes[1], edges, rates, "viridis")
        too_fast = np.where(np.isposinf(rates), 0.0, np.nan)
        axes[1].pcolormesh(*edges, too_fast, cmap=ListedColormap([_TOO_FAST]), rasterized=True)
    _outcomes(axes[2], edges, ended)
    titles = (f"time to {goal}  [time]", "decay rate of E  [1/time]", "outcome")
    for ax, title in zip(axes, titles, strict=True):
        ax.set_title(title)
        ax.set_xlabel(LABELS.get(names[0], names[0]))
        for scale, name in zip((ax.set_xscale, ax.set_yscale), names, strict=True):
            scale("log" if (found.axes[name] > 0).all() else "linear")
        ax.set_xlim(*edges[0][[0, -1]])  # also of a panel without any value
        ax.set_ylim(*edges[1][[0, -1]])
        for axis, bounds in zip((ax.xaxis, ax.yaxis), edges, strict=True):
            _label_few(axis, bounds)
        ax.grid(False)
    axes[0].set_ylabel(LABELS.get(names[1], names[1]))
    return list(axes)


def _two_axes(found: Ensemble) -> tuple[list[str], list[int]]:
    """The names of the varied axes of the grid, and where they stand."""
    missing = [name for name in NEEDED if name not in found.values]
    if missing:
        raise ValueError(
            f"plot_map needs the result {missing[0]!r}; make the ensemble with "
            "reduce=[TimeToTarget(...), FittedRate()]"
        )
    on_grid = [name for name in found.axes if not _is_start(name)]
    varied = [name for name in on_grid if len(found.axes[name]) > 1]
    if len(varied) != 2:
        raise ValueError(
            "plot_map draws an ensemble in which two axes of the grid have several values; here "
            f"{', '.join(varied) or 'none'} {'has' if len(varied) == 1 else 'have'}"
        )
    for name in varied:
        if not (np.diff(found.axes[name]) > 0).all():
            raise ValueError(f"plot_map needs increasing values of {name}")
    return varied, [list(found.axes).index(name) for name in varied]


def _arranged(found: Ensemble, name: str, across: Sequence[int]) -> np.ndarray:
    """A result as [up, across, starts]."""
    array = np.moveaxis(found[name], across, (1, 0))
    return array.reshape(*array.shape[:2], -1)


def _median(values: np.ndarray, computed: np.ndarray) -> np.ndarray:
    """Over the starts, ±∞ among the values; NaN unless all are computed."""
    ranked, count = np.sort(values, axis=-1), values.shape[-1]
    low, high = ranked[..., (count - 1) // 2], ranked[..., count // 2]
    with np.errstate(invalid="ignore"):  # the mean of −∞ and ∞
        middle = np.where(low == high, low, (low + high) / 2)
    return np.where(computed.all(-1), middle, np.nan)


def _ranked(rate: np.ndarray, ended: np.ndarray) -> np.ndarray:
    """Rates; ∞ where E arrived too fast to have one, −∞ where it does not decay."""
    unknown = np.where(ended == 0, np.inf, -np.inf)
    return np.where(rate > 0, rate, np.where(np.isnan(rate), unknown, -np.inf))


def _edges(values: np.ndarray) -> np.ndarray:
    """Of cells around the values, in the middle on the axis that is drawn."""
    by_log = bool((values > 0).all())
    at = np.log(values) if by_log else values
    middle = (at[1:] + at[:-1]) / 2
    ends = np.concatenate(([2 * at[0] - middle[0]], middle, [2 * at[-1] - middle[-1]]))
    return np.exp(ends) if by_log else ends


def _label_few(axis: Axis, bounds: np.ndarray) -> None:
    """Of less than two decades few ticks, as numbers, where matplotlib's would overlap."""
    decades = math.log10(bounds[-1] / bounds[0]) if bounds[0] > 0 else math.inf
    if decades >= 2 or axis.get_scale() != "log":
        return
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)) if decades > 1 else MaxNLocator(4))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def _shade(ax: Axes, edges: list[np.ndarray], values: np.ndarray, cmap: str) -> None:
    ax.set_facecolor(_NOTHING)
    known = values[np.isfinite(values)]
    if not known.size:
        _say(ax, "nowhere")
        return
    most = known.max() or 1.0
    least = max(known[known > 0].min(initial=most), most / 10**_DECADES)
    norm = LogNorm(least, max(most, least * 1.01))
    shown = np.where(np.isfinite(values), np.maximum(values, least), np.nan)  # also a time of 0
    mesh = ax.pcolormesh(*edges, shown, norm=norm, cmap=cmap, rasterized=True)
    extend = "min" if known.min() < least else "neither"
    bar = ax.figure.colorbar(mesh, ax=ax, extend=extend)
    _label_few(bar.ax.yaxis, np.array([norm.vmin, norm.vmax]))


def _say(ax: Axes, text: str) -> None:
    ax.set_facecolor(_NOTHING)
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center")


def _outcomes(ax: Axes, edges: list[np.ndarray], ended: np.ndarray) -> None:
    """0 reached, 1 not reached, 2 overflow: the worst over the starts; NaN if not computed."""
    ax.set_facecolor(_NOTHING)
    values = ended.max(-1)  # NaN if one is
    norm = BoundaryNorm(np.arange(4) - 0.5, 3)
    mesh = ax.pcolormesh(*edges, values, norm=norm, cmap=ListedColormap(_SHADES), rasterized=True)
    bar = ax.figure.colorbar(mesh, ax=ax, ticks=range(3))
    known = max(1, np.isfinite(ended).sum())
    shares = [(ended == k).sum() / known for k in range(3)]
    texts = [f"{name}\n{share(part)}" for name, part in zip(_OUTCOMES, shares, strict=True)]
    bar.ax.set_yticklabels(texts)
    bar.ax.tick_params(length=0)
    if (starts := ended.shape[-1]) > 1:
        bar.set_label(f"colour: worst of {starts} starts; % of all trajectories")


def share(part: float, digits: int = 0) -> str:
    """A share in percent; what is not 0 is not told as 0, nor what is not 1 as 100 %."""
    least = 10.0 ** -(2 + digits)
    if 0 < part < least:
        return f"< {least:.{digits}%}"
    if 1 - least < part < 1:
        return f"> {1 - least:.{digits}%}"
    return f"{part:.{digits}%}"


def _title(found: Ensemble) -> str:
    known: dict[str, Any] = found.settings
    fixed = known.get("hyperparameters", {})
    told = ", ".join(f"{name} = {value:g}" for name, value in fixed.items())
    text = f"{known.get('dynamics', '?')} {known.get('word') or known.get('method', '')} on "
    return text + f"{known.get('landscape', '?')}" + (f", {told}" if told else "")


def _target(found: Ensemble, given: float | None) -> float | None:
    """That of TimeToTarget, where the settings have it."""
    told = (_TARGET.match(text) for text in found.settings.get("reduce", ()))
    targets = [float(one[1]) for one in told if one]
    if given is not None and targets and given != targets[0]:
        raise ValueError(
            f"target: the ensemble has the times to E <= {targets[0]:g}, not to {given:g}; "
            f"leave it out, or make the ensemble with TimeToTarget({given:g})"
        )
    return targets[0] if targets else given


def _has_heat(found: Ensemble) -> bool:
    """Whether noise feeds energy in, so that E settles at a multiple of T."""
    if found.settings.get("noise") is None:
        return False
    fixed = found.settings.get("hyperparameters", {}).get("temperature", 0.0)
    return bool((found.axes.get("temperature", np.array(fixed)) > 0).any())


def _caption(found: Ensemble, target: float | None) -> str:
    known = found.settings
    counts, step = known["steps"], known["step"]
    alike = len(set(counts)) == 1
    ends = np.atleast_1d(np.nanmax(found.times, axis=-1))
    size = f"until t = {ends.min():g}"
    if step is not None:
        size = f"h = {step:g}, {size}"
    elif alike:
        size = f"{counts[0]} steps"
    goal = "the target" if target is None else f"E = f − f* + ½|p|² ≤ {target:g}"
    starts = math.prod(len(axis) for name, axis in found.axes.items() if _is_start(name))
    many = f" Median, and worst outcome, of {starts} starts." if starts > 1 else ""
    done = found.computed
    broken = "" if done.all() else f" Interrupted: {done.sum()} of {done.size} are computed."
    text = (
        f"{size}. Left: the first saved time with {goal}. Middle: r of E ~ exp(−rt), late times. "
        "Right: what became of it. Grey: never reached, no decay measured (r below two standard "
        "errors, or R² below ½), overflow, or not computed; "
        "dark grey: decay too fast to measure with the times saved." + many + broken
    )
    return textwrap.fill(text, 160)


def _is_start(axis: str) -> bool:
    return axis.startswith("start")
