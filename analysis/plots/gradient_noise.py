"""The figure of training beside its stochastic differential equation."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ..gradient_noise.comparison import MODELS, Comparison, Moment

_LOOKS = {  # broad and pale below, thin and dark above: where curves agree, all are seen
    "training": {"color": "k", "ls": "-", "lw": 1.0, "zorder": 3},
    "Gaussian": {"color": "#BBBBBB", "ls": "-", "lw": 5.0, "zorder": 2},
    "SDE": {"color": "#56B4E9", "ls": "-", "lw": 2.8, "zorder": 2.1},
    "noise along": {"color": "#009E73", "ls": (0, (5, 2)), "lw": 1.5, "zorder": 2.2},
    "noise of start": {"color": "#D55E00", "ls": (0, (3, 1, 1, 1)), "lw": 1.5, "zorder": 2.3},
}
_LABELS = {
    "training": "training with minibatches",
    "Gaussian": "Gaussian: the same steps, Gaussian noise",
    "SDE": "SDE: with the covariance of the noise at x",
    "noise along": "noise along: SDE, variances along training",
    "noise of start": "noise of start: SDE, variances of the start",
}
_ENTRY = 3.1  # inches that an entry of the legend takes
_ROOM = 0.06  # of the axis, above and below what is drawn


def plot_sde_comparison(
    comparisons: Comparison | Sequence[Comparison], *, axes: np.ndarray | None = None
) -> np.ndarray:
    """The loss over seeds, of trainings and their models, against steps; a column for each.

    Above its mean, below its variance on a logarithmic axis; bands are one standard error to
    either side (below as a factor e^{± error/variance}). What diverged or ended more than ten
    times above its start is named in the panel; the axes show what remained, and are
    logarithmic if nothing did. axes: an array [2, comparisons] of axes (None: a new figure).
    Returns the axes.

    Raises ValueError without a comparison.
    """
    series = [comparisons] if isinstance(comparisons, Comparison) else list(comparisons)
    if not series:
        raise ValueError("plot_sde_comparison needs one comparison or more")
    if axes is None:
        width = 3.3 * len(series) + 0.6
        size = (width, 5.2 + 0.2 * -(-len(_LABELS) // _columns(width)))
        axes = plt.subplots(
            2, len(series), figsize=size, layout="constrained", squeeze=False, sharex="col"
        )[1]
    assert axes is not None
    for (above, below), one in zip(axes.T, series, strict=True):
        failed = [name for name in ("training", *MODELS) if one.failures(name)]
        below.set_yscale("log")
        if len(failed) == 1 + len(MODELS):
            above.set_yscale("log")
        _panel(above, one, "mean", failed)
        _panel(below, one, "variance", failed)
        above.set_title(f"{one.method}, h = {one.step_size:.3g}")
        below.set_xlabel("steps of training")
        if failed:
            names = "all" if len(failed) == 1 + len(MODELS) else ",\n".join(failed)
            above.text(
                0.97, 0.5, f"unstable: {names}", transform=above.transAxes, ha="right", va="center",
                fontsize=8, bbox={"fc": "w", "ec": "none", "alpha": 0.8}, zorder=4,
            )  # fmt: skip
    axes[0, 0].set_ylabel("mean loss over seeds")
    axes[1, 0].set_ylabel("variance of the loss over seeds")
    figure = axes[0, 0].figure
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(),
        loc="outside lower center", ncols=_columns(figure.bbox.width / figure.dpi),
        frameon=False, fontsize=8.5,
    )  # fmt: skip
    return axes


def _columns(width: float) -> int:
    """Columns of the legend in a figure of so many inches: as few rows as it holds, and full."""
    rows = -(-len(_LABELS) // max(1, int(width / _ENTRY)))
    return -(-len(_LABELS) // rows)


def _panel(ax: Axes, one: Comparison, moment: Moment, failed: Sequence[str]) -> None:
    """All curves; the axis holds the bands of those that did not fail, or else everything."""
    drawn = {name: _band(ax, one, name, moment) for name in ("training", *MODELS)}
    shown = np.concatenate([band for name, band in drawn.items() if name not in failed] or
                           [*drawn.values()])  # fmt: skip
    logarithmic = ax.get_yscale() == "log"
    shown = shown[np.isfinite(shown) & ((shown > 0) | (not logarithmic))]
    if not shown.size:
        ax.text(0.5, 0.5, "nothing finite", transform=ax.transAxes, ha="center", fontsize=8)
        return
    ends = np.array([shown.min(), shown.max()])
    ends = np.log(ends) if logarithmic else ends
    room = _ROOM * (np.ptp(ends) or 1.0) * np.array([-1, 1])
    ax.set_ylim(*(np.exp(ends + room) if logarithmic else ends + room))


def _band(ax: Axes, one: Comparison, name: str, moment: Moment) -> NDArray[np.float64]:
    """Draw a curve with its band; the band's two edges, one after the other."""
    curve = one.curves[name]
    shown = slice(0 if moment == "mean" else 1, None)  # the variance begins at 0
    steps = one.steps[shown].numpy()
    value = getattr(curve, moment)[shown].double().numpy()
    error = getattr(curve, f"{moment}_error")[shown].double().numpy()
    with np.errstate(all="ignore"):
        factor = np.exp(error / value)
        low, high = (
            (value / factor, value * factor)
            if ax.get_yscale() == "log"
            else (value - error, value + error)
        )
    look = _LOOKS[name]
    ax.plot(steps, value, label=_LABELS[name], **look)
    ax.fill_between(steps, low, high, color=look["color"], alpha=0.2, lw=0, zorder=1)
    return np.concatenate((low, high))
