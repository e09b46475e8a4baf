"""The optimizers that are compared: how they are made, what is drawn, what is published."""

import copy
import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_regression import equal, net, run
from torch import Tensor, nn
from torch.optim import Optimizer

from dashpot.analysis.training.draws import from_hyperparameters
from dashpot.analysis.training.methods import METHODS
from dashpot.analysis.training.published import all_published, published
from dashpot.analysis.training.search import Search, search
from dashpot.analysis.training.settings import Settings

TASKS = ("cifar", "vit", "sst2", "qnli", "nano", "owt", "gpt2", "lstm", "cnn")
DECOUPLED = ("LDHD", "CD", "AdamW", "NAdamW", "Muon")
COUPLED = ("SGD", "Nesterov")
DRAWN = [name for name in METHODS if name != "IKFAD+cubic"]
SEARCHED = [name for name in DRAWN if name != "Adam"]
PAIRS = [
    (task, name)
    for task, name in itertools.product(TASKS, SEARCHED)
    if (name, task) not in (("Muon", "cifar"), ("Muon", "cnn"))
]
DRAW = {
    "lr": 0.02,
    "adamw_lr": 0.02,
    "1 - momentum": 0.1,
    "1 - beta1": 0.1,
    "1 - beta2": 0.01,
    "max_momentum": 1.0,
    "alpha lr": 0.1,
    "decay": 1e-3,
    "clip": 1.0,
}


def values_of(name: str) -> dict[str, float]:
    if name == "IKFAD+cubic":
        return {**Search("IKFAD", {}).hyperparameters(DRAW), "c": 1.0}
    return Search(name, {}).hyperparameters(DRAW)


def made(name: str, network: nn.Module, **others: Any) -> Optimizer:
    values = values_of(name)
    return METHODS[name].build(network.named_parameters(), {**values, **others})


# --- made -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
def test_it_trains(name: str) -> None:
    # The best constant prediction leaves the variance of sin(x), (1 − e^{−2})/2 = 0.43.
    network = net()
    losses = run(network, made(name, network), steps=150)
    assert torch.stack(losses[-20:]).mean() < 0.2 * (1 - math.exp(-2)) / 2


@pytest.mark.parametrize("name", [name for name in METHODS if name != "Muon"])
def test_names_change_nothing(name: str) -> None:
    values = values_of(name)
    one, other = net(), net()
    run(one, METHODS[name].build(one.named_parameters(), values))
    run(other, METHODS[name].build(other.parameters(), values))
    assert equal(one, other)


@pytest.mark.parametrize("name", ["SGD", "Nesterov", "Adam", "AdamW", "NAdamW", "Muon"])
def test_torch_runs_in_few_kernels(name: str) -> None:
    way = "foreach" if name == "NAdamW" else "fused"
    assert made(name, net()).param_groups[-1][way] is True
    if name != "Muon":
        assert made(name, net(), foreach=False).param_groups[0]["foreach"] is False
    one, other = net(torch.float64), net(torch.float64)
    run(one, made(name, one))
    run(other, made(name, other, **{way: False}))
    for p, q in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.allclose(p, q, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["Adam", "AdamW", "NAdamW"])
def test_betas_may_be_left_out(name: str) -> None:
    for some, betas in (({}, (0.9, 0.999)), ({"beta2": 0.95}, (0.9, 0.95))):
        found = METHODS[name].build(net().parameters(), {"lr": 0.01, **some})
        assert found.param_groups[0]["betas"] == betas


def test_both_frictions_are_each_alone() -> None:
    # Without the cubic part IKFAD's; CD's where ξ needs infinitely much to grow.
    values = values_of("IKFAD+cubic")
    for name, change in (("IKFAD", {"c": 0.0}), ("CD", {"mu": 1e30})):
        one, other = net(torch.float64), net(torch.float64)
        given = {**values, **change}
        run(one, METHODS["IKFAD+cubic"].build(one.parameters(), given))
        alone = {what: given[what] for what in METHODS[name].names}
        run(other, METHODS[name].build(other.parameters(), alone))
        for p, q in zip(one.parameters(), other.parameters(), strict=True):
            assert torch.allclose(p, q, rtol=1e-12, atol=1e-14)


