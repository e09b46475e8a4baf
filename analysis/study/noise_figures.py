"""The figures of the noise section, each with what to see in it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from ...landscapes import LennardJones, MuellerBrown
from ..clusters.picture import draw_cluster
from ..plots.gradient_noise import plot_sde_comparison
from ..plots.runs import plot_orders
from ..plots.sampling import plot_histogram, plot_landscape_samples
from .section import Finding, Picture, canvas

_LINES = {
    "BAOAB": "#0072B2", "ABOBA": "#56B4E9", "OBABO": "#D55E00", "OABAO": "#E69F00",
    "UBU": "#009E73", "BUB": "#66C2A5", "BAO": "#AAAAAA", "OBA": "#555555",
    "euler-maruyama": "k", "heun": "#CC79A7",
}  # fmt: skip
_BIAS = 0.4  # the largest that is drawn


def pictures(results: Sequence[Finding], runs: Path) -> Iterator[Picture]:
    """Laws and paths, densities, training beside its models, a cluster."""
    drawn: dict[str, list[Any]] = {}
    for finding in results:
        drawn.setdefault(finding.kind, []).append(finding.drawn)
    if "laws" in drawn:
        yield from _laws(drawn["laws"][0])
    if "paths" in drawn:
        yield from _paths(drawn["paths"][0])
    if "temperatures" in drawn:
        yield from _wells(drawn["temperatures"][0])
    if "surface" in drawn:
        yield from _surface(drawn["surface"][0])
    if "models" in drawn:
        yield from _models(drawn["models"])
    if "clusters" in drawn:
        yield from _cluster(drawn["clusters"][0])


def _laws(curves: dict[str, Any]) -> Iterator[Picture]:
    with canvas(1, 2, size=(9.5, 4.2)) as (figure, axes):
        for place, (ax, name) in enumerate(zip(axes[0], ("⟨x²⟩ k/T", "⟨p²⟩/T"), strict=True)):
            for word, (h, law) in curves.items():
                bias = law[:, place, place] - 1
                shown = torch.where(bias.abs() < _BIAS, bias, torch.nan)
                ax.plot(h, shown, color=_LINES[word], label=word,
                        ls="--" if word in ("ABOBA", "OABAO", "OBA", "BUB") else "-")  # fmt: skip
            ax.set_ylim(-_BIAS, _BIAS)
            ax.set_xlabel("h √k")
            ax.set_title(f"{name} − 1")
        figure.legend(
            *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5,
            frameon=False,
        )  # fmt: skip
        yield Picture(
            "laws",
            "noise",
            "What a word samples",
            "The stationary law of words of Langevin dynamics on a quadratic (γ = √k), exactly, "
            "from the word's own flows. BAOAB and ABOBA have the right positions at every step "
            "size, OBABO and OABAO the right momenta. Euler–Maruyama, which heats, leaves the "
            "figure first; positions of words of first order are off in proportion to h.",
            figure,
        )


def _paths(found: Sequence[Any]) -> Iterator[Picture]:
    with canvas(size=(5.8, 4.2)) as (figure, axes):
        plot_orders(found, ax=axes[0, 0])
        axes[0, 0].set_ylabel("root mean square distance to the path")
        yield Picture(
            "paths",
            "noise",
            "How closely a word follows its path",
            "Distance at t = 1 to a fine UBU path on the same Brownian motion, on a coupled "
            "quartic. All runs draw from the same finest increments, with the "
            "Ornstein–Uhlenbeck integrals coupled exactly: UBU has strong order 2 with one "
            "gradient a step, the others 1.",
            figure,
        )


def _wells(found: Sequence[Any]) -> Iterator[Picture]:
    with canvas(1, len(found), size=(9.5, 3.8)) as (figure, axes):
        for ax, (step, compared) in zip(axes[0], found, strict=True):
            plot_histogram(compared, ax=ax)
            ax.set_title(f"{compared.landscape}, T = {compared.temperature:g}, h = {step:g}")
        yield Picture(
            "wells",
            "noise",
            "Samples beside the Gibbs density",
            "BAOAB on a double well. At the small step the histogram is that of e^(−f/T) within "
            "its errors, which count correlated samples once; at the large one it is not, and "
            "the configurational temperature below says so as well. Momenta are off at both, by "
            "−h²f″/4 in relation to T, which is a property of the word and not of the sampling.",
            figure,
        )


def _surface(run: Any) -> Iterator[Picture]:
    with canvas(size=(6.2, 4.8)) as (figure, axes):
        plot_landscape_samples(run, MuellerBrown(), ax=axes[0, 0])
        yield Picture(
            "surface",
            "noise",
            "Müller and Brown's surface",
            "Langevin dynamics (BAOAB) from the three minima at a temperature at which the "
            "wells exchange; contours, minima and saddles.",
            figure,
        )


def _models(found: Sequence[Any]) -> Iterator[Picture]:
    for number, lr in enumerate(sorted({one.lr for one in found})):
        chosen = [one for one in found if one.lr == lr]
        with canvas(2, len(chosen), size=(3.1 * len(chosen) + 0.6, 6.2)) as (figure, axes):
            plot_sde_comparison(chosen, axes=axes)
            yield Picture(
                f"models_{number + 1}",
                "noise",
                f"Minibatches as noise, learning rate {lr:g}",
                "A small digits network trained with minibatches of 8 over many seeds, beside its "
                "models: the same steps with Gaussian noise, the stochastic equation with the "
                "covariance of the gradients at x, and with the variances of the coordinates "
                "measured along the training or once at the start. Bands are standard errors. The "
                "learning rate is that of SGD with momentum 0.8; SGD without momentum has five "
                "times as much, and the others h = √lr.",
                figure,
            )


def _cluster(best: Any) -> Iterator[Picture]:
    cluster = LennardJones(len(best))
    with canvas(size=(4.5, 4.8)) as (figure, axes):
        draw_cluster(cluster, best, ax=axes[0, 0])
        yield Picture(
            "cluster",
            "noise",
            "The best cluster found",
            "From random starts by annealing and a quench: the icosahedron, with 12 atoms around "
            "one.",
            figure,
        )
