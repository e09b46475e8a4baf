"""Words made from words: what they expand to, how they are written, what is refused."""

import re
from decimal import Decimal
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import CoupledQuartic, Watched, ordinary_start

from dashpot.dynamics import CADAM, CD, IKFAD, LDHD, CubicDamping, Drift, Dynamics, Kick, State
from dashpot.integrators import Word, simulate
from dashpot.integrators.step import apply

F = Fraction
ldhd, cd = LDHD(gamma=0.4), CD(gamma=0.3, c=0.8)
ikfad = IKFAD(gamma=0.3, alpha=0.7, mu=0.9)
cadam = CADAM(gamma=0.3, alpha=0.6, c=0.5, eps=0.1)


def spelled(word: Word) -> str:
    return " ".join(f"{a}:{f}" for a, f in zip(word.letters, word.fractions, strict=True))


# --- what they expand to ------------------------------------------------------------------------


def test_adjoint_reverses() -> None:
    word = Word("B:1/4AB:3/4CD", cd)
    assert word.adjoint().text == "DCB:3/4AB:1/4"
    assert word.adjoint() == Word("adjoint(B:1/4AB:3/4CD)", cd)
    assert word.adjoint().adjoint() == word


@pytest.mark.parametrize(
    ("dynamics", "word"),
    [(cd, "BACD"), (ikfad, "BACD"), (cadam, "BEACD"), (ikfad, "compose(BACD,1/4,3/4)")],
)
def test_the_adjoint_undoes_the_step_backwards(dynamics: Dynamics, word: str) -> None:
    start = {n: torch.tensor(v, dtype=torch.float64) for n, v in ordinary_start(dynamics).items()}
    s, h = State(start), 0.05
    for made, step in ((Word(word, dynamics), h), (Word(word, dynamics).adjoint(), -h)):
        pieces = [(u.part, step * float(u.fraction)) for u in made.substeps]
        apply(pieces, s, CoupledQuartic().df)
    for name, value in start.items():  # five flows there and back, each good to a few ulp
        assert torch.allclose(getattr(s, name), value, rtol=1e-14, atol=1e-14)


def test_rotation() -> None:
    word = Word("B:1/4AB:3/4D", ldhd)
    assert [word.rotated(n).text for n in (0, 1, 4, -1)] == [
        "B:1/4AB:3/4D", "AB:3/4DB:1/4", "B:1/4AB:3/4D", "DB:1/4AB:3/4",
    ]  # fmt: skip
    jump = Word("yoshida(BADAB)", ldhd)
    turned = jump.rotated(3)
    assert turned.fractions == jump.fractions[3:] + jump.fractions[:3]
    assert Word(turned.text, ldhd) == turned
    assert turned.rotated(-3) == jump


def test_symmetrization_merges_exact_flows_only() -> None:
    assert spelled(Word("BCDA", cd).symmetrized()) == "B:1/2 C:1/2 D:1/2 A:1 D:1/2 C:1/2 B:1/2"
    assert spelled(Word("BADC", cd).symmetrized()) == "B:1/2 A:1/2 D:1/2 C:1 D:1/2 A:1/2 B:1/2"
    # two halves of iKFAD's palindrome are not a whole one
    assert spelled(Word("BADC", ikfad).symmetrized()) == (
        "B:1/2 A:1/2 D:1/2 C:1/2 C:1/2 D:1/2 A:1/2 B:1/2"
    )
    assert Word("BDACCADB", ikfad).letters == tuple("BDACCADB")  # nor is what a user writes


def test_composition_merges_at_its_seams() -> None:
    word = Word("BAB").composed([F(1, 4), F(1, 2), F(1, 4)])
    assert word.text == "compose(BAB,1/4,1/2,1/4)"
    assert spelled(word) == "B:1/8 A:1/4 B:3/8 A:1/2 B:3/8 A:1/4 B:1/8"
    # what cancels is left out, and the letters behind it meet: e^A e^B e^{−B} e^{−A} e^A e^B
    assert spelled(Word("compose(symmetrize(AB),1,-1,1)")) == "A:1/2 B:1 A:1/2"
    assert spelled(Word("compose(BAB,0,1)")) == "B:1/2 A:1 B:1/2"


