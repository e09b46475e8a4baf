"""The order of a word, proved: its product of exponentials against the exponential of the sum."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import lru_cache

from ...dynamics import Dynamics
from .algebra import (
    Commutator,
    Polynomial,
    bracketing,
    coordinates,
    generator,
    letter_of,
    logarithm_at,
    lyndon_words,
    product_of_exponentials,
    weight_of,
)
from .composition import DIGITS, Pieces, kind_of
from .ideal import Ideal
from .relations import commuting, of_corrections, read_relation

CLOSE = 1e-12  # written decimals may miss a sum by their rounding
_ROUNDED = 10**12  # a denominator from here on is that of a rounded decimal, not meant exactly
_WRITTEN = 10**18  # denominators below it are computed with exactly
_SHOWN = 12  # terms in a message; `error` has them all
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Term:
    """A commutator of the parts' vector fields, nested pairs of letters, and its coefficient."""

    coefficient: Fraction | Decimal
    commutator: Commutator

    @property
    def text(self) -> str:
        """The commutator as it is written: [A,[A,B]]."""
        return _text(self.commutator)

    def __str__(self) -> str:
        a = self.coefficient
        return f"{a if isinstance(a, Fraction) else format(float(a), '.6g')} {self.text}"


@dataclass(frozen=True)
class WordOrder:
    """The order p of a word, and what its step does wrong first.

    One step of size h is the flow, for the time h, of ΣX + h^p E + O(h^{p+1}), where ΣX is the
    dynamics and E the sum of the `error` terms. After one step the error is thus h^{p+1} E, and
    after many it grows by h^p E per unit of time. [X, Y] is the commutator of the vector fields,
    (X·∇) Y − (Y·∇) X. C₃ stands for the unknown h³ term in the logarithm of C's own approximate
    flow, exp(hC + h³C₃ + …).

    order            p; a word that is not even consistent has order 0
    error            terms of E, a basis of the Lie algebra modulo the relations
    relations        commutators that were taken to vanish
    is_lower_bound   no error was found up to the highest order asked for
    """

    order: int
    error: tuple[Term, ...]
    relations: tuple[str, ...]
    is_lower_bound: bool = False

    def __str__(self) -> str:
        if self.is_lower_bound:
            return f"order {self.order} at least"
        power = "h" + str(self.order + 1).translate(_SUPERSCRIPTS) * (self.order > 0)
        terms = " + ".join(map(str, self.error[:_SHOWN])).replace("+ -", "− ").replace("-", "−")
        if len(self.error) > _SHOWN:
            terms += f" + {len(self.error) - _SHOWN} more"
        return f"order {self.order}, error of a step {power} ({terms})"


Flow = tuple[str, tuple[str, ...], str, Fraction]  # letter, its summands, kind, fraction of h


def order_of(
    pieces: Pieces,
    dynamics: Dynamics | None,
    relations: Sequence[str] | None,
    highest: int,
) -> WordOrder:
    """The order of a step: see `Word.order`."""
    if not (isinstance(highest, int) and highest >= 1):
        raise ValueError(f"highest must be a whole number >= 1; got {highest!r}")
    if isinstance(relations, str):
        raise TypeError(f"relations must be a tuple of commutators such as ('[B,E]',); "
                        f"got the text {relations!r}")  # fmt: skip
    if relations is not None and not all(isinstance(relation, str) for relation in relations):
        raise TypeError(f"relations must be texts such as '[B,E]'; got {relations!r}")
    declared = commuting(dynamics) if dynamics is not None else ()
    if relations is None:
        relations = declared
    flows: list[Flow] = []
    for piece in pieces:
        summands = dynamics.letters[piece.letter].split() if dynamics is not None else ()
        letters = tuple(part.letter for part in summands) or (piece.letter,)
        flows.append((piece.letter, letters, kind_of(piece.letter, dynamics), piece.fraction))
    written = tuple("".join(relation.split()) for relation in relations)
    return _prove(tuple(flows), written, declared, highest)


