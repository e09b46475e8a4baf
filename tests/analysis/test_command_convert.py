"""`dashpot convert`: the lines it prints are true, and bad calls end with one line."""

import math
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from problems import CoupledQuartic, descend, parameter

from dashpot import dynamics
from dashpot.analysis.__main__ import main
from dashpot.analysis.commands.convert import Convert
from dashpot.analysis.commands.errors import BadCallError
from dashpot.integrators import convert, optim

landscape = CoupledQuartic()


def said(capsys: pytest.CaptureFixture[str], method: Any, **options: Any) -> str:
    command = Convert(method, **options)
    command.check()
    assert command.run() == 0
    return capsys.readouterr().out


def run(make: Any) -> torch.Tensor:
    param = parameter([1.0, -0.6])
    return descend(make([param]), param, landscape, 50)


def printed(output: str) -> torch.Tensor:
    """The points of the optimizer that a user copies from the output."""
    (line,) = re.findall(r"^(?:dashpot|torch) +(\S.*)$", output, flags=re.MULTILINE)
    names = {"optim": optim, "dynamics": dynamics, "convert": convert, "torch": torch}
    return run(lambda params: eval(line, {**names, "params": params}))


@pytest.mark.parametrize(
    ("method", "options", "theirs"),
    [
        ("SGD", {"lr": 0.02}, {"lr": 0.02}),
        ("SGD", {"lr": 0.02, "momentum": 0.9}, {"lr": 0.02, "momentum": 0.9}),
        ("SGD", {"lr": 0.02, "momentum": 0.9, "word": "BADAB"}, {"lr": 0.02, "momentum": 0.9}),
        ("SGD", *({"lr": 0.02, "momentum": 0.9, "nesterov": True},) * 2),
        ("SGD", *({"lr": 0.02, "momentum": 0.9, "dampening": 0.4},) * 2),
        ("Adam", {}, {}),
        ("Adam", *({"lr": 2e-3, "betas": (0.8, 0.99), "eps": 1e-5},) * 2),
        ("AdamW", {}, {}),
        ("AdamW", *({"lr": 2e-3, "weight_decay": 0.5},) * 2),
    ],
)
def test_torchs_optimizers(
    capsys: pytest.CaptureFixture[str], method: Any, options: Any, theirs: Any
) -> None:
    output = said(capsys, method, **options)
    expected = run(lambda params: getattr(torch.optim, method)(params, **theirs))
    assert (printed(output) - expected).abs().max() < 1e-13
    assert "the same iterates" in output


@pytest.mark.parametrize(
    ("method", "options", "ours"),
    [
        ("LDHD", {"lr": 0.1, "gamma": 0.3}, dynamics.LDHD(0.3)),
        ("LDHD", {"lr": 0.1, "gamma": 0.3, "word": "BADAB"}, dynamics.LDHD(0.3)),
        ("LDHD", {"lr": 0.1, "gamma": 0.0, "word": "BAD"}, dynamics.LDHD(0.0)),
        ("NAG", {"lr": 0.1, "gamma": 0.3}, dynamics.NAG(0.3, 0.1)),
        ("CD", {"lr": 0.1, "gamma": 0.3}, dynamics.CD(0.3, 0.0)),
        (
            "CADAM",
            {"lr": 0.02, "gamma": 4.0, "alpha": 0.5, "eps": 1e-3, "bias_correction": True},
            dynamics.CADAM(4.0, 0.5, 0.0, 1e-3, True),
        ),
    ],
)
def test_words(
    capsys: pytest.CaptureFixture[str], method: Any, options: Any, ours: dynamics.Dynamics
) -> None:
    output = said(capsys, method, **options)
    word = options.get("word")
    points = run(lambda params: optim.optimizer(ours, params, options["lr"], word=word))
    assert (printed(output) - points).abs().max() < 1e-13
    assert "torch.optim." in output


def number(output: str, what: str) -> float:
    (value,) = re.findall(rf"{re.escape(what)} = ([0-9.e+-]+)", output)
    return float(value)


def test_the_flow_of_sgd(capsys: pytest.CaptureFixture[str]) -> None:
    """SGD(0.1, 0.9): h = √0.1, γ = −ln 0.9/h; lr/(1−β) = 1; closer, h = √(0.2/1.9)."""
    output = said(capsys, "SGD", lr=0.1, momentum=0.9)
    assert f"γ = {-math.log(0.9) / math.sqrt(0.1):.6g}; a step is the time 0.316228" in output
    assert number(output, "lr (1 − τ)/(1 − β)") == pytest.approx(1.0)
    assert number(output, "h") == pytest.approx(math.sqrt(0.2 / 1.9), rel=1e-5)


