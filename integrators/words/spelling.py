"""How a word is written: letters with fractions, and the compositions of words."""

import re
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal, localcontext
from difflib import get_close_matches
from fractions import Fraction

from ...dynamics import Dynamics
from .composition import (
    DIGITS,
    Piece,
    Pieces,
    adjoint,
    composed,
    first_consistent,
    is_symmetric,
    jump_weights,
    kind_of,
    symmetrized,
)
from .order import CLOSE, order_of

# bounded lengths: a word is short, and so are the messages about it
_NUMBER = r"[+-]?[0-9.]{1,80}(?:e[+-]?[0-9]{1,2})?(?:/[0-9]{1,80})?"
TOKEN = re.compile(rf"([A-Z])(?::({_NUMBER}))?")
_CALL = re.compile(r"([A-Za-z]+)\(")
_UP_TO_MARK = re.compile(r"[^(),]*")
_DEEPEST = 5  # compositions inside one another

EXAMPLES = {
    "adjoint": "adjoint(BCDA)",
    "symmetrize": "symmetrize(BCDA)",
    "yoshida": "yoshida(BADAB)",
    "suzuki": "suzuki(BADAB)",
    "compose": "compose(BADAB,1/4,1/2,1/4)",
}


def read(text: str, dynamics: Dynamics | None) -> Pieces:
    """The pieces of a step. Raises ValueError naming what is wrong, its position, what is right."""
    if not text:
        raise ValueError("the word is empty; write the letters of one step, for example 'BACD'")
    return _Reader(text, dynamics).whole()


def written(number: Fraction) -> str:
    """A number as it may be written in a word: exactly, or to 60 digits if that is too long."""
    text = str(number)
    if re.fullmatch(_NUMBER, text):
        return text
    with localcontext(prec=DIGITS):
        return format(Decimal(number.numerator) / number.denominator, "f")


