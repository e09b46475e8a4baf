"""Figures: energy decay, phase portrait, path on contours, order plot, training curves.

Every function draws into `ax` (a new figure without one) and returns it.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from ...integrators import Trajectory
from ...landscapes import Landscape
from ..order import ConvergenceOrder

COLOURS = {  # Okabe and Ito's palette: told apart by colour-blind readers and in print
    "LDHD": "#555555",
    "KFAD": "#E69F00",
    "IKFAD": "#009E73",
    "RIKFAD": "#56B4E9",
    "CD": "#0072B2",
    "CADAM": "#D55E00",
    "SGD": "#A6761D",
    "Adam": "#CC79A7",
    "AdamW": "#882255",  # these four from Paul Tol's
    "NAdamW": "#CC6677",
    "Nesterov": "#999933",
    "Muon": "#332288",
}

DASHES = {"IKFAD": (0, (6, 2)), "CADAM": (0, (4, 1.2, 1, 1.2))}
"""Curves that like to lie on another one let it shine through."""


class Curve(Protocol):
    """A training run as far as plotting is concerned."""

    @property
    def optimizer(self) -> str: ...
    @property
    def epochs(self) -> Sequence[float]: ...
    @property
    def losses(self) -> Sequence[float]: ...


def colour(label: str, index: int = 0) -> str:
    """The colour of a dynamics or optimizer, the same in every figure."""
    name = label.split(" ")[0].split("(")[0]
    return COLOURS.get(name, f"C{index % 10}")


def plot_energy(
    runs: Trajectory | Sequence[Trajectory] | Mapping[str, Trajectory],
    *,
    references: Mapping[str, Trajectory] | None = None,
    view: Literal["log", "inverse"] = "log",
    ax: Axes | None = None,
) -> Axes:
    """Mechanical energy of several runs against time.

    view        "log": E on a logarithmic axis, where exponential decay is a straight line;
                "inverse": 1/E, where algebraic decay E ~ 1/(κt) is a straight line of slope κ
    references  runs drawn dotted in the same colour, matched by label

    Every trajectory of a batch is drawn; of a batch with noise the mean of those that were not
    lost, and a band from the 5 % to the 95 % quantile.
    """
    ax = _axes(ax)
    named = _labelled(runs)
    for index, (label, run) in enumerate(named.items()):
        shade = colour(label, index)
        if run.settings.get("noise") and run.energy[0].numel() > 1:
            times, (mean, low, high) = _summary(run, view)
            kept = int((run.stopped_at < 0).sum())
            text = f"{label}: mean of {kept}, 5–95 %"
            ax.plot(times, mean, color=shade, ls=dashes(label), lw=1.3, label=text)
            ax.fill_between(times, low, high, color=shade, alpha=0.2, lw=0)
        else:
            times, shown = _curves(run, view)
            names = [label, *[f"_{label}"] * (shown.shape[1] - 1)]
            ax.plot(times, shown, color=shade, ls=dashes(label), lw=1.3, label=names)
        if references and label in references:
            ax.plot(*_curves(references[label], view), color="k", lw=1.1, ls=(0, (1, 4)), zorder=3)
    if references and any(label in references for label in named):
        ax.plot([], [], color="k", lw=1.1, ls=(0, (1, 4)), label="reference")
    ax.set_xlabel("time t")
    if view == "log":
        known = all(run.settings.get("minimum") is not None for run in named.values())
        energy = "f − f* + ½|p|²" if known else "f + ½|p|²"
        hamiltonian = ", CADAM: H_C" if any(label.startswith("CADAM") for label in named) else ""
        ax.set_yscale("log")
        ax.set_ylabel(f"energy E  ({energy}{hamiltonian})")
    else:
        ax.set_ylabel("1/E")
        ax.set_ylim(bottom=0)
    ax.legend(frameon=False)
    return ax


def plot_phase(
    run: Trajectory | Mapping[str, Trajectory], *, coordinate: int = 0, ax: Axes | None = None
) -> Axes:
    """Phase portrait: momentum against position of one coordinate, for every trajectory."""
    ax = _axes(ax)
    for index, (label, one) in enumerate(_labelled(run).items()):
        x, p = (_points(one[name])[..., coordinate] for name in ("x", "p"))
        names = [label, *[f"_{label}"] * (x.shape[1] - 1)]
        ax.plot(x, p, lw=1.0, color=colour(label, index), ls=dashes(label), label=names)
        ax.plot(x[0], p[0], "o", ms=4, color=colour(label, index))
    ax.set_xlabel(f"position x{_subscript(coordinate)}")
    ax.set_ylabel(f"momentum p{_subscript(coordinate)}")
    ax.legend(frameon=False)
    return ax


def plot_path(
    run: Trajectory | Mapping[str, Trajectory], landscape: Landscape, *, ax: Axes | None = None
) -> Axes:
    """The paths of x over the contours of a landscape in two dimensions (log-spaced levels)."""
    if tuple(landscape.shape) != (2,):
        raise ValueError(f"plot_path draws landscapes of shape (2,); {landscape} is not")
    ax = _axes(ax)
    paths = {label: _points(one["x"]) for label, one in _labelled(run).items()}
    points = np.concatenate([path.reshape(-1, 2) for path in paths.values()])
    points = points[np.isfinite(points).all(axis=1)]
    if landscape.minimisers is not None:
        points = np.concatenate([points, landscape.minimisers.numpy()])
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.12 * (high - low) + 1e-9
    sides = [np.linspace(a, b, 240) for a, b in zip(low - margin, high + margin, strict=True)]
    grid = np.stack(np.meshgrid(*sides), axis=-1)
    height = landscape(torch.from_numpy(grid)).numpy()
    height = height - (height.min() if landscape.minimum is None else landscape.minimum)
    floor = max(float(np.quantile(height, 0.002)), 1e-12)
    levels = np.geomspace(floor, float(height.max()), 16)
    ax.contour(*sides, height, levels=levels, colors="0.8", linewidths=0.7, zorder=0)
    for index, (label, path) in enumerate(paths.items()):
        shade, names = colour(label, index), [label, *[f"_{label}"] * (path.shape[1] - 1)]
        ax.plot(path[..., 0], path[..., 1], lw=1.0, color=shade, label=names)
        ax.plot(*path[0].T, "o", ms=4, color=shade)
    if landscape.minimisers is not None:
        stars = landscape.minimisers.numpy().T
        ax.plot(*stars, "k*", ms=10, mec="w", ls="none", label="minimiser", zorder=4)
    ax.set_xlabel("x₁")
    ax.set_ylabel("x₂")
    ax.legend()
    return ax


def plot_orders(
    orders: Sequence[ConvergenceOrder] | ConvergenceOrder, *, ax: Axes | None = None
) -> Axes:
    """Error against step size, with guides of slope 1 and 2 where they are wanted."""
    ax = _axes(ax)
    series = [orders] if isinstance(orders, ConvergenceOrder) else list(orders)
    styles = ("-o", "--s", "-.^", ":D")
    count: dict[str, int] = {}
    for index, one in enumerate(series):
        style = styles[count.setdefault(one.dynamics, 0) % len(styles)]
        count[one.dynamics] += 1
        label = f"{one.dynamics} {one.word} ({one.slope:.2f})"
        shade = colour(one.dynamics, index)
        ax.loglog(one.steps, one.errors, style, color=shade, ms=4, lw=1.1, label=label)
    for order in sorted({max(1, round(one.slope)) for one in series}):
        _guide(ax, [one for one in series if round(one.slope) == order], order)
    steps = sorted({h for one in series for h in one.steps})
    if len(steps) <= 8:
        ax.set_xticks(steps, [_fraction(h) for h in steps])
        ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("step size h")
    ax.set_ylabel("error at the final time")
    ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return ax


def plot_training(runs: Sequence[Curve], *, ax: Axes | None = None) -> Axes:
    """Training loss against epochs: the median over seeds, and the range as a band."""
    ax = _axes(ax)
    names = list(dict.fromkeys(run.optimizer for run in runs))
    for index, name in enumerate(names):
        curves = [run for run in runs if run.optimizer == name]
        length = min(len(run.losses) for run in curves)
        losses = np.array([run.losses[:length] for run in curves], dtype=float)
        epochs = np.asarray(curves[0].epochs[:length], dtype=float)
        shade = colour(name, index)
        ax.plot(epochs, np.median(losses, axis=0), color=shade, lw=1.3, label=name)
        if len(curves) > 1:
            ax.fill_between(epochs, losses.min(0), losses.max(0), color=shade, alpha=0.15, lw=0)
    ax.set_yscale("log")
    ax.set_xlabel("epoch")
    ax.set_ylabel("training loss (cross-entropy)")
    ax.legend(frameon=False)
    return ax


def _axes(ax: Axes | None) -> Axes:
    return ax if ax is not None else plt.subplots(figsize=(6.0, 4.0), layout="constrained")[1]


def _labelled(runs: Any) -> dict[str, Trajectory]:
    if isinstance(runs, Mapping):
        return dict(runs)
    series = [runs] if isinstance(runs, Trajectory) else list(runs)
    labels = [str(run.settings.get("dynamics", f"run {i + 1}")) for i, run in enumerate(series)]
    if len(set(labels)) < len(labels):
        labels = [f"{label} ({i + 1})" for i, label in enumerate(labels)]
    return dict(zip(labels, series, strict=True))


def dashes(label: str) -> Any:
    return DASHES.get(label.split(" ")[0].split("(")[0], "-")


def _points(values: torch.Tensor) -> np.ndarray:
    """Positions [T, *batch, d] as [T, trajectories, d]."""
    array = values.detach().numpy()
    return array.reshape(len(array), -1, array.shape[-1])


def _curves(run: Trajectory, view: str) -> tuple[np.ndarray, np.ndarray]:
    """Times [T] and what is shown of the energies, [T, trajectories]."""
    return run.times.numpy(), _shown(_energies(run), view)


def _summary(run: Trajectory, view: str) -> tuple[np.ndarray, np.ndarray]:
    """Times [T] and what is shown of the mean energy and of its quantiles, [3, T]."""
    energy = _energies(run)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # times at which all were lost
        ends = np.nanquantile(energy, (0.05, 0.95), axis=1)
        mean = np.nanmean(energy, axis=1)
    return run.times.numpy(), _shown(np.stack((mean, *ends)), view)


def _energies(run: Trajectory) -> np.ndarray:
    """[T, trajectories]"""
    return run.mechanical_energy.detach().numpy().reshape(len(run), -1)


def _shown(energy: np.ndarray, view: str) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(energy > 0, energy if view == "log" else 1 / energy, np.nan)


def _guide(ax: Axes, series: Sequence[ConvergenceOrder], order: int) -> None:
    if not series:
        return
    lowest = min(series, key=lambda one: one.errors[-1])
    h = np.array([lowest.steps[0], lowest.steps[-1]])
    line = 0.5 * lowest.errors[-1] * (h / h[-1]) ** order
    ax.loglog(h, line, color="0.6", lw=3, alpha=0.5, zorder=0, label=f"slope {order}")


def _fraction(h: float) -> str:
    n = round(1 / h) if h else 0
    return f"1/{n}" if n > 1 and abs(n * h - 1) < 1e-9 else f"{h:.3g}"


def _subscript(coordinate: int) -> str:
    return str(coordinate + 1).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
