"""A network is trained in a folder: what the steps are, and what is left of them."""

import math
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from small_training import BATCH, EXAMPLES, STEPS, Sine, reached, same, settings
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR

from dashpot.analysis.training import checkpoint, log, order, trainer
from dashpot.analysis.training.folder import held, settings_of
from dashpot.analysis.training.result import state_bytes
from dashpot.analysis.training.schedules import Scheduled, factor
from dashpot.analysis.training.trainer import BusyError, Result, train


def weights(folder: Path) -> dict[str, Tensor]:
    return torch.load(folder / "checkpoint.pt", weights_only=True)["network"]


def kinds(folder: Path) -> list[tuple[str, int]]:
    return [(line["kind"], line["step"]) for line in log.lines(folder)]


# --- steps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["CD", "AdamW"])
def test_steps_are_those_of_a_plain_loop(optimizer: str, tmp_path: Path) -> None:
    """Bit for bit: the loop that a user would write, clipped, with the order's batches."""
    given, task = settings(optimizer, clip=0.4, seed=3), Sine()
    result = train(task, given, tmp_path)
    torch.default_generator.manual_seed(order.mixed(3, 1 << 35))
    network = task.network()
    made = given.build(network.named_parameters())
    losses = []
    for step in range(STEPS):
        made.zero_grad()
        loss = task.loss(network, task.batch(step, BATCH, 3))
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 0.4)
        made.step()
        losses.append(loss.item())
    assert same(weights(tmp_path), network.state_dict())
    lines = [*log.lines(tmp_path, "train")]
    assert [line["step"] for line in lines] == [10, 20, 24]
    for line, some in zip(lines, (losses[:10], losses[10:20], losses[20:]), strict=True):
        assert line["loss"] == pytest.approx(math.fsum(some) / len(some), rel=1e-15)
    assert result.state_bytes == state_bytes(made)
    if optimizer == "CD":  # one momentum for every parameter, in float64
        assert result.state_bytes == 8 * sum(p.numel() for p in network.parameters())


def test_parts_of_a_batch_add_up_to_it(tmp_path: Path) -> None:
    """Nine examples in five parts too: each part counts by its size."""
    train(Sine(), settings(clip=0.3), tmp_path / "whole")
    train(Sine(), settings(clip=0.3, accumulate=5), tmp_path / "parts")
    for key, weight in weights(tmp_path / "whole").items():
        torch.testing.assert_close(weights(tmp_path / "parts")[key], weight, rtol=0, atol=1e-12)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_low_precision_stays_near(precision: str, tmp_path: Path) -> None:
    """Weights stay float32; in autocast losses agree to some units of the type's rounding."""
    task = Sine(dtype=torch.float32)
    exact = reached(train(task, settings(), tmp_path / "exact"))
    near = reached(train(task, settings(precision=precision), tmp_path / "near"))
    assert abs(near - exact) < (0.1 if precision == "bf16" else 0.02) * exact
    assert near != exact
    assert {weight.dtype for weight in weights(tmp_path / "near").values()} == {torch.float32}


def test_dropout_depends_on_seed_and_step_alone(tmp_path: Path) -> None:
    """The caller's generator neither matters nor moves."""
    train(Sine(0.5), settings(), tmp_path / "one")
    torch.manual_seed(5)
    before = torch.get_rng_state()
    train(Sine(0.5), settings(), tmp_path / "other")
    assert torch.equal(torch.get_rng_state(), before)
    assert same(weights(tmp_path / "one"), weights(tmp_path / "other"))
    train(Sine(0.5), settings(seed=1), tmp_path / "another")
    assert not same(weights(tmp_path / "one"), weights(tmp_path / "another"))


def test_draws_for_different_uses_differ() -> None:
    """All bits of the numbers count, where torch's generator takes 32 of a seed's."""
    seeds = {order.mixed(0), order.mixed(0, 0), order.mixed(1), order.mixed(1 << 32)}
    seeds |= {order.mixed(0, 1 << k, 5) for k in range(40)}
    assert len(seeds) == 44
    shuffled = order.Shuffled(EXAMPLES, BATCH, 0)
    epoch = torch.cat([shuffled.indices(step) for step in range(4, 8)])
    assert sorted(epoch.tolist()) == [*range(EXAMPLES)]


# --- schedules ------------------------------------------------------------------------------------


