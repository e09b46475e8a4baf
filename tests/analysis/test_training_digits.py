import importlib.util
import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from dashpot.analysis.training import digits as training
from dashpot.analysis.training.digits import (
    OPTIMIZERS,
    SEARCHES,
    SPLIT,
    TrainingRun,
    train,
    tuned,
)
from dashpot.landscapes import Digits, Network, classifier, digits

ROOT = Path(__file__).resolve().parents[2]
CAPPED = ("CD", "CADAM")


@pytest.fixture(scope="module")
def data() -> Digits:
    return digits(SPLIT)


@pytest.fixture(scope="module")
def runs() -> dict[str, TrainingRun]:
    """Two epochs of every optimizer from seed 0, with the tuned hyperparameters."""
    return {name: train(name, tuned(name), 0, epochs=2) for name in OPTIMIZERS}


@pytest.fixture(scope="module")
def chosen() -> dict[str, Any]:
    return json.loads((ROOT / "analysis" / "training" / "digits.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "tune_digits", ROOT / "benchmarks" / "tune_digits.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def curve(run: TrainingRun) -> tuple[Any, ...]:
    return run.losses, run.validation_losses, run.validation_accuracy


# --- one run --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_seed_decides(name: str, runs: Mapping[str, TrainingRun]) -> None:
    state = torch.get_rng_state()
    try:
        torch.manual_seed(1234)
        before = torch.get_rng_state()
        assert curve(train(name, tuned(name), 0, epochs=2)) == curve(runs[name])
        assert torch.equal(torch.get_rng_state(), before)
    finally:
        torch.set_rng_state(state)
    assert curve(train(name, tuned(name), 1, epochs=1))[0][0] != runs[name].losses[0]


def test_all_start_alike(runs: Mapping[str, TrainingRun], data: Digits) -> None:
    start = cross_entropy(classifier(seed=0)(data.train.inputs), data.train.targets).item()
    assert {run.losses[0] for run in runs.values()} == {start}
    assert len({run.validation_losses[0] for run in runs.values()}) == 1


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_it_learns(name: str, runs: Mapping[str, TrainingRun], data: Digits) -> None:
    # A classifier that ignores the pixels cannot go below the entropy of the targets.
    shares = torch.bincount(data.train.targets) / len(data.train.targets)
    entropy = -(shares * shares.log()).sum().item()
    run = runs[name]
    assert entropy == pytest.approx(math.log(10), abs=1e-3)
    assert run.status == "finished" and run.train_loss < entropy
    assert run.train_loss == run.losses[-1] and run.validation_loss == run.validation_losses[-1]
    assert run.epochs == (0, 1, 2) and len(run.losses) == len(run.validation_losses) == 3
    assert math.isnan(run.capped) == (name not in CAPPED)
    assert run.test_accuracy is None and run.seconds > 0


def test_batches_come_in_the_same_order() -> None:
    # LDHD (word BDA) is torch's SGD, and so is CD (word BACD) where no momentum feels the cap:
    # 2chp² = (p/max_momentum)². The same curves need the same batches.
    draw = {"lr": 0.1, "1 - momentum": 0.1, "max_momentum": 1e6}
    pairs = {name: SEARCHES[name].hyperparameters(draw) for name in ("SGD", "LDHD", "CD")}
    losses = {name: train(name, values, 3, epochs=2).losses for name, values in pairs.items()}
    for name in ("LDHD", "CD"):
        assert losses[name] == pytest.approx(losses["SGD"], rel=1e-4)


def test_validation_leaves_the_test_split_alone(
    monkeypatch: pytest.MonkeyPatch, data: Digits
) -> None:
    class Poison:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError("the test split was read")

    poisoned: Any = Digits(data.train, data.validation, Poison())  # type: ignore[arg-type]
    monkeypatch.setattr(training, "_data", lambda: poisoned)
    assert train("SGD", tuned("SGD"), 0, epochs=1).test_accuracy is None
    with pytest.raises(AssertionError, match="the test split was read"):
        train("SGD", tuned("SGD"), 0, epochs=1, evaluate="test")


def test_the_test_accuracy_is_that_of_the_test_split(
    monkeypatch: pytest.MonkeyPatch, data: Digits
) -> None:
    # With the validation split in its place the two accuracies are one number.
    same = Digits(data.train, data.validation, data.validation)
    monkeypatch.setattr(training, "_data", lambda: same)
    run = train("Adam", tuned("Adam"), 0, epochs=1, evaluate="test")
    assert run.test_accuracy == run.validation_accuracy


@pytest.mark.parametrize("evaluate", ["validation", "test"])
def test_a_diverged_run_keeps_what_it_has(evaluate: Any) -> None:
    values = {"lr": 1e38, "momentum": 0.9}  # the second step overflows float32
    run = train("SGD", values, 0, epochs=3, evaluate=evaluate)
    assert (run.status, run.epochs, run.test_accuracy) == ("diverged", (0,), None)
    assert run.train_loss == pytest.approx(math.log(10), abs=0.1)  # still the untrained net
    assert run.hyperparameters == values


def test_progress() -> None:
    seen: list[tuple[int, float]] = []
    run = train("SGD", tuned("SGD"), 0, epochs=2, progress=lambda *at: seen.append(at))
    assert seen == list(zip(run.epochs, run.losses, strict=True))[1:]


@pytest.mark.parametrize("name", CAPPED)
def test_capped(name: str, data: Digits) -> None:
    # One batch of everything: the momentum before C is −h∇f(x₀), so 2chp² >= 1 where
    # |∇f| >= 1/√(2ch³). Put that in the middle of two neighbours among the sorted gradients.
    landscape = Network(classifier(seed=0), cross_entropy, data.train)
    g = landscape.gradient(landscape.start).abs().sort().values
    at = round(0.7 * len(g))
    h = 0.1
    values = {"lr": h, "gamma": 1.0, "c": 2 / (h**3 * (g[at - 1] + g[at]).item() ** 2)}
    if name == "CADAM":
        values["alpha"] = 1.0
    run = train(name, values, 0, epochs=1, batch_size=1000)
    assert run.capped == pytest.approx(1 - at / len(g), abs=2 / len(g))  # g to rounding


def test_looking_at_the_cap_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, runs: Mapping[str, TrainingRun]
) -> None:
    monkeypatch.setattr(training, "CAPPED_EVERY", 1)
    for name in CAPPED:
        assert curve(train(name, tuned(name), 0, epochs=2)) == curve(runs[name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "RMSprop"}, "optimizer must be one of LDHD, IKFAD, CD, CADAM, SGD, Adam"),
        ({"hyperparameters": {"lr": 0.1}}, "SGD takes the hyperparameters lr, momentum; got lr"),
        ({"hyperparameters": {"lr": -1, "momentum": 0}}, "[Ii]nvalid learning rate"),
        ({"epochs": 0}, "epochs must be a whole number >= 1; got 0"),
        ({"batch_size": 0}, "batch_size must be a whole number >= 1; got 0"),
        ({"evaluate": "train"}, "evaluate must be 'validation' or 'test'; got 'train'"),
    ],
)
def test_wrong_calls(change: dict[str, Any], message: str) -> None:
    call: dict[str, Any] = {"name": "SGD", "hyperparameters": tuned("SGD"), "seed": 0, "epochs": 1}
    with pytest.raises(ValueError, match=message):
        train(**{**call, **change})


