"""Orders of words modulo relations between the parts' vector fields."""

from fractions import Fraction
from typing import Any

import pytest

from dashpot.dynamics import (
    CADAM,
    CD,
    IKFAD,
    Drift,
    Dynamics,
    Kick,
    KineticFriction,
    LinearDamping,
)
from dashpot.integrators import Word
from dashpot.integrators.words.order import WordOrder, commuting

F = Fraction
cd, ikfad = CD(gamma=0.4, c=0.8), IKFAD(0.4, 0.7, 0.9)
cadam = CADAM(gamma=0.5, alpha=0.6, c=0.5, eps=0.1)
RUTH = "B:7/24A:2/3B:3/4A:-2/3B:-1/24A:1"  # Ruth 1983, order 3


def terms(order: WordOrder) -> dict[str, Any]:
    return {term.text: term.coefficient for term in order.error}


def test_commuting_parts_by_declaration() -> None:
    assert commuting(cadam) == ("[B,E]", "[C,E]", "[D,E]")
    assert commuting(cd) == commuting(ikfad) == ()
    assert commuting(CADAM(0.5, 0.6, 0.5, bias_correction=True)) == (
        "[B,E]", "[B,T]", "[C,E]", "[C,T]", "[D,E]", "[D,T]", "[E,T]",
    )  # fmt: skip


def test_relations_take_terms_away() -> None:
    free = Word("BAB").order()
    assert terms(Word("BAB").order(relations=("[B,[B,A]]",))) == {
        "[A,[A,B]]": terms(free)["[A,[A,B]]"]
    }
    nystroem = ("[B,[B,[B,A]]]",)  # B reads x and writes p only, A is linear in p
    ruth, modulo = Word(RUTH).order(), Word(RUTH).order(relations=nystroem)
    assert terms(ruth).keys() - terms(modulo).keys() == {"[B,[B,[A,B]]]"}
    assert terms(ruth).items() >= terms(modulo).items()
    assert modulo.relations == nystroem
    # of the 6 dimensions at weight 5, [A, R] and [B, R] are two
    assert len(Word("yoshida(BAB)").order().error) == 6
    assert len(Word("yoshida(BAB)").order(relations=nystroem).error) == 4


def test_beyond_a_relation_the_true_logarithm_counts() -> None:
    """B E A B E is Strang's word if B and E commute, with its error also at the next power."""
    assert Word("BEABE").order().order == 1
    relation = ("[B,E]",)
    found = Word("BEABE").order(relations=relation)
    assert found == Word("BEAEB").order(relations=relation)
    assert found.order == 2
    assert Word("AB").order(relations=("[B,A]",), highest=4).is_lower_bound


class Slow(KineticFriction):
    """The friction of another momentum q: it touches nothing of B, A and D."""

    letter, reads, writes = "C", ("q", "eta"), ("q", "eta")


def of_b_and_c3(dynamics: Dynamics, relations: tuple[str, ...] | None) -> set[str]:
    found = terms(Word("yoshida(BCDADCB)", dynamics).order(relations=relations))
    return {tree for tree in found if "C₃" in tree and "B" in tree and not set(tree) & {*"AD"}}


def test_corrections_commute_where_parts_do_not_touch() -> None:
    apart = Dynamics(Drift(), Kick(), LinearDamping(0.4), Slow(0.7, 0.9))
    assert commuting(apart) == ("[A,C]", "[B,C]", "[C,D]")
    every = {"[B,[B,C₃]]", "[B,[C,C₃]]", "[C,[B,C₃]]"}
    assert of_b_and_c3(apart, ()) == every
    assert of_b_and_c3(apart, ("[B,C]",)) == of_b_and_c3(apart, ("[C,B]",)) == set()
    assert of_b_and_c3(apart, None) == set()
    # where it is the user who says that fields commute, nothing is known of C₃ but Jacobi's
    # identity: [B,[C,C₃]] = [C,[B,C₃]]
    assert of_b_and_c3(ikfad, ()) == every
    left = of_b_and_c3(ikfad, ("[B,C]",))
    assert left < every
    assert len(left) == 2


@pytest.mark.parametrize(
    ("relations", "message"),
    [
        (("[B,",), r"cannot read the relation '\[B,' at position 4.*'\[B,\[B,\[B,A\]\]\]'"),
        (("B",), "cannot read the relation 'B'"),
        (("[B,A]]",), "at position 6"),
        (("[B,G]",), r"has the letter 'G'.*A, B, C, D \(a combined letter"),
    ],
)
def test_relations_that_cannot_be_read(relations: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Word("BGA", cd).order(relations=relations)


def test_other_wrong_arguments() -> None:
    with pytest.raises(TypeError, match=r"tuple of commutators"):
        Word("BA").order(relations="[A,B]")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"texts such as '\[B,E\]'; got \(3,\)"):
        Word("BA").order(relations=(3,))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="highest"):
        Word("BA").order(highest=0)


def test_white_space_in_a_relation_is_ignored() -> None:
    found = Word("BEABE").order((" [B, E ]\n",))
    assert found == Word("BEABE").order(("[B,E]",))
    assert found.relations == ("[B,E]",)


def test_words_that_differ_by_neighbours_that_commute_have_one_error() -> None:
    found = {Word(word, cadam).order() for word in ("EBCDADCBE", "BECDADCEB", "BCDEADCBE")}
    assert len(found) == 1
    assert len({Word(word, cadam).order(()) for word in ("EBCDADCBE", "BECDADCEB")}) == 2
