"""The figures of the decay section, drawn from the saved runs, each with what to see in it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ...integrators import Trajectory
from ..plots.runs import plot_energy, plot_path, plot_phase
from .cases import DYNAMICS, LANDSCAPES, Case
from .section import Picture, canvas

DAMPED = (
    "With linear friction, γ > 0: where the energy falls along a straight line its decay is "
    "exponential; lines of equal slope have equal rates, and a level stretch at the end is the "
    "floor that the step size leaves. "
)
UNDAMPED = (
    "Without, γ = 0: where 1/E grows along a straight line the decay is algebraic, E ~ 1/(κt); a "
    "curve along the axis does not decay. Runs that cannot decay are shorter. "
)
BOTH = (
    "Bands are oscillations. Dots: adaptive reference solution of the same ODE, over the time it "
    "was computed. The table says what the fit makes of each."
)
NOTES = {
    "double well": " In one dimension KFAD and IKFAD are the same.",
    "rosenbrock": " The two modes at the minimum have curvatures 0.4 and 1002.",
}


def pictures(results: Sequence[dict[str, Any]], runs: Path) -> Iterator[Picture]:
    """Energy decay on every landscape, and where two of the runs go."""
    for name in LANDSCAPES:
        yield from _decay(runs, results, name)
    yield from _portrait(runs, results)


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


def _decay(runs: Path, rows: Sequence[dict[str, Any]], landscape: str) -> Iterator[Picture]:
    damped = _load(runs, rows, landscape, True)
    undamped = _load(runs, rows, landscape, False)
    if not damped and not undamped:
        return
    panels = [name for name, runs_of in (("γ > 0", damped), ("γ = 0", undamped)) if runs_of]
    with canvas(1, len(panels), size=(5.25 * len(panels), 4.0)) as (figure, axes):
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
        yield Picture(
            f"decay_{landscape.replace(' ', '_')}",
            "decay",
            f"Energy decay: {landscape}",
            (DAMPED if damped else "")
            + (UNDAMPED if undamped else "")
            + BOTH
            + NOTES.get(landscape, ""),
            figure,
        )


def _portrait(runs: Path, rows: Sequence[dict[str, Any]]) -> Iterator[Picture]:
    wells = _load(runs, rows, "double well", True, "_reference")
    paths = _load(runs, rows, "rosenbrock", True, "_reference")
    if not wells and not paths:
        return
    with canvas(1, 2, size=(10.5, 4.2)) as (figure, ((left, right),)):
        if wells:
            plot_phase({k: v for k, v in wells.items() if k in ("LDHD", "CD", "IKFAD")}, ax=left)
            left.set_title("double well, phase portrait")
        if paths:
            shown = {k: v for k, v in paths.items() if k in ("LDHD", "CD", "CADAM")}
            plot_path(shown, LANDSCAPES["rosenbrock"](), ax=right)
            right.set_title("Rosenbrock, path over contours")
        yield Picture(
            "portraits",
            "decay",
            "Where they go",
            "Left: momentum against position in the double well, from the dot; cubic and adaptive "
            "friction brake the fast passages, so the orbit falls into a well sooner than LDHD's. "
            "Right: paths over the contours of Rosenbrock's valley, from the dot towards the star. "
            "Both are the adaptive reference solutions, over the time they were computed.",
            figure,
        )
