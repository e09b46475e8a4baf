"""Ctrl-C, SIGTERM, a full disk, damaged files: what was finished stays, the rest is made up for."""

import errno
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from small_training import STEPS, Sine, left, same, settings

from dashpot.analysis.training import checkpoint, log, session
from dashpot.analysis.training.task import Batch, Part
from dashpot.analysis.training.trainer import Result, train


class Told(Sine):
    """Does something when the batch of a step is asked for, or the validation data for a time."""

    def __init__(
        self, at: int | None, do: Callable[[], object], *, evaluation: int | None = None
    ) -> None:
        super().__init__(dropout=0.3)
        self._at, self._do, self._evaluation = at, do, evaluation

    def batch(self, step: int, size: int, seed: int) -> Batch:
        if step == self._at:
            self._do()
        return super().batch(step, size, seed)

    def evaluate(self, network: Any, part: Part, device: torch.device) -> dict[str, float]:
        if self.evaluated["validation"] == self._evaluation:
            self._evaluation = None
            self._do()
        return super().evaluate(network, part, device)


def signalled(number: int, times: int = 1) -> Callable[[], None]:
    def send() -> None:
        for _ in range(times):
            os.kill(os.getpid(), number)

    return send


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, Any]:
    """What an uninterrupted run leaves."""
    train(Sine(dropout=0.3), settings(), tmp_path / "whole")
    return left(tmp_path / "whole")


def goes_on(folder: Path, whole: dict[str, Any]) -> bool:
    assert train(Sine(dropout=0.3), settings(), folder).status == "finished"
    return same(left(folder), whole)


# --- signals --------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_after_its_step(
    number: int, tmp_path: Path, whole: dict[str, Any]
) -> None:
    """With a checkpoint, between two lines of the log; the handlers are as before."""
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    result = train(Told(7, signalled(number)), settings(), tmp_path)
    assert (result.status, result.steps) == ("interrupted", 8)
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before
    assert not (tmp_path / "result.json").exists()
    saved = checkpoint.load(tmp_path)
    assert saved is not None and saved["step"] == 8
    assert goes_on(tmp_path, whole)


def test_a_second_signal_ends_the_step(tmp_path: Path, whole: dict[str, Any]) -> None:
    """Half a step is not saved: the checkpoint before stays."""

    class Impatient(Told):
        def loss(self, network: Any, batch: Batch) -> Any:
            found = super().loss(network, batch)
            if network.training and self._at is None:
                signalled(signal.SIGINT, 2)()
            return found

        def batch(self, step: int, size: int, seed: int) -> Batch:
            self._at = None if step == 9 else -1
            return super().batch(step, size, seed)

    result = train(Impatient(-1, lambda: None), settings(), tmp_path)
    assert result.status == "interrupted"
    saved = checkpoint.load(tmp_path)
    assert saved is not None and saved["step"] == 6
    assert goes_on(tmp_path, whole)


def test_an_evaluation_is_left_at_once(tmp_path: Path, whole: dict[str, Any]) -> None:
    result = train(Told(None, signalled(signal.SIGINT), evaluation=2), settings(), tmp_path)
    assert (result.status, result.steps) == ("interrupted", 12)
    assert [line["step"] for line in log.lines(tmp_path, "validation")] == [0, 6]
    assert goes_on(tmp_path, whole)


def test_the_test_is_left_at_once(tmp_path: Path) -> None:
    """The checkpoint keeps the weights of the last step, though the best ones were there."""
    given = settings("AdamW", hyperparameters={"lr": 1.0, "beta1": 0.9, "beta2": 0.95}, steps=18)
    result = train(Sine(dropout=0.3), given, tmp_path / "whole", test=True)
    assert result.best_step == 0
    task = Told(None, signalled(signal.SIGINT), evaluation=4)  # steps 0, 6, 12, 18; then the test
    assert train(task, given, tmp_path / "left", test=True).status == "interrupted"
    train(Sine(dropout=0.3), given, tmp_path / "left", test=True)
    assert same(left(tmp_path / "left"), left(tmp_path / "whole"))


