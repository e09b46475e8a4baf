"""`dashpot train`: what it is asked for is what is trained, and what it says is what came out."""

import errno
import io
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from command_on_ranks import told
from ranks import on_ranks
from small_training import left, same

from dashpot.analysis.__main__ import main
from dashpot.analysis.commands import train as command
from dashpot.analysis.commands.training import Bar
from dashpot.analysis.training import checkpoint, log
from dashpot.analysis.training.folder import settings_of
from dashpot.analysis.training.methods import METHODS
from dashpot.analysis.training.published import published
from dashpot.analysis.training.settings import Settings
from dashpot.analysis.training.task import Plan
from dashpot.analysis.training.tasks import TASKS
from dashpot.analysis.training.trainer import train

CD = ("--optimizer", "CD", "--lr", "0.5", "--gamma", "0.00375", "--c", "1.87e5")
MUON = ("--optimizer", "Muon", "--lr", "1", "--momentum", "0", "--adamw-lr", "1")
TINY = ("train", "nano", "--setting", "tiny", *CD)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nanno"], ["'nanno'", "cifar, vit", "did you mean nano?"]),
        (["nano", "--optimizer", "cd"], ["'cd'", "LDHD", "did you mean CD?"]),
        (["nano"], ["CD needs --lr, --gamma, --c", "--published"]),
        (["nano", "--lr", "1", "--c", "1"], ["CD needs --gamma, "]),
        (["nano", *CD, "--gama", "1"], ["--gama", "did you mean --gamma?"]),
        (["nano", *CD, "--momentum", ".9"], ["no --momentum", "--c; did you mean --gamma?"]),
        (["nano", *CD, "--adamw-lr", "1"], ["CD has no --adamw-lr; it has --lr, --gamma, --c\n"]),
        (["nano", *CD, "--gamma", "-1"], ["gamma", ">= 0", "-1"]),
        (["nano", *CD, "--word", "BXDA"], ["'X'", "position 2", "'BCDA'"]),
        (["nano", *CD, "--schedule", "cosin"], ["cosin", "constant", "cosine", "linear"]),
        (["nano", *CD, "--batch-size", "0"], ["batch_size", ">= 1", "0"]),
        (["nano", *CD, "--options", "fused"], ["--options", "NAME=VALUE", "'fused'"]),
        (["nano", *CD, "--options", "fusd=true"], ["fusd", "did you mean fused?"]),
        (["nano", *CD, "--checkpoint-every", "0"], ["--checkpoint-every", ">= 1", "0"]),
        (["nano", *CD, "--seed", "-1"], ["seed", ">= 0", "-1"]),
        (["nano", *CD, "--device", "abacus"], ["--device abacus", "used: only cpu and cuda"]),
        (["nano", *CD, "--out", "file"], ["--out", "file", "Not a directory"]),
        (["nano", *CD, "--out", "thesis"], ["thesis holds log.jsonl and no run", "another folder"]),
        (["nano", *CD, "--download"], ["--download", "--data-dir"]),
        (["nano", *CD, "--data-dir", "nowhere"], ["nowhere", "no folder"]),
        (["nano", *CD, "--frictionless"], ["--frictionless", "--published"]),
        (["lstm", "--published"], ["lstm", "there is", "nano"]),
        (["nano", "--published", "--optimizer", "Muon"], ["Muon", "nano", "there is IKFAD, CD"]),
        (["nano", *CD, "--setting", "full", "--test"], ["no test data", "--test"]),
        (["nano", *CD, "--setting", "tiny", "--warmup", "20"], ["warmup", "20 of 20"]),
        (["cnn", "--setting", "tiny", *MUON], ["Muon", "AdamW"]),
    ],
)
def test_bad_calls(
    arguments: list[str], words: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "file").write_text("")
    (here / "thesis").mkdir()
    (here / "thesis" / "log.jsonl").write_text("somebody's\n")
    assert main(["train", *arguments]) == 2
    shown = capsys.readouterr()
    error = shown.err.splitlines(keepends=True)[-1]
    assert error.startswith("dashpot: ") and not shown.out
    for word in words:
        assert word in error
    assert not any((here / "runs").glob("*/*"))


