"""Refused words: the place, the reason, and a suggestion that is itself a valid word."""

import re
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from problems import parameter

from dashpot.dynamics import CADAM, CD, LDHD, Drift, Dynamics, Kick, Part, State
from dashpot.integrators import Word, optim

cd = CD(gamma=0.5, c=2.0)
cadam = CADAM(0.5, 0.5, 1.0)


@pytest.mark.parametrize(
    ("text", "dynamics", "message"),
    [
        ("", cd, "the word is empty"),
        ("   ", cd, "the word is empty"),
        ("BAXD", cd, "unknown letter 'X' at position 3 of the word 'BAXD'.*try 'BACD'"),
        ("BA", cd, "leaves out [CD].*try 'BA(CD|DC)'"),
        ("BAB", LDHD(1.0), "leaves out D.*try 'BABD'"),
        ("BGACD", cd, r"applies [CD] for 2 h in a step instead of h \(at position 2, [45]\)"),
        ("B:1/4ACD", cd, r"applies B for 1/4 h in a step instead of h \(at position 1\)"),
        ("B:1/4AB:1/4CD", cd, r"applies B for 1/2 h .* \(at position 1, 7\)"),
        ("B:1ABCD", cd, "already add up to 1 and leave nothing for the unwritten B"),
        ("bcdAdcb", cd, r"lower-case 'b' at position 1 .* write 'BCDADCB'.*h/n each"),
        ("BAcD", cd, "lower-case 'c' at position 3"),
        ("BA CD!", cd, "'!' at position 5"),
        ("BA1CD", cd, "'1' at position 3"),
        ("B:ACD", cd, "a fraction at position 2"),
        ("B:1/0ACD", cd, "cannot read the fraction '1/0' at position 3.*B:1/4"),
        ("B:1.2.3ACD", cd, "cannot read the fraction '1.2.3' at position 3"),
        ("ÄBCD", cd, "'Ä' at position 1"),
        ("BXDA", cadam, "unknown letter 'X' at position 2"),
    ],
)
def test_refused_words(text: str, dynamics: Dynamics, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Word(text, dynamics)


@pytest.mark.parametrize("value", [5, None, ["B", "A"]])
def test_a_word_is_text(value: Any) -> None:
    with pytest.raises(TypeError, match="word"):
        Word(value)


@dataclass(frozen=True)
class RateOnly(Part):
    letter, reads, writes = "Q", ("p",), ("p",)

    def rate(self, s: State) -> dict[str, Any]:
        return {"p": -s.p}


def test_a_part_without_a_flow_cannot_stand_in_a_word() -> None:
    mine = Dynamics(Drift(), Kick(), RateOnly())
    with pytest.raises(ValueError, match=r"'Q' at position 2.*RateOnly has no flow.*use solve"):
        Word("BQA", mine)


def suggestions(message: str) -> list[str]:
    return re.findall(r"(?:try|write) '([^']*)'", message)


letters = st.text("ABCDEGXabc", max_size=9)
tokens = st.one_of(
    st.sampled_from("ABCDEGX"),
    st.builds("{}:{}".format, st.sampled_from("ABCD"), st.sampled_from(
        ["1", "1/2", "0.5", "-1", "2", "1/3", "0", ".5", ".", "1/0", "1e2", "1e-3", "+1/4"])),
)  # fmt: skip


@given(text=st.one_of(st.text(max_size=12), letters, st.lists(tokens, max_size=8).map("".join)))
@example("B:1e5000ACD")
@example("B:1e-5000ACD")
@example("ß")
@example("BACD:")
@example("B" * 300)
@pytest.mark.parametrize("dynamics", [cd, cadam, LDHD(0.1)], ids=lambda d: d.name)
def test_any_text_is_a_word_or_is_answered(dynamics: Dynamics, text: str) -> None:
    try:
        Word(text, dynamics)
    except ValueError as error:
        message = str(error)
        assert "position" in message or "for example 'BACD'" in message or "leave" in message
        for repaired in re.findall(r"; try '([^']*)'", message):
            Word(repaired, dynamics)


@given(text=letters)
@pytest.mark.parametrize("dynamics", [cd, cadam], ids=lambda d: d.name)
def test_words_of_letters_get_a_suggestion_that_is_valid(dynamics: Dynamics, text: str) -> None:
    try:
        Word(text, dynamics)
    except ValueError as error:
        if text.isupper() and text.isalpha():
            (repaired,) = re.findall(r"; try '([^']*)'", str(error))
            Word(repaired, dynamics)


def test_suggestion_keeps_what_was_right() -> None:
    with pytest.raises(ValueError, match="try 'BCDXA'") as caught:
        Word("BCDQA", Dynamics(*cd.parts.values(), Renamed()))
    assert "unknown letter 'Q'" in str(caught.value)


@dataclass(frozen=True)
class Renamed(RateOnly):
    letter = "X"

    def flow(self, s: State, h: Any) -> None:
        s.p = s.p * (1 - h)


def test_an_optimizer_quotes_the_word_as_it_was_written() -> None:
    with pytest.raises(ValueError, match=r"'X' at position 3 of the word 'BAXD'.*try 'BACD'"):
        optim.CD([parameter([1.0])], c=1.0, word="BAXD")


def test_a_wrong_default_word_is_refused_when_it_is_given() -> None:
    with pytest.raises(ValueError, match="Z"):
        Dynamics(Drift(), Kick(), word="BAZ")
