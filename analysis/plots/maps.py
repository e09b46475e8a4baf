"""The figure of an ensemble over two hyperparameters: time to target, decay rate, outcome."""

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap, LogNorm

from ...integrators.ensembles import Ensemble

NEEDED = ("time_to_target", "rate", "stopped_at")
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
_NOTHING = "0.85"  # no value
_OUTCOMES = ("reached", "not reached", "overflow")
_SHADES = ("#0072B2", "#F0E442", "#D55E00")  # told apart with any colour vision
_DECADES = 4.0  # of rates that the colours span


def plot_map(
    found: Ensemble, *, target: float | None = None, axes: Sequence[Axes] | None = None
) -> list[Axes]:
    """Three panels over the two varied axes of an ensemble, the first of them across.

    found   with the reductions TimeToTarget and FittedRate
    target  the energy of TimeToTarget, for the label
    axes    three to draw into; None: a new figure, with a caption

    Left: the first time at which E <= target. Middle: the rate r of E ~ e^(−rt), where it decays.
    Right: what became of the trajectory. Of several starts: the median of those that have a value,
    and the worst outcome. Grey is where there is no value.

    Raises ValueError unless two axes of the grid have several values, and results are there.
    """
    names, across = _two_axes(found)
    if axes is not None and len(axes) != 3:
        raise ValueError(f"plot_map draws into three axes; got {len(axes)}")
    if axes is None:
        figure, drawn = plt.subplots(1, 3, figsize=(13.5, 4.6), layout="constrained", sharey=True)
        axes = list(drawn)
        figure.suptitle(_title(found))
        figure.supxlabel(_caption(found, target), fontsize=9, x=0.01, ha="left")
    edges = [_edges(found.axes[name]) for name in names]
    time, rate, lost = (_arranged(found, name, across) for name in NEEDED)
    computed = _arranged(found, "computed", across)
    goal = "target" if target is None else f"E ≤ {target:g}"
    _shade(axes[0], edges, _median(time), "cividis_r")
    _shade(axes[1], edges, _median(np.where(rate > 0, rate, np.nan)), "viridis")
    _outcomes(axes[2], edges, _outcome(time, lost, computed))
    titles = (f"time to {goal}  [time]", "decay rate of E  [1/time]", "outcome")
    for ax, title in zip(axes, titles, strict=True):
        ax.set_title(title)
        ax.set_xlabel(LABELS.get(names[0], names[0]))
        for scale, name in zip((ax.set_xscale, ax.set_yscale), names, strict=True):
            scale("log" if (found.axes[name] > 0).all() else "linear")
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


def _median(values: np.ndarray) -> np.ndarray:
    """Over the starts, of those that have a value; NaN if none has."""
    ranked = np.sort(values, axis=-1)  # NaN last
    count = np.isfinite(values).sum(-1)
    low, high = np.maximum(count - 1, 0) // 2, count // 2
    pair = [
        np.take_along_axis(ranked, at[..., None], -1)[..., 0]
        for at in (low, np.minimum(high, values.shape[-1] - 1))
    ]
    return np.where(count > 0, (pair[0] + pair[1]) / 2, np.nan)


def _outcome(time: np.ndarray, lost: np.ndarray, computed: np.ndarray) -> np.ndarray:
    """0 reached, 1 not reached, 2 overflow: the worst over the starts; NaN if not computed."""
    worst = np.where(lost >= 0, 2.0, np.where(np.isfinite(time), 0.0, 1.0)).max(-1)
    return np.where(computed.all(-1), worst, np.nan)


def _edges(values: np.ndarray) -> np.ndarray:
    """Of cells around the values, in the middle on the axis that is drawn."""
    by_log = bool((values > 0).all())
    at = np.log(values) if by_log else values
    middle = (at[1:] + at[:-1]) / 2
    ends = np.concatenate(([2 * at[0] - middle[0]], middle, [2 * at[-1] - middle[-1]]))
    return np.exp(ends) if by_log else ends


def _shade(ax: Axes, edges: list[np.ndarray], values: np.ndarray, cmap: str) -> None:
    ax.set_facecolor(_NOTHING)
    known = values[np.isfinite(values)]
    if not known.size:
        ax.text(0.5, 0.5, "nowhere", transform=ax.transAxes, ha="center")
        return
    most = known.max() or 1.0
    least = max(known[known > 0].min(initial=most), most / 10**_DECADES)
    norm = LogNorm(least, max(most, least * 1.01))
    shown = np.maximum(values, least)  # also a time of 0; NaN stays
    mesh = ax.pcolormesh(*edges, shown, norm=norm, cmap=cmap, rasterized=True)
    extend = "min" if known.min() < least else "neither"
    ax.figure.colorbar(mesh, ax=ax, extend=extend)


def _outcomes(ax: Axes, edges: list[np.ndarray], values: np.ndarray) -> None:
    ax.set_facecolor(_NOTHING)
    norm = BoundaryNorm(np.arange(4) - 0.5, 3)
    mesh = ax.pcolormesh(*edges, values, norm=norm, cmap=ListedColormap(_SHADES), rasterized=True)
    bar = ax.figure.colorbar(mesh, ax=ax, ticks=range(3))
    shares = [(values == k).sum() / values.size for k in range(3)]
    texts = [f"{name}\n{share:.0%}" for name, share in zip(_OUTCOMES, shares, strict=True)]
    bar.ax.set_yticklabels(texts)
    bar.ax.tick_params(length=0)


def _title(found: Ensemble) -> str:
    known: dict[str, Any] = found.settings
    fixed = known.get("hyperparameters", {})
    told = ", ".join(f"{name} = {value:g}" for name, value in fixed.items())
    text = f"{known.get('dynamics', '?')} {known.get('word') or known.get('method', '')} on "
    return text + f"{known.get('landscape', '?')}" + (f", {told}" if told else "")


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
    text = (
        f"{size}. Left: the first saved time with {goal}. Middle: r of E ~ exp(−rt), late times. "
        f"Right: what became of it. Grey: never reached, no decay, or not computed.{many}"
    )
    return textwrap.fill(text, 180)


def _is_start(axis: str) -> bool:
    return axis.startswith("start")