@pytest.mark.parametrize("in_save", ["save_best", "save"])
def test_saving_is_not_left(
    in_save: str, tmp_path: Path, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often Ctrl-C is pressed in its midst."""
    write = getattr(checkpoint, in_save)

    def pressed(*args: Any) -> None:
        signalled(signal.SIGINT, 3)()
        write(*args)
        signalled(signal.SIGINT, 3)()

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, in_save, pressed)
        result = train(Told(None, lambda: None), settings(), tmp_path)
    assert result.status == "interrupted"
    saved = checkpoint.load(tmp_path)
    assert saved is not None and saved["step"] >= 6
    assert not [*tmp_path.glob("tmp*")]
    assert goes_on(tmp_path, whole)


def test_losses_are_read_wholly(
    tmp_path: Path, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line of the log with their mean lacks none of them."""
    with monkeypatch.context() as patch:
        read = session.mean_losses

        def pressed(*args: Any) -> list[float]:
            found = read(*args)
            signalled(signal.SIGINT, 3)()
            return found

        patch.setattr(session, "mean_losses", pressed)
        assert train(Sine(dropout=0.3), settings(), tmp_path).status == "interrupted"
    assert goes_on(tmp_path, whole)


def test_ignored_signals_stay_ignored(tmp_path: Path) -> None:
    """As under nohup, or in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        result = train(Told(7, signalled(signal.SIGINT, 2)), settings(), tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)
    assert result.status == "finished"


# --- a full disk ----------------------------------------------------------------------------------


@contextmanager
def full_disk(patch: pytest.MonkeyPatch, name: str, times: int) -> Iterator[list[int]]:
    """So many renames to, or openings of, what is called so fail."""
    left_over = [times]

    def failing(function: Callable[..., Any], place: int) -> Callable[..., Any]:
        def fails(*args: Any, **kwargs: Any) -> Any:
            wanted = str(args[place]) if len(args) > place else ""
            if left_over[0] and Path(wanted).name.startswith(name):
                left_over[0] -= 1
                raise OSError(errno.ENOSPC, "No space left on device", wanted)
            return function(*args, **kwargs)

        return fails

    with patch.context() as inner:
        inner.setattr(os, "replace", failing(os.replace, 1))
        inner.setattr(log, "open", failing(open, 0), raising=False)
        yield left_over


@pytest.mark.parametrize("name", ["checkpoint.pt", "best-", "log.jsonl"])
def test_a_disk_that_is_full_for_a_while(
    name: str, tmp_path: Path, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run goes on, and nothing is missing at its end."""

    def begin(step: int, _: Any) -> None:
        if step == 6 and tmp_path not in begun:
            begun[tmp_path] = disk.__enter__()

    begun: dict[Path, list[int]] = {}
    disk = full_disk(monkeypatch, name, 2)
    with pytest.warns(UserWarning, match="No space left on device"):
        result = train(Sine(dropout=0.3), settings(), tmp_path, progress=begin)
    disk.__exit__(None, None, None)
    assert begun[tmp_path] == [0]
    assert result.status == "finished" and result.unwritten == ()
    assert same(left(tmp_path), whole)


def test_a_disk_that_stays_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The result comes back, the last whole checkpoint stays, and what is missing is named."""
    full = [False]
    write = torch.save

    def save(content: Any, handle: Any) -> None:
        if full[0]:
            handle.write(b"half of it")
            raise OSError(errno.ENOSPC, "No space left on device")
        write(content, handle)

    def fill(step: int, _: Any) -> None:
        full[0] = step >= 10

    monkeypatch.setattr(torch, "save", save)
    with pytest.warns(UserWarning, match="No space left on device"):
        result = train(Sine(dropout=0.3), settings(), tmp_path, test=True, progress=fill)
    assert result.status == "finished" and result.test is not None
    assert {"checkpoint.pt", "best weights"} <= {*result.unwritten}
    assert Result.read(tmp_path) == result
    saved = checkpoint.load(tmp_path)
    assert saved is not None and saved["step"] == 6
    assert not [*tmp_path.glob("tmp*")]


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="files have no limit of size")
def test_torch_names_a_full_disk_otherwise(tmp_path: Path) -> None:
    """Its RuntimeError of a write that failed is the OSError that it came from."""
    import resource

    content = {"step": 1, "weights": torch.zeros(200_000)}
    checkpoint.save(tmp_path, {"step": 0})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        with pytest.raises(OSError, match="File too large"):
            checkpoint.save(tmp_path, content)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert checkpoint.load(tmp_path) == {"step": 0}


# --- damage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "text"])
def test_a_damaged_checkpoint_falls_back(
    damage: str, tmp_path: Path, whole: dict[str, Any]
) -> None:
    """To the one before, which has best weights and a log of its own."""
    train(Told(14, signalled(signal.SIGINT)), settings(), tmp_path)
    path = tmp_path / "checkpoint.pt"
    data = path.read_bytes()
    weights = torch.load(path, weights_only=True)["network"]["0.weight"].numpy().tobytes()
    flipped = bytes([weights[0] ^ 1]) + weights[1:]  # a number that is as good as any
    damaged = {"cut": data[: len(data) // 2], "empty": b"", "text": b"no"}
    path.write_bytes(damaged.get(damage, data.replace(weights, flipped)))
    with pytest.warns(UserWarning, match="cannot be read, the one before is taken"):
        assert goes_on(tmp_path, whole)


def test_both_checkpoints_have_their_best_weights(tmp_path: Path) -> None:
    """Each those of a step that it has seen."""
    train(Sine(), settings(steps=18), tmp_path)
    steps = []
    for name in ("checkpoint.pt", "checkpoint-previous.pt"):
        best = torch.load(tmp_path / name, weights_only=True)["best"]
        assert checkpoint.best_path(tmp_path, best["step"]).exists()
        steps.append(best["step"])
    assert steps == [18, 12]
    assert len([*tmp_path.glob("best-*.pt")]) == 2


def test_a_damaged_checkpoint_never_replaces_a_good_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where the next one to be written stops half way."""
    checkpoint.save(tmp_path, {"step": 1})
    checkpoint.save(tmp_path, {"step": 2})
    (tmp_path / "checkpoint.pt").write_bytes(b"no")
    with pytest.warns(UserWarning, match="cannot be read, the one before is taken"):
        assert checkpoint.load(tmp_path) == {"step": 1}
    with full_disk(monkeypatch, "checkpoint.pt", 1), pytest.raises(OSError, match="No space"):
        checkpoint.save(tmp_path, {"step": 3})
    assert checkpoint.load(tmp_path) == {"step": 1}
    (tmp_path / "checkpoint-previous.pt").write_bytes(b"no")
    with pytest.warns(UserWarning, match="cannot be read, the run begins anew"):
        assert checkpoint.load(tmp_path) is None


def test_weights_that_are_not_finite_are_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss is finite until the step after: the checkpoint of that moment would be lost."""
    monkeypatch.setattr(session, "finite", lambda *_: False)
    result = train(Sine(), settings(), tmp_path, test=True)
    assert checkpoint.load(tmp_path) is None
    assert (result.status, result.steps, result.test) == ("diverged", STEPS, None)
