"""Orders of words by algebra: known words, approximate flows, compositions."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import CATALOGUE

from dashpot.dynamics import (
    CADAM,
    CD,
    IKFAD,
    KFAD,
    LDHD,
    CubicDamping,
    Drift,
    Dynamics,
    Kick,
    LinearDamping,
    State,
)
from dashpot.integrators import Word
from dashpot.integrators.words.order import WordOrder

F = Fraction
ldhd, cd = LDHD(gamma=0.7), CD(gamma=0.4, c=0.8)
ikfad, kfad = IKFAD(0.4, 0.7, 0.9), KFAD(0.4, 0.7, 0.9)
cadam = CADAM(gamma=0.5, alpha=0.6, c=0.5, eps=0.1)
RUTH = "B:7/24A:2/3B:3/4A:-2/3B:-1/24A:1"  # Ruth 1983, order 3


def terms(order: WordOrder) -> dict[str, Any]:
    return {term.text: term.coefficient for term in order.error}


# --- known words ------------------------------------------------------------------------------


def test_strang_and_lie_trotter() -> None:
    assert terms(Word("AB").order()) == {"[A,B]": F(1, 2)}
    assert terms(Word("BAB").order()) == {"[A,[A,B]]": F(1, 12), "[B,[A,B]]": F(1, 24)}
    assert terms(Word("ABA").order()) == {"[A,[A,B]]": F(-1, 24), "[B,[A,B]]": F(-1, 12)}
    assert str(Word("ABA").order()) == (
        "order 2, error of a step h³ (−1/24 [A,[A,B]] − 1/12 [B,[A,B]])"
    )


@pytest.mark.parametrize(
    ("dynamics", "words", "order"),
    [
        (ldhd, ["BAD", "DBA", "BDA", "BABD"], 1),
        (ldhd, ["DBABD", "BADAB", "ABDBA", "BDADB"], 2),
        (cd, ["BACD", "ACBD"], 1),
        (cd, ["BACDCAB", "BCDADCB", "BAGAB", "DCBABCD"], 2),
        *((made, ["BACD"], 1) for made in (kfad, ikfad)),
        *((made, ["BACDCAB", "BCDADCB", "DCBABCD"], 2) for made in (kfad, ikfad)),
        (cadam, ["BCADE", "BEACD"], 1),
        (cadam, ["EBCDADCBE", "AEBCDCBEA", "BCADEDACB", "ABCDEDCBA"], 2),
        (ldhd, ["yoshida(BADAB)", "suzuki(BADAB)", "yoshida(symmetrize(BDA))"], 4),
        (cd, ["yoshida(BCDADCB)", "suzuki(BAGAB)"], 4),
        (ikfad, ["yoshida(BCDADCB)", "suzuki(DCBABCD)"], 4),
        (cadam, ["suzuki(EBCDADCBE)"], 4),
        (ldhd, ["yoshida(yoshida(BADAB))", "suzuki(yoshida(BADAB))"], 6),
    ],
)  # fmt: skip
def test_known_orders(dynamics: Dynamics, words: list[str], order: int) -> None:
    for word in words:
        found = Word(word, dynamics).order()
        assert (found.order, found.is_lower_bound) == (order, False), word


@pytest.mark.parametrize("dynamics", CATALOGUE, ids=lambda d: d.name)
def test_every_default_word_has_order_one(dynamics: Dynamics) -> None:
    assert Word(dynamics.word, dynamics).order().order == 1


def test_third_order_in_rationals() -> None:
    found = Word(RUTH).order()
    assert found.order == 3
    assert all(isinstance(term.coefficient, Fraction) for term in found.error)


def test_decimals_as_people_write_them() -> None:
    """16 digits of Yoshida's weights are of order 4, 8 digits are not."""
    text = "B:{0}A:{1}B:{2}A:{3}B:{2}A:{1}B:{0}"
    w = 1 / (2 - 2 ** (1 / 3))
    values = [w / 2, w, (1 - w) / 2, 1 - 2 * w]
    assert Word(text.format(*map(repr, values))).order().order == 4
    assert Word(text.format(*(f"{v:.8f}" for v in values))).order().order == 2


@settings(max_examples=15, deadline=None)
@given(
    text=st.sampled_from(
        [
            "AB",
            "BADAB",
            RUTH,
            "compose(BAB,1/4,1/2,1/4)",
            "suzuki(BAB)",
            "yoshida(BAB)",
            "compose(suzuki(BAB),1/3,2/3)",
        ]
    ),
    n=st.sampled_from([2, 3, 7, 64, 300]),
)
def test_n_steps_with_one_nth_of_h(text: str, n: int) -> None:
    """n steps of h/n err n (h/n)^{p+1}: the same order, every coefficient n⁻ᵖ times the word's."""
    one = Word(text).order()
    many = Word(text).composed([F(1, n)] * n).order()
    assert (many.order, many.is_lower_bound) == (one.order, False)
    assert terms(many).keys() == terms(one).keys()
    for tree, a in terms(one).items():
        if isinstance(a, F):
            assert terms(many)[tree] == a / n**one.order
        else:  # 60 digits, rounded to 60 decimals of weights that may be as small as 1/300
            expected = float(a) / n**one.order
            assert float(terms(many)[tree]) == pytest.approx(expected, rel=1e-12)


