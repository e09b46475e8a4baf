"""Figures of training runs, from the logs in their folders.

Every function draws into the axes it is given (a new figure without) and returns them.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from ..training.folder import settings_of
from ..training.log import lines
from ..training.looks.damping import FROZEN
from ..training.looks.layers import QUANTILES
from ..training.settings import Settings
from .energy import CONVERSION, LETTERS, OTHERS
from .runs import colour, dashes

_SHADES = ((0, 4, 0.15), (1, 3, 0.3))  # of quantiles, from and to, and how dark what is between
_COLUMNS = 4


def plot_learning(
    folders: Path | str | Iterable[Path | str], *, metric: str = "loss", ax: Axes | None = None
) -> Axes:
    """A number of the validation data against steps: the median of the seeds, and their range.

    Runs whose settings differ in the seed only are one curve. Those that diverged end where they
    did, with a cross. ValueError where no run has measured the number.
    """
    ax = ax or plt.subplots(figsize=(6.0, 4.0), layout="constrained")[1]
    runs = [Path(folders)] if isinstance(folders, str | Path) else [Path(one) for one in folders]
    for index, (label, group) in enumerate(_alike(runs).items()):
        curves = [_curve(folder, metric) for folder in group]
        shade = colour(label, index)
        steps = sorted(set.intersection(*(set(curve) for curve in curves)))
        values = np.array([[curve[step] for step in steps] for curve in curves])
        ax.plot(steps, np.median(values, 0), color=shade, lw=1.3, ls=dashes(label), label=label)
        if len(group) > 1:
            ax.fill_between(steps, values.min(0), values.max(0), color=shade, alpha=0.15, lw=0)
        for folder, curve in zip(group, curves, strict=True):
            if any(True for _ in lines(folder, "diverged")):
                last = max(curve)
                ax.plot(last, curve[last], "x", color=shade, ms=8, mew=2)
    ax.set_xlabel("step")
    ax.set_ylabel(f"validation {metric}")
    ax.legend(frameon=False)
    return ax


def plot_friction(folder: Path | str, *, axes: Sequence[Axes] | None = None) -> Sequence[Axes]:
    """The effective momentum of every layer against steps: median, and 5, 25, 75 and 95 %.

    It is the factor by which the damping of a step multiplies the momentum of a coordinate; at
    1 nothing is damped, and below the dotted line the coordinate is called frozen. A last panel
    has the fractions of coordinates that are frozen, and that feel the cubic cap.

    axes  one for each layer and one more. ValueError for a run without effective momenta: of
          torch's own optimizer, or without looks.
    """
    folder = Path(folder)
    looks = _looks(folder)
    names = list(looks[0]["layers"])
    if not any(look["layers"][name].get("momentum") for look in looks for name in names):
        raise ValueError(f"{folder} has no effective momentum: {_optimizer(folder)} is torch's own")
    if axes is None:
        axes = _grid(len(names) + 1)
    steps = [look["step"] for look in looks]
    for ax, name in zip(axes, names, strict=False):
        rows = [look["layers"][name].get("momentum") or [None] * len(QUANTILES) for look in looks]
        values = np.array(rows, dtype=float)
        for low, high, alpha in _SHADES:
            ax.fill_between(
                steps, values[:, low], values[:, high], color="#009E73", alpha=alpha, lw=0
            )
        ax.plot(steps, values[:, 2], color="#009E73", lw=1.2)
        ax.axhline(FROZEN, color="0.5", lw=0.8, ls=":")
        ax.set_ylim(-0.03, 1.03)
        ax.set_title(name, fontsize=8)
    _draw_fractions(axes[len(names)], looks)
    for ax in axes:
        ax.tick_params(labelsize=7)
    for ax in axes[-_COLUMNS:]:
        ax.set_xlabel("step", fontsize=8)
        ax.tick_params(labelbottom=True)
    for ax in axes[: len(names) : _COLUMNS]:
        ax.set_ylabel("effective momentum", fontsize=8)
    return axes


def plot_letters(folder: Path | str, *, axes: tuple[Axes, Axes] | None = None) -> tuple[Axes, Axes]:
    """What each letter of a step does to E = f + ½|p|², against steps; and the temperatures.

    Above, on an axis that is linear near 0, the changes of the steps that were looked at: f is the
    loss of the batch, so that letters that move x take from f and B gives to ½|p|². Dots, and so
    all that needs f, are of the looks in full. Below, of these too, the temperature h s²/(2Γ) that
    the noise of the gradient makes, beside 2·½|p|²/d.

    ValueError for a run without a look in full: of torch's own optimizer, or without looks.
    """
    folder = Path(folder)
    every = _looks(folder)
    looks = [look for look in every if "audit" in look]
    if not looks:
        raise ValueError(f"{folder} has no audit: {_optimizer(folder)} is torch's own")
    above, below = (
        axes
        or plt.subplots(
            2, 1, sharex=True, figsize=(6.5, 5.4), height_ratios=(2, 1), layout="constrained"
        )[1]
    )
    steps = [look["step"] for look in looks]
    others = itertools.cycle(OTHERS)
    largest = 0.0
    for letter in dict.fromkeys(letter for look in looks for letter in look["audit"]):
        values = _numbers(look["audit"].get(letter) for look in looks)
        shade = LETTERS.get(letter) or (CONVERSION if letter == "B" else next(others))
        known = all(look["letters"].get(letter) == look["audit"].get(letter) for look in looks)
        if known and np.any(values):  # without f, so of every look
            at, shown = every, _numbers(look["letters"].get(letter) for look in every)
        else:
            at, shown = looks, values
        above.plot(
            [look["step"] for look in at], shown, "o-", ms=2.5, lw=1.0, color=shade, label=letter,
            markevery=[n for n, look in enumerate(at) if "audit" in look],
        )  # fmt: skip
        largest = max(largest, np.abs(values[np.isfinite(values)]).max(initial=0.0))
    total = _numbers(_sum(look["audit"].values()) for look in looks)
    above.plot(
        steps, total, "o-", ms=5, lw=2.5, color="k", alpha=0.25, label="all letters", zorder=0
    )
    if largest:  # a power of ten, so that the labels beside 0 are a decade away from it
        above.set_yscale("symlog", linthresh=10.0 ** math.floor(math.log10(1e-3 * largest)))
    above.axhline(0.0, color="0.6", lw=0.8, zorder=0)
    above.set_ylabel("change of E in a step")
    above.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1.0))
    above.set_title(_label(settings_of(folder)), fontsize=9)
    for name, label, style, marker in (
        ("temperature", "of the gradient's noise", "-", "o"),
        ("kinetic_temperature", "kinetic, of p", (0, (4, 2)), "x"),
    ):
        values = _numbers(look.get("noise", {}).get(name) for look in looks)
        below.plot(
            steps, values, color="#D55E00", lw=1.2, ls=style, marker=marker, ms=3.5, label=label
        )
    if any(np.any(np.asarray(line.get_ydata()) > 0) for line in below.lines):
        below.set_yscale("log")
    below.set_ylabel("temperature")
    below.set_xlabel("step")
    below.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1.0))
    return above, below


def _draw_fractions(ax: Axes, looks: Sequence[dict[str, Any]]) -> None:
    steps = [look["step"] for look in looks]
    for name, shade in (("frozen", "#0072B2"), ("capped", "#D55E00")):
        if any(look.get(name) is not None for look in looks):
            ax.plot(steps, 100 * _numbers(look.get(name) for look in looks), color=shade, lw=1.2)
            ax.plot([], [], color=shade, label=name)
    ax.set_ylabel("% of coordinates", fontsize=8)
    ax.set_title("all layers", fontsize=8)
    ax.set_ylim(bottom=-0.03 * ax.get_ylim()[1])  # a line at 0 is seen
    ax.legend(frameon=False, fontsize=8)


def _grid(count: int) -> list[Axes]:
    rows = -(-count // _COLUMNS)
    size = (2.4 * _COLUMNS, 1.7 * rows + 0.3)
    axes = plt.subplots(
        rows, _COLUMNS, figsize=size, layout="constrained", squeeze=False, sharex=True
    )[1].flatten()
    for ax in axes[count:]:
        ax.set_axis_off()
    return list(axes[:count])


def _looks(folder: Path) -> list[dict[str, Any]]:
    looks = list(lines(folder, "look"))
    if not looks:
        raise ValueError(f"nobody looked at {folder}; train it with look_every, such as 20")
    return looks


def _curve(folder: Path, metric: str) -> dict[int, float]:
    """By step; ValueError where the number was not measured."""
    found = list(lines(folder, "validation"))
    if not found or metric not in found[0]:
        known = ", ".join(name for line in found[:1] for name in line if name not in _NOT_METRICS)
        raise ValueError(f"{folder} has no validation {metric}; it has {known or 'none'}")
    return {line["step"]: float(line[metric]) for line in found}


_NOT_METRICS = ("kind", "step", "seconds")


def _alike(folders: Sequence[Path]) -> dict[str, list[Path]]:
    """Runs by what their settings are but for the seed; the shortest label that tells them."""
    if not folders:
        raise ValueError("plot_learning needs a folder or more")
    groups: dict[str, list[Path]] = {}
    for folder in folders:
        groups.setdefault(repr({**settings_of(folder).as_json(), "seed": 0}), []).append(folder)
    settings = [settings_of(group[0]) for group in groups.values()]
    labels = [f"{one.optimizer} {one.word}" if one.word else one.optimizer for one in settings]
    if len(set(labels)) < len(labels):
        labels = [_label(one) for one in settings]
    if len(set(labels)) < len(labels):
        labels = [f"{label} ({place + 1})" for place, label in enumerate(labels)]
    return dict(zip(labels, groups.values(), strict=True))


def _label(settings: Settings) -> str:
    values = ", ".join(f"{name} {value:.3g}" for name, value in settings.hyperparameters.items())
    word = f", word {settings.word}" if settings.word else ""
    return f"{settings.optimizer} ({values}{word})"


def _optimizer(folder: Path) -> str:
    return settings_of(folder).optimizer


def _numbers(values: Iterable[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def _sum(values: Iterable[float | None]) -> float:
    return float(np.sum(_numbers(values)))
