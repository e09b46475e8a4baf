"""Every word of a dynamics with noise: its weak order, stability, and the law it samples."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...dynamics import Dynamics
from ...integrators import Word
from ..stability.maps import scaled_limit
from ..words.bracelets import inequivalent_words, reversed_cut
from ..words.search import aligned
from .equation import stationary_exact
from .linear import moment_map


@dataclass(frozen=True)
class SamplingReport:
    """What theory knows of one word of a dynamics with noise.

    weak_order       proved in the Lie algebra of the parts' generators
    error            the leading error of a step, as text
    stability_limit  `of` up to which its moments on a quadratic stay finite
    of               "h√L"; "hL" for a dynamics without momentum
    x2, p2           ⟨x²⟩k and ⟨p²⟩ of the word on f = ½kx² at `step` and k = 1, over the exact
                     ones; NaN where it is unstable, p2 also without a momentum
    """

    word: str
    weak_order: int
    error: str
    gradients: int
    stability_limit: float
    of: str
    x2: float
    p2: float


def sampling_words(
    dynamics: Dynamics, gradients: int = 1, *, step: float = 0.1
) -> list[SamplingReport]:
    """Report on the words of `inequivalent_words`, with U and without, wherever they may begin.

    Words that begin elsewhere in one cycle share stability and long-time convergence, but not the
    law of the states at the ends of their steps. A palindrome may begin in the middle of a
    letter: BAOAB and OABAO are one cycle.

    Raises ValueError for a dynamics without noise, and for one whose step on a quadratic is not
    affine, such as cubic damping: no closed law is known there.
    """
    if not dynamics.is_noisy:
        raise ValueError(f"{dynamics.name} has no noise; dashpot.analysis.search reports its words")
    exact = stationary_exact(dynamics).diagonal().tolist()
    words: dict[str, Word] = {}
    for letters in _alphabets(dynamics):
        for word in inequivalent_words(dynamics, gradients, letters):
            words |= {text: Word(text, dynamics) for text in _beginnings(word)}
    chosen = (word for word in words.values() if word.gradients_per_step == gradients)
    return [_report(word, step, exact) for word in chosen]


def sampling_table(reports: Sequence[SamplingReport]) -> str:
    """The reports as an aligned table in Markdown."""
    scale = reports[0].of if reports else "h√L"
    cells = [("word", "weak order", "gradients", f"stable to {scale}", "⟨x²⟩k/T", "⟨p²⟩/T")]
    for one in reports:
        p2 = "–" if math.isnan(one.p2) else f"{one.p2:.6f}"
        cells.append((
            one.word, str(one.weak_order), str(one.gradients), f"{one.stability_limit:.4f}",
            f"{one.x2:.6f}", p2,
        ))  # fmt: skip
    return aligned(cells)


def _alphabets(dynamics: Dynamics) -> Iterator[str]:
    """The letters of the summands, and those with a combined letter in place of its own."""
    yield "".join(dynamics.parts)
    for letter, part in dynamics.combined.items():
        covered = {summand.letter for summand in part.split()}
        yield "".join(name for name in dynamics.parts if name not in covered) + letter


def _beginnings(word: Word) -> Iterator[str]:
    """The cycles of a word and of its adjoint: Lie words at each letter, palindromes halfway."""
    cycle = word.letters[:-1] if word.letters[0] == word.letters[-1] else word.letters
    for place in range(len(cycle)):
        turned = "".join(cycle[place:] + cycle[:place])
        if len(set(cycle)) == len(cycle):
            yield turned
            if word.dynamics is not None and reversed_cut(word) is not None:
                yield turned[::-1]
        if (halved := turned + turned[0]) == halved[::-1]:
            yield halved


def _report(word: Word, step: float, exact: Sequence[float]) -> SamplingReport:
    proof, (scale, limit) = word.order(), scaled_limit(word, step)
    law = moment_map(word, step).stationary.diagonal().tolist()
    return SamplingReport(
        word=word.text,
        weak_order=proof.order,
        error=str(proof),
        gradients=word.gradients_per_step,
        stability_limit=limit,
        of=scale,
        x2=law[0] / exact[0],
        p2=law[1] / exact[1] if len(exact) > 1 else math.nan,
    )