def test_a_letter_that_is_not_cut_does_not_hide_the_others() -> None:
    """D in one piece commutes with A and B; their error is still n⁻⁴ times the word's."""
    n = 300
    inner = Word("suzuki(BAB)").composed([F(1, n)] * n)
    text = "".join(["D", *inner.tokens])
    relations = ("[A,D]", "[B,D]")
    found = Word(text).order(relations)
    assert (found.order, terms(found)) == (4, terms(inner.order()))


def test_rationals_count_exactly() -> None:
    """Strang's word with 10⁻⁷ of B and of A exchanged, A B to B A: 10⁻¹⁴ [A,B] less."""
    few = F(1, 10**7)
    found = Word(f"B:1/2A:{1 - few}B:{few}A:{few}B:{F(1, 2) - few}").order()
    assert (found.order, terms(found)) == (1, {"[A,B]": -few * few})


def test_an_inconsistent_word_has_order_zero() -> None:
    found = Word("B:1/4A").order()
    assert (found.order, terms(found)) == (0, {"B": F(-3, 4)})
    assert str(found) == "order 0, error of a step h (−3/4 B)"


def test_a_single_flow_has_every_order() -> None:
    found = Word("AA").order(highest=4)
    assert (found.order, found.is_lower_bound, found.error) == (4, True, ())
    assert str(found) == "order 4 at least"


# --- flows that are not exact -------------------------------------------------------------------


def test_a_symmetric_flow_brings_a_generator_of_its_own() -> None:
    found = terms(Word("BCDADCB", ikfad).order())
    exact = terms(Word("BCDADCB", cd).order())
    assert found.pop("C₃") == F(1, 4)  # 2 (1/2)³
    assert found == exact
    assert all("C₃" not in tree for tree in exact)


def test_two_halves_of_a_symmetric_flow_stay_two() -> None:
    word = Word("BDACCADB", ikfad)
    assert len(word) == 8
    assert word.order().order == 2
    assert terms(word.order())["C₃"] == F(1, 4)
    assert terms(Word("BDACADB", ikfad).order())["C₃"] == 1


class Explicit(CubicDamping):
    """An explicit Euler step: consistent and no more."""

    kind = "consistent"

    def flow(self, s: State, h: Any) -> None:
        s.p = s.p - h * self.c * s.p * s.p * s.p


explicit = Dynamics(Drift(), Kick(), LinearDamping(0.4), Explicit(0.8))


def test_a_consistent_flow_allows_order_one_only() -> None:
    word = Word("BCDADCB", explicit)
    assert not word.is_symmetric
    assert Word("BCDADCB").is_symmetric
    assert terms(word.order()) == {"C₂": F(1, 2)}  # 2 (1/2)²


def test_a_combined_letter_is_the_sum_of_its_summands() -> None:
    """G = C + D has no error between C and D, the Strang splitting of the two has."""
    together, apart = terms(Word("BGAGB", cd).order()), terms(Word("BCDADCB", cd).order())
    only = {tree for tree in apart if "A" not in tree and "B" not in tree}
    assert only == {"[C,[C,D]]", "[D,[C,D]]"}
    assert not only & set(together)
    assert Word("GBAABG", cd).order().order == 2


# --- compositions of any word -------------------------------------------------------------------

words = st.lists(st.permutations("ABD").map("".join), min_size=1, max_size=3).map("".join)


@settings(max_examples=40, deadline=None)
@given(text=words)
def test_order_under_adjoint_and_symmetrization(text: str) -> None:
    word = Word(text, ldhd)
    found, reverse = word.order(highest=4), word.adjoint().order(highest=4)
    assert reverse.order == found.order
    # log of the adjoint: odd powers of h stay, even ones change sign
    sign = -1 if found.order % 2 else 1
    assert terms(reverse) == {tree: sign * a for tree, a in terms(found).items()}
    symmetric = word.symmetrized()
    assert symmetric.is_symmetric
    assert symmetric.order(highest=4).order >= 2
    assert symmetric.order(highest=4).order % 2 == 0


def test_rotation_is_a_conjugation() -> None:
    """Rotated symmetric words are not symmetric and of order 1, but of order 2 up to conjugation:
    their error is a commutator with the vector field, which changes of variables can remove."""
    word = Word("BADAB", ldhd).rotated(1)
    assert word.text == "ADABB"
    # −½ [B/2, A+B+D] from e^{−B/2} … e^{B/2}
    assert terms(word.order()) == {"[A,B]": F(1, 2), "[B,D]": F(-1, 2)}
