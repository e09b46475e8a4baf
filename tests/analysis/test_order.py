"""Measured orders."""

from typing import Any

import numpy as np
import pytest

from dashpot.analysis import convergence_order
from dashpot.analysis.order import division_counts
from dashpot.analysis.study.order import CASES, measure_order, order_row
from dashpot.dynamics import CD, LDHD
from dashpot.integrators import solve
from dashpot.landscapes import Quadratic


@pytest.mark.parametrize("index", range(len(CASES)), ids=lambda i: CASES[i][0].name)
def test_every_word_of_the_study_has_the_order_of_its_symmetry(index):
    for row in map(order_row, measure_order(index)):
        assert row["slope"] == pytest.approx(row["order"], abs=0.1), row["word"]


def test_errors_shrink_and_belong_to_their_steps():
    measured = convergence_order(LDHD(0.5), Quadratic([1.0, 4.0]), word="BDADB", divisions=(8, 16))
    assert measured.steps == (1 / 8, 1 / 16)
    assert measured.errors[0] > measured.errors[1] > 0
    assert measured.slope == pytest.approx(2.0, abs=0.1)


def test_a_reference_can_be_given_and_must_reach_the_end():
    bowl, d = Quadratic([1.0]), LDHD(0.5)
    reference = solve(d, bowl, until=1.0, times=[1.0], rtol=1e-12)
    assert convergence_order(d, bowl, reference=reference).slope == pytest.approx(1.0, abs=0.1)
    short = solve(d, bowl, until=0.5)
    with pytest.raises(ValueError, match=r"did not reach t = 1"):
        convergence_order(d, bowl, reference=short)


def test_errors_at_round_off_are_refused():
    still = {"x": [0.0], "p": [0.0]}  # the minimiser: every word is exact there
    with pytest.raises(ValueError, match="round-off"):
        convergence_order(CD(0.5, 1.0), Quadratic([1.0]), still)


def test_divisions_are_checked():
    with pytest.raises(ValueError, match="divisions"):
        convergence_order(LDHD(0.5), Quadratic([1.0]), divisions=(4,))
    wrong: Any
    for wrong in ((8, 8), (0, 8), (8, 16.0), (True, 8)):
        with pytest.raises(ValueError, match="divisions must be two or more different whole"):
            division_counts(wrong)
    assert division_counts([*np.array([16, 4])]) == [4, 16]
