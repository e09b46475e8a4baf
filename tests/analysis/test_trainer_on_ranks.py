"""Two processes train as one does with the same batches."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from ranks import on_ranks
from small_training import STEPS, Sine, reached, settings
from training_on_ranks import LONG, RUNS, on_a_rank, scaled
from trainings import rounding

from dashpot.analysis.training.trainer import train

pytestmark = pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="torch was built without gloo"
)


def kept(folder: Path) -> dict[str, Any]:
    return torch.load(folder / "checkpoint.pt", weights_only=True)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """One process, then two; then two that go on from one process' checkpoint of half the way."""
    folder = tmp_path_factory.mktemp("ranks")
    for name, changes in RUNS.items():
        halved: list[Path] = []

        def copy(step: int, _: Any, name: str = name, halved: list[Path] = halved) -> None:
            if step > STEPS // 2 and not halved:  # the checkpoint is that of step 12
                halved.append(shutil.copytree(folder / "one" / name, folder / "half" / name))

        train(Sine(), settings(**changes), folder / "one" / name, test=True, progress=copy)
        assert kept(halved[0])["step"] == STEPS // 2
    return folder, on_ranks(on_a_rank, folder, folder=folder)


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("start", ["two", "half"])
def test_weights_and_state_are_those_of_one_process(
    found: tuple[Path, list[dict[str, Any]]], start: str, name: str
) -> None:
    one, other = (kept(found[0] / which / name) for which in ("one", start))
    assert one["network"].keys() == other["network"].keys()
    near = rounding(STEPS)
    for key, weight in one["network"].items():
        torch.testing.assert_close(other["network"][key], weight, rtol=0, atol=near)
    mine, theirs = one["optimizer"]["state"], other["optimizer"]["state"]
    assert mine.keys() == theirs.keys() == set(range(6))
    for number, state in mine.items():
        assert state.keys() == theirs[number].keys()
        for key, value in state.items():
            torch.testing.assert_close(theirs[number][key], value, rtol=0, atol=10 * near)


@pytest.mark.parametrize("name", RUNS)
def test_both_processes_have_the_result(
    found: tuple[Path, list[dict[str, Any]]], name: str
) -> None:
    folder, (first, second) = found
    assert first == second
    alone = train(Sine(), settings(**RUNS[name]), folder / "one" / name, test=True)
    assert alone.test is not None
    assert abs(alone.test["loss"] - first[name]["loss"]) < rounding(STEPS)


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_the_range_of_fp16_is_that_of_one_process(
    found: tuple[Path, list[dict[str, Any]]], parallel: str
) -> None:
    """To some units of its rounding, 2⁻¹¹: no step is left out."""
    alone = reached(scaled(found[0] / "fp16"))
    assert kept(found[0] / "fp16")["scaler"]["scale"] == 2.0**16
    assert kept(found[0] / f"{parallel} fp16")["scaler"]["scale"] == 2.0**16
    assert found[1][0][f"{parallel} fp16"] == pytest.approx(alone, rel=2e-3)


def test_shards_that_were_looked_at_take_other_weights(
    found: tuple[Path, list[dict[str, Any]]],
) -> None:
    task = Sine()
    network = task.network().eval()
    network.load_state_dict({k: torch.ones_like(w) for k, w in network.state_dict().items()})
    with torch.no_grad():
        alone = task.evaluate(network, "validation", torch.device("cpu"))["loss"]
    assert [each["loaded"] for each in found[1]] == pytest.approx([alone, alone])


def test_a_checkpoint_of_two_processes_is_continued_by_one(
    found: tuple[Path, list[dict[str, Any]]],
) -> None:
    """From the step that the second of them was asked to stop after."""
    folder, (first, second) = found
    status, steps = first["stopped"]
    assert second["stopped"] == (status, steps)
    assert status == "interrupted" and 4 <= steps <= 14
    assert kept(folder / "stopped")["step"] == steps
    for which in ("stopped", "whole"):
        train(Sine(), settings(**LONG), folder / which)
    one, other = (kept(folder / which)["network"] for which in ("whole", "stopped"))
    for key, weight in one.items():
        torch.testing.assert_close(other[key], weight, rtol=0, atol=1e-10)