def test_the_flow_of_adam(capsys: pytest.CaptureFixture[str]) -> None:
    output = said(capsys, "AdamW")
    assert number(output, "γ/α") == pytest.approx(105.31, abs=5e-3)
    assert "a step is the time 0.0215408" in output


def test_no_friction_has_no_effective_lr(capsys: pytest.CaptureFixture[str]) -> None:
    output = said(capsys, "SGD", lr=0.1, momentum=1.0)
    assert "γ = 0;" in output and "effective" not in output


def test_cubic_damping(capsys: pytest.CaptureFixture[str]) -> None:
    """c = 1/(αμ); the cap √(h/(2c)) is c = h/(2 cap²)."""
    output = said(capsys, "IKFAD", alpha=0.5, mu=0.004, lr=0.1)
    assert number(output, "1/(αμ)") == pytest.approx(500, rel=1e-15)
    assert number(output, "√(h/(2c))") == pytest.approx(0.01, rel=1e-15)
    assert number(said(capsys, "CD", c=500.0, alpha=0.5), "1/(cα)") == pytest.approx(0.004)
    output = said(capsys, "CD", lr=0.1, max_step=0.01, alpha=0.5)
    assert number(output, "h/(2 max_step²)") == pytest.approx(500, rel=1e-15)
    assert number(output, "1/(cα)") == pytest.approx(0.004, rel=1e-15)
    assert number(said(capsys, "CD", lr=0.1, c=500.0), "√(h/(2c))") == pytest.approx(0.01)
    assert "limit c → 0 only" in said(capsys, "CD", lr=0.1, c=500.0, gamma=0.3)


def test_the_commands_of_the_readme_run(capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^dashpot (convert .*)$", text, flags=re.MULTILINE)
    assert len(commands) >= 6
    for command in commands:
        assert main(shlex.split(command, comments=True)) == 0
        assert capsys.readouterr().out


def test_the_command_line_tells_bad_calls(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "RMSprop"]) == main(["convert", "SGD", "--lr", "0"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2 and "RMSprop" in told[0] and "lr must be" in told[1]


def test_lines_to_read_are_short(capsys: pytest.CaptureFixture[str]) -> None:
    output = said(capsys, "SGD", lr=0.1, momentum=0.9, word="ADB")
    assert all(len(line) <= 100 for line in output.splitlines())


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("SGD", {}, "SGD needs --lr$"),
        ("SGD", {"lr": 0.1, "gamma": 0.3}, "SGD takes no --gamma; it takes --lr, --momentum"),
        ("SGD", {"lr": 0.1, "bias_correction": True}, "takes no --bias-correction"),
        ("SGD", {"lr": -0.1}, "lr must be a finite number > 0; got -0.1"),
        ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}, "change of the loss"),
        ("SGD", {"lr": 0.1, "momentum": 0.9, "word": "BAX"}, "unknown letter 'X'"),
        ("SGD", {"lr": 0.1, "momentum": 0.0, "word": "BAD"}, "without momentum is the word F"),
        ("Adam", {"weight_decay": 0.1}, "AdamW's is a decay of x"),
        ("AdamW", {"nesterov": True}, "AdamW takes no --nesterov; it takes --lr, --betas"),
        ("LDHD", {"lr": 0.1}, "LDHD needs --gamma"),
        ("LDHD", {"lr": 0.1, "gamma": -1.0}, "gamma must be"),
        ("CADAM", {"lr": 0.1, "gamma": 1.0, "alpha": 1.0, "c": 2.0}, "c → 0 it tends to torch"),
        ("IKFAD", {"alpha": 0.1}, "IKFAD needs --mu"),
        ("CD", {"c": 3.0}, "CD needs --lr with --max-step"),
        ("CD", {"lr": 0.1, "gamma": 0.3, "alpha": 1.0}, "--c with --alpha"),
        ("CD", {"c": 3.0, "lr": 0.1, "word": "BCDA"}, "--word goes with --lr and --gamma"),
        ("CD", {"c": 3.0, "lr": 0.1, "max_step": 0.1}, "--c or --max-step, not both"),
        ("CD", {"gamma": 3.0, "max_step": 0.1}, "CD needs --lr with --max-step"),
    ],
)
def test_bad_calls(method: Any, options: Any, message: str) -> None:
    with pytest.raises(BadCallError, match=message) as caught:
        Convert(method, **options).check()
    assert "\n" not in str(caught.value)
