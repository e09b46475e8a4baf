"""The figure of Kovachki and Stuart's theorems: errors against the scheme's step."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from ..momentum.theorems import Claim

_STYLES = {"heavy ball": "-o", "Nesterov": "--s"}
_TITLES = {
    "i": "(i) rescaled gradient flow",
    "ii": "(ii) second-order equations",
    "iii": "(iii) flow of the modified loss",
}


def plot_theorems(
    claims: Sequence[Claim], *, momentum: float | None = None, axes: Sequence[Axes] | None = None
) -> Sequence[Axes]:
    """Errors of each theorem's equations against h, log–log, one panel each.

    Heavy ball with solid lines, Nesterov's method dashed, their measured slopes in brackets;
    grey guides of slope 1 and 2. Dots in (i): the predicted error h λ λ̄² |∇Φ(u₀)|.
    momentum: which λ (None: the largest). axes: three axes (None: a new figure).

    Claims of other equations are left out. Raises ValueError where none is left, or none at this λ.
    """
    theorems = [claim for claim in claims if claim.theorem in _TITLES]
    measured = sorted({claim.momentum for claim in theorems if claim.momentum is not None})
    if not measured:
        raise ValueError("no claims of theorems i to iii; give those of kovachki_stuart()")
    momentum = measured[-1] if momentum is None else momentum
    if momentum not in measured:
        raise ValueError(
            f"no theorem was measured at λ = {momentum}; the claims have λ = "
            f"{', '.join(f'{known:g}' for known in measured)}"
        )
    chosen = [claim for claim in theorems if claim.momentum == momentum]
    if axes is None:
        axes = plt.subplots(1, 3, figsize=(13.0, 5.2), layout="constrained")[1]
    assert axes is not None
    for ax, (theorem, title) in zip(axes, _TITLES.items(), strict=True):
        _panel(ax, [claim for claim in chosen if claim.theorem == theorem])
        ax.set_title(f"{title}, λ = {momentum:g}")
    axes[0].set_ylabel("largest error over the times named")
    return axes


def _panel(ax: Axes, claims: Sequence[Claim]) -> None:
    series = [claim for claim in claims if claim.steps]
    if not series:  # of this theorem nothing was measured
        ax.set_axis_off()
        return
    steps = np.array(series[0].steps)
    for index, quantity in enumerate(dict.fromkeys(claim.quantity for claim in series)):
        both = [claim for claim in series if claim.quantity == quantity]
        for claim in both:
            ax.loglog(steps, claim.errors, _STYLES[claim.method], color=f"C{index}", ms=4, lw=1.1)
        slopes = ", ".join(f"{claim.measured:.2f}" for claim in both)
        label = f"{quantity.removeprefix('slope: ')} ({slopes})"
        ax.plot([], [], color=f"C{index}", lw=2, label=label)
    for order in sorted({claim.predicted for claim in series}):
        lowest = min((c for c in series if c.predicted == order), key=lambda c: c.errors[-1])
        guide = 0.5 * lowest.errors[-1] * (steps / steps[-1]) ** order
        ax.loglog(steps, guide, color="0.6", lw=3, alpha=0.5, zorder=0)
        right = int(steps.argmax())
        ax.annotate(f"slope {order:g}", (steps[right], guide[right]), color="0.4", fontsize=8,
                    xytext=(6, 0), textcoords="offset points", va="center")  # fmt: skip
    span = steps.max() / steps.min()
    ax.set_xlim(steps.min() / span**0.05, steps.max() * span**0.25)  # room for these words
    for claim in claims:
        if claim.quantity.startswith("error/h") and claim.method == "heavy ball":
            ax.loglog(steps, claim.predicted * steps, "k:", lw=1.2, label="h λλ̄² |∇Φ(u₀)|")
    for method, style in _STYLES.items():
        ax.plot([], [], style, color="0.3", ms=4, lw=1.1, label=method)
    ax.set_xticks(steps, [f"{h:.3g}" for h in steps])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("step h of the scheme")
    ax.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.14))