def test_nadamw_decouples_its_weight_decay() -> None:
    # Without gradients only the decay moves: 1 − lr w a step.
    network = net(torch.float64)
    before = copy.deepcopy(network)
    optimizer = made("NAdamW", network, weight_decay=0.5)
    zero_steps(network, optimizer, 3)
    for p, q in zip(network.parameters(), before.parameters(), strict=True):
        assert torch.allclose(p, q * (1 - 0.02 * 0.5) ** 3, rtol=1e-12, atol=0)


def zero_steps(network: nn.Module, optimizer: Optimizer, steps: int) -> None:
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    for _ in range(steps):
        optimizer.step()


# --- drawn ----------------------------------------------------------------------------------------


@st.composite
def draws(data: Callable[..., Any]) -> tuple[str, Search, dict[str, float]]:
    task, name = data(st.sampled_from(PAIRS))
    found = search(task, name)
    places = data(st.tuples(*[st.floats(0, 1)] * len(found.ranges)))
    at = {
        what: low * (high / low) ** place
        for place, (what, (low, high)) in zip(places, found.ranges.items(), strict=True)
    }
    return task, found, at


@settings(max_examples=60, deadline=None)
@given(draws())
def test_every_draw_is_valid(drawn: tuple[str, Search, dict[str, float]]) -> None:
    task, found, draw = drawn
    made = Settings(task=task, setting="tiny", optimizer=found.method, **found.settings(draw))
    assert all(value > 0 and math.isfinite(value) for value in made.hyperparameters.values())
    assert made.build(net().named_parameters()).param_groups[0]["lr"] == made.hyperparameters["lr"]
    assert (made.weight_decay > 0) == ("decay" in draw) and made.clip == draw.get("clip")
    back = from_hyperparameters(found.method, made.hyperparameters)
    assert back == pytest.approx({name: draw[name] for name in back}, rel=1e-9)
    assert set(draw) - set(back) <= {"decay", "clip"}


@pytest.mark.parametrize(("task", "name"), PAIRS)
def test_four_are_drawn_where_the_published_ones_are(task: str, name: str) -> None:
    ranges = search(task, name).ranges
    assert len(ranges) == 4
    assert all(0 < low < high / 10 for low, high in ranges.values())
    if task in ("lstm", "cnn") or name not in all_published(task):
        return
    for what, value in from_hyperparameters(name, published(task, name)).items():
        low, high = ranges[what]
        assert low <= value <= high, what


def test_ranges_mean_the_same() -> None:
    def ranges(what: str, *names: str) -> set[tuple[float, float]]:
        return {search("vit", name).ranges[what] for name in names}

    assert len(ranges("lr", "SGD", "Nesterov", "LDHD", "CD", "IKFAD", "KFAD", "RIKFAD")) == 1
    assert len(ranges("lr", "AdamW", "NAdamW", "CADAM", "Muon")) == 1
    assert len(ranges("max_momentum", "CD", "IKFAD", "RIKFAD")) == 1
    assert len(ranges("decay", "SGD", "LDHD", "CD", "AdamW", "NAdamW", "Muon")) == 1
    assert search("lstm", "CD") == search("nano", "CD")


def trajectory(name: str, draw: Mapping[str, float], **others: Any) -> Tensor:
    network = net(torch.float64)[:3]  # Adam would enlarge the rounding before the normalisation
    values = Search(name, {}).hyperparameters(draw)
    if name == "CADAM":
        others["eps"] /= math.sqrt(values["alpha"])
    optimizer = METHODS[name].build(network.named_parameters(), {**values, **others})
    run(network, optimizer, steps=8)
    return nn.utils.parameters_to_vector(network.parameters()).detach()


