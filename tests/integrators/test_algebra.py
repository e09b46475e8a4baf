"""The free Lie algebra: textbook series, Lyndon words, independent logarithms of matrices."""

import math
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dashpot.integrators import Word
from dashpot.integrators.words.algebra import (
    bracketing,
    commutator,
    coordinates,
    expanded,
    generator,
    logarithm_at,
    lyndon_words,
    product_of_exponentials,
)
from dashpot.integrators.words.ideal import Ideal

F = Fraction


def test_baker_campbell_hausdorff_to_degree_four() -> None:
    z = product_of_exponentials([{"A": F(1)}, {"B": F(1)}], 4)
    found = {}
    for n in range(1, 5):
        words = lyndon_words("AB", n)
        found |= coordinates({w: logarithm_at(w, z) for w in words}, words)
    # [[A,B],B] = −[B,[A,B]] and [A,[[A,B],B]] = −[B,[A,[A,B]]]
    assert {w: bracketing(w) for w in ("ABB", "AABB")} == {
        "ABB": (("A", "B"), "B"),
        "AABB": ("A", (("A", "B"), "B")),
    }
    assert found == {
        "A": 1, "B": 1, "AB": F(1, 2), "AAB": F(1, 12), "ABB": F(1, 12), "AABB": F(1, 24),
    }  # fmt: skip


def moebius(n: int) -> int:
    factors = [p for p in range(2, n + 1) if n % p == 0 and all(p % q for q in range(2, p))]
    return 0 if any(n % (p * p) == 0 for p in factors) else (-1) ** len(factors)


