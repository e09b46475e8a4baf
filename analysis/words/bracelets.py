"""All words of a dynamics that are different methods: rings of letters, each at its best cut."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import combinations, permutations, product

from ...dynamics import Dynamics
from ...integrators import Word
from ...integrators.start import not_a_dynamics
from ...integrators.words.relations import commuting


def inequivalent_words(
    dynamics: Dynamics, gradients: int = 1, letters: str | None = None
) -> list[Word]:
    """One word of every class of equivalent words with `gradients` gradients a step.

    Words are equivalent when they differ by rotation (conjugation: the same steps, seen from
    another place), by reversal (the adjoint), or by an exchange of neighbours that commute.
    A class is thus a bracelet of letters in which no letter neighbours itself. The family is

        plain      every letter occurs 1 to `gradients` times
        symmetric  palindromes, in which every letter occurs 1 to 2·`gradients` times

    with equal shares of h around the bracelet, and no bracelet that is a shorter one repeated.
    The word returned is the best cut: a palindrome (order 2 at least) where there is one, which
    starts and ends with halves of a letter, of the gradient's reader if possible; otherwise the
    rotation or reversal that starts with that reader and moves x late. A letter is cut only
    where its flow is exact: two halves of a symmetric flow are another method. With a part that
    is merely consistent, reversal does not give the adjoint: then words are equivalent by
    rotation and exchange only, and none is symmetric.

    letters  those to use, default the summands; "ABG" takes C and D as one flow

    For one gradient and n >= 3 letters of which none commute there are (n − 1)!/2 plain and n!/2
    symmetric bracelets: all of them are words of heavy ball for n = 3, and 15 of CD. Two
    gradients make some hundreds of four letters.
    Raises ValueError for letters that do not make a word of the dynamics.
    """
    if not isinstance(dynamics, Dynamics):
        raise TypeError(not_a_dynamics(dynamics))
    if isinstance(gradients, bool) or not isinstance(gradients, int) or gradients < 1:
        raise ValueError(f"gradients must be a whole number >= 1; got {gradients!r}")
    alphabet = "".join(Word(letters or "".join(dynamics.parts), dynamics).letters)
    bracelets = Bracelets(dynamics)
    found: list[Word] = []
    seen: set[str] = set()
    plain = set(_plain(alphabet, gradients))
    for cycle in [*plain, *_symmetric(alphabet, gradients)]:
        if cycle in seen:
            continue
        orbit = bracelets.orbit(cycle)
        fresh = bool(orbit) and orbit.isdisjoint(seen)
        if bracelets.reversible:
            orbit = orbit | {one[::-1] for one in orbit}
        seen |= {cycle} | orbit
        if fresh:
            word = bracelets.cut(orbit)
            if word.is_symmetric or cycle in plain:
                found.append(word)
    chosen = [word for word in found if word.gradients_per_step == gradients]
    return sorted(chosen, key=lambda word: (word.is_symmetric, len(word), word.text))


def reversed_cut(word: Word) -> Word | None:
    """The best cut of the reverse of a word of `inequivalent_words`; None if no other method."""
    bracelets = Bracelets(word.dynamics) if word.dynamics else None
    if bracelets is None or not bracelets.reversible or word.is_symmetric:
        return None
    orbit = bracelets.orbit("".join(reversed(word.letters)))
    return None if "".join(word.letters) in orbit else bracelets.cut(orbit)


class Bracelets:
    """Cyclic words of a dynamics' letters, written from any of their letters."""

    def __init__(self, dynamics: Dynamics) -> None:
        self.dynamics = dynamics
        self.parts = dynamics.letters
        self.reversible = all(part.kind != "consistent" for part in self.parts.values())
        known = {relation[1] + relation[3] for relation in commuting(dynamics)}
        self.commuting = {
            a + b
            for a, b in permutations(self.parts, 2)
            if all(x + y in known or y + x in known for x, y in self._summands(a, b))
        }

    def _summands(self, a: str, b: str) -> Iterator[tuple[str, str]]:
        for x, y in product(self.parts[a].split(), self.parts[b].split()):
            yield x.letter, y.letter

    def orbit(self, cycle: str) -> set[str]:
        """Every way to write the cycle, equal neighbours merged; empty if it is not of the family.

        It is not where halves that cannot be merged meet, or where a shorter cycle is repeated.
        """
        seen, new = {cycle}, [cycle]
        while new:
            one = new.pop()
            if len(one) > 1 and one[0] == one[-1]:
                return self.orbit(one[1:]) if self._is_exact(one[0]) else set()
            turned = {one[1:] + one[:1]}
            if one[:2] in self.commuting:
                turned.add(one[1] + one[0] + one[2:])
            new.extend(turned - seen)
            seen |= turned
        return set() if any((one + one).find(one, 1) < len(one) for one in seen) else seen

    def cut(self, orbit: set[str]) -> Word:
        """The best of these (see `inequivalent_words`): the shortest palindrome if there is one."""
        palindromes = [pieces for one in orbit for pieces in self._palindromes(one)]
        plain = [[(letter, Fraction(1, one.count(letter))) for letter in one] for one in orbit]
        best = min(palindromes or plain, key=self._preference)
        return Word(_text(best), self.dynamics)

    def _palindromes(self, cycle: str) -> Iterator[list[tuple[str, Fraction]]]:
        """Cuts through the first letters, if what is left mirrors itself: P½ s Q½ q Q½ sᴿ P½.

        P, and Q with q, are letters that commute with each other, each split except q.
        """
        if not self.reversible:
            return
        for ends in range(1, len(cycle)):
            if not self._splits(cycle[:ends]):
                return
            rest = cycle[ends:]
            for side in range(len(rest) // 2 + 1):
                centre = rest[side : len(rest) - side]
                mirrored = rest[:side] == rest[len(rest) - side :][::-1]
                if centre and mirrored and self._splits(centre[:-1], with_=centre[-1]):
                    left = self._shares(cycle, cycle[:ends], 2) + self._shares(cycle, rest[:side])
                    left += self._shares(cycle, centre[:-1], 2)
                    yield left + self._shares(cycle, centre[-1]) + left[::-1]

    def _splits(self, block: str, with_: str = "") -> bool:
        pairs = combinations(block + with_, 2)
        return all(map(self._is_exact, block)) and all(a + b in self.commuting for a, b in pairs)

    def _shares(self, cycle: str, block: str, pieces: int = 1) -> list[tuple[str, Fraction]]:
        return [(letter, Fraction(1, pieces * cycle.count(letter))) for letter in block]

    def _preference(self, pieces: Sequence[tuple[str, Fraction]]) -> tuple[int, list[int], str]:
        """Short words, readers of the gradient early in them, movers of x late."""
        parts = [self.parts[letter] for letter, _ in pieces]
        ranks = [2 if "x" in p.writes else 0 if "g" in p.reads else 1 for p in parts]
        return len(pieces), ranks, _text(pieces)

    def _is_exact(self, letter: str) -> bool:
        return self.parts[letter].kind == "exact"


def _plain(alphabet: str, gradients: int) -> Iterator[str]:
    """Cycles written from the first letter of the alphabet on."""
    for path in _paths(alphabet, dict.fromkeys(alphabet, gradients), alphabet[0]):
        if set(path) == set(alphabet):
            yield path


def _symmetric(alphabet: str, gradients: int) -> Iterator[str]:
    """Cycles that mirror themselves: a path and its way back, which ends before it began."""
    for first in alphabet:
        for path in _paths(alphabet, dict.fromkeys(alphabet, gradients), first):
            if set(path) == set(alphabet):
                yield path + path[-2:0:-1]


def _paths(alphabet: str, left: dict[str, int], path: str) -> Iterator[str]:
    """Extensions of `path` in which no letter follows itself, with so many letters of each kind."""
    left = {**left, path[-1]: left[path[-1]] - 1}
    yield path
    for letter in alphabet:
        if left[letter] and letter != path[-1]:
            yield from _paths(alphabet, left, path + letter)


def _text(pieces: Sequence[tuple[str, Fraction]]) -> str:
    """The word, with its fractions where a letter's shares are not all the same."""
    shares = {letter: {share for a, share in pieces if a == letter} for letter, _ in pieces}
    return "".join(
        letter if len(shares[letter]) == 1 else f"{letter}:{share}" for letter, share in pieces
    )
