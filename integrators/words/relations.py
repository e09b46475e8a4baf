"""Relations: commutators of the parts' vector fields that vanish."""

import re
from collections.abc import Iterator, Sequence
from itertools import combinations, product

from ...dynamics import Dynamics, Part
from .algebra import Commutator, letter_of

_LEAF = re.compile(r"[A-Z]")


def commuting(dynamics: Dynamics) -> tuple[str, ...]:
    """Pairs of parts that commute by their declarations, as relations such as "[B,E]".

    They do if neither writes what the other reads or writes; the gradient is a function of x.
    """
    return tuple(
        f"[{a},{b}]"
        for a, b in combinations(sorted(dynamics.parts), 2)
        if not _interfere(dynamics.parts[a], dynamics.parts[b])
    )


def _interfere(a: Part, b: Part) -> bool:
    def touched(part: Part) -> set[str]:
        return {"x" if name == "g" else name for name in (*part.reads, *part.writes)}

    return bool(set(a.writes) & touched(b) or set(b.writes) & touched(a))


def of_corrections(
    relations: Sequence[Commutator], declared: Sequence[str], symbols: str
) -> Iterator[Commutator]:
    """What holds for the corrections C₂, C₃, … of approximate flows.

    Parts that do not touch each other's variables have flows that commute, however they are
    approximated. Fields that commute by a relation of the user's need not: [C,F] = 0 says nothing
    about F₃.
    """
    apart = {frozenset(_LEAF.findall(pair)) for pair in declared}
    for tree in relations:
        if frozenset(tree) in apart:
            a, b = ([s for s in symbols if letter_of(s) == side] for side in tree)
            yield from product(a, b)


def read_relation(text: str, letters: Sequence[str]) -> Commutator:
    """A relation such as "[B,[B,A]]" as nested pairs."""
    tree, end = _read_at(text, 0)
    known = set(letters)
    if tree is None or end != len(text) or isinstance(tree, str):
        raise ValueError(
            f"cannot read the relation {text!r} at position {end + 1}; "
            "write a commutator of letters such as '[B,[B,[B,A]]]'"
        )
    for letter in _LEAF.findall(text):
        if letter not in known:
            raise ValueError(
                f"the relation {text!r} has the letter {letter!r}; the word's vector fields are "
                f"{', '.join(letters)} (a combined letter stands for its summands)"
            )
    return tree


def _read_at(text: str, place: int) -> "tuple[Commutator | None, int]":
    """The commutator that starts at `place` and where it ends; None and where it goes wrong."""
    if _LEAF.match(text, place):
        return text[place], place + 1
    sides: list[Commutator] = []
    for mark in "[,":
        if text[place : place + 1] != mark:
            return None, place
        side, place = _read_at(text, place + 1)
        if side is None:
            return None, place
        sides.append(side)
    if text[place : place + 1] != "]":
        return None, place
    return (sides[0], sides[1]), place + 1