def test_schedules_are_torchs() -> None:
    """Cosine and line from 1 to `final`, as torch's own schedulers have them without a warm-up."""
    made = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.5)
    for name, theirs in (
        ("cosine", CosineAnnealingLR(made, 20, eta_min=0.05)),
        ("linear", LinearLR(made, 1.0, 0.1, 20)),
    ):
        given = settings(schedule=name, final=0.1)
        for step in range(20):
            assert 0.5 * factor(given, 20, step) == pytest.approx(theirs.get_last_lr()[0])
            made.step()
            theirs.step()
        made.param_groups[0]["lr"] = made.param_groups[0]["initial_lr"]


def test_warm_up_rises_in_equal_steps() -> None:
    given = settings(warmup=4, schedule="linear")
    found = [factor(given, 14, step) for step in range(14)]
    assert found == pytest.approx([0.2, 0.4, 0.6, 0.8, *(1 - k / 10 for k in range(10))])
    made = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=torch.tensor(2.0))
    scheduled = Scheduled(made, given, 14)
    scheduled.set(1)
    assert made.param_groups[0]["lr"].item() == pytest.approx(0.8)


def test_a_warm_up_without_an_end_is_refused(tmp_path: Path) -> None:
    """Before the folder is anything's."""
    with pytest.raises(ValueError, match="warmup must be shorter than the run; got 4 of 4"):
        train(Sine(), settings(warmup=4, steps=4), tmp_path / "new")
    assert not (tmp_path / "new").exists()


# --- what is left ---------------------------------------------------------------------------------


def test_a_finished_run_is_not_repeated(tmp_path: Path) -> None:
    """Also not the look at the test data, which may be asked for later, once."""
    task = Sine()
    first = train(task, settings(), tmp_path)
    assert first.status == "finished" and first.steps == STEPS and first.test is None
    looks = task.evaluated["validation"]
    tested = train(task, settings(), tmp_path, test=True)
    assert tested.test is not None
    assert (tested.best, tested.best_step) == (first.best, first.best_step)
    assert task.evaluated == {"validation": looks, "test": 1}
    assert train(task, settings(), tmp_path, test=True) == tested
    assert task.evaluated == {"validation": looks, "test": 1}
    assert kinds(tmp_path)[-1] == ("test", STEPS)


def test_the_test_data_see_the_best_weights(tmp_path: Path) -> None:
    task = Sine()
    result = train(task, settings("AdamW", steps=60), tmp_path, test=True)
    assert result.best_step is not None and result.validation is not None
    network = task.network().eval()
    network.load_state_dict(checkpoint.load_best(tmp_path, result.best_step))
    assert task.evaluate(network, "validation", torch.device("cpu")) == result.validation
    assert task.evaluate(network, "test", torch.device("cpu")) == result.test
    best = min(line["loss"] for line in log.lines(tmp_path, "validation"))
    assert result.best == best
    assert len([*tmp_path.glob("best-*.pt")]) <= 2


def test_divergence_leaves_the_last_good_checkpoint(tmp_path: Path) -> None:
    """Weights of 1e200, and the square of an error of that size: infinity."""
    huge = settings("AdamW", hyperparameters={"lr": 1e200, "beta1": 0.9, "beta2": 0.95})
    result = train(Sine(), huge, tmp_path, checkpoint_every=1, test=True)
    assert result.status == "diverged" and result.test is None
    assert result.steps == 1, "the loss of the second step is not finite"
    assert kinds(tmp_path)[-1] == ("diverged", 1)
    assert all(w.isfinite().all() for w in weights(tmp_path).values())
    assert result.best_step == 0 and checkpoint.best_path(tmp_path, 0).exists()
    assert train(Sine(), huge, tmp_path) == result


def test_other_settings_and_data_are_refused(tmp_path: Path) -> None:
    train(Sine(), settings(), tmp_path)
    assert settings_of(tmp_path) == settings()
    with pytest.raises(ValueError, match="seed: 0 there, 1 here"):
        train(Sine(), settings(seed=1), tmp_path)
    for name, value in (("name", "sine, stand-in"), ("source", "made of wood")):
        task = Sine()
        setattr(task, name, value)
        with pytest.raises(ValueError, match=f"(made up|sine) there, {value} here"):
            train(task, settings(), tmp_path)
    (tmp_path / "settings.json").write_text('{"editor": "ed"}')
    with pytest.raises(ValueError, match=r"settings\.json: Settings has no editor"):
        train(Sine(), settings(), tmp_path)


