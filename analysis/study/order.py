"""The order section: the measured order of the words of every dynamics."""

from typing import Any

import torch

from ...dynamics import CADAM, CD, IKFAD, KFAD, LDHD, Dynamics
from ...integrators import Word
from ...landscapes import Landscape
from ..order import ConvergenceOrder, convergence_order

CASES: list[tuple[Dynamics, tuple[str, ...]]] = [
    (LDHD(0.7), ("BDA", "BDADB", "BADAB")),
    (KFAD(0.7, alpha=0.8, mu=0.6), ("BACD", "BCDADCB")),
    (IKFAD(0.7, alpha=0.8, mu=0.6), ("BACD", "BCDA", "BCDADCB", "BACDCAB")),
    (CD(0.7, c=0.8), ("BACD", "BCDA", "BCDADCB", "BGAGB")),
    (CADAM(0.7, alpha=0.8, c=0.6, eps=0.1), ("BEACD", "BECDA", "EBCDADCBE")),
]


def coupled_quartic() -> Landscape:
    """f = ¼(x₁⁴ + x₂⁴) + x₁² + ½x₁x₂ + ½x₂² + 0.1 x₁³x₂: nonlinear, coupled, no symmetry."""

    def f(x: torch.Tensor) -> torch.Tensor:
        a, b = x[0], x[1]
        return (a**4 + b**4) / 4 + a**2 + a * b / 2 + b**2 / 2 + a**3 * b / 10

    return Landscape(f, 2, name="coupled quartic", start=[1.0, -0.7])


def measure_order(index: int) -> list[ConvergenceOrder]:
    """The orders of one dynamics' words, from a start off every invariant set."""
    dynamics, words = CASES[index]
    start: dict[str, Any] = {"x": [1.0, -0.7], "p": [0.3, 0.2]}
    if "zeta" in dynamics.variables:
        start["zeta"] = [1.0, 1.0]  # from 0 the root of ζ is not smooth and costs the order
    landscape = coupled_quartic()
    return [
        convergence_order(dynamics, landscape, start, word=word, divisions=(32, 64, 128, 256))
        for word in words
    ]


def order_row(measured: ConvergenceOrder) -> dict[str, Any]:
    """One row of results.json: `order` by symmetry of the word, `slope` as measured."""
    order = 2 if Word(measured.word).is_symmetric else 1
    return {
        "dynamics": measured.dynamics,
        "word": measured.word,
        "order": order,
        "slope": measured.slope,
        "steps": list(measured.steps),
        "errors": list(measured.errors),
    }