# --- the tuned hyperparameters --------------------------------------------------------------------


def test_digits_json(chosen: dict[str, Any]) -> None:
    assert list(chosen["optimizers"]) == list(OPTIMIZERS)
    assert (chosen["epochs"], chosen["batch_size"]) == (training.EPOCHS, training.BATCH_SIZE)
    assert not set(chosen["seeds"]) & set(range(5))  # the study's
    for name, method in OPTIMIZERS.items():
        values = chosen["optimizers"][name]["hyperparameters"]
        assert values == tuned(name)
        assert tuple(values) == method.names
        assert all(math.isfinite(value) and value > 0 for value in values.values())
        assert chosen["optimizers"][name]["cap_not_felt"] < chosen["trials"]
    with pytest.raises(ValueError, match="optimizer must be one of"):
        tuned("sgd")


@pytest.mark.parametrize("name", CAPPED)
def test_the_cap_is_felt(name: str, chosen: dict[str, Any]) -> None:
    assert chosen["optimizers"][name]["capped"] >= 0.01
    assert train(name, tuned(name), chosen["seeds"][0]).capped >= 0.01


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_draws_are_repeatable(name: str, script: ModuleType) -> None:
    search = script.Search(trials=20)
    draws = list(script.draw(name, search))
    assert draws == list(script.draw(name, search)) and len(draws) == 20
    assert draws != list(script.draw(name, script.Search(trials=20, seed=1)))
    assert all(tuple(values) == OPTIMIZERS[name].names for values in draws)