@lru_cache(256)
def _prove(
    flows: tuple[Flow, ...], relations: tuple[str, ...], declared: tuple[str, ...], highest: int
) -> WordOrder:
    longest = max(fraction.denominator for *_, fraction in flows)
    letters = sorted({letter for _, summands, *_ in flows for letter in summands})
    trees = [read_relation(relation, letters) for relation in relations]
    with localcontext(prec=DIGITS):
        for weight in range(1, highest + 2):
            factors = [dict(_logarithm(flow, weight, longest < _WRITTEN)) for flow in flows]
            symbols = "".join(sorted({*letters, *(s for x in factors for s in x)}))
            words = lyndon_words(symbols, weight)
            z = product_of_exponentials(factors, weight)
            rest = {word: logarithm_at(word, z) for word in words}
            if weight == 1:
                rest = {word: a - 1 for word, a in rest.items()}
            size = _Size(flows, weight) if longest >= _ROUNDED else None
            found = _apart_from_rounding(coordinates(rest, words), size)
            if found and trees:
                ideal = Ideal([*trees, *of_corrections(trees, declared, symbols)])
                found = _apart_from_rounding(ideal.reduced(found), size)
            if found:
                error = tuple(_term(word, found[word]) for word in sorted(found))
                return WordOrder(weight - 1, error, relations)
    return WordOrder(highest, (), relations, is_lower_bound=True)


def _logarithm(flow: Flow, highest: int, exact: bool) -> Iterator[tuple[str, Fraction | Decimal]]:
    """log of one flow with its fraction a: a h C, and a^k h^k C_k for what is not exact.

    A symmetric flow has odd powers only: exp(hC + h³C₃ + h⁵C₅ + …).
    """
    letter, summands, kind, a = flow
    number = a if exact else Decimal(a.numerator) / a.denominator
    for summand in summands:
        yield summand, number
    if kind != "exact":
        for k in range(2, highest + 1) if kind == "consistent" else range(3, highest + 1, 2):
            yield generator(letter, k), number**k


def _apart_from_rounding(found: Polynomial, size: "_Size | None") -> Polynomial:
    """The coefficients that rounded fractions cannot explain; all of them if none is rounded."""
    if size is None:
        return found
    return {word: a for word, a in found.items() if abs(a) > CLOSE * size.of(word)}


class _Size:
    """The natural size Σ|aᵢ|^weight of a coefficient, over the fractions of a word's letters.

    That of n steps with h/n is n^(1−weight) times one step's, and so are its coefficients.
    """

    def __init__(self, flows: Sequence[Flow], weight: int) -> None:
        self._powers = [({f[0], *f[1]}, float(abs(f[3])) ** weight) for f in flows]
        self._known: dict[str, float] = {}

    def of(self, word: str) -> float:
        letters = "".join(sorted({letter_of(symbol) for symbol in word}))
        if letters not in self._known:
            powers = [a for names, a in self._powers if not names.isdisjoint(letters)]
            self._known[letters] = sum(powers)
        return self._known[letters]


def _term(word: str, coefficient: Fraction | Decimal) -> Term:
    sign, commutator = _tidy(bracketing(word))
    return Term(sign * coefficient, commutator)


def _tidy(tree: Commutator) -> tuple[int, Commutator]:
    """The same commutator up to a sign with the shorter side first, as in [B,[A,B]]."""
    if isinstance(tree, str):
        name = letter_of(tree)
        weight = weight_of(tree)
        return 1, name if weight == 1 else name + str(weight).translate(_SUBSCRIPTS)
    (s, left), (t, right) = map(_tidy, tree)
    if _size(left) > _size(right):
        return -s * t, (right, left)
    return s * t, (left, right)


def _size(tree: Commutator) -> int:
    return 1 if isinstance(tree, str) else _size(tree[0]) + _size(tree[1])


def _text(tree: Commutator) -> str:
    return tree if isinstance(tree, str) else f"[{_text(tree[0])},{_text(tree[1])}]"
