"""The search over words: which order of the parts to use, as a table."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tqdm import tqdm

from ...dynamics import Dynamics
from ...integrators import Trajectory, Word, solve
from ..noiseless import refuse_noise
from ..order import convergence_order, coupled_quartic, generic_start
from ..stability.large_steps import boundedness
from ..stability.maps import stability_limit
from .bracelets import inequivalent_words, reversed_cut


@dataclass(frozen=True)
class WordReport:
    """What is known of one word.

    adjoint          the reversed word, where it is another method; it shares the order, but not
                     the limit of stability, nor boundedness
    order, error     by algebra; the leading error of a step as text
    gradients        per step, in a long run
    stability_limit  h√L of the first linear instability, as the curvature L grows ("stable to"
                     in the table). That of CADAM and AdamODE is for √ζ + ε = 1: their metric
                     scales the curvature, so it stands for h√(L/(√ζ + ε))
    bounded          the largest h√L of the ladder up to which a quadratic mode stays bounded
    error_constant   (error at t = 1)/h^order on a coupled quartic, at h = 1/128; NaN where h is
                     still too large for the run to end
    """

    word: str
    adjoint: str | None
    order: int
    error: str
    gradients: int
    stability_limit: float
    bounded: float
    error_constant: float


def search(
    dynamics: Dynamics,
    gradients: int = 1,
    *,
    letters: str | None = None,
    step: float = 0.1,
    progress: bool = False,
) -> list[WordReport]:
    """Report on every word of `inequivalent_words`, adjoint pairs one after another.

    gradients, letters  which words, see `inequivalent_words`
    step                the h at which stability and boundedness are looked at: only γh, c·h, …
                        and h√L matter there. The error constants are those of the dynamics'
                        own hyperparameters in the units of the coupled quartic.
    progress            show a progress bar

    Raises ValueError for letters that do not make a word, and for gradients < 1.
    """
    refuse_noise(
        dynamics,
        "the reports are of ODEs",
        "sampling_words reports on those of Langevin dynamics, moment_map on any word",
    )
    found = inequivalent_words(dynamics, gradients, letters)
    pairs = [(word, reversed_cut(word)) for word in found]
    methods = [(one, two) for a, b in pairs for one, two in ((a, b), (b, a)) if one is not None]
    reference = _reference(dynamics)
    bar = tqdm(methods, disable=not progress, desc=dynamics.name, unit="word")
    return [report(word, reversed_word, reference, step) for word, reversed_word in bar]


def report(
    word: Word, reversed_word: Word | None, reference: Trajectory, step: float
) -> WordReport:
    """One row; `reference` is the solution on the coupled quartic at t = 1."""
    proof = word.order()
    return WordReport(
        word=word.text,
        adjoint=None if reversed_word is None else reversed_word.text,
        order=proof.order,
        error=str(proof),
        gradients=word.gradients_per_step,
        stability_limit=stability_limit(word, step=step),
        bounded=boundedness(word, step=step).limit,
        error_constant=_error_constant(word, proof.order, reference),
    )


def table(reports: Sequence[WordReport]) -> str:
    """The reports as an aligned table in Markdown; adjoints of each other name one another."""
    cells: list[tuple[str, ...]] = [
        (
            "word",
            "adjoint",
            "order",
            "gradients",
            "stable to h√L",
            "bounded to h√L",
            "error/h^order",
        )
    ]
    for one in reports:
        numbers = one.order, one.gradients, f"{one.stability_limit:.4f}", f"{one.bounded:g}"
        error = f"{one.error_constant:.3g}"
        cells.append((one.word, one.adjoint or "itself", *map(str, numbers), error))
    return aligned(cells)


def aligned(cells: list[tuple[str, ...]]) -> str:
    """A header and rows as a table in Markdown, its columns aligned."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    ruled = [cells[0], tuple("-" * width for width in widths), *cells[1:]]
    rows = [
        " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in ruled
    ]
    return "\n".join(f"| {row} |" for row in rows)


def _reference(dynamics: Dynamics) -> Trajectory:
    return solve(
        dynamics,
        coupled_quartic(),
        generic_start(dynamics),
        until=1.0,
        times=[1.0],
        rtol=1e-13,
        atol=1e-14,
    )


def _error_constant(word: Word, order: int, reference: Trajectory) -> float:
    assert word.dynamics is not None
    try:
        measured = convergence_order(
            word.dynamics, coupled_quartic(), generic_start(word.dynamics), word=word,
            divisions=(64, 128), reference=reference,
        )  # fmt: skip
    except ValueError:
        return math.nan
    return measured.errors[-1] / measured.steps[-1] ** order
