"""Figures of the theory: stability and rate maps, boundedness, and the learning-rate ladder.

Every function draws into `ax` (a new figure without one) and returns it.
"""

from collections.abc import Sequence
from typing import Literal

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, Normalize, TwoSlopeNorm
from matplotlib.ticker import NullLocator

from ..ladder import LadderRow
from ..stability.large_steps import Boundedness
from ..stability.maps import StabilityMap

_UNSTABLE = "0.75"
_KEPT = ("#D55E00", "#0072B2")  # lost, kept; shades between for some of the starts


def plot_stability(
    found: StabilityMap, *, view: Literal["radius", "rate"] = "radius", ax: Axes | None = None
) -> Axes:
    """A word's map over h√k (across) and γh (up); grey beyond the black limit of stability.

    view  "radius": the spectral radius of a step, the smaller the faster;
          "rate": the numerical energy rate over the ODE's, 1 where the word decays as it should

    The dashed line is the ODE's critical damping γ = 2√k: below it the mode oscillates. A map of
    a dynamics as it stands is drawn as curves over h√k.
    """
    ax = ax if ax is not None else plt.subplots(figsize=(6.0, 4.2), layout="constrained")[1]
    ax.set_xlabel("h√k")
    ax.set_title(f"{found.dynamics} {found.word}")
    if found.gamma_h is None:
        return _curves(found, view, ax)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = found.radius if view == "radius" else found.rate / found.ode_rate
    stable = np.where(found.is_stable, values, np.nan)
    norm = Normalize(0, 1) if view == "radius" else TwoSlopeNorm(1, 0, 2)
    ax.set_facecolor(_UNSTABLE)
    mesh = ax.pcolormesh(
        found.h_sqrt_k, found.gamma_h, stable, norm=norm, shading="nearest", rasterized=True,
        cmap="viridis" if view == "radius" else "RdBu",
    )  # fmt: skip
    beyond = "max" if view == "rate" and np.nanmax(stable) > 2 else "neither"
    label = "spectral radius of a step" if view == "radius" else "energy rate / the ODE's"
    ax.figure.colorbar(mesh, ax=ax, label=label, extend=beyond)
    if found.radius.max() > 1:
        ax.contour(
            found.h_sqrt_k, found.gamma_h, found.radius, levels=[1 + 1e-9], colors="k",
            linewidths=1.4,
        )  # fmt: skip
    ends = np.array([found.h_sqrt_k[0], found.h_sqrt_k[-1]])
    shade = "w" if view == "radius" else "k"
    ax.plot(ends, 2 * ends, "--", color=shade, lw=1.2, label="γ = 2√k")
    ax.legend(loc="lower right", facecolor=_UNSTABLE, edgecolor="none", labelcolor=shade)
    ax.set_xlim(*ends)
    ax.set_ylim(found.gamma_h[0], found.gamma_h[-1])
    ax.set_ylabel("γh")
    ax.grid(False)
    return ax


def _curves(found: StabilityMap, view: str, ax: Axes) -> Axes:
    if view == "radius":
        ax.plot(found.h_sqrt_k, found.radius, color=_KEPT[1], lw=1.4)
        ax.axhline(1, color="k", lw=1.0)
        ax.set_ylabel("spectral radius of a step")
    else:
        ax.plot(found.h_sqrt_k, found.rate, color=_KEPT[1], lw=1.4, label=found.word)
        ax.plot(found.h_sqrt_k, found.ode_rate, "k--", lw=1.0, label="the ODE")
        ax.set_ylabel("energy rate / √k")
        ax.legend(frameon=False)
    return ax


def plot_boundedness(found: Sequence[Boundedness], *, ax: Axes | None = None) -> Axes:
    """One strip per word over the ladder of h√L: from how many of the starts it stayed bounded.

    All of `found` must have the same ladder and starts (ValueError otherwise).
    """
    if len({(one.ladder, one.starts) for one in found}) != 1:
        raise ValueError("plot_boundedness needs one or more results on the same ladder and starts")
    ladder, starts = found[0].ladder, found[0].starts
    if ax is None:
        size = (1.6 + 0.5 * len(ladder) + 1.6, 1.3 + 0.27 * len(found))
        ax = plt.subplots(figsize=size, layout="constrained")[1]
    kept = np.array([[sum(row) for row in one.bounded] for one in found])
    shades = plt.get_cmap("cividis")(np.linspace(0.15, 1.0, len(starts) + 1))[::-1]
    mesh = ax.imshow(
        kept, cmap=ListedColormap(shades), vmin=-0.5, vmax=len(starts) + 0.5, aspect="auto"
    )
    ax.set_xticks(range(len(ladder)), [f"{r:g}" for r in ladder])
    several = len({one.dynamics for one in found}) > 1
    names = [f"{one.dynamics} {one.word}" if several else one.word for one in found]
    ax.set_yticks(range(len(found)), names, family="monospace")
    ax.set_xticks(np.arange(1, len(ladder)) - 0.5, minor=True)
    ax.set_yticks(np.arange(1, len(found)) - 0.5, minor=True)
    ax.grid(False)
    ax.grid(True, which="minor", color="w", lw=2)
    ax.tick_params(which="both", length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("h√L")
    text = ", ".join(f"{x:g}" for x in starts)
    ax.figure.colorbar(
        mesh, ax=ax, ticks=range(len(starts) + 1), label=f"starts kept, of x₀ = {text}"
    )
    return ax


def plot_ladder(found: Sequence[LadderRow], *, ax: Axes | None = None) -> Axes:
    """Training loss at the end against the multiple of the tuned lr, a line per word and seed.

    Crosses are runs that were lost: above the untrained network's loss (dotted), or not finite.
    """
    ax = ax if ax is not None else plt.subplots(figsize=(6.0, 4.0), layout="constrained")[1]
    words = list(dict.fromkeys(row.word for row in found))
    for word, shade in zip(words, ("#D55E00", "#0072B2", "#009E73", "#CC79A7"), strict=False):
        seeds = list(dict.fromkeys(row.seed for row in found if row.word == word))
        for seed in seeds:
            rows = [row for row in found if (row.word, row.seed) == (word, seed)]
            x, y = [row.factor for row in rows], [row.train_loss for row in rows]
            ax.plot(x, y, color=shade, lw=1.3, label=word if seed == seeds[0] else f"_{word}")
            for row in rows:
                marker, size = ("o", 5) if row.status == "finished" else ("X", 8)
                ax.plot(row.factor, row.train_loss, marker, color=shade, ms=size)
    untrained = sorted({row.untrained_loss for row in found})
    ax.axhline(untrained[-1], color="0.4", lw=1.0, ls=":", label="untrained")
    factors = sorted({row.factor for row in found})
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xticks(factors, [f"{x:g}" for x in factors])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("learning rate / the tuned one")
    ax.set_ylabel("training loss at the end")
    ax.legend(frameon=False)
    return ax