@settings(max_examples=5, deadline=None)
@given(st.floats(1e-3, 0.1), st.floats(0.01, 0.5))
def test_one_draw_one_trajectory(lr: float, forgotten: float) -> None:
    draw = {"lr": lr, "1 - momentum": forgotten, "max_momentum": 1e9}
    sgd = trajectory("SGD", draw)
    for name in ("LDHD", "CD"):
        assert torch.allclose(trajectory(name, draw), sgd, rtol=1e-11, atol=1e-12)
    draw = {"lr": lr, "1 - beta1": forgotten, "1 - beta2": 0.01, "max_momentum": 1e9}
    cadam = trajectory("CADAM", draw, bias_correction=True, eps=1e-4)
    adamw = trajectory("AdamW", draw, eps=1e-4)
    assert torch.allclose(cadam, adamw, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", [*DECOUPLED, *COUPLED])
def test_decay(name: str) -> None:
    # Without gradients the weights lose the drawn part in every step; through SGD's momentum they
    # do in the long run, up to the part times its memory.
    found = search("nano", name)
    draw = {**{what: DRAW[what] for what in found.ranges}, "lr": 0.01, "adamw_lr": 0.01}
    settings = found.settings({what: draw[what] for what in found.ranges})
    network = net(torch.float64)
    optimizer = METHODS[name].build(
        network.named_parameters(),
        {**settings["hyperparameters"], "weight_decay": settings["weight_decay"]},
    )
    zero_steps(network, optimizer, 200 if name in COUPLED else 1)
    before = copy.deepcopy(network)
    zero_steps(network, optimizer, 10)
    for p, q in zip(network.parameters(), before.parameters(), strict=True):
        p, q = p.detach(), q.detach()
        tolerance = 2 * draw["decay"] / DRAW["1 - momentum"] if name in COUPLED else 1e-9
        lost = 1 - (p[q != 0] / q[q != 0]) ** 0.1
        assert lost == pytest.approx(draw["decay"], rel=tolerance)


@pytest.mark.parametrize(
    ("task", "name", "message"),
    [
        ("nano", "IKFAD+cubic", "one of LDHD"),
        ("nano", "Adam", "one of LDHD, .*AdamW.*; got 'Adam'"),
        ("cifar", "Muon", "no hidden matrix"),
        ("gpt3", "CD", "nothing is published for gpt3; there is cifar, vit"),
    ],
)
def test_no_search(task: str, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        search(task, name)


def test_a_draw_of_other_names() -> None:
    with pytest.raises(ValueError, match="SGD draws lr, 1 - momentum, decay, clip; got lr"):
        search("nano", "SGD").settings({"lr": 0.1})


# --- published ------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS[:7])
def test_published(task: str) -> None:
    assert set(all_published(task)) == {"IKFAD", "CD", "CADAM", "SGD", "AdamW"}
    for name, values in all_published(task).items():
        assert set(values) == set(METHODS[name].names)
        assert all(value > 0 for value in values.values())
        assert published(task, name) == values
        made = METHODS[name].build(net().named_parameters(), values)
        assert made.param_groups[0]["lr"] == values["lr"]
    if task != "cifar":
        frictionless = all_published(task, frictionless=True)
        assert set(frictionless) == {"IKFAD", "CD", "CADAM"}
        assert all(values["gamma"] == 0 for values in frictionless.values())


def test_where_nothing_is_published() -> None:
    assert all_published("gpt2") == all_published("owt")
    with pytest.raises(ValueError, match=r"for lstm; there is cifar, .*owt, gpt2$"):
        published("lstm", "CD")
    with pytest.raises(ValueError, match="for Muon in nano; there is IKFAD, CD, CADAM, SGD, AdamW"):
        published("nano", "Muon")
    with pytest.raises(ValueError, match="for SGD in nano with γ = 0; there is IKFAD, CD, CADAM"):
        published("nano", "SGD", frictionless=True)
    with pytest.raises(ValueError, match="for cifar with γ = 0; there is vit"):
        published("cifar", "CD", frictionless=True)


def test_nobody_changes_what_is_published() -> None:
    published("nano", "CD")["c"] = 0.0
    assert published("nano", "CD")["c"] > 0
