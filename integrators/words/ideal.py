"""What follows from relations between vector fields: the ideal they generate in the Lie algebra."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from .algebra import (
    Commutator,
    Polynomial,
    commutator,
    coordinates,
    expanded,
    lyndon_words,
    weight_of,
)


class Ideal:
    """All Lie elements that vanish once the given commutators do.

    Each relation is one commutator, hence homogeneous in every generator, and so is the ideal:
    it is computed for one content (the sorted generators of a word) at a time. The component of a
    content is spanned by the relations of that content and [X, Y] with Y in a smaller component.
    """

    def __init__(self, relations: Sequence[Commutator]) -> None:
        self._relations: dict[str, list[Polynomial]] = {}
        for tree in relations:
            if polynomial := expanded(tree):
                content = _content(next(iter(polynomial)))
                self._relations.setdefault(content, []).append(polynomial)
        self._known: dict[str, tuple[list[Polynomial], dict[str, Polynomial]]] = {}

    def reduced(self, element: Mapping[str, Any]) -> Polynomial:
        """Coordinates of a Lie element, less what the ideal can take away.

        The elements of the ideal eliminate their last Lyndon word; what is left is zero exactly
        if the element lies in the ideal.
        """
        rest = dict(element)
        for content in {_content(word) for word in element}:
            rows = self._component(content)[1]
            _eliminate(rest, rows)
        return rest

    def _component(self, content: str) -> tuple[list[Polynomial], dict[str, Polynomial]]:
        """A basis as polynomials, and as rows of coordinates by the word each one eliminates."""
        if content in self._known:
            return self._known[content]
        spanning = list(self._relations.get(content, ()))
        if any(len(known) < len(content) for known in self._relations):
            for symbol in sorted(set(content)):
                smaller = self._component(content.replace(symbol, "", 1))[0]
                spanning += [commutator({symbol: 1}, inner) for inner in smaller]
        words = _words_of(content)
        basis: list[Polynomial] = []
        rows: dict[str, Polynomial] = {}
        for polynomial in spanning:
            row = {w: Fraction(a) for w, a in coordinates(polynomial, words).items()}
            _eliminate(row, rows)
            if row:
                last = max(row)
                rows[last] = {word: a / row[last] for word, a in row.items()}
                basis.append(polynomial)
        self._known[content] = basis, rows
        return basis, rows


def _content(word: str) -> str:
    return "".join(sorted(word))


def _words_of(content: str) -> list[str]:
    words = lyndon_words("".join(sorted(set(content))), weight_of(content))
    return [word for word in words if _content(word) == content]


def _eliminate(element: Polynomial, rows: Mapping[str, Polynomial]) -> None:
    """Take away multiples of the rows so that none of their last words remains.

    In the order in which they were found: a row has none of the last words of earlier ones.
    """
    for last, row in rows.items():
        if factor := element.get(last, 0):
            for word, a in row.items():
                # a rational row times a rational or a decimal
                element[word] = element.get(word, 0) - factor * a.numerator / a.denominator
                if not element[word] or word == last:
                    del element[word]