def test_yoshida_and_suzuki_weights_solve_their_equations() -> None:
    """2w³ + (1−2w)³ = 0 and 4w³ + (1−4w)³ = 0; at the second use the fifth powers. 60 digits."""
    for made, count in ((Word("BAB").yoshida(), 2), (Word("BAB").suzuki(), 4)):
        drifts = [f for a, f in zip(made.letters, made.fractions, strict=True) if a == "A"]
        assert len(drifts) == count + 1
        assert sum(drifts) == 1
        assert abs(sum(f**3 for f in drifts)) < F(1, 10**57)
        assert made.is_symmetric
    twice = Word("BAB").yoshida().yoshida()
    assert twice.text == "yoshida(yoshida(BAB))"
    drifts = [f for a, f in zip(twice.letters, twice.fractions, strict=True) if a == "A"]
    assert len(drifts) == 9
    assert max(abs(sum(f**n for f in drifts)) for n in (3, 5)) < F(1, 10**57)
    first = Word("BAB").yoshida().fractions[1]
    assert float(first) == pytest.approx(1.3512071919596578, rel=1e-15)
    assert float(Word("BAB").suzuki().fractions[1]) == pytest.approx(0.41449077179437573, rel=1e-15)


def test_jumps_of_a_word_of_order_four_by_its_fractions() -> None:
    """The order of the word inside is proved, not guessed from how it is written."""
    w = Word("BAB").yoshida().fractions[1]
    written = Word("BAB").composed([w, 1 - 2 * w, w])
    assert written == Word("BAB").yoshida()
    assert written.yoshida().order().order == 6


def test_a_composed_step_is_its_steps() -> None:
    """The simulator runs the same flows with the same times."""
    h, word = 0.125, "compose(BADAB,1/4,1/2,1/4)"
    s = ordinary_start(ldhd)
    for part in (h / 4, h / 2, h / 4):
        run = simulate(ldhd, CoupledQuartic(), s, step=part, steps=1, word="BADAB")
        s = {n: run[n][-1] for n in s}
    whole = simulate(ldhd, CoupledQuartic(), step=h, steps=1, word=word, x0=ordinary_start(ldhd))
    for name in s:  # only the kicks at the seams are added in another order
        assert torch.allclose(whole[name][-1], s[name], rtol=1e-15, atol=1e-15)


@pytest.mark.parametrize(
    ("word", "count"), [("BADAB", 1), ("yoshida(BADAB)", 3), ("suzuki(BADAB)", 5)]
)
def test_gradients_of_jumps(word: str, count: int) -> None:
    assert Word(word, ldhd).gradients_per_step == count
    watched = Watched(CoupledQuartic())
    simulate(ldhd, watched, step=1e-2, steps=10, word=word)
    assert watched.calls == 10 * count + 1


# --- how they are written -----------------------------------------------------------------------

plain = st.permutations("ABD").map("".join)


