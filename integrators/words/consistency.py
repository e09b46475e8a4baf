"""Does a word fit a dynamics? Every letter known, every summand applied for the whole step."""

from collections.abc import Iterable
from difflib import get_close_matches
from fractions import Fraction

from ...dynamics import Dynamics
from .composition import Piece, Pieces, shown
from .order import CLOSE
from .spelling import read


def check(text: str, pieces: Pieces, dynamics: Dynamics) -> None:
    """ValueError for an unknown letter, one that cannot stand there, or summands not adding to 1.

    The message names the letter, its position in the text, and a word that would be right.
    """
    known = dynamics.letters
    for letter, _, place in pieces:
        where = f"letter {letter!r} at position {place} of the word {text!r}"
        if letter not in known:
            raise ValueError(
                f"unknown {where}: {dynamics.name} has {_alphabet(dynamics)}; "
                f"try {_suggest(text, pieces, dynamics)!r}"
            )
        if not known[letter].has_flow:
            instead = "solve(...), which needs its rate only"
            if dynamics.is_noisy:
                instead = 'method="euler-maruyama" or "heun", which need no flow'
            raise ValueError(
                f"{where}: the part {type(known[letter]).__name__} has no flow, so it cannot "
                f"stand in a word; use {instead}"
            )
    for letter, total in _summand_times(pieces, dynamics).items():
        if abs(total - 1) > CLOSE:
            users = [k for k in known if letter in {part.letter for part in known[k].split()}]
            places = sorted({piece.place for piece in pieces if piece.letter in users})
            if not places:
                problem = f"leaves out {letter} ({type(dynamics.parts[letter]).__name__})"
            else:
                problem = f"applies {letter} for {shown(total)} h in a step instead of h"
                problem += f" (at position {', '.join(map(str, places))})"
            raise ValueError(
                f"the word {text!r} is inconsistent with {dynamics.name}: it {problem}; "
                f"try {_suggest(text, pieces, dynamics)!r}"
            )
    for letter, fraction, place in pieces:
        part = known[letter]
        if fraction < 0 and (part.normals or not part.reversible):
            raise ValueError(
                f"letter {letter!r} at position {place} of the word {text!r} gets "
                f"{shown(fraction)} h, and {type(part).__name__} has no flow backwards "
                f"in time; use a word without negative fractions, such as {dynamics.word!r}"
            )


def _summand_times(pieces: Iterable[Piece], dynamics: Dynamics) -> dict[str, Fraction]:
    """For how long, in units of h, a step applies each summand."""
    times = dict.fromkeys(dynamics.parts, Fraction(0))
    for letter, fraction, _ in pieces:
        for summand in dynamics.letters[letter].split():
            times[summand.letter] += fraction
    return times


def _alphabet(dynamics: Dynamics) -> str:
    names = [f"{k} ({type(part).__name__})" for k, part in sorted(dynamics.letters.items())]
    return ", ".join(names)


def _suggest(text: str, pieces: Pieces, dynamics: Dynamics) -> str:
    """A consistent word close to the one written, or the default."""
    letters = {piece.letter for piece in pieces}
    unknown, missing = letters - set(dynamics.letters), set(dynamics.parts) - letters
    repairs: list[str] = []
    if len(unknown) == len(missing) == 1:
        repairs.append(text.replace(unknown.pop(), missing.pop()))
    if "(" not in text:
        kept = "".join(piece.letter for piece in pieces if piece.letter in dynamics.letters)
        repairs += [kept, kept + "".join(sorted(missing)), *_without_overlap(kept, dynamics)]
    else:
        repairs += _without_overlap(text, dynamics)
    consistent = (repair for repair in repairs if _is_consistent(repair, dynamics))
    close = get_close_matches(text, [dynamics.word]) or [dynamics.word]
    return next(consistent, close[0])


def _without_overlap(text: str, dynamics: Dynamics) -> Iterable[str]:
    """Drop the combined letters, or what they cover."""
    for letter, part in dynamics.combined.items():
        covered = {summand.letter for summand in part.split()}
        yield "".join(a for a in text if a not in covered)
        yield text.replace(letter, "")


def _is_consistent(text: str, dynamics: Dynamics) -> bool:
    try:
        times = _summand_times(read(text, dynamics), dynamics)
    except (ValueError, KeyError):
        return False
    return all(abs(time - 1) <= CLOSE for time in times.values())