@pytest.mark.parametrize("corner", [0, 1])
def test_conversions(corner: int) -> None:
    draw = {what: at[corner] for what, at in SEARCHES["CADAM"].ranges.items()}
    v, adam = (SEARCHES[name].hyperparameters(draw) for name in ("CADAM", "Adam"))
    h = v["lr"]
    assert math.exp(-v["gamma"] * h) == pytest.approx(adam["beta1"], rel=1e-12)
    assert math.exp(-v["alpha"] * h) == pytest.approx(adam["beta2"], rel=1e-12)
    lr = h**2 * math.sqrt(v["alpha"]) / (1 - adam["beta1"])
    assert lr == pytest.approx(adam["lr"], rel=1e-12)
    assert 1 / math.sqrt(2 * v["c"] * h) == pytest.approx(draw["max_momentum"], rel=1e-12)
    draw = {what: at[corner] for what, at in SEARCHES["IKFAD"].ranges.items()}
    v, cd = (SEARCHES[name].hyperparameters(draw) for name in ("IKFAD", "CD"))
    assert 1 / (v["alpha"] * v["mu"]) == pytest.approx(cd["c"], rel=1e-12)


def test_choice(script: ModuleType) -> None:
    def trial(accuracy: float, loss: float, capped: float | None, finished: bool = True) -> Any:
        return script.Trial("CD", {}, accuracy, loss, capped, finished)

    best = trial(0.97, 0.12, 0.01)
    others = [
        trial(0.99, 0.05, 0.0099),  # its cap is not felt
        trial(0.98, 0.05, 0.5, finished=False),
        trial(0.97, 0.13, 0.5),  # as accurate, a higher loss
        trial(0.96, 0.05, 0.5),
    ]
    assert script.choose([*others, best]) is best
    assert script.choose([best, *others]) is best
    assert (
        script.choose([trial(0.9, 0.3, None), trial(0.95, 0.3, None)]).validation_accuracy == 0.95
    )
    with pytest.raises(RuntimeError, match="no trial of CD is eligible"):
        script.choose(others[:2])


def test_the_studys_seeds_are_refused(script: ModuleType) -> None:
    with pytest.raises(ValueError, match="seeds must not be the study's, 0 to 4"):
        script.Search(seeds=(4, 5))


def test_the_journal_survives_a_cut_line(script: ModuleType, tmp_path: Path) -> None:
    name, values = "SGD", {"lr": 0.1, "momentum": 0.9}
    record = {"key": script.key(name, values, 100), "status": "finished"}
    path = tmp_path / "journal.jsonl"
    assert script.read_journal(path) == {}
    path.write_text(json.dumps(record) + "\n" + json.dumps(record)[:20], encoding="utf-8")
    assert script.read_journal(path) == {record["key"]: record}
