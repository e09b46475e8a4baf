"""What is drawn into the figures of a sweep."""

import math
from collections.abc import Sequence
from statistics import median_low
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from ..plots.runs import COLOURS, colour, dashes
from .comparison import Comparison
from .folders import Row

_DASHES: list[Any] = ["-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 1.5, 1, 1.5)), (0, (1, 2))]
_SHARE = 0.98  # of the looks are inside the picture; the rest is far from the best


def styles_of(found: Comparison) -> dict[str, dict[str, Any]]:
    """Colour by optimizer, dashes and paleness by what else its labels say; in all figures.

    Rows of one optimizer alone have colours of their own, as far as there are any.
    """
    every = (one.label for one in (*found.compared, *found.searched, *found.scanned))
    groups: dict[str, list[str]] = {}
    for label in dict.fromkeys(every):
        groups.setdefault(label.split(" ")[0].rstrip(","), []).append(label)
    if len(groups) == 1 and len(labels := next(iter(groups.values()))) <= len(COLOURS):
        pairs = zip(labels, COLOURS.values(), strict=False)
        return {label: {"color": shade, "ls": "-"} for label, shade in pairs}
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


def over(found: Comparison, label: str) -> dict[int, Row]:
    """Reported runs that are over, by seed."""
    return {row.settings.seed: row for row in found.reported[label] if row.is_over}


def draw_runs(axes: Sequence[Axes], found: Comparison) -> None:
    by_steps, by_seconds = axes
    seen: list[float] = []
    styles = styles_of(found)
    for one in found.compared:
        steps, values = _together([*over(found, one.label).values()])
        if not len(steps):
            continue
        style = styles[one.label]
        seconds = steps * (math.nan if one.ms_per_step is None else one.ms_per_step / 1e3)
        for ax, across in ((by_steps, steps), (by_seconds, seconds)):
            ax.plot(across, values.mean(0), **style, lw=1.3, label=one.label)
            ax.fill_between(
                across, values.min(0), values.max(0), color=style["color"], alpha=0.12, lw=0
            )
        seen += values.ravel().tolist()
    for ax in (by_steps, by_seconds):
        _limit(ax, seen, found)
        if found.target is not None:
            ax.axhline(found.target, color="0.6", lw=0.8, ls=":")
    by_steps.xaxis.set_major_locator(MaxNLocator(integer=True))
    by_steps.set(xlabel="steps", ylabel=f"validation {found.head.metric}")
    by_seconds.set_xlabel("seconds of training")
    _legend(by_steps)


def _together(rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
    """Steps that all runs have looked at; values [runs, steps]."""
    looks = [{look.step: look.value for look in row.looks} for row in rows if row.looks]
    steps = sorted(set.intersection(*map(set, looks))) if looks else []
    return np.array(steps), np.array([[one[step] for step in steps] for one in looks])


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
    best = costs.min()
    room = min(np.quantile(costs, _SHARE, method="higher") - best, 4 * (np.median(costs) - best))
    room = max(room, 1e-3 * abs(best), 1e-12)
    ax.set_ylim(*sorted(found.head.cost(cost) for cost in (best - 0.05 * room, best + room)))


def draw_differences(axes: Sequence[Axes], found: Comparison) -> None:
    (ax,) = axes
    anchor = over(found, found.reference)
    shown, styles = [one for one in found.compared if one.difference is not None], styles_of(found)
    reaches: list[float] = []
    for place, one in enumerate(reversed(shown)):
        assert one.difference is not None
        reaches.append(max(map(abs, (one.difference.mean, *(one.difference.student or ())))))
        shade = styles[one.label]["color"]
        for ends, width in ((one.difference.student, 1.0), (one.difference.bootstrap, 4.0)):
            if ends is not None:
                ax.plot(ends, (place, place), color=shade, lw=width, solid_capstyle="butt")
        for seed, row in over(found, one.label).items():
            other = anchor[seed].value if seed in anchor else None
            if row.value is not None and other is not None:
                ax.plot(row.value - other, place, "o", mfc="none", mec=shade, ms=4)
        ax.plot(one.difference.mean, place, "|", color="k", ms=11)
    ax.axvline(0, color="0.4", lw=0.8)
    widest, usual = max(reaches), median_low(reaches)
    if widest > 20 * usual > 0:  # one that is far away would make points of the other intervals
        ax.set_xscale("symlog", linthresh=10 ** math.ceil(math.log10(usual)))
    ax.set_yticks(range(len(shown)), [one.label for one in reversed(shown)])
    ax.set_ylim(-0.6, len(shown) - 0.4)
    side = "right" if found.head.larger_is_better else "left"
    ax.set_xlabel(f"best validation {found.head.metric} minus {found.reference}'s ({side}: better)")


def draw_curves(axes: Sequence[Axes], found: Comparison) -> None:
    (ax,), styles = axes, styles_of(found)
    for one in found.searched:
        ks = range(1, len(one.curve) + 1)
        ax.plot(ks, one.curve, **styles[one.label], marker=".", label=one.label)
    _powers_of_two(ax, "trials k")
    ax.set_ylabel(f"expected best validation {found.head.metric}")
    _legend(ax)


def draw_scans(axes: Sequence[Axes], found: Comparison) -> None:
    """The bars are on the good side of the picture, what diverged is on the bad one."""
    (ax,), styles = axes, styles_of(found)
    values = [v for one in found.scanned for v in one.values.values() if v is not None]
    _limit(ax, values, found)
    good, bad = sorted(ax.get_ylim(), key=found.head.cost)
    room = 0.04 * (bad - good)
    for index, one in enumerate(found.scanned):
        style, shade = styles[one.label], styles[one.label]["color"]
        points = {lr / one.chosen: v for lr, v in one.values.items() if v is not None}
        beyond = [x for x, v in points.items() if found.head.cost(v) > found.head.cost(bad)]
        shown = [bad if x in beyond else v for x, v in points.items()]
        ax.plot([*points], shown, **style, label=one.label)
        inside = {x: v for x, v in points.items() if x not in beyond}
        ax.plot([*inside], [*inside.values()], "o", ms=3.5, color=shade)
        up = "v" if found.head.larger_is_better else "^"
        ax.plot(beyond, [bad] * len(beyond), up, ms=5, color=shade, mfc="none")
        lost = [lr / one.chosen for lr, value in one.values.items() if value is None]
        ax.plot(lost, [bad + room] * len(lost), "x", color=shade)
        if one.width is not None:
            level = good - (index + 1) * room
            ends = one.width.low / one.chosen, one.width.high / one.chosen
            ax.plot(ends, (level, level), color=shade, lw=3, solid_capstyle="butt")
    ax.set_ylim(*sorted((good - (len(found.scanned) + 1) * room, bad + 1.5 * room)))
    _powers_of_two(ax, f"lr / {found.lr_name} lr")
    ax.set_ylabel(f"best validation {found.head.metric}")
    _legend(ax)


def _powers_of_two(ax: Axes, label: str) -> None:
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel(label)