def composed(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    forms = ["symmetrize({})", "adjoint({})", "yoshida(symmetrize({}))", "compose({},1/3,2/3)"]
    return st.builds(str.format, st.sampled_from(forms), inner)


@settings(max_examples=60, deadline=None)
@given(text=composed(plain) | composed(composed(plain)))
def test_texts_make_the_same_word_again(text: str) -> None:
    word = Word(text, ldhd)
    assert word.text == text
    assert Word(word.text, ldhd) == word
    assert Word(f" {text.replace(',', ' , ')} ", ldhd) == word
    for made in (word.adjoint(), word.rotated(2)):
        assert Word(made.text, ldhd) == made
    for letter in "ABD":
        pairs = zip(word.letters, word.fractions, strict=True)
        assert abs(sum(f for a, f in pairs if a == letter) - 1) < F(1, 10**50)


def test_methods_write_what_one_can_type() -> None:
    word = Word("BCDA", cd)
    assert word.symmetrized().text == "symmetrize(BCDA)"
    assert word.symmetrized().yoshida().text == "yoshida(symmetrize(BCDA))"
    assert word.symmetrized().suzuki().adjoint().text == "adjoint(suzuki(symmetrize(BCDA)))"
    third = Decimal(1) / 3
    for weights in (["1/3", "2/3"], [F(1, 3), F(2, 3)], [0.25, 0.75], [third, 1 - third], [1]):
        made = word.composed(weights)
        assert made.dynamics is cd
        assert Word(made.text, cd) == made
    assert Word("BAB").composed([0.1, 0.9]).text == "compose(BAB,1/10,9/10)"


def test_a_long_fraction_is_read_to_sixty_digits() -> None:
    digits = "0." + "3" * 60
    word = Word(f"B:{digits}AB")
    assert word.fractions[0] == F(int("3" * 60), 10**60)
    assert str(Word(f"B:{digits}AB", Dynamics(Drift(), Kick())).substeps[0]) == "B:0.333333"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("yosida(BADAB)", "no composition is called 'yosida' .*position 1 .*mean 'yoshida'"),
        ("Suzuki(BADAB)", "'Suzuki' .*did you mean 'suzuki'"),
        ("foo(BADAB)", "'foo' .*there are adjoint, symmetrize, yoshida, suzuki, compose"),
        ("BA(DA)B", "'BA' .*position 1"),
        ("yoshida(BADAB", r"the \( at position 8 .*not closed.*'yoshida\(BADAB\)'"),
        ("suzuki(yoshida(BADAB)", r"the \( at position 7 .*not closed"),
        ("yoshida()", "a word is missing at position 9"),
        ("yoshida(BADAB)B", "'B' at position 15 .*follows a complete word"),
        ("BADAB)", r"'\)' at position 6 .*follows a complete word"),
        ("yoshida(BAXAB)", "unknown letter 'X' at position 11 .*try 'yoshida\\(BADAB\\)'"),
        ("yoshida(BAB)", "leaves out D.*try 'B"),
        ("yoshida(badab)", r"lower-case 'b' at position 9 .*write 'yoshida\(BADAB\)'"),
        ("yoshida(BDA)", r"symmetric.*'BDA' is not.*'yoshida\(symmetrize\(BDA\)\)'"),
        ("suzuki(adjoint(BDA))", r"'suzuki\(symmetrize\(adjoint\(BDA\)\)\)'"),
        ("adjoint(BDA,2)", "adjoint at position 1 .*no numbers"),
        ("compose(BDA)", "weights of compose at position 1 .*add up to 0 instead of 1"),
        ("compose(BDA,1/2,1/3)", "add up to 0.833333 instead of 1"),
        ("compose(BDA,1/2,x)", r"cannot read the fraction 'x' at position 17"),
        ("compose(BDA,1/2,)", r"cannot read the fraction '' at position 17"),
        ("compose(BDA,1/0)", "cannot read the fraction '1/0' at position 13"),
        ("adjoint(B:1/4DA)", r"applies B for 1/4 h .*\(at position 9\)"),
        ("adjoint(" * 6 + "BDA" + ")" * 6, "position 41 .*number 6 inside one another; 5 are"),
    ],
)
def test_refused_texts(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        Word(text, ldhd)
    for repaired in re.findall(r"(?:try|write) '([^']*)'", str(caught.value)):
        Word(repaired, ldhd)


@settings(max_examples=200, deadline=None)
@given(
    text=st.lists(
        st.sampled_from(
            ["adjoint(", "symmetrize(", "yoshida(", "compose(", "foo(", "(", ")", ",", "BDA",
             "BADAB", "B:1/2", "b", "1/2", "1", ":", "X"]
        ),
        max_size=7,
    ).map("".join)
)  # fmt: skip
def test_any_text_with_compositions_is_a_word_or_is_answered(text: str) -> None:
    try:
        Word(text, ldhd)
    except ValueError as error:
        message = str(error)
        assert "position" in message or "for example 'BACD'" in message or "leave" in message
        for repaired in re.findall(r"; try '([^']*)'", message):
            Word(repaired, ldhd)


class Explicit(CubicDamping):
    kind = "consistent"


def test_a_consistent_part_has_no_adjoint() -> None:
    mine = Dynamics(Drift(), Kick(), Explicit(1.0))
    for text in ("adjoint(BCA)", "symmetrize(BCA)", "yoshida(BCACB)", "suzuki(BCACB)"):
        with pytest.raises(ValueError, match=r"exact or symmetric; that of C .*only consistent"):
            Word(text, mine)
    with pytest.raises(ValueError, match=r"adjoint of 'BCA'.* C "):
        Word("BCA", mine).adjoint()
    assert Word("compose(BCA,1/2,1/2)", mine).letters == tuple("BCABCA")