def test_a_run_that_was_killed_before_its_settings_were_written(here: Path) -> None:
    (here / "killed").mkdir()
    for name in ("lock", "log.jsonl", "tmpa1b2c3_4"):
        (here / "killed" / name).touch()
    assert main([*TINY, "--steps", "2", "--out", "killed"]) == 0


def test_processes_of_a_machine_complain_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    for rank in ("0", "3"):
        monkeypatch.setenv("LOCAL_RANK", rank)
        assert main(["train", "nano", *CD, "--device", "cuda"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "dashpot: --device cuda cannot be used: 4 processes, but 3 of them"


def test_it_trains_what_it_was_asked_for(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = "--word BCDA --seed 3 --schedule cosine --accumulate 2 --options momentum_init=gradient"
    assert main([*TINY, *more.split(), "--test"]) == 0
    (folder,) = (here / "runs").iterdir()
    assert folder.name == (
        "nano-stand-in-tiny-CD-BCDA-lr0.5-gamma0.00375-c187000-accumulate2-cosine-"
        "momentum_init=gradient-seed3"
    )
    values = {"lr": 0.5, "gamma": 0.00375, "c": 1.87e5}
    asked = Settings(
        "nano", "tiny", "CD", values, word="BCDA", seed=3, schedule="cosine", accumulate=2,
        options={"momentum_init": "gradient"},
    )  # fmt: skip
    assert settings_of(folder) == asked
    result = train(TASKS["nano"]("tiny", None), asked, here / "direct", test=True)
    assert same(left(folder), left(here / "direct"))
    shown = capsys.readouterr()
    assert result.best is not None and result.test is not None
    assert shown.out.splitlines()[:2] == [
        f"nano, stand-in: best validation loss {result.best:.4f} at step {result.best_step} of 20",
        f"with the same weights test loss {result.test['loss']:.4f}",
    ]
    assert f"best-{result.best_step}.pt" in shown.out
    parameters = sum(p.numel() for p in TASKS["nano"]("tiny", None).network().parameters())
    assert "nano, stand-in, tiny: a stand-in for tiny Shakespeare" in shown.err
    assert f"{parameters:,} parameters, CD BCDA (lr 0.5, gamma 0.00375, c 187000)" in shown.err
    assert "20 steps of 16" in shown.err and "step 10 of 20: loss " in shown.err


def test_a_data_folder_without_the_data_is_said(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "data").mkdir()
    assert main([*TINY, "--data-dir", "data"]) == 0
    assert capsys.readouterr().err.startswith("data: not all that nano needs is there")


def test_the_published_hyperparameters_and_others_in_their_place(here: Path) -> None:
    plain = ("train", "nano", "--setting", "tiny", "--published", "--steps", "2")
    assert main([*plain, "--out", "one"]) == 0
    assert settings_of(here / "one").hyperparameters == published("nano", "CD")
    assert main([*plain, "--frictionless", "--lr", "0.25", "--clip", "inf", "--out", "two"]) == 0
    frictionless = published("nano", "CD", frictionless=True)
    found = settings_of(here / "two")
    assert found.hyperparameters == {**frictionless, "lr": 0.25}
    assert frictionless["gamma"] == 0 and found.clip == float("inf")


def test_what_may_be_left_out_is_as_in_torch(here: Path) -> None:
    plain = ("train", "nano", "--setting", "tiny", "--steps", "1", "--out", "run")
    assert main([*plain, "--optimizer", "AdamW", "--lr", "1e-3", "--beta2", "0.95"]) == 0
    expected = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.95}
    assert settings_of(here / "run").hyperparameters == expected


def test_interrupted_and_taken_up_again(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main([*TINY, "--out", "whole"]) == 0
    capsys.readouterr()

    def interrupt(bar: Bar, step: int, numbers: dict[str, float]) -> None:
        if step == 10:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(Bar, "__call__", interrupt)
        assert main([*TINY, "--out", "cut"]) == 130
    shown = capsys.readouterr().out
    assert shown.startswith("interrupted after 10 of 20 steps: the same command goes on\n")
    assert main([*TINY, "--out", "cut"]) == 0
    assert same(left(here / "whole"), left(here / "cut"))
    lines = (here / "cut" / "log.jsonl").read_bytes()
    told = capsys.readouterr()
    assert "goes on after step 10 of 20\n" in told.err
    result = told.out
    assert main([*TINY, "--out", "cut"]) == 0
    assert capsys.readouterr().out == (
        "trained before; --out names another folder to do it again\n" + result
    )
    assert (here / "cut" / "log.jsonl").read_bytes() == lines
    assert main([*TINY, "--out", "cut", "--seed", "1"]) == 2
    assert "(seed: 0 there, 1 here)" in capsys.readouterr().err


def test_divergence(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = "--optimizer LDHD --lr 1e30 --gamma 0 --clip inf --out lost"
    again = ["train", "nano", "--setting", "tiny", *options.split()]
    assert main(again) == 1
    (line,) = log.lines(here / "lost", "diverged")
    assert f"diverged: the loss of step {line['step'] + 1} of 20 was" in capsys.readouterr().out
    assert main(again) == 1
    assert "trained before" in capsys.readouterr().out


def test_a_full_disk(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path, content: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "save", full)
    with pytest.warns(UserWarning, match="No space left"):
        assert main([*TINY, "--out", "full"]) == 1
    shown = capsys.readouterr()
    assert "best validation loss" in shown.out
    assert "checkpoint.pt could not be written" in shown.err.splitlines()[-1]


def test_a_folder_that_is_in_use(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from dashpot.analysis.training.folder import held

    (here / "busy").mkdir()
    with held(here / "busy"):
        assert main([*TINY, "--out", "busy"]) == 2
    assert "another process trains in busy" in capsys.readouterr().err


@pytest.mark.parametrize(("is_standin", "setting"), [(False, "full"), (True, "small")])
def test_without_the_data_of_a_task_it_is_small(
    is_standin: bool, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(setting: Any, folder: Path | None, *, download: bool = False) -> Any:
        task = TASKS["nano"]("tiny", None)
        task.setting, task.is_standin, task.plan = setting, is_standin, Plan(16, 2, 2)
        return task

    monkeypatch.setattr(command, "TASKS", {"nano": make})
    assert main(["train", "nano", "--published", "--out", "run"]) == 0
    assert json.loads(Path("run/settings.json").read_text())["setting"] == setting


def test_every_optimizer_has_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    shown = capsys.readouterr().out
    for name, method in METHODS.items():
        assert name in shown
        for hyperparameter in method.names:
            assert f"--{hyperparameter.replace('_', '-')} " in shown


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_of_a_resumed_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setenv("COLUMNS", "120")
    with Bar(200) as bar:
        bar(150, {"loss": 1.5, "steps": 200.0})
        bar(160, {"validation loss": 1.75, "validation accuracy": 0.5, "steps": 200.0})
        bar(200, {"loss": 1.25, "examples_per_second": 1234.0, "steps": 200.0})
    shown = terminal.getvalue()
    assert "200/200" in shown and "| 0/200" in shown
    last = "loss 1.2500, validation loss 1.7500, validation accuracy 0.5000, 1,234 examples/s"
    assert last in shown.split("\r")[-1]


def test_throughput_is_since_what_was_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Here 20 steps at 1 and at 4 examples a second: 40 in 25 seconds; then none that is new."""
    with Bar(100) as bar:
        bar(20, {"loss": 1.5, "examples_per_second": 1.0})
        bar(40, {"loss": 1.5, "examples_per_second": 4.0})
        bar(40, {"validation loss": 1.75})
        bar(50, {"validation loss": 1.5, "examples_per_second": 2500.0})
    assert capsys.readouterr().err.splitlines() == [
        "step 40 of 100: loss 1.5000, validation loss 1.7500, 1.6 examples/s",
        "step 50 of 100: validation loss 1.5000, 2,500 examples/s",
    ]


@pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="torch was built without gloo"
)
def test_only_the_first_of_several_processes_speaks(here: Path) -> None:
    """Two of them train the network that one trains, to rounding."""
    arguments = [*TINY, "--steps", "4", "--evaluate-every", "2"]
    assert main([*arguments, "--out", str(here / "one")]) == 0
    first, second = on_ranks(told, [*arguments, "--out", str(here / "two")], folder=here)
    assert first["code"] == second["code"] == 0
    assert "best validation loss" in first["out"] and "step 4 of 4" in first["err"]
    assert not second["out"] and not second["err"]
    one, two = (torch.load(here / name / "best-4.pt", weights_only=True) for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name, values in one.items():
        torch.testing.assert_close(two[name], values, rtol=1e-4, atol=1e-5)
