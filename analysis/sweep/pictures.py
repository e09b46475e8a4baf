"""The figures of a sweep."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from ..plots.runs import colour, dashes
from ..plots.training import plot_friction, plot_letters
from ..study.section import STYLE, Picture, canvas
from .comparison import Comparison
from .folders import Row

_DASHES: list[Any] = ["-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 1.5, 1, 1.5)), (0, (1, 2))]
_FRICTION = (
    "The factor by which the damping of a step multiplies the momentum of a coordinate, by layer: "
    "median, and 5, 25, 75 and 95 %; below the dotted line it is called frozen. Last, the "
    "coordinates that are frozen, and those at the cubic cap."
)
_LETTERS = (
    "Above, what each letter of a step adds to f + ½|p|² (on an axis that is linear near 0); "
    "below, the temperature that the noise of the gradient makes, and that of p."
)
_SHARE = 0.98  # of the looks are inside the picture; the rest is far from the best


def pictures(found: Comparison) -> Iterator[Picture]:
    """Each is closed after it was used."""
    metric = found.head.metric
    if any(row.looks for label in found.reported for row in _over(found, label).values()):
        with canvas(1, 2, size=(12.0, 4.0)) as (figure, axes):
            _draw_runs(axes[0, 0], found, seconds=False)
            _draw_runs(axes[0, 1], found, seconds=True)
            yield Picture(
                "runs",
                "Comparison",
                f"Validation {metric}",
                "Mean over the report seeds and, as a band, lowest to highest, as far as all of "
                "them came; against steps, and against seconds of training (their median).",
                figure,
            )
    if any(one.difference for one in found.compared):
        with canvas(size=(7.0, 1.2 + 0.34 * len(found.compared))) as (figure, axes):
            _draw_differences(axes[0, 0], found)
            yield Picture(
                "differences",
                "Comparison",
                f"Difference to {found.reference}",
                "Of runs with the same seed: every seed (open), their mean, the bootstrap "
                "interval of 95 % (thick) and Student's (thin).",
                figure,
            )
    if any(one.curve for one in found.searched):
        with canvas(size=(8.5, 4.0)) as (figure, axes):
            _draw_curves(axes[0, 0], found)
            yield Picture(
                "search",
                "Best of k trials",
                "Best of k trials",
                f"Expected best validation {metric} after k trials, over all orders in which the "
                "trials might have been made: how much tuning an optimizer needs.",
                figure,
            )
    if found.scanned:
        with canvas(size=(8.5, 4.0)) as (figure, axes):
            _draw_scans(axes[0, 0], found)
            yield Picture(
                "learning_rates",
                "Range of good learning rates",
                "Learning rates",
                f"Best validation {metric} against lr over the best lr, all else fixed; the bar "
                f"below spans the range within {found.tolerance:.0%} of the best; × diverged.",
                figure,
            )


def inside(out: Path, found: Comparison) -> Iterator[Picture]:
    """Friction and letters in the best row of each optimizer that was looked at, its first seed."""
    best: dict[str, tuple[str, Row]] = {}
    for label in (one.label for one in found.compared):
        if row := next((row for row in _over(found, label).values() if row.inside), None):
            best.setdefault(row.settings.optimizer, (label, row))
    for label, row in best.values():
        seed = f"seed {row.settings.seed}"
        name = "-".join(row.folder.parts[1:])
        for stem, title, caption, plot in (
            ("friction", "Effective momentum", _FRICTION, plot_friction),
            ("letters", "What each letter does to the energy", _LETTERS, plot_letters),
        ):
            with mpl.rc_context(STYLE), suppress(ValueError):  # no momenta; no look in full
                figure = plot(out / row.folder)[0].figure
                assert isinstance(figure, Figure)
                told = f"{title}, {label}, {seed}"
                yield Picture(f"{stem}-{name}", "Inside the runs", told, caption, figure)
                plt.close(figure)


def _styles(found: Comparison) -> dict[str, dict[str, Any]]:
    """Colour by optimizer, dashes and paleness by what else its labels say; in all figures."""
    every = (one.label for one in (*found.compared, *found.searched, *found.scanned))
    groups: dict[str, list[str]] = {}
    for label in dict.fromkeys(every):
        groups.setdefault(label.split(" ")[0].rstrip(","), []).append(label)
    return {
        label: {
            "color": _paler(colour(optimizer, index), place // len(_DASHES)),
            "ls": dashes(optimizer) if len(labels) == 1 else _DASHES[place % len(_DASHES)],
        }
        for index, (optimizer, labels) in enumerate(groups.items())
        for place, label in enumerate(labels)
    }


def _paler(shade: str, times: int) -> tuple[float, ...]:
    return tuple(1 - (1 - part) * 0.6**times for part in to_rgb(shade))


def _over(found: Comparison, label: str) -> dict[int, Row]:
    """Reported runs that are over, by seed."""
    return {row.settings.seed: row for row in found.reported[label] if row.is_over}


def _draw_runs(ax: Axes, found: Comparison, *, seconds: bool) -> None:
    seen: list[float] = []
    styles = _styles(found)
    for label in (one.label for one in found.compared):
        steps, values, times = _together([*_over(found, label).values()])
        if not len(steps):
            continue
        across = times if seconds else steps
        ax.plot(across, values.mean(0), **styles[label], lw=1.3, label=label)
        shade = styles[label]["color"]
        ax.fill_between(across, values.min(0), values.max(0), color=shade, alpha=0.12, lw=0)
        seen += values.ravel().tolist()
    _limit(ax, seen, found)
    if found.target is not None:
        ax.axhline(found.target, color="0.6", lw=0.8, ls=":")
    ax.set_xlabel("seconds of training" if seconds else "steps")
    ax.set_ylabel(f"validation {found.head.metric}")
    if not seconds:
        _legend(ax)


def _together(rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steps that all runs have looked at; values [runs, steps]; median seconds."""
    looks = [{look.step: look for look in row.looks} for row in rows if row.looks]
    steps = sorted(set.intersection(*map(set, looks))) if looks else []
    values = np.array([[one[step].value for step in steps] for one in looks])
    times = np.array([[one[step].seconds for step in steps] for one in looks])
    return np.array(steps), values, np.median(times, 0) if looks else times


