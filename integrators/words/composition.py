"""Words made from words: adjoint, rotation, Strang's symmetrization, triple and quintuple jumps."""

from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import NamedTuple

from ...dynamics import Dynamics

DIGITS = 60  # of the weights that are roots


class Piece(NamedTuple):
    """A letter of a step, the fraction of h it gets, and its position (from 1) in the text."""

    letter: str
    fraction: Fraction
    place: int


Pieces = tuple[Piece, ...]


def adjoint(pieces: Pieces) -> Pieces:
    """The inverse of the step with −h, for flows that are exact or symmetric: the word reversed."""
    return pieces[::-1]


def scaled(pieces: Pieces, weight: Fraction) -> Pieces:
    return tuple(piece._replace(fraction=weight * piece.fraction) for piece in pieces)


def joined(words: Sequence[Pieces], merges: Callable[[str], bool]) -> Pieces:
    """One word after the other; equal letters at a seam become one if `merges(letter)`.

    Exact flows form a group in time, so two of them are one; two steps of an approximate flow,
    also a symmetric one, are not one longer step.
    """
    whole: list[Piece] = []
    for word in words:
        rest = list(word[::-1])
        while whole and rest and whole[-1].letter == rest[-1].letter and merges(rest[-1].letter):
            left, right = whole.pop(), rest.pop()
            if together := left.fraction + right.fraction:
                whole.append(left._replace(fraction=together))
                break
        whole += rest[::-1]
    return tuple(whole)


def symmetrized(pieces: Pieces, merges: Callable[[str], bool]) -> Pieces:
    """The word with h/2, then its adjoint with h/2 (Strang 1968): symmetric, of order >= 2."""
    half = scaled(pieces, Fraction(1, 2))
    return joined([half, adjoint(half)], merges)


def composed(pieces: Pieces, weights: Sequence[Fraction], merges: Callable[[str], bool]) -> Pieces:
    """The word with h times each weight, one after the other."""
    return joined([scaled(pieces, weight) for weight in weights if weight], merges)


def jump_weights(order: int, outer: int) -> tuple[Fraction, ...]:
    """w = 1/(n − n^{1/(p+1)}) before and after 1 − n w, for n `outer` steps in all and order p.

    Composed with them, a symmetric word of even order p has order p + 2: n = 2 is Yoshida's
    triple jump (1990), n = 4 Suzuki's quintuple jump (1990). To 60 decimals, summing to 1 exactly.
    """
    with localcontext(prec=2 * DIGITS):
        root = Decimal(outer) ** (1 / Decimal(order + 1))
        weight = Fraction(round(1 / (outer - root), DIGITS))
    side = (weight,) * (outer // 2)
    return (*side, 1 - outer * weight, *side)


def is_symmetric(pieces: Pieces, dynamics: Dynamics | None) -> bool:
    """Whether the step is its own inverse under h → −h: the same backwards, fractions included."""
    pairs = [(piece.letter, piece.fraction) for piece in pieces]
    return pairs == pairs[::-1] and first_consistent(pieces, dynamics) is None


def first_consistent(pieces: Pieces, dynamics: Dynamics | None) -> Piece | None:
    """The first piece whose flow has no adjoint among the flows: a merely consistent one."""
    return next((p for p in pieces if kind_of(p.letter, dynamics) == "consistent"), None)


def kind_of(letter: str, dynamics: Dynamics | None) -> str:
    """How good the flow of a letter is; without a dynamics (or unknown to it) it is exact."""
    part = dynamics.letters.get(letter) if dynamics is not None else None
    return "exact" if part is None else part.kind


def shown(fraction: Fraction) -> str:
    """A fraction for the eye: as it is if short, else to six digits."""
    return str(fraction) if fraction.denominator < 1000 else f"{float(fraction):.6g}"
