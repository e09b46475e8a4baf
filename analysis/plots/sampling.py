"""Figures of sampling: histograms beside the Gibbs density, autocorrelation, clouds of samples.

Every function draws into `ax` (a new figure without one) and returns it.
"""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh

from ...integrators import Trajectory
from ...landscapes import Landscape
from ..sampling.autocorrelation import autocorrelation
from ..sampling.averages import average, kept
from ..sampling.histogram import GibbsComparison
from ..sampling.observables import DISCARD, Observable, observe
from .runs import colour, dashes

_SAMPLES, _LAW = "#0072B2", "#D55E00"
_MOST_POINTS = 4000  # of a cloud
_LEVELS = 18


def plot_histogram(found: GibbsComparison, *, ax: Axes | None = None) -> Axes:
    """The samples' density with its standard errors over the Gibbs density.

    In two dimensions the colour is their difference in standard errors, from −4 to 4.
    """
    ax = ax if ax is not None else plt.subplots(figsize=(6.0, 4.0), layout="constrained")[1]
    names = [f"x{_subscript(k)}" for k in found.coordinates]
    ax.set_xlabel(names[0])
    ax.set_title(f"{found.landscape}, T = {found.temperature:g}")
    if len(found.edges) == 2:
        apart = (found.density - found.expected) / found.errors
        mesh: QuadMesh = ax.pcolormesh(
            *found.edges, apart.T, cmap="RdBu_r", vmin=-4, vmax=4, rasterized=True
        )
        middles = [(edges[1:] + edges[:-1]) / 2 for edges in found.edges]
        ax.contour(*middles, found.expected.T, levels=6, colors="0.3", linewidths=0.7)
        label = "(samples − Gibbs) / standard error"
        ax.figure.colorbar(mesh, ax=ax, label=label, extend="both")
        ax.set_ylabel(names[1])
        ax.grid(False)
        return ax
    (edges,) = found.edges
    ax.stairs(found.expected, edges, color=_LAW, lw=1.3, label="Gibbs")
    ax.errorbar(
        (edges[1:] + edges[:-1]) / 2, found.density, found.errors, fmt="o", ms=3, lw=1.0,
        color=_SAMPLES, label="samples ± standard error",
    )  # fmt: skip
    ax.set_ylim(bottom=0)
    ax.set_ylabel("density")
    ax.legend(frameon=False)
    return ax


def plot_autocorrelation(
    runs: Trajectory | Mapping[str, Trajectory],
    observable: Observable = "x2",
    *,
    discard: float = DISCARD,
    ax: Axes | None = None,
) -> Axes:
    """The autocorrelation ρ(t) of an observable, with the integrated time τ of each run.

    Lags reach to five times the longest τ. τ = Δ (1 + 2 Σ ρ), Δ being the time between samples, is
    a time here: twice the area under the curve.
    """
    ax = ax if ax is not None else plt.subplots(figsize=(6.0, 4.0), layout="constrained")[1]
    if isinstance(runs, Trajectory):
        runs = {str(runs.settings.get("dynamics", "run")): runs}
    reach = 0.0
    for index, (label, run) in enumerate(runs.items()):
        values, spacing = observe(run, observable)
        series, _ = kept(values, discard)
        found = average(series, spacing=spacing)
        rho = autocorrelation(series)
        tau = found.tau * spacing
        reach = max(reach, 5 * np.nan_to_num(tau), 10 * spacing)
        text = f"{label} (τ = {tau:.3g}{'' if found.enough else ', not to be relied on'})"
        lags = spacing * np.arange(len(rho))
        ax.plot(lags, rho, color=colour(label, index), ls=dashes(label), lw=1.3, label=text)
    ax.axhline(0, color="0.7", lw=0.8, zorder=0)
    ax.set_xlim(0, reach)
    ax.set_xlabel("lag t")
    name = {"x2": "|x|²", "p2": "|p|²", "energy": "the energy"}.get(str(observable))
    ax.set_ylabel(f"autocorrelation ρ of {name}" if name else "autocorrelation ρ")
    ax.legend(frameon=False)
    return ax


def plot_landscape_samples(
    run: Trajectory,
    landscape: Landscape,
    *,
    path: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The cloud of a run's positions over the contours of a landscape in two dimensions.

    path  draw this trajectory of the (flattened) batch as a line instead of all as points

    Contours are equally spaced from the least value in view to the highest that the samples reach.
    Stars are minima and crosses saddles, where the landscape knows them.
    """
    if landscape.shape != (2,):
        raise ValueError(f"plot_landscape_samples draws shape (2,); {landscape!r} is not")
    ax = ax if ax is not None else plt.subplots(figsize=(6.0, 4.8), layout="constrained")[1]
    points = run["x"].detach().numpy().reshape(len(run), -1, 2)
    finite = points[np.isfinite(points).all(-1)]
    marked = {
        "minimum": getattr(landscape, "minima", landscape.minimisers),
        "saddle": getattr(landscape, "saddles", None),
    }
    known = [value.numpy() for value in marked.values() if value is not None]
    seen = np.concatenate([finite, *known])
    low, high = seen.min(0), seen.max(0)
    margin = 0.08 * (high - low) + 1e-9
    sides = [np.linspace(a, b, 240) for a, b in zip(low - margin, high + margin, strict=True)]
    height = landscape(np.stack(np.meshgrid(*sides), axis=-1)).numpy()
    top = np.quantile(landscape(finite).numpy(), 0.999)
    top = max(float(top), float(landscape(seen).max()) if known else -np.inf)
    levels = np.linspace(float(height.min()), top, _LEVELS)
    lines = ax.contour(*sides, height, levels=levels, cmap="Greys_r", linewidths=0.8, zorder=0)
    lines.set_clim(levels[0], levels[-1] + 0.5 * (levels[-1] - levels[0]))
    if path is None:
        cloud = finite[:: max(1, len(finite) // _MOST_POINTS)]
        ax.plot(*cloud.T, ".", ms=2, alpha=0.4, color=_SAMPLES, label="samples", rasterized=True)
    else:
        ax.plot(*points[:, path].T, lw=0.6, alpha=0.8, color=_SAMPLES, label="path")
    for (name, value), mark in zip(marked.items(), ("*", "X"), strict=True):
        if value is not None:
            ax.plot(*value.numpy().T, f"k{mark}", ms=10, mec="w", ls="none", label=name)
    ax.set_xlabel("x₁")
    ax.set_ylabel("x₂")
    ax.grid(False)
    ax.legend(loc="best")
    return ax


def _subscript(coordinate: int) -> str:
    return str(coordinate + 1).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
