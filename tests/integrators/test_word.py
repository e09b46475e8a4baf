"""Words: what is read, which fraction each letter gets, symmetry, equality."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import CATALOGUE

from dashpot.dynamics import CD, LDHD, CubicDamping, CubicLinearDamping, Dynamics
from dashpot.integrators import Word, simulate
from dashpot.landscapes import Quadratic

F = Fraction


@pytest.mark.parametrize(
    ("text", "letters", "fractions"),
    [
        ("BACD", "BACD", [1, 1, 1, 1]),
        ("BDADB", "BDADB", [F(1, 2), F(1, 2), 1, F(1, 2), F(1, 2)]),
        ("ABABA", "ABABA", [F(1, 3), F(1, 2), F(1, 3), F(1, 2), F(1, 3)]),
        ("B:1/4 A B:3/4", "BAB", [F(1, 4), 1, F(3, 4)]),
        ("B:1/4AB", "BAB", [F(1, 4), 1, F(3, 4)]),
        ("B:0.25AB", "BAB", [F(1, 4), 1, F(3, 4)]),
        ("B:0.25 A B D B", "BABDB", [F(1, 4), 1, F(3, 8), 1, F(3, 8)]),
        ("B:-1/2 A B:3/2", "BAB", [F(-1, 2), 1, F(3, 2)]),
        ("B:2.5e-1AB", "BAB", [F(1, 4), 1, F(3, 4)]),
        ("B:+1/2AB", "BAB", [F(1, 2), 1, F(1, 2)]),
        ("  B\tA\nC  D ", "BACD", [1, 1, 1, 1]),
    ],
)
def test_letters_and_fractions(text: str, letters: str, fractions: list[Fraction]) -> None:
    word = Word(text)
    assert "".join(word.letters) == letters
    assert list(word.fractions) == fractions
    assert len(word) == len(letters)


def test_white_space_is_dropped_from_the_text() -> None:
    assert Word(" B A\tC D\n").text == str(Word("BACD")) == "BACD"
    assert Word("B:1/4 A B").text == "B:1/4AB"


@pytest.mark.parametrize(
    ("text", "symmetric"),
    [
        ("BDADB", True),
        ("BCDADCB", True),
        ("EBCDADCBE", True),
        ("B:1/4AB:1/2AB:1/4", True),
        ("A", True),
        ("BACD", False),
        ("BADB", False),
        ("B:1/4AB", False),
    ],
)
def test_symmetry_includes_the_fractions(text: str, symmetric: bool) -> None:
    assert Word(text).is_symmetric is symmetric


def test_equality_and_hash_follow_the_fractions() -> None:
    assert Word("BDADB") == Word("B:1/2 D A:1 D B:0.5")
    assert hash(Word("BDADB")) == hash(Word("B:1/2 D A:1 D B:0.5"))
    assert Word("BDADB") != Word("B:1/4DADB")
    assert Word("BACD") != "BACD"


def test_a_word_can_be_made_from_a_word_and_used_again() -> None:
    cd = CD(gamma=0.5, c=2.0)
    word = Word("BCDA", cd)
    assert Word(word) == word
    run = simulate(cd, Quadratic(1.0), step=0.1, steps=3, word=word)
    same = simulate(cd, Quadratic(1.0), step=0.1, steps=3, word="BCDA")
    assert (run["x"] == same["x"]).all()


def test_substeps_name_the_parts() -> None:
    cd = CD(gamma=0.5, c=2.0)
    substeps = Word("BGAGB", cd).substeps
    assert substeps[1].part == CubicLinearDamping(0.5, 2.0)
    assert [s.fraction for s in substeps] == [F(1, 2), F(1, 2), 1, F(1, 2), F(1, 2)]
    assert [s.reads_gradient for s in substeps] == [True, False, False, False, True]
    assert [s.moves_x for s in substeps] == [False, False, True, False, False]
    assert [str(s) for s in substeps] == ["B:1/2", "G:1/2", "A", "G:1/2", "B:1/2"]
    assert Word("BCDA", cd).substeps[1].part == CubicDamping(2.0)


def test_a_word_alone_has_no_substeps() -> None:
    with pytest.raises(ValueError, match=r"stands alone; give it the dynamics"):
        _ = Word("BACD").substeps


def test_combined_letters_count_for_their_summands() -> None:
    cd = CD(gamma=0.5, c=2.0)
    assert Word("BGA", cd).gradients_per_step == 1
    # half of C and D by G, the other half by each of them
    mixed = Word("BG:1/2C:1/2D:1/2A", cd)
    assert [s.fraction for s in mixed.substeps] == [1, F(1, 2), F(1, 2), F(1, 2), 1]


def test_written_decimals_may_miss_one_by_their_rounding() -> None:
    third = "0.3333333333333"  # three of them miss 1 by 1e-13
    assert len(Word(f"B:{third}AB:{third}DB:{third}", LDHD(0.1))) == 5


def test_fractions_reach_the_flows() -> None:
    """B:1/4 A B:3/4 D on one step, by hand: p −= h/4 g(x0), x += h p, p −= 3h/4 g(x1), damp."""
    h, x, p = 0.1, 1.0, 0.5
    p -= h / 4 * x
    x += h * p
    p -= 3 * h / 4 * x
    run = simulate(LDHD(0.0), Quadratic(1.0), {"x": [1.0], "p": [0.5]}, step=h, steps=1,
                   word="B:1/4AB:3/4D")  # fmt: skip
    assert run["x"][-1].item() == pytest.approx(x, rel=1e-15)
    assert run["p"][-1].item() == pytest.approx(p, rel=1e-15)


@pytest.mark.parametrize("dynamics", CATALOGUE, ids=lambda d: d.name)
def test_default_words_are_consistent(dynamics: Dynamics) -> None:
    assert Word(dynamics.word, dynamics).gradients_per_step == 1


@given(text=st.text("ABCD", min_size=1, max_size=12))
def test_shares_of_a_letter_add_up_to_one(text: str) -> None:
    word = Word(text)
    for letter in set(text):
        pairs = zip(word.letters, word.fractions, strict=True)
        assert sum(f for a, f in pairs if a == letter) == 1
