"""The figures of a sweep."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..plots.training import plot_friction, plot_letters
from ..study.section import STYLE, Picture, canvas
from .comparison import Comparison
from .drawings import draw_curves, draw_differences, draw_runs, draw_scans, over
from .folders import Row
from .tables import percent

_FRICTION = (
    "The factor by which the damping of a step multiplies the momentum of a coordinate, by layer: "
    "median, and 5, 25, 75 and 95 %; below the dotted line it is called frozen. Last, the "
    "coordinates that are frozen, and those at the cubic cap."
)
_LETTERS = (
    "Above, what each letter of a step adds to f + ½|p|² (on an axis that is linear near 0), with "
    "dots where one look of ten was in full; below, the temperature that the noise of the gradient "
    "makes, and that of p."
)


@dataclass(frozen=True)
class _Plan:
    """A picture that is to be drawn."""

    stem: str
    section: str
    title: str
    caption: str
    draw: Callable[[Sequence[Axes], Comparison], None]
    size: tuple[float, float] = (8.5, 4.0)
    panels: int = 1


def pictures(found: Comparison) -> Iterator[Picture]:
    """Each is closed after it was used."""
    for plan in _plans(found):
        with canvas(1, plan.panels, size=plan.size) as (figure, axes):
            plan.draw(axes[0], found)
            yield Picture(plan.stem, plan.section, plan.title, plan.caption, figure)


def _plans(found: Comparison) -> Iterator[_Plan]:
    """Those that have something to show."""
    metric = found.head.metric
    if any(row.looks for label in found.reported for row in over(found, label).values()):
        yield _Plan(
            "runs",
            "Comparison",
            f"Validation {metric}",
            "Mean over the report seeds and, as a band, lowest to highest, as far as all of them "
            "came; against steps, and against seconds of training at the ms per step of the row. "
            "Far worse values are left out.",
            draw_runs,
            size=(12.0, 4.0),
            panels=2,
        )
    if shown := sum(one.difference is not None for one in found.compared):
        yield _Plan(
            "differences",
            "Comparison",
            f"Difference to {found.reference}",
            "Of runs with the same seed: every seed (open), their mean, the bootstrap interval of "
            "95 % (thick) and Student's (thin). Where one row is far away, the axis is linear "
            "near 0 only.",
            draw_differences,
            size=(7.0, 0.8 + 0.34 * shown),
        )
    if any(one.curve for one in found.searched):
        yield _Plan(
            "search",
            "Best of k trials",
            "Best of k trials",
            f"Expected best validation {metric} after k trials, over all orders in which the "
            "trials might have been made: how much tuning an optimizer needs.",
            draw_curves,
        )
    if found.scanned:
        yield _Plan(
            "learning_rates",
            "Range of good learning rates",
            "Learning rates",
            f"Best validation {metric} against lr over the {found.lr_name} one, all else fixed; "
            f"the bars span the range within {percent(found.tolerance)} of the best; △ beyond the "
            "picture, × diverged.",
            draw_scans,
        )


def inside(out: Path, found: Comparison) -> Iterator[Picture]:
    """Friction and letters in the best row of each optimizer that was looked at, its first seed."""
    best: dict[str, tuple[str, Row]] = {}
    for label in (one.label for one in found.compared):
        if row := next((row for row in over(found, label).values() if row.inside), None):
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
