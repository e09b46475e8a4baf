"""The table of words: every column against what is known of it."""

import math
import re

import pytest

from dashpot.analysis.order import coupled_quartic
from dashpot.analysis.stability.large_steps import boundedness
from dashpot.analysis.stability.maps import stability_limit
from dashpot.analysis.words.search import search, table
from dashpot.dynamics import CD, LDHD, GradientFlow
from dashpot.integrators import Word, simulate


@pytest.fixture(scope="module")
def rows():
    return {row.word: row for row in search(LDHD(0.5))}


def test_all_methods_are_listed_adjoints_side_by_side(rows):
    assert [*rows] == ["BDA", "BAD", "BADAB", "BDADB", "DBABD"]
    assert {word: row.adjoint for word, row in rows.items() if row.adjoint} == {
        "BDA": "BAD",
        "BAD": "BDA",
    }
    for row in rows.values():
        assert row.order == (2 if row.adjoint is None else 1)
        assert row.gradients == 1
        assert f"order {row.order}" in row.error
        assert row.bounded == 1.9


def test_limits_are_those_of_heavy_ball_at_the_given_step(rows):
    beta = math.exp(-0.05)
    assert rows["BAD"].stability_limit == pytest.approx(math.sqrt(2 * (1 + beta)), abs=1e-8)
    assert rows["BDA"].stability_limit == pytest.approx(math.sqrt(2 * (1 + beta) / beta), abs=1e-8)
    assert rows["BADAB"].stability_limit == pytest.approx(2, abs=1e-8)
    assert rows["BDADB"].stability_limit == pytest.approx(
        stability_limit(Word("BDADB", LDHD(1.0)), gamma_h=0.05), abs=1e-8
    )


def test_error_constants_predict_the_error_at_another_step(rows):
    """Error = C h^order (1 + O(h)), with h = 1/16 and O(1) coefficients: within a quarter."""
    start = {"x": [1.0, -0.7], "p": [0.3, 0.2]}
    for text, row in rows.items():
        ends = []
        for n in (16, 1024):
            run = simulate(
                LDHD(0.5), coupled_quartic(), start, step=1 / n, steps=n, word=text, save_every=n
            )
            ends.append(run.states)
        worst = max(
            float(((a[-1] - b[-1]).abs() / (1 + b[-1].abs())).max())
            for a, b in ((ends[0][name], ends[1][name]) for name in ("x", "p"))
        )
        assert worst * 16**row.order == pytest.approx(row.error_constant, rel=0.25), text


def test_the_cubic_words_differ_in_boundedness_from_their_adjoints():
    found = {row.word: row for row in search(CD(0.1, c=100.0), letters="ABG")}
    assert [*found] == ["BGA", "BAG", "BAGAB", "BGAGB", "GBABG"]
    assert found["BGA"].order == found["BAG"].order == 1
    assert {word: row.bounded for word, row in found.items()} == {
        "BGA": 30,
        "BAG": 1.4,
        "BAGAB": 1.9,
        "BGAGB": 30,
        "GBABG": 1.9,
    }


def test_gradient_flow_has_one_word():
    (row,) = search(GradientFlow())
    assert (row.word, row.order, row.gradients) == ("F", 1, 1)
    assert row.stability_limit**2 / 0.1 == pytest.approx(2, abs=1e-7)  # hL < 2 at h = 0.1


def test_the_table_has_a_line_for_every_word(rows):
    lines = table(list(rows.values())).splitlines()
    assert len(lines) == 2 + len(rows)
    assert len({len(line) for line in lines}) == 1 and set(lines[1]) == {"|", "-", " "}
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[2][:4] == ["BDA", "BAD", "1", "1"] and cells[2][4].startswith("2.02")
    assert cells[4][:3] == ["BADAB", "itself", "2"]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: Word("BCDA", CD), "such as CD(...), not the class CD"),  # type: ignore[arg-type]
        (lambda: Word("BCDA", "CD"), "a dynamics such as CD("),  # type: ignore[arg-type]
        (lambda: search("CD"), "a dynamics such as CD("),  # type: ignore[arg-type]
        (lambda: stability_limit("BCDA"), "Word('BCDA', dynamics)"),  # type: ignore[arg-type]
        (lambda: boundedness("BCDA"), "Word('BCDA', dynamics)"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_word_or_dynamics_is_refused(call, told):
    with pytest.raises(TypeError, match=re.escape(told)):
        call()