class _Reader:
    """Reads a text from the left; positions in messages count from 1."""

    def __init__(self, text: str, dynamics: Dynamics | None) -> None:
        self.text, self.dynamics, self.place = text, dynamics, 0
        self.order: int | None = None  # of the word just read, where its composition tells

    def whole(self) -> Pieces:
        pieces = self.word(0)
        if self.place < len(self.text):
            raise ValueError(
                f"{self.text[self.place]!r} {self.where()} follows a complete word; "
                f"write one composition around the whole, such as {EXAMPLES['symmetrize']!r}"
            )
        return pieces

    def word(self, depth: int) -> Pieces:
        call = _CALL.match(self.text, self.place)
        if call is None:
            self.order = None
            return self.letters()
        name, start = call[1], self.place
        if name not in EXAMPLES:
            close = get_close_matches(name.lower(), EXAMPLES, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(EXAMPLES)}"
            raise ValueError(f"no composition is called {name!r} ({self.where()}); {hint}")
        if depth == _DEEPEST:
            raise ValueError(
                f"{name!r} {self.where()} is the composition number {depth + 1} inside one "
                f"another; {_DEEPEST} are the most"
            )
        self.place = call.end()
        inner = self.word(depth + 1)
        inner_text = self.text[call.end() : self.place]
        weights = self.weights()
        if self.text[self.place : self.place + 1] != ")":
            raise ValueError(
                f"the ( at position {call.end()} of the word {self.text!r} is not closed; "
                f"write it as in {EXAMPLES[name]!r}"
            )
        self.place += 1
        self._refuse(name, start, inner, inner_text, weights)
        return self.apply(name, inner, weights)

    def apply(self, name: str, inner: Pieces, weights: Sequence[Fraction]) -> Pieces:
        def merges(letter: str) -> bool:
            return kind_of(letter, self.dynamics) == "exact"

        order, self.order = self.order, None
        if name == "adjoint":
            self.order = order
            return adjoint(inner)
        if name == "symmetrize":
            return symmetrized(inner, merges)
        if name != "compose":
            # the same weights with any dynamics: relations between its parts do not count here
            order = order or max(2, order_of(inner, self.dynamics_of(inner), (), 6).order)
            weights = jump_weights(order, 2 if name == "yoshida" else 4)
            self.order = order + 2
        return composed(inner, weights, merges)

    def dynamics_of(self, pieces: Pieces) -> Dynamics | None:
        """The dynamics, unless a letter is unknown to it, which is answered later."""
        known = self.dynamics is not None and {p.letter for p in pieces} <= set(
            self.dynamics.letters
        )
        return self.dynamics if known else None

    def letters(self) -> Pieces:
        start, text = self.place, self.text
        end = start + len(self.up_to_mark(start))
        if start == end:
            raise ValueError(f"a word is missing {self.where()}; write for example 'BACD' there")
        letters: list[str] = []
        fractions: list[Fraction | None] = []
        places: list[int] = []
        while self.place < end:
            match = TOKEN.match(text, self.place, end)
            if match is None:
                raise ValueError(self._unreadable(start, end))
            letters.append(match[1])
            places.append(match.start(1) + 1)
            number = match[2]
            fractions.append(
                self.number(number, match.start(2), "B:1/4 or B:0.25") if number else None
            )
            self.place = match.end()
        shared = _share(text, letters, fractions)
        return tuple(map(Piece, letters, shared, places))

    def weights(self) -> list[Fraction]:
        weights: list[Fraction] = []
        while self.text[self.place : self.place + 1] == ",":
            argument = self.up_to_mark(self.place + 1)
            weights.append(self.number(argument, self.place + 1, "1/4 or 0.25"))
            self.place += 1 + len(argument)
        return weights

    def number(self, number: str, place: int, example: str) -> Fraction:
        numerator, _, denominator = number.partition("/")
        try:
            if not re.fullmatch(_NUMBER, number):
                raise ValueError
            return Fraction(numerator) / Fraction(denominator or 1)
        except (ValueError, ZeroDivisionError):
            raise ValueError(
                f"cannot read the fraction {number!r} at position {place + 1} of "
                f"{self.text!r}; write it as {example}"
            ) from None

    def up_to_mark(self, place: int) -> str:
        """The text from `place` up to the next bracket or comma."""
        match = _UP_TO_MARK.match(self.text, place)
        return match[0] if match else ""

    def where(self) -> str:
        return f"at position {self.place + 1} of the word {self.text!r}"

    def _unreadable(self, start: int, end: int) -> str:
        text, place = self.text, self.place
        chunk = text[start:end]
        if text[place].islower() and chunk.isalpha():
            return (
                f"lower-case {text[place]!r} {self.where()}: half steps are written by repetition; "
                f"write {text[:start] + chunk.upper() + text[end:]!r}, where a letter that occurs "
                "n times gets h/n each time"
            )
        if text[place] == ":":
            return (
                f"a fraction {self.where()} does not follow a letter or is not a number; "
                "write B:1/4"
            )
        return f"{text[place]!r} {self.where()} is not a letter A to Z; write a word such as 'BACD'"

    def _refuse(
        self, name: str, start: int, inner: Pieces, inner_text: str, weights: Sequence[Fraction]
    ) -> None:
        """Arguments that do not fit the composition."""
        what = f"{name} at position {start + 1} of the word {self.text!r}"
        if name == "compose":
            if abs(sum(weights) - 1) > CLOSE:
                total = float(sum(weights))
                raise ValueError(
                    f"the weights of {what} add up to {total:.6g} instead of 1; "
                    f"write them as in {EXAMPLES[name]!r}"
                )
            return
        if weights:
            right = f"{name}({inner_text})"
            raise ValueError(f"{what} takes a word and no numbers; write {right!r}")
        if name in ("adjoint", "symmetrize"):
            refuse_consistent(inner, self.dynamics, what)
        elif not is_symmetric(inner, self.dynamics):
            refuse_consistent(inner, self.dynamics, what)
            raise ValueError(
                f"{what} needs a symmetric word, and {inner_text!r} is not the same backwards; "
                f"write '{name}(symmetrize({inner_text}))'"
            )


def refuse_consistent(pieces: Pieces, dynamics: Dynamics | None, what: str) -> None:
    """ValueError if a part's flow is only consistent, so that its adjoint is not at hand."""
    if piece := first_consistent(pieces, dynamics):
        raise ValueError(
            f"{what} needs flows that are exact or symmetric; that of {piece.letter} (position "
            f"{piece.place}) is only consistent, and its adjoint is another map"
        )


def _share(
    text: str, letters: Sequence[str], written: Sequence[Fraction | None]
) -> tuple[Fraction, ...]:
    """Fractions with the unwritten ones sharing what the written ones leave."""
    taken: dict[str, Fraction] = {}
    open_places: Counter[str] = Counter()
    for letter, fraction in zip(letters, written, strict=True):
        if fraction is None:
            open_places[letter] += 1
        else:
            taken[letter] = taken.get(letter, Fraction(0)) + fraction
    shares = {letter: (1 - taken.get(letter, 0)) / Fraction(n) for letter, n in open_places.items()}
    for letter, share in shares.items():
        if share == 0:
            raise ValueError(
                f"in the word {text!r} the written fractions of {letter} already add up to 1 and "
                f"leave nothing for the unwritten {letter}; drop it or write its fraction"
            )
    return tuple(
        shares[letter] if fraction is None else fraction
        for letter, fraction in zip(letters, written, strict=True)
    )
