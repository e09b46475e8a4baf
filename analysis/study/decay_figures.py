"""The figures of the report, drawn from the saved runs, each with what to see in it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from ...integrators import Trajectory
from ..order import ConvergenceOrder
from ..plots import plot_energy, plot_orders, plot_path, plot_phase, plot_training
from ..training import TrainingRun
from .decay import DYNAMICS, LANDSCAPES, Case

STYLE: dict[Any, Any] = {
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "0.92",
    "legend.fontsize": 8.5,
    "svg.hashsalt": "dashpot",
}


NOTES = {
    "double well": " In one dimension KFAD and IKFAD are the same.",
    "rosenbrock": " The two modes at the minimum have curvatures 0.4 and 1002.",
}


@dataclass(frozen=True)
class Picture:
    """A drawn figure: its file stem, section of the report, title and caption."""

    stem: str
    section: str
    title: str
    caption: str
    figure: Figure


def draw(
    runs: Path,
    decay: Sequence[dict[str, Any]],
    orders: Sequence[ConvergenceOrder],
    training: Sequence[TrainingRun],
) -> Iterator[Picture]:
    """The figures for whatever is finished; each is closed after it was used."""
    pieces: list[Callable[[], Picture | None]] = [
        *(lambda name=name: _decay(runs, decay, name) for name in LANDSCAPES),
        lambda: _portrait(runs, decay),
        lambda: _orders(orders),
        lambda: _training(training),
    ]
    for piece in pieces:
        with mpl.rc_context(STYLE):
            picture = piece()
        if picture is not None:
            yield picture
            plt.close(picture.figure)


def _load(
    runs: Path, rows: Sequence[dict[str, Any]], landscape: str, friction: bool, tail: str = ""
) -> dict[str, Trajectory]:
    chosen = {
        row["dynamics"]: Case(row["dynamics"], landscape, row["gamma"], 0, 0, 0)
        for row in rows
        if row["landscape"] == landscape and bool(row["gamma"]) == friction
    }
    return {
        name: Trajectory.load(runs / f"{chosen[name].stem}{tail}.npz")
        for name in DYNAMICS
        if name in chosen
    }


def _decay(runs: Path, rows: Sequence[dict[str, Any]], landscape: str) -> Picture | None:
    damped = _load(runs, rows, landscape, True)
    undamped = _load(runs, rows, landscape, False)
    if not damped and not undamped:
        return None
    panels = [name for name, runs_of in (("γ > 0", damped), ("γ = 0", undamped)) if runs_of]
    size = (5.25 * len(panels), 4.0)
    figure, axes = plt.subplots(1, len(panels), figsize=size, layout="constrained", squeeze=False)
    for ax, panel in zip(axes[0], panels, strict=True):
        friction = panel == "γ > 0"
        references = _load(runs, rows, landscape, friction, "_reference")
        if friction:
            plot_energy(damped, references=references, ax=ax)
            gamma = max(row["gamma"] for row in rows if row["landscape"] == landscape)
            ax.set_title(f"γ = {gamma:g}")
        else:
            plot_energy(undamped, references=references, view="inverse", ax=ax)
            ax.set_title("γ = 0")
    return Picture(
        f"decay_{landscape.replace(' ', '_')}",
        "decay",
        f"Energy decay: {landscape}",
        "With linear friction (left): where the energy falls along a straight line its decay is "
        "exponential; lines of equal slope have equal rates, and a level stretch at the end is the "
        "floor that the step size leaves. Without (right): where 1/E grows along a straight line "
        "the decay is algebraic, E ~ 1/(κt); a curve along the axis does not decay. Runs that "
        "cannot decay are shorter. Bands are oscillations. Dots: adaptive reference solution of "
        "the same ODE, over the time it was computed. The table says what the fit makes of each."
        + NOTES.get(landscape, ""),
        figure,
    )


def _portrait(runs: Path, rows: Sequence[dict[str, Any]]) -> Picture | None:
    wells = _load(runs, rows, "double well", True, "_reference")
    paths = _load(runs, rows, "rosenbrock", True, "_reference")
    if not wells and not paths:
        return None
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.2), layout="constrained")
    if wells:
        plot_phase({k: v for k, v in wells.items() if k in ("LDHD", "CD", "IKFAD")}, ax=left)
        left.set_title("double well, phase portrait")
    if paths:
        shown = {k: v for k, v in paths.items() if k in ("LDHD", "CD", "CADAM")}
        plot_path(shown, LANDSCAPES["rosenbrock"](), ax=right)
        right.set_title("Rosenbrock, path over contours")
    return Picture(
        "portraits",
        "decay",
        "Where they go",
        "Left: momentum against position in the double well, from the dot; cubic and adaptive "
        "friction brake the fast passages, so the orbit falls into a well sooner than LDHD's. "
        "Right: paths over the contours of Rosenbrock's valley, from the dot towards the star. "
        "Both are the adaptive reference solutions, over the time they were computed.",
        figure,
    )


def _orders(orders: Sequence[ConvergenceOrder]) -> Picture | None:
    if not orders:
        return None
    figure, axes = plt.subplots(1, 2, figsize=(12.5, 4.0), layout="constrained")
    for ax, order in zip(axes, (1, 2), strict=True):
        chosen = [one for one in orders if round(one.slope) == order]
        if chosen:
            plot_orders(chosen, ax=ax)
        ax.set_title(f"order {order}")
    return Picture(
        "orders",
        "order",
        "Order of the words",
        "Error at t = 1 against the step size on a coupled quartic landscape, measured slope in "
        "brackets, beside a guide of the whole slope. Words that read the same backwards are of "
        "order 2: halving h divides their error by four.",
        figure,
    )


def _training(training: Sequence[TrainingRun]) -> Picture | None:
    if not training:
        return None
    figure, ax = plt.subplots(figsize=(7.0, 4.2), layout="constrained")
    plot_training(training, ax=ax)
    return Picture(
        "training",
        "training",
        "A network on handwritten digits",
        "Training loss of a 64–64–10 network on scikit-learn's handwritten digits: the median "
        "over seeds, and the range as a band. Hyperparameters were chosen on a validation split "
        "with equal trials for every optimizer; a lower training loss is not a better test score.",
        figure,
    )
