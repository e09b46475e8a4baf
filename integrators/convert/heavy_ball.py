"""Words of linear damping with one gradient a step are heavy ball: their kick factor ρ."""

from collections.abc import Iterable
from typing import NamedTuple

from ...dynamics import CD, LDHD
from ..cut import gradient_cut
from ..words.word import Substep, Word
from .checks import finite


class HeavyBall(NamedTuple):
    """The recursion of a word, in units of the step size h, at the points of its gradients.

        x_{n+1} − x_n = β (x_n − x_{n−1}) − ρ h² ∇f(x_n),   n ≥ 1
        x_1 − x_0     = carried h p₀ − first h² ∇f(x_0)

    rho      ρ = Σ over kicks and drifts of w_B w_A β^θ, where w are their fractions of h and θ
             is the fraction of the damping between that kick and that drift, cyclically
    first    the same sum without the kicks of the closing piece, which the first step lacks
    carried  Σ over drifts of w_A β^θ, with θ the damping between the start and the drift
    delay    1 if the first step has no kick: from p₀ = 0 the points come one step late
    """

    rho: float
    first: float
    carried: float
    delay: int


def heavy_ball(word: Word, beta: float) -> HeavyBall:
    """The recursion that `word` (with its dynamics) makes with β = e^{−γh}.

    The letters are A drift, B kick, D linear damping; others are taken to do nothing, as C does
    at c = 0. Raises ValueError for a word with more than one gradient a step.
    """
    if word.gradients_per_step != 1:
        raise ValueError(
            f"the word {word.text} takes {word.gradients_per_step} gradients a step; heavy ball "
            "takes one, as do BAD, BDA and BADAB"
        )
    substeps = word.substeps
    cut = gradient_cut(substeps)
    opening, closing = substeps[:cut], substeps[cut:]
    return HeavyBall(
        rho=_moved((*closing, *opening), beta),
        first=_moved(opening, beta),
        carried=_moved(opening, beta, impulse=1.0, kicks=False),
        delay=int(not any(substep.reads_gradient for substep in opening)),
    )


def kick_factor(word: str | Word, beta: float) -> float:
    """ρ with which a word of LDHD (or CD, c = 0) is torch's SGD(lr=ρh², momentum=β = e^{−γh}).

        kick_factor("BAD", 0.9), kick_factor("BDA", 0.9), kick_factor("BADAB", 0.9)  # 1, β, (1+β)/2

    See `HeavyBall` for the sum. Raises ValueError for words that do not fit, or take several
    gradients a step.
    """
    finite(beta=beta)
    return heavy_ball(linear(word), beta).rho


def linear(word: str | Word) -> Word:
    """The word with LDHD, or with CD at c = 0 if it has a letter C or G; checked."""
    plan = Word(word)
    return Word(plan, CD(1.0, 0.0) if {"C", "G"} & set(plan.letters) else LDHD(1.0))


def _moved(
    substeps: Iterable[Substep], beta: float, impulse: float = 0.0, kicks: bool = True
) -> float:
    """How far the drifts carry `impulse` and the kicks met on the way."""
    moved = 0.0
    for substep in substeps:
        time = float(substep.fraction)
        for part in substep.part.split():
            if part.letter == "B" and kicks:
                impulse += time
            elif part.letter == "D":
                impulse *= beta**time
            elif part.letter == "A":
                moved += time * impulse
    return moved