@pytest.mark.parametrize(("k", "n"), [(1, 1), (1, 4), (2, 7), (2, 8), (3, 5), (4, 4), (5, 5)])
def test_lyndon_words_are_as_many_as_witt_says(k: int, n: int) -> None:
    witt = sum(moebius(d) * k ** (n // d) for d in range(1, n + 1) if n % d == 0) // n
    assert len(lyndon_words("ABCDE"[:k], n)) == witt


def test_lyndon_words_of_generators_with_weights() -> None:
    """By definition: the words that are smaller than every other rotation."""
    c3 = generator("C", 3)
    for weight in range(1, 7):
        expected = []
        for length in range(1, weight + 1):
            for letters in product(("A", "C", c3), repeat=length):
                word = "".join(letters)
                rotations = [word[i:] + word[:i] for i in range(1, length)]
                heavy = word.count(c3)
                if length + 2 * heavy == weight and all(word < other for other in rotations):
                    expected.append(word)
        assert lyndon_words("AC" + c3, weight) == tuple(sorted(expected))


def test_basis_brackets_are_triangular() -> None:
    for n in range(1, 7):
        for word in lyndon_words("ABC", n):
            polynomial = expanded(bracketing(word))
            assert min(polynomial) == word
            assert polynomial[word] == 1


Matrix = np.ndarray  # of Fractions: nothing is rounded
SIZE = 5


def superdiagonal(seed: int) -> dict[str, Matrix]:
    """Random matrices with entries just above the diagonal only: a product of n of them has its
    entries n places above it, where the part of weight n can thus be read off."""
    random = np.random.default_rng(seed)
    known = {letter: np.full((SIZE, SIZE), F(0)) for letter in "ABC"}
    for matrix in known.values():
        for i in range(SIZE - 1):
            matrix[i, i + 1] = F(int(random.integers(1, 20)))
    return known


def powers(matrix: Matrix) -> list[Matrix]:
    return [np.linalg.matrix_power(matrix, n) for n in range(1, SIZE)]


def matrix_exp(x: Matrix) -> Matrix:
    unit = np.vectorize(F)(np.eye(SIZE, dtype=int))
    return unit + sum(power / math.factorial(n) for n, power in enumerate(powers(x), 1))


def matrix_log(matrix: Matrix) -> Matrix:
    z = matrix - np.eye(SIZE, dtype=int)
    return sum(power * F((-1) ** (n + 1), n) for n, power in enumerate(powers(z), 1))  # type: ignore[return-value]


def of_matrices(tree: Any, known: dict[str, Matrix]) -> Matrix:
    if isinstance(tree, str):
        return known[tree]
    left, right = (of_matrices(side, known) for side in tree)
    return left @ right - right @ left


small = st.sampled_from(["", ":1/3", ":-1/2", ":0.25", ":2"])


@settings(max_examples=60, deadline=None)
@given(tokens=st.lists(st.tuples(st.sampled_from("ABC"), small), min_size=1, max_size=8))
@example(tokens=[("A", ":-1/2"), ("A", ":0.25"), ("A", ":0.25")])
def test_any_word_against_logarithms_of_matrices(tokens: list[tuple[str, str]]) -> None:
    try:
        word = Word("".join(map("".join, tokens)))
    except ValueError:  # nothing is left for an unwritten letter
        return
    found = word.order(highest=3)
    for seed in range(2):
        known = superdiagonal(seed)
        step = np.vectorize(F)(np.eye(SIZE, dtype=int))
        for letter, fraction in zip(word.letters, word.fractions, strict=True):
            step = step @ matrix_exp(fraction * known[letter])
        log = matrix_log(step) - sum(known[letter] for letter in set(word.letters))
        for weight in range(1, found.order + 1):
            assert not any(np.diag(log, weight))
        if found.is_lower_bound:
            continue
        assert found.error
        error = sum(term.coefficient * of_matrices(term.commutator, known) for term in found.error)
        weight = found.order + 1
        assert np.diag(log, weight).tolist() == np.diag(np.asarray(error), weight).tolist()


# --- relations ----------------------------------------------------------------------------------

RELATIONS = [
    [("A", "B")],
    [("A", "B"), ("B", "C")],
    [("B", ("B", ("B", "A")))],
    [("C", ("A", "B")), ("A", ("A", "C"))],
]


@pytest.mark.parametrize("relations", RELATIONS, ids=str)
def test_what_follows_from_relations_is_reduced_to_zero(relations: list[Any]) -> None:
    """Sums of [X, [Y, … R]] with random letters and coefficients."""
    random = np.random.default_rng(3)
    ideal = Ideal(relations)
    for weight in range(2, 7):
        words = lyndon_words("ABC", weight)
        element = dict.fromkeys(words, F(0))
        for _ in range(12):
            relation = expanded(relations[random.integers(len(relations))])
            while relation and len(next(iter(relation))) < weight:
                relation = commutator({"ABC"[random.integers(3)]: 1}, relation)
            if relation and len(next(iter(relation))) > weight:
                continue  # one of the relations is heavier
            factor = int(random.integers(1, 6))
            for word, a in relation.items():
                if word in element:  # a Lie element is known by its Lyndon words
                    element[word] += factor * a
        assert ideal.reduced(coordinates(element, words)) == {}


def test_dimensions_when_two_of_three_letters_commute() -> None:
    """Words up to A B = B A are counted by 1/(1 − 3t + t²) (Cartier, Foata 1969); by Poincaré,
    Birkhoff and Witt this is ∏ (1 − tⁿ)^{−dₙ} with the dimensions dₙ of the Lie algebra."""
    highest = 6
    words = [1, 3]
    for _ in range(2, highest + 1):
        words.append(3 * words[-1] - words[-2])
    dimensions, counted = [], [1] + [0] * highest
    for n in range(1, highest + 1):
        d = words[n] - counted[n]
        dimensions.append(d)
        for _ in range(d):  # times 1/(1 − tⁿ)
            for m in range(n, highest + 1):
                counted[m] += counted[m - n]
    ideal = Ideal([("A", "B")])
    found = [
        sum(word in ideal.reduced({word: F(1)}) for word in lyndon_words("ABC", n))
        for n in range(1, highest + 1)
    ]
    assert found == dimensions
