"""The figure of training beside its stochastic differential equation."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from ..gradient_noise.comparison import MODELS, Comparison, Curve, Moment

_LOOKS = {
    "training": {"color": "k", "ls": "-", "lw": 1.6},
    "Gaussian": {"color": "#999999", "ls": (0, (1, 1.5)), "lw": 2.2},
    "SDE": {"color": "#0072B2", "ls": "-", "lw": 1.2},
    "noise along": {"color": "#009E73", "ls": (0, (5, 2)), "lw": 1.2},
    "noise of start": {"color": "#D55E00", "ls": (0, (3, 1, 1, 1)), "lw": 1.2},
}
_LABELS = {
    "training": "training with minibatches",
    "Gaussian": "the same steps, Gaussian noise",
    "SDE": "SDE, covariance of the noise at x",
    "noise along": "SDE, variances along training",
    "noise of start": "SDE, variances of the start",
}


def plot_sde_comparison(
    comparisons: Sequence[Comparison], *, axes: np.ndarray | None = None
) -> np.ndarray:
    """The loss over seeds, of trainings and their models, against steps; a column for each.

    Above its mean, below its variance on a logarithmic axis; bands are one standard error to
    either side. axes: an array [2, comparisons] of axes (None: a new figure). Returns the axes.

    Raises ValueError without a comparison.
    """
    if not comparisons:
        raise ValueError("plot_sde_comparison needs one comparison or more")
    if axes is None:
        size = (3.3 * len(comparisons) + 0.6, 5.8)
        axes = plt.subplots(
            2, len(comparisons), figsize=size, layout="constrained", squeeze=False, sharex="col"
        )[1]
    assert axes is not None
    for (above, below), one in zip(axes.T, comparisons, strict=True):
        for name in ("training", *MODELS):
            _band(above, one, name, "mean")
            _band(below, one, name, "variance")
        above.set_title(f"{one.method}, h = {one.step_size:.3g}")
        below.set_yscale("log")
        variance = one.curves["training"].variance[1:]
        below.set_ylim(bottom=float(variance[variance > 0].min()) / 50)
        below.set_xlabel("steps of training")
    axes[0, 0].set_ylabel("mean loss over seeds")
    axes[1, 0].set_ylabel("variance of the loss over seeds")
    axes[0, 0].figure.legend(
        *axes[0, 0].get_legend_handles_labels(),
        loc="outside lower center", ncols=3, frameon=False, fontsize=8.5,
    )  # fmt: skip
    return axes


def _band(ax: Axes, one: Comparison, name: str, moment: Moment) -> None:
    curve: Curve = one.curves[name]
    shown = slice(0 if moment == "mean" else 1, None)  # the variance begins at 0
    steps = one.steps[shown].numpy()
    value = getattr(curve, moment)[shown].numpy()
    error = getattr(curve, f"{moment}_error")[shown].numpy()
    look = _LOOKS[name]
    ax.plot(steps, value, label=_LABELS[name], **look)
    ax.fill_between(steps, value - error, value + error, color=look["color"], alpha=0.2, lw=0)
