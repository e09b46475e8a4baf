"""The free Lie algebra over named generators, by weight: exponentials, logarithms, Lyndon's basis.

An element of the free associative algebra is a dict from words (strings of generators, one
character each) to coefficients. A Lie element is known by its coefficients at Lyndon words alone
(words smaller than all their proper suffixes): the basis brackets are triangular in them.
Reutenauer, Free Lie Algebras, 1993.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias

Polynomial = dict[str, Any]
Commutator: TypeAlias = "str | tuple[Commutator, Commutator]"  # a generator, or [u, v]

_SHIFT = 128  # the character of a generator: its letter, shifted once for each weight above 1


def generator(letter: str, weight: int = 1) -> str:
    """The character that stands for the vector field of a letter, or a correction of weight k."""
    return chr(ord(letter) + (weight - 1) * _SHIFT)


def letter_of(symbol: str) -> str:
    return chr(ord(symbol) % _SHIFT)


def weight_of(word: str) -> int:
    """The power of h that a word stands for."""
    return len(word) + sum(ord(symbol) // _SHIFT for symbol in word)


def exponential(x: Mapping[str, Any], highest: int) -> list[Polynomial]:
    """e^X without the leading 1, sorted by weight (index) up to `highest`; X has no constant."""
    total: list[Polynomial] = [{} for _ in range(highest + 1)]
    power: Polynomial = {"": 1}
    for k in range(1, highest + 1):
        longer: Polynomial = {}
        for word, a in power.items():
            for symbol, b in x.items():
                if weight_of(word + symbol) <= highest:
                    longer[word + symbol] = a * b / k
        power = longer
        for word, a in power.items():
            total[weight_of(word)][word] = a
    return total


def product_of_exponentials(factors: Iterable[Mapping[str, Any]], highest: int) -> Polynomial:
    """e^{X₁} e^{X₂} … up to the weight `highest`, the constant 1 left out."""
    levels: list[Polynomial] = [{"": 1}, *({} for _ in range(highest))]
    for x in factors:
        series = exponential(x, highest)
        # from the heaviest down: a level that is read has not been written yet
        for m in range(highest - 1, -1, -1):
            for n in range(1, highest - m + 1):
                target = levels[m + n]
                for tail, b in series[n].items():
                    for head, a in levels[m].items():
                        word = head + tail
                        target[word] = target[word] + a * b if word in target else a * b
    return {word: a for level in levels[1:] for word, a in level.items()}


def logarithm_at(word: str, z: Polynomial) -> Any:
    """The coefficient of a word in log(1 + Z) = Z − Z²/2 + Z³/3 − …"""
    n = len(word)
    z_of = {(i, j): z.get(word[i:j], 0) for i in range(n) for j in range(i + 1, n + 1)}
    power: list[Any] = [1] + [0] * n  # of the first j letters in Zᵏ, by j
    total: Any = 0
    for k in range(1, n + 1):
        power = [sum(power[i] * z_of[i, j] for i in range(k - 1, j)) for j in range(n + 1)]
        if power[n]:
            total += power[n] / (k if k % 2 else -k)
    return total


@cache
def lyndon_words(symbols: str, weight: int) -> tuple[str, ...]:
    """All Lyndon words of a weight, in alphabetical order."""
    words = {symbol for symbol in symbols if weight_of(symbol) == weight}
    for m in range(1, weight):  # u v with Lyndon words u < v is one, and every longer one is such
        for u in lyndon_words(symbols, m):
            words.update(u + v for v in lyndon_words(symbols, weight - m) if u < v)
    return tuple(sorted(words))


@cache
def bracketing(word: str) -> Commutator:
    """The standard bracketing of a Lyndon word: [u, v] with v its longest proper Lyndon suffix."""
    if len(word) == 1:
        return word
    cut = next(i for i in range(1, len(word)) if _is_lyndon(word[i:]))
    return bracketing(word[:cut]), bracketing(word[cut:])


def _is_lyndon(word: str) -> bool:
    return all(word < word[i:] for i in range(1, len(word)))


def commutator(p: Polynomial, q: Polynomial) -> Polynomial:
    """PQ − QP."""
    result: Polynomial = {}
    for u, a in p.items():
        for v, b in q.items():
            result[u + v] = result.get(u + v, 0) + a * b
            result[v + u] = result.get(v + u, 0) - a * b
    return {word: a for word, a in result.items() if a}


def expanded(tree: Commutator) -> Polynomial:
    """A tree of commutators as a polynomial."""
    if isinstance(tree, str):
        return {tree: 1}
    return commutator(expanded(tree[0]), expanded(tree[1]))


@cache
def _basis_element(word: str) -> Polynomial:
    return expanded(bracketing(word))


def coordinates(element: Mapping[str, Any], words: Sequence[str]) -> Polynomial:
    """Coordinates of a Lie element in the basis of bracketed Lyndon `words` (sorted).

    The bracket of w is w + larger words, so the smallest remaining word gives a coordinate.
    """
    rest = {word: element[word] for word in words if word in element}
    found: Polynomial = {}
    for word in words:
        if a := rest.get(word, 0):
            found[word] = a
            for other, b in _basis_element(word).items():
                rest[other] = rest.get(other, 0) - a * b
    return found