def _legend(ax: Axes) -> None:
    """Beside the picture: there may be many rows."""
    assert isinstance(ax.figure, Figure)
    handles, labels = ax.get_legend_handles_labels()
    ax.figure.legend(handles, labels, frameon=False, loc="outside right upper")


def _limit(ax: Axes, seen: Sequence[float], found: Comparison) -> None:
    """Leave out what lies far on the bad side, such as the start of a run."""
    if not seen:
        return
    costs = np.array([found.head.cost(value) for value in seen])
    best, most = costs.min(), np.quantile(costs, _SHARE)
    worst = min(most, best + 4 * (np.median(costs) - best) + 1e-12)
    ends = sorted(found.head.cost(c) for c in (best - 0.05 * (worst - best), worst))
    if ends[0] < ends[1]:
        ax.set_ylim(*ends)


def _draw_differences(ax: Axes, found: Comparison) -> None:
    anchor = _over(found, found.reference)
    shown, styles = [one for one in found.compared if one.difference is not None], _styles(found)
    for place, one in enumerate(reversed(shown)):
        assert one.difference is not None
        shade = styles[one.label]["color"]
        for ends, width in ((one.difference.student, 1.0), (one.difference.bootstrap, 4.0)):
            if ends is not None:
                ax.plot(ends, (place, place), color=shade, lw=width, solid_capstyle="butt")
        for seed, row in _over(found, one.label).items():
            other = anchor[seed].value if seed in anchor else None
            if row.value is not None and other is not None:
                ax.plot(row.value - other, place, "o", mfc="none", mec=shade, ms=4)
        ax.plot(one.difference.mean, place, "|", color="k", ms=11)
    ax.axvline(0, color="0.4", lw=0.8)
    ax.set_yticks(range(len(shown)), [one.label for one in reversed(shown)])
    side = "right" if found.head.larger_is_better else "left"
    ax.set_xlabel(f"best validation {found.head.metric} minus {found.reference}'s ({side}: better)")


def _draw_curves(ax: Axes, found: Comparison) -> None:
    styles = _styles(found)
    for one in found.searched:
        ax.plot(range(1, len(one.curve) + 1), one.curve, **styles[one.label], label=one.label)
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda k, _: f"{k:g}"))
    ax.set_xlabel("trials k")
    ax.set_ylabel(f"expected best validation {found.head.metric}")
    _legend(ax)


def _draw_scans(ax: Axes, found: Comparison) -> None:
    values = [v for one in found.scanned for v in one.values.values() if v is not None]
    _limit(ax, values, found)
    bottom, top = ax.get_ylim()
    room, styles = 0.04 * (top - bottom), _styles(found)
    for index, one in enumerate(found.scanned):
        style = styles[one.label]
        good = {lr: value for lr, value in one.values.items() if value is not None}
        if not good:
            continue
        best = one.width.lr if one.width is not None else next(iter(good))
        across = [lr / best for lr in good]
        ax.plot(across, list(good.values()), marker="o", ms=3.5, **style, label=one.label)
        lost = [lr / best for lr in one.values if lr not in good]
        ax.plot(lost, [top - 0.5 * room] * len(lost), "x", color=style["color"], clip_on=False)
        if one.width is not None:
            level = bottom - (index + 1) * room
            ends = one.width.low / best, one.width.high / best
            ax.plot(ends, (level, level), color=style["color"], lw=3, solid_capstyle="butt")
    ax.set_ylim(bottom - (len(found.scanned) + 1) * room, top)
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}"))
    ax.set_xlabel("lr / best lr")
    ax.set_ylabel(f"best validation {found.head.metric}")
    _legend(ax)
