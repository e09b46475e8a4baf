"""Gradients per step, counted against a landscape that counts its calls."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import CoupledQuartic, Watched

from dashpot.dynamics import CADAM, CD, LDHD, Dynamics
from dashpot.integrators import Word, simulate

ldhd, cd = LDHD(0.4), CD(0.3, 0.8)
cadam = CADAM(0.3, 0.6, 0.5, 0.1)


@pytest.mark.parametrize(
    ("dynamics", "word", "count"),
    [
        (ldhd, "BAD", 1),
        (ldhd, "BDA", 1),
        (ldhd, "ADB", 1),
        (ldhd, "BDADB", 1),
        (ldhd, "BADAB", 1),
        (ldhd, "ADBDA", 1),
        (ldhd, "BABD", 1),
        (ldhd, "BABAD", 2),
        (ldhd, "ABABAD", 2),
        (ldhd, "BABABD", 2),
        (cd, "BACD", 1),
        (cd, "BCDADCB", 1),
        (cd, "BAGAB", 1),
        (cadam, "BEACD", 1),
        (cadam, "BECDA", 1),
        (cadam, "EBCDADCBE", 1),
        (cadam, "AEBCDCBEA", 1),
        (cadam, "ABCDEDCBA", 1),
        (cadam, "BCADEDACB", 2),
        (cadam, "BADEC", 1),  # E at the new point; the next B uses its gradient
        (CADAM(0.3, 0.6, 0.5, 0.1, bias_correction=True), "BETACD", 1),
    ],
)
def test_known_counts(dynamics: Dynamics, word: str, count: int) -> None:
    assert Word(word, dynamics).gradients_per_step == count
    assert count_in_a_run(dynamics, word, 50) - count_in_a_run(dynamics, word, 40) == 10 * count


def test_first_step_of_a_word_with_a_reused_gradient_costs_one_more() -> None:
    assert count_in_a_run(ldhd, "BDADB", 30) == 31
    assert count_in_a_run(ldhd, "BDA", 30) == 30


def count_in_a_run(dynamics: Dynamics, word: str, steps: int) -> int:
    watched = Watched(CoupledQuartic())
    run = simulate(dynamics, watched, step=1e-3, steps=steps, word=word, save_every=steps)
    assert run.status == "finished"
    return watched.calls


@settings(max_examples=40)
@given(text=st.permutations("ABD").flatmap(
    lambda base: st.lists(st.sampled_from("ABD"), max_size=5).map(
        lambda more: "".join([*base, *more]))))  # fmt: skip
def test_any_word_costs_what_it_says(text: str) -> None:
    more = count_in_a_run(ldhd, text, 25) - count_in_a_run(ldhd, text, 5)
    assert more == 20 * Word(text, ldhd).gradients_per_step


@settings(max_examples=30)
@given(text=st.permutations("AABBCDEE").map("".join))
def test_any_word_of_cadam_costs_what_it_says(text: str) -> None:
    more = count_in_a_run(cadam, text, 25) - count_in_a_run(cadam, text, 5)
    assert more == 20 * Word(text, cadam).gradients_per_step
