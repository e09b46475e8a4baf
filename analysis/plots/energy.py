"""Figures of energy: what each letter of a word removes, and Lyapunov functions with their bounds.

Every function draws into the axes it is given (a new figure without) and returns them.
"""

import itertools
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from ..energy.audit import EnergyAudit
from ..energy.certificate import Certificate

LETTERS = {
    "C": "#D55E00",
    "D": "#0072B2",
    "G": "#CC79A7",
    "W": "#A6761D",
    "T": "#56B4E9",
    "F": "#882255",
}
"""Colours of the letters that do not only convert energy, the same in every figure."""

OTHERS = ("#6A3D9A", "#B2182B", "#4D4D4D", "#1B7837")  # for letters of a user's own, in turn
CONVERSION, _SHADOW = "#009E73", "#E69F00"


def plot_audit(
    audit: EnergyAudit,
    *,
    index: int | tuple[int, ...] | None = None,
    axes: tuple[Axes, Axes] | None = None,
) -> tuple[Axes, Axes]:
    """Energy removed since t = 0 by each letter, and below it the shadow work of the word.

    The letters in `audit.conversion` (A, B; CADAM: A, B, E) share a line. Shadow work, the
    numerical part of what moves x or reads the gradient, has an axis of its own, on which up means
    energy added.

    index  which trajectory of a batch; required if there is a batch
    axes   the two to draw into
    """
    batch = audit.by_substep.shape[2:]
    if batch and index is None:
        raise ValueError(
            f"this audit holds a batch of shape {tuple(batch)}; choose a trajectory: "
            "plot_audit(audit, index=0)"
        )
    at = (...,) if index is None else (..., *(index if isinstance(index, tuple) else (index,)))
    above, below = (
        axes
        or plt.subplots(
            2, 1, sharex=True, figsize=(6.0, 5.0), height_ratios=(3, 1), layout="constrained"
        )[1]
    )
    times = audit.run.times.numpy()
    change = {letter: value[at] for letter, value in audit.change.items()}
    total = audit.run.energy[0][at] - audit.run.energy[:][(slice(None), *at[1:])]
    above.plot(times, total, color="k", lw=2.5, alpha=0.25, label="all letters")
    others = itertools.cycle(OTHERS)
    for letter in (a for a in change if a not in audit.conversion):
        shade = LETTERS.get(letter) or next(others)
        above.plot(times, -_running(change[letter]), color=shade, lw=1.4, label=letter)
    if audit.conversion:
        converted = torch.stack([change[letter] for letter in audit.conversion]).sum(0)
        names = " + ".join(sorted(audit.conversion))
        style = {"color": CONVERSION, "lw": 1.2, "ls": (0, (5, 2))}
        above.plot(times, -_running(converted), label=names, **style)
    shadow = audit.shadow[at]
    unknown = torch.isnan(shadow) & torch.isfinite(total[1:])  # where an exact share is unknown
    below.plot(times, _running(torch.where(unknown, 0.0, shadow)), color=_SHADOW, lw=1.2)
    below.axhline(0.0, color="0.6", lw=0.8, zorder=0)
    above.set_ylabel("energy removed since t = 0")
    below.set_ylabel("shadow work")
    below.set_xlabel("time t")
    settings = audit.run.settings
    above.set_title(f"{settings['dynamics']}, word {settings['word']}, h = {settings['step']:g}")
    above.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1.0))
    return above, below


def plot_certificate(certificate: Certificate, *, ax: Axes | None = None) -> Axes:
    """The Lyapunov function V against time, under the bound that is proved of it (dashed).

    A cross marks the state that misses its bound most, if one does. Every trajectory of a batch
    is drawn; assumptions that do not hold are named in the legend, or in the empty axes where V
    is not known for the lack of them.
    """
    ax = ax or plt.subplots(figsize=(6.0, 4.0), layout="constrained")[1]
    ax.set_title(certificate.theorem)
    ax.set_xlabel("time t")
    ax.set_ylabel("Lyapunov function V")
    failed = [assumption.text for assumption in certificate.assumptions if not assumption.holds]
    missing = "\n".join(fill(f"does not hold: {text}", 52) for text in failed)
    if not bool(torch.isfinite(certificate.V).any()):
        ax.text(0.5, 0.5, f"V is not known\n{missing}", ha="center", va="center",
                transform=ax.transAxes)  # fmt: skip
        ax.set(xticks=[], yticks=[])
        return ax
    times = certificate.times.numpy()
    for values, label, style in (
        (certificate.V, "V", {"color": "#0072B2", "lw": 1.4}),
        (certificate.limit, "proved bound", {"color": "k", "lw": 1.1, "ls": (0, (5, 3))}),
    ):
        curves = values.numpy().reshape(len(times), -1)
        names = [label, *[f"_{label}"] * (curves.shape[1] - 1)]
        ax.plot(times, np.where(curves > 0, curves, np.nan), label=names, **style)
    worst = certificate.overshoot
    if worst.value > 0:
        height = float(certificate.V[(worst.index, *worst.trajectory)])
        label = f"V above its bound by {worst.value:.1e} V(0)"
        ax.plot(worst.time, height, "x", color="#D55E00", ms=8, mew=2, ls="none", label=label)
    ax.set_yscale("log")
    ax.legend(
        frameon=False, title=missing or None, alignment="left",
        title_fontproperties={"size": "small"},
    )  # fmt: skip
    return ax


def _running(values: Tensor) -> np.ndarray:
    """The sum over all steps up to each time, from 0 at the first: [T + 1] of [T]."""
    return torch.cat((values.new_zeros(1), values.cumsum(0))).numpy()