@pytest.mark.parametrize(("name", "value"), [("name", "cosine"), ("setting", "small")])
def test_settings_of_another_task_are_refused(name: str, value: str, tmp_path: Path) -> None:
    setattr(task := Sine(), name, value)
    with pytest.raises(ValueError, match=f"for sine, tiny; the task is .*{value}"):
        train(task, settings(), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_network_that_cannot_be_made_has_no_folder(tmp_path: Path) -> None:
    """It is free for another run; files in it that look temporary are somebody's."""

    class Missing(Sine):
        def network(self) -> nn.Module:
            raise ImportError("no package")

    (other := tmp_path / "tmp12345678").touch()
    with pytest.raises(ImportError, match="no package"):
        train(Missing(), settings(), tmp_path)
    assert train(Sine(), settings(seed=1), tmp_path).status == "finished"
    assert other.exists()


def test_the_other_processes_hear_of_a_damaged_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the first of them raises, they do not wait for it."""
    told: list[Any] = []
    ranks = SimpleNamespace(rank=0, size=2, from_first=told.append)
    monkeypatch.setattr(trainer, "join", lambda device: (ranks, device))
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(ValueError, match=r"settings\.json is damaged") as raised:
        train(Sine(), settings(), tmp_path)
    assert told == [raised.value]


@pytest.mark.parametrize("name", ["log.jsonl", "result.json", "checkpoint.pt"])
def test_files_of_somebody_else_are_left_alone(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(ValueError, match=f"holds {name} and no run; take another folder"):
        train(Sine(), settings(), tmp_path)
    assert (tmp_path / name).read_text() == "mine"


def test_one_process_to_a_folder(tmp_path: Path) -> None:
    with held(tmp_path), pytest.raises(BusyError, match="another process trains in"):
        train(Sine(), settings(), tmp_path)
    assert train(Sine(), settings(), tmp_path).status == "finished"


def test_a_task_without_test_data_says_so(tmp_path: Path) -> None:
    task = Sine()
    task.has_test = False
    with pytest.raises(ValueError, match="sine has no test data"):
        train(task, settings(), tmp_path / "new", test=True)
    assert not (tmp_path / "new").exists()


def test_progress_has_what_a_bar_shows(tmp_path: Path) -> None:
    told: list[tuple[int, dict[str, float]]] = []
    train(Sine(), settings(), tmp_path, progress=lambda step, numbers: told.append((step, numbers)))
    assert all(numbers["steps"] == STEPS for _, numbers in told)
    with_loss = [(step, n) for step, n in told if "loss" in n]
    assert {10, 20, 24} <= {step for step, _ in with_loss}
    assert all(n["examples_per_second"] > 0 for _, n in with_loss)
    looked = {step: n["validation loss"] for step, n in told if "validation loss" in n}
    assert looked == {line["step"]: line["loss"] for line in log.lines(tmp_path, "validation")}


def test_a_log_that_lost_its_end_is_not_filled_up(tmp_path: Path) -> None:
    """As after a loss of power: the checkpoint says more than there is."""
    (tmp_path / "log.jsonl").write_text('{"kind": "train", "step": 1}\n')
    log.Log(tmp_path, 1000).write("train", 2)
    assert kinds(tmp_path) == [("train", 1), ("train", 2)]


def test_tensorboard_has_the_numbers_of_the_log_once(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def stop(step: int, _: Any) -> None:
        if step > 14:
            raise RuntimeError("killed")

    for every in (100, None):  # begins anew, then goes on from 12
        with pytest.raises(RuntimeError, match="killed"):
            train(
                *(Sine(), settings(), tmp_path),
                checkpoint_every=every,
                tensorboard=True,
                progress=stop,
            )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its dependencies
        train(Sine(), settings(), tmp_path, tensorboard=True)
        found = EventAccumulator(str(tmp_path / "events")).Reload()
    for kind in ("train", "validation"):
        events = [(e.step, e.value) for e in found.Scalars(f"{kind}/loss")]
        lines = [(line["step"], line["loss"]) for line in log.lines(tmp_path, kind)]
        assert events == [(step, pytest.approx(loss)) for step, loss in lines]


def test_state_of_optimizers_within_optimizers_counts() -> None:
    class Wrapper:
        def state_dict(self) -> dict[str, Any]:
            return {"state": {0: {"m": torch.zeros(3), "of": [{"v": torch.zeros(2)}], "step": 1}}}

    assert state_bytes(Wrapper()) == 20  # pyright: ignore[reportArgumentType]


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    result = Result("diverged", 3, "loss", None, None, None, None, 1.5, None, 8, None, ("a", "b"))
    assert Result.read(tmp_path) is None
    result.write(tmp_path)
    assert Result.read(tmp_path) == result
    (tmp_path / "result.json").write_text("{")
    with pytest.raises(ValueError, match=r"result\.json is damaged"):
        Result.read(tmp_path)
