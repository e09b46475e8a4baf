"""The figures of the theory section, each with what to see in it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..plots.energy import plot_audit
from ..plots.stability import plot_boundedness, plot_ladder, plot_stability
from .section import Finding, Picture, canvas


def pictures(results: Sequence[Finding], runs: Path) -> Iterator[Picture]:
    """Large steps on a mode and on a network, stability maps, and where the energy goes."""
    drawn: dict[str, list[Any]] = {}
    for finding in results:
        drawn.setdefault(finding.kind, []).append(finding.drawn)
    if "bounded" in drawn:
        yield from _bounded(drawn["bounded"])
    if "ladder" in drawn:
        yield from _ladder([row for rows in drawn["ladder"] for row in rows])
    if "map" in drawn:
        yield from _maps(drawn["map"])
        yield from _rates(drawn["map"])
    if "audit" in drawn:
        yield from _audits(drawn["audit"])


def _bounded(found: Sequence[Any]) -> Iterator[Picture]:
    with canvas(size=(8.5, 4.2)) as (figure, axes):
        plot_boundedness(found, ax=axes[0, 0])
        yield Picture(
            "bounded",
            "theory",
            "Large steps: which words stay bounded",
            "One quadratic mode started from x₀ = 0.3 to 100 at growing h√L: from how many starts "
            "it stays within bounds. All these words are linearly stable up to about 2, and "
            "LDHD's, being linear, are lost just there. BACD drifts with the kick that has just "
            "been added, so that far from the minimum it is gradient descent with learning rate "
            "h² and is lost above h√L = √2, its symmetric companion BACDCAB above 2; in BCDA and "
            "BCDADCB the cap stands between every kick and the drift that follows, and no step "
            "tried loses them.",
            figure,
        )


def _ladder(found: Sequence[Any]) -> Iterator[Picture]:
    with canvas(size=(6.5, 4.0)) as (figure, axes):
        plot_ladder(found, ax=axes[0, 0])
        yield Picture(
            "ladder",
            "theory",
            "Large steps: the same words on a network",
            "The digits network trained with CD at 1, 2, 4 and 8 times the learning rate tuned "
            "for BACD, everything else kept: training loss at the end, a line per seed. Crosses "
            "are runs that ended above the untrained network's loss, or diverged.",
            figure,
        )


def _maps(found: Sequence[Any]) -> Iterator[Picture]:
    with canvas(2, 3, size=(13.0, 7.2)) as (figure, axes):
        for ax, one in zip(axes.flat, found, strict=False):
            plot_stability(one, ax=ax)
        yield Picture(
            "stability",
            "theory",
            "Stability maps",
            "Spectral radius of one step of LDHD on one mode of curvature k, over h√k and γh. "
            "Black: where it passes 1, the limit of stability. The compositions of order 4 take "
            "three and five gradients a step, and their negative substeps amplify where γh is "
            "large.",
            figure,
        )


def _rates(found: Sequence[Any]) -> Iterator[Picture]:
    shown = found[:4]
    with canvas(2, 2, size=(9.5, 7.2)) as (figure, axes):
        for ax, one in zip(axes.flat, shown, strict=False):
            plot_stability(one, view="rate", ax=ax)
        for ax in axes.flat[len(shown) :]:
            ax.set_visible(False)
        yield Picture(
            "rates",
            "theory",
            "Does the step decay as fast as the equation?",
            "Energy rate of the step over that of the differential equation. Where the step "
            "oscillates (white) every word has the equation's rate exactly, whatever h; for small "
            "h that is below the dashed line of critical damping. Where it does not, the words "
            "differ: blue decays faster than the equation, red slower.",
            figure,
        )


def _audits(found: Sequence[Any]) -> Iterator[Picture]:
    across = 2
    down = -(-len(found) // across)
    with canvas(2 * down, across, size=(6.2 * across, 5.0 * down)) as (figure, axes):
        for ax in axes.flat[2 * len(found) :]:
            ax.set_visible(False)
        for place, one in enumerate(found):
            row, column = divmod(place, across)
            above, below = axes[2 * row, column], axes[2 * row + 1, column]
            plot_audit(one, axes=(above, below))
            above.set_title(f"{one.run.settings['dynamics']} {''.join(one.word)}")
        yield Picture(
            "audit",
            "theory",
            "Where the energy goes",
            "Energy removed by each letter since the start on a quadratic, and below it the "
            "shadow work: what the letters that move x or read the gradient have added beyond "
            "what they would in continuous time (nothing, for A and B together). It is of the "
            "order of the word: compare its axis for BACD with the symmetric words.",
            figure,
        )
