"""A word: the order in which the parts of a dynamics are applied in one step."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction

from ..dynamics import Dynamics, Part

# bounded lengths: a word is short, and so are the messages about it
_NUMBER = r"[+-]?[0-9.]{1,60}(?:e[+-]?[0-9]{1,2})?(?:/[0-9]{1,60})?"
_TOKEN = re.compile(rf"([A-Z])(?::({_NUMBER}))?")
_CLOSE = 1e-12  # written decimals may miss 1 by their rounding


@dataclass(frozen=True)
class Substep:
    """One letter of a step: which part, and which fraction of h it gets."""

    part: Part
    fraction: Fraction

    @property
    def reads_gradient(self) -> bool:
        return "g" in self.part.reads

    @property
    def moves_x(self) -> bool:
        return "x" in self.part.writes

    def __str__(self) -> str:
        return self.part.letter if self.fraction == 1 else f"{self.part.letter}:{self.fraction}"


class Word:
    """The letters of one step, in order, for example `Word("BACD", CD(gamma=0.5, c=2.0))`.

    A letter that occurs n times gets h/n each time; a written fraction (`B:1/4`, `A:0.3`) is
    kept and the unwritten ones share the rest. White space is ignored. With a dynamics the word
    is checked against it: every letter must be known and the fractions of every summand must add
    up to 1, where a combined letter (G = C + D) counts for each of its summands.

    Attributes
        text       the word without white space
        letters    its letters
        fractions  the fraction of h of each letter (exact rationals)
        substeps   (with a dynamics) the parts to apply with their fractions

    Raises ValueError naming the letter, its position (from 1), and a word that would be right.
    """

    def __init__(self, text: "str | Word", dynamics: Dynamics | None = None) -> None:
        if isinstance(text, Word):
            text = text.text
        if not isinstance(text, str):
            raise TypeError(f"a word is text such as 'BACD'; got {text!r}")
        self.text = "".join(text.split())
        self.letters, written, self._places = _parse(self.text)
        self.fractions = _share(self.text, self.letters, written)
        self.dynamics = dynamics
        if dynamics is not None:
            _check(self, dynamics)

    @property
    def is_symmetric(self) -> bool:
        """Whether the word reads the same backwards, fractions included.

        With parts whose flows are exact or symmetric, such a step is its own inverse under
        h → −h and therefore of even order, at least 2.
        """
        pairs = list(zip(self.letters, self.fractions, strict=True))
        return pairs == pairs[::-1]

    @property
    def substeps(self) -> tuple[Substep, ...]:
        if self.dynamics is None:
            raise ValueError(
                f"Word({self.text!r}) stands alone; give it the dynamics whose parts its letters "
                f"name, for example Word({self.text!r}, CD(gamma=0.5, c=2.0))"
            )
        known = self.dynamics.letters
        pairs = zip(self.letters, self.fractions, strict=True)
        return tuple(Substep(known[letter], fraction) for letter, fraction in pairs)

    @property
    def gradients_per_step(self) -> int:
        """Gradients a step costs in a long run; one is reused while the point has not moved."""
        return count_gradients(self.substeps, fresh=count_fresh(self.substeps))

    def __len__(self) -> int:
        return len(self.letters)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        tail = f", {self.dynamics!r}" if self.dynamics is not None else ""
        return f"Word({self.text!r}{tail})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Word):
            return NotImplemented
        return (self.letters, self.fractions) == (other.letters, other.fractions)

    def __hash__(self) -> int:
        return hash((self.letters, self.fractions))


def count_gradients(substeps: Iterable[Substep], fresh: bool) -> int:
    """Gradients needed from a start whose gradient is known (`fresh`) or not."""
    count = 0
    for substep in substeps:
        if substep.reads_gradient and not fresh:
            count, fresh = count + 1, True
        if substep.moves_x:
            fresh = False
    return count


def count_fresh(substeps: Sequence[Substep]) -> bool:
    """Whether a step leaves a gradient at the point where it ends."""
    fresh = False
    for substep in substeps:
        fresh = (fresh or substep.reads_gradient) and not substep.moves_x
    return fresh


def _parse(
    text: str,
) -> tuple[tuple[str, ...], tuple[Fraction | None, ...], tuple[int, ...]]:
    """Letters, written fractions, and the position (from 1) of each letter in the text."""
    letters: list[str] = []
    fractions: list[Fraction | None] = []
    places: list[int] = []
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise ValueError(_unreadable(text, place))
        letters.append(match[1])
        places.append(match.start(1) + 1)
        fractions.append(_fraction(text, match) if match[2] else None)
        place = match.end()
    if not letters:
        raise ValueError("the word is empty; write the letters of one step, for example 'BACD'")
    return tuple(letters), tuple(fractions), tuple(places)


def _fraction(text: str, match: re.Match[str]) -> Fraction:
    numerator, _, denominator = match[2].partition("/")
    try:
        return Fraction(numerator) / Fraction(denominator or 1)
    except (ValueError, ZeroDivisionError):
        raise ValueError(
            f"cannot read the fraction {match[2]!r} at position {match.start(2) + 1} of {text!r}; "
            "write it as B:1/4 or B:0.25"
        ) from None


def _unreadable(text: str, place: int) -> str:
    where = f"at position {place + 1} of the word {text!r}"
    if text[place].islower() and text.isalpha():
        return (
            f"lower-case {text[place]!r} {where}: half steps are written by repetition; "
            f"write {text.upper()!r}, where a letter that occurs n times gets h/n each time"
        )
    if text[place] == ":":
        return f"a fraction {where} does not follow a letter or is not a number; write B:1/4"
    return f"{text[place]!r} {where} is not a letter A to Z; write a word such as 'BACD'"


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


def _check(word: Word, dynamics: Dynamics) -> None:
    known = dynamics.letters
    for place, letter in zip(word._places, word.letters, strict=True):
        if letter not in known:
            raise ValueError(
                f"unknown letter {letter!r} at position {place} of the word {word.text!r}: "
                f"{dynamics.name} has {_alphabet(dynamics)}; try {_suggest(word, dynamics)!r}"
            )
        if not known[letter].has_flow:
            raise ValueError(
                f"letter {letter!r} at position {place} of the word {word.text!r}: the part "
                f"{type(known[letter]).__name__} has no flow, so it cannot stand in a word; "
                "use solve(...), which needs its rate only"
            )
    for letter, total in _summand_times(word.letters, word.fractions, dynamics).items():
        if abs(total - 1) > _CLOSE:
            users = [k for k in known if letter in {part.letter for part in known[k].split()}]
            places = [i for i, k in zip(word._places, word.letters, strict=True) if k in users]
            if not places:
                problem = f"leaves out {letter} ({type(dynamics.parts[letter]).__name__})"
            else:
                problem = f"applies {letter} for {_show(total)} h in a step instead of h"
                problem += f" (at position {', '.join(map(str, places))})"
            raise ValueError(
                f"the word {word.text!r} is inconsistent with {dynamics.name}: it {problem}; "
                f"try {_suggest(word, dynamics)!r}"
            )


def _summand_times(
    letters: Sequence[str], fractions: Sequence[Fraction], dynamics: Dynamics
) -> dict[str, Fraction]:
    """For how long, in units of h, a step applies each summand."""
    times = dict.fromkeys(dynamics.parts, Fraction(0))
    for letter, fraction in zip(letters, fractions, strict=True):
        for summand in dynamics.letters[letter].split():
            times[summand.letter] += fraction
    return times


def _alphabet(dynamics: Dynamics) -> str:
    names = [f"{k} ({type(part).__name__})" for k, part in sorted(dynamics.letters.items())]
    return ", ".join(names)


def _suggest(word: Word, dynamics: Dynamics) -> str:
    """A consistent word close to the one written, or the default."""
    letters = set(word.letters)
    unknown, missing = letters - set(dynamics.letters), set(dynamics.parts) - letters
    if len(unknown) == len(missing) == 1:
        repaired = word.text.replace(unknown.pop(), missing.pop())
        if _is_consistent(repaired, dynamics):
            return repaired
    kept = "".join(letter for letter in word.letters if letter in dynamics.letters)
    for repaired in (kept, kept + "".join(sorted(missing)), *_without_overlap(kept, dynamics)):
        if repaired and _is_consistent(repaired, dynamics):
            return repaired
    return (get_close_matches(word.text, [dynamics.word]) or [dynamics.word])[0]


def _without_overlap(text: str, dynamics: Dynamics) -> Iterable[str]:
    """Drop the combined letters, or what they cover."""
    for letter, part in dynamics.combined.items():
        covered = {summand.letter for summand in part.split()}
        yield "".join(a for a in text if a not in covered)
        yield text.replace(letter, "")


def _is_consistent(text: str, dynamics: Dynamics) -> bool:
    try:
        letters, written, _ = _parse(text)
        times = _summand_times(letters, _share(text, letters, written), dynamics)
    except (ValueError, KeyError):
        return False
    return all(abs(time - 1) <= _CLOSE for time in times.values())


def _show(fraction: Fraction) -> str:
    return str(fraction) if fraction.denominator < 1000 else f"{float(fraction):.6g}"
