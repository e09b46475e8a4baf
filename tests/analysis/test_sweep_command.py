"""`dashpot sweep`: bad calls end with one line and code 2; a small one from call to page."""

import json
import re
import shlex
from pathlib import Path

import pytest

from dashpot.analysis.__main__ import _parse, main
from dashpot.analysis.commands.sweep import SweepCommand

pytest.importorskip("optuna")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nanno"], ["'nanno'", "did you mean nano?"]),
        (["nano", "--optimizers", "CD", "Adan"], ["Adan"]),
        (["nano", "--report-seeds", "0", "1000"], ["seeds", "1000"]),
        (["nano", "--words", "BACD"], ["words", "known"]),
        (["nano", "--published", "--words", "BAXD", "--optimizers", "CD"], ["X"]),
        (["nano", "--published", "--optimizers", "Muon"], ["Muon", "there is", "CADAM"]),
        (["nano", "--published", "--frictionless"], ["one of", "--published", "--frictionless"]),
        (["nano", "--ablation", "CD", "--optimizers", "CD"], ["ablation", "--optimizers"]),
        (["lstm", "--published"], ["lstm", "nano"]),
        (["cifar", "--optimizers", "Muon"], ["Muon", "cifar"]),
        (["nano", "--data-dir", "nowhere"], ["nowhere"]),
        (["nano", "--out", "/dev/null/found"], ["--out", "/dev/null", "irectory"]),
        (["nano", "--trials", "0"], ["trial"]),
        (["nano", "--workers", "0"], ["--workers", ">= 1", "0"]),
        (["nano", "--hours", "-1"], ["--hours", "> 0", "-1"]),
        (["nano", "--steps", "0"], ["steps", ">= 1"]),
        (["nano", "--device", "abacus"], ["--device", "abacus"]),
        (["nano", "--report-only", "--out", "nowhere"], ["nowhere", "not the folder of a sweep"]),
    ],
)
def test_bad_calls(
    arguments: list[str],
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["sweep", *arguments, "--setting", "tiny"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("dashpot: ") and error.count("\n") == 1
    for word in words:
        assert word in error
    assert not list(tmp_path.rglob("*"))


def test_torchrun_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its processes would each be a sweep, whose workers take themselves for ranks."""
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    assert main(["sweep", "nano", "--setting", "tiny"]) == 2
    assert "leave torchrun out and give --workers" in capsys.readouterr().err


def test_call_in_the_help_is_a_plan() -> None:
    """Not every optimizer has the letters of a word: of the published ones CADAM needs an E."""
    told = " ".join((SweepCommand.__doc__ or "").split())
    call = re.search(r"dashpot (sweep nano --published .*?)\. ", told)
    assert call is not None
    command = _parse(call[1].split())
    assert isinstance(command, SweepCommand) and len(command.sweep()) == 5 * 2 * 2 * 3


def test_ablation_is_compared_with_neither_friction() -> None:
    words = shlex.split(SweepCommand("nano", ablation="CD")._report_command("small"))
    assert words[words.index("--reference") + 1] == "LDHD (neither)"


def test_from_call_to_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    call = ["sweep", "nano", "--setting", "tiny", "--out", "found"]
    grid = ["--published", "--optimizers", "SGD", "--seeds", "3", "--lr-factors", "1", "2"]
    assert main([*call, *grid, "--steps", "4", "--workers", "1"]) == 0
    told = capsys.readouterr()
    assert "stand-in" in told.err and "SGD, lr × 2" in told.out and "index.html" in told.out
    assert "nano tiny: 2 runs, 0 of them over\n" in told.err
    lines = [line for line in told.err.splitlines() if line.startswith("report/SGD/")]
    assert [line.split("; ")[1] for line in lines] == ["1 of 2 left", "0 of 2 left"]
    assert all(
        "finished after 4 steps" in line and "best validation loss" in line for line in lines
    )
    results = json.loads((tmp_path / "found" / "results.json").read_text(encoding="utf-8"))
    assert [(run["state"], run["steps"]) for run in results["runs"]] == [("finished", 4)] * 2
    assert results["command"] == "dashpot sweep nano --setting tiny --out found --report-only"
    assert main(results["command"].split()[1:]) == 0
    assert json.loads((tmp_path / "found" / "results.json").read_text(encoding="utf-8")) == results
    assert main(["sweep", "nano", "--report-only", "--out", "found"]) == 0  # of what is there
    assert json.loads((tmp_path / "found" / "results.json").read_text(encoding="utf-8")) == results
    assert main(["sweep", "cifar", "--report-only", "--out", "found"]) == 2
    assert "a sweep of nano, not of cifar" in capsys.readouterr().err
    assert main([*call, *grid, "--steps", "5", "--workers", "1"]) == 2
    assert "another sweep" in capsys.readouterr().err
