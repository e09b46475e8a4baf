"""The order section: the order of the words of every dynamics, proved and measured."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ...dynamics import CADAM, CD, IKFAD, KFAD, LDHD, RIKFAD, Dynamics
from ...integrators import Word
from ..order import ConvergenceOrder, convergence_order, coupled_quartic, generic_start
from ..plots.runs import plot_orders
from .section import Job, Picture, Scope, canvas

CASES: list[tuple[Dynamics, tuple[str, ...]]] = [
    (LDHD(0.7), ("BDA", "BDADB", "BADAB")),
    (KFAD(0.7, alpha=0.8, mu=0.6), ("BACD", "BCDADCB")),
    (IKFAD(0.7, alpha=0.8, mu=0.6), ("BACD", "BCDA", "BCDADCB", "BACDCAB")),
    (RIKFAD(0.7, alpha=0.8, mu=0.6), ("BACD", "BCDADCB")),
    (CD(0.7, c=0.8), ("BACD", "BCDA", "BCDADCB", "BGAGB")),
    (CADAM(0.7, alpha=0.8, c=0.6, eps=0.1), ("BEACD", "BECDA", "EBCDADCBE")),
]


def measure_order(index: int) -> list[ConvergenceOrder]:
    """The orders of one dynamics' words, from a start off every invariant set."""
    dynamics, words = CASES[index]
    shape = (2, 2) if "rows" in dynamics.variables else (2,)
    landscape, start = coupled_quartic(*shape), generic_start(dynamics, shape)
    return [
        convergence_order(dynamics, landscape, start, word=word, divisions=(32, 64, 128, 256))
        for word in words
    ]


def jobs(scope: Scope) -> list[Job]:
    """One job for each dynamics."""
    return [Job("order", place, measure_order, (place,)) for place in range(len(CASES))]


def rows(results: Sequence[list[ConvergenceOrder]]) -> list[dict[str, Any]]:
    """`order` and `error` as the algebra proves them, `slope` as measured."""
    return [order_row(one) for group in results for one in group]


def order_row(measured: ConvergenceOrder) -> dict[str, Any]:
    """One row of results.json."""
    dynamics = next(d for d, _ in CASES if d.name == measured.dynamics)
    proof = Word(measured.word, dynamics).order()
    return {
        "dynamics": measured.dynamics,
        "word": measured.word,
        "order": proof.order,
        "error": str(proof).partition("error of a step ")[2],
        "slope": measured.slope,
        "steps": list(measured.steps),
        "errors": list(measured.errors),
    }


def pictures(results: Sequence[list[ConvergenceOrder]], runs: Path) -> Iterator[Picture]:
    """Error against step size."""
    orders = [one for group in results for one in group]
    if not orders:
        return
    with canvas(1, 2, size=(12.5, 4.0)) as (figure, axes):
        for ax, order in zip(axes[0], (1, 2), strict=True):
            chosen = [one for one in orders if round(one.slope) == order]
            if chosen:
                plot_orders(chosen, ax=ax)
            ax.set_title(f"order {order}")
        yield Picture(
            "orders",
            "order",
            "Order of the words",
            "Error at t = 1 against the step size on a coupled quartic landscape, measured slope "
            "in brackets, beside a guide of the whole slope. Words that read the same backwards "
            "are of order 2: halving h divides their error by four.",
            figure,
        )
