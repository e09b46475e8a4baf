"""`dashpot word`: what it prints is what the library computes."""

import re

import pytest

from dashpot.analysis import search
from dashpot.analysis.__main__ import main
from dashpot.analysis.commands.word import named_dynamics
from dashpot.dynamics import CD, LDHD
from dashpot.integrators.convert import to_sgd


def lines(capsys, *arguments):
    """The rows by their titles; a row without one belongs to the row above."""
    assert main(["word", *arguments]) == 0
    found: dict[str, list[str]] = {}
    title = ""
    for line in capsys.readouterr().out.splitlines()[1:]:
        title = line[:13].strip() or title
        found.setdefault(title, []).append(line[13:])
    return found


def test_a_word_in_the_command_s_own_example(capsys):
    found = lines(capsys, "BCDA", "--dynamics", "CD", "--step", "0.1")
    assert [row[0] for row in found["a step"] if row] == list("BCDA")
    assert found["order"][0].startswith("1, error of a step h² (−1/2 [A,B]")
    assert found["gradients"] == ["1 per step"]
    # BDA's limit is √(2(1+β)/β): the cubic part does not act near the minimum
    assert "2.3016 at γh = 0.5, 4.0961 at γh = 2, 28.4404 at γh = 6" in found["stable for"][0]
    assert "30" in found["bounded to"][0]
    assert found["adjoint"][0].startswith("ADCB")
    assert to_sgd(CD(0.5, 0.0), "BCDA", 0.1).code() in found["torch"][0]


def test_compositions_and_adam(capsys):
    found = lines(capsys, "yoshida(BADAB)", "--dynamics", "LDHD")
    assert found["order"][0].startswith("4") and found["gradients"] == ["3 per step"]
    assert found["adjoint"][0].startswith("itself")
    found = lines(
        capsys, "BETACD", "--dynamics", "CADAM", "--bias-correction", "--c", "0", "--step", "0.02"
    )
    assert found["torch"][0].startswith("torch.optim.Adam(")


def test_a_jump_whose_flows_have_no_past(capsys):
    found = lines(capsys, "yoshida(BCDADCB)", "--dynamics", "CD", "--c", "100", "--step", "5")
    assert found["bounded to"][0].startswith("no h√L") and "backwards" in found["bounded to"][0]
    assert (
        "at every h√L for γh = 6"
        in lines(capsys, "yoshida(BDADB)", "--dynamics", "LDHD")["unstable"][0]
    )


def test_the_table_has_every_word(capsys):
    assert main(["word", "--dynamics", "LDHD"]) == 0
    shown = capsys.readouterr().out
    for row in search(LDHD(0.5)):
        assert f"| {row.word} " in shown


def test_every_dynamics_it_names_has_a_default_word(capsys):
    assert {"LDHD", "KFAD", "IKFAD", "RIKFAD", "CD", "CADAM", "NAG"} <= set(named_dynamics())
    for name in named_dynamics():
        assert main(["word", "--dynamics", name, "XYZ"]) == 2
        suggested = re.findall(r"try '(\w+)'", capsys.readouterr().err)
        assert main(["word", "--dynamics", name, suggested[0]]) == 0
        assert suggested[0] in capsys.readouterr().out


def test_a_figure(tmp_path, capsys):
    out = tmp_path / "map.svg"
    assert main(["word", "BADAB", "--dynamics", "LDHD", "--figure", str(out)]) == 0
    assert out.read_text().lstrip().startswith("<?xml")
    assert str(out) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["BCDA", "--dynamics", "Nobody"], ["--dynamics", "CADAM", "'Nobody'"]),
        (["BCDA", "--mu", "3"], ["CD has no --mu", "--gamma, --c"]),
        (["BCDA", "--gamma", "-1"], ["gamma", ">= 0", "-1"]),
        (["BCDA", "--step", "0"], ["--step", "> 0"]),
        (["BXDA"], ["'X'", "position 2", "try"]),
        (["yoshida(BCDA)"], ["yoshida", "symmetrize"]),
        (["BCDA", "--figure", "map.txt"], ["--figure", ".png", "map.txt"]),
        (["--figure", "map.png"], ["--figure", "name it"]),
        (["BCDA", "--gradients", "2"], ["--gradients", "table"]),
        (["BCDA", "--bias-correction"], ["CD has no --bias-correction"]),
        (
            ["FN", "--dynamics", "SGDFlow"],
            ["SGDFlow needs lr and scale", 'in Python: print(Word("FN", SGDFlow(...)).order())'],
        ),
        (["--dynamics", "SGDFlow"], ['Word("FN", SGDFlow(...))']),
    ],
)
def test_bad_calls(arguments, words, capsys):
    assert main(["word", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("dashpot: ") and error.count("\n") == 1
    for word in words:
        assert word in error
