"""Optimizers as torch users know them: groups, schedulers, closures, decay, maximize, lr = 0."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from problems import CATALOGUE, CoupledQuartic, Watched, closure_of, descend, parameter
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR, StepLR

from dashpot.dynamics import CD, LDHD, Drift, Dynamics, Kick, WeightDecay
from dashpot.integrators import optim
from dashpot.integrators.optim import WordOptimizer

landscape = CoupledQuartic()
X0, Y0 = [1.0, -0.6], [0.4, 0.9]
SYMMETRIC = "BCDADCB"
WORDS = ["BACD", "BCDA", SYMMETRIC, "ADCBCDA"]


def step(optimizer: torch.optim.Optimizer) -> None:
    """One step with the landscape's gradient in every parameter."""
    for group in optimizer.param_groups:
        for param in group["params"]:
            param.grad = landscape.df(param.detach())
    optimizer.step()


@pytest.mark.parametrize("word", WORDS)
def test_groups_have_their_own_settings(word: str) -> None:
    a, b, a2, b2 = parameter(X0), parameter(Y0), parameter(X0), parameter(Y0)
    both = optim.CD(
        [{"params": [a]}, {"params": [b], "lr": 0.05, "gamma": 0.7, "c": 3.0}],
        lr=0.1, gamma=0.3, c=0.8, word=word,
    )  # fmt: skip
    first = optim.CD([a2], lr=0.1, gamma=0.3, c=0.8, word=word)
    second = optim.CD([b2], lr=0.05, gamma=0.7, c=3.0, word=word)
    for _ in range(20):
        for optimizer in (both, first, second):
            step(optimizer)
    assert torch.equal(a, a2)
    assert torch.equal(b, b2)


def test_a_group_added_later() -> None:
    a, b, b2 = parameter(X0), parameter(Y0), parameter(Y0)
    optimizer = optim.CD([a], lr=0.1, gamma=0.3, c=0.8)
    step(optimizer)
    optimizer.add_param_group({"params": [b], "gamma": 0.9})
    alone = optim.CD([b2], lr=0.1, gamma=0.9, c=0.8)
    for _ in range(5):
        step(optimizer)
        step(alone)
    assert torch.equal(b, b2)


SCHEDULERS: list[Callable[[Any], Any]] = [
    lambda o: StepLR(o, 5, 0.5),
    lambda o: LambdaLR(o, lambda n: 1 / (1 + 0.2 * n)),
    lambda o: OneCycleLR(o, max_lr=0.2, total_steps=30, cycle_momentum=False),
]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("make", SCHEDULERS, ids=["step", "lambda", "one cycle"])
def test_schedulers_set_the_step_size(make: Callable[[Any], Any], word: str) -> None:
    """Against the flows applied by hand: the closing piece of a step has the last h."""
    param = parameter(X0)
    optimizer = optim.CD([param], lr=0.1, gamma=0.3, c=0.8, word=word)
    scheduler = make(optimizer)
    sizes, points = [], []
    for _ in range(20):
        sizes.append(optimizer.param_groups[0]["lr"])
        step(optimizer)
        scheduler.step()
        points.append(param.detach().clone())
    assert len(set(sizes)) > 3
    expected = by_hand(word, sizes)
    torch.testing.assert_close(torch.stack(points), expected, rtol=1e-13, atol=1e-13)


def by_hand(word: str, sizes: list[float]) -> torch.Tensor:
    """The points where gradients are taken, with steps of varying h, then the point reached."""
    x, p = torch.tensor(X0, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    share = {letter: 1 / word.count(letter) for letter in word}
    points = []
    for h in sizes:
        moved = False
        for letter in word:
            t = h * share[letter]
            if letter == "A":
                x, moved = x + t * p, True
            elif letter == "B":
                if moved or word[0] == "A":
                    points.append(x)  # a gradient point met after a drift
                    moved = False
                p = p - t * landscape.df(x)
            elif letter == "C":
                p = p / (1 + 2 * 0.8 * t * p * p).sqrt()
            else:
                p = math.exp(-0.3 * t) * p
        if moved and word[0] != "A":
            points.append(x)
    return torch.stack(points)


def test_a_closure_is_called_once_and_its_loss_returned() -> None:
    param, twin = parameter(X0), parameter(X0)
    optimizer = optim.CD([param], lr=0.1, gamma=0.3, c=0.8)
    watched = Watched(landscape)
    loss = optimizer.step(closure_of(optimizer, param, watched))
    assert loss.item() == landscape(X0).item()
    assert watched.calls == 1
    other = optim.CD([twin], lr=0.1, gamma=0.3, c=0.8)
    step(other)
    assert torch.equal(param, twin)


def test_a_closure_may_differentiate() -> None:
    param = parameter(X0)
    optimizer = optim.CD([param], lr=0.1, gamma=0.3, c=0.8)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (param**2).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == pytest.approx(1.36)
    assert not torch.equal(param, parameter(X0))


def every_optimizer() -> list[Any]:
    return [
        pytest.param(dynamics, word, id=f"{dynamics.name}-{word or dynamics.word}")
        for dynamics in CATALOGUE
        for word in (None, "BECDADCEB" if dynamics.name == "CADAM" else None)
        if word or dynamics.word
    ] + [pytest.param(CD(0.3, 0.8), word, id=word) for word in WORDS[1:]]


@pytest.mark.parametrize(("dynamics", "word"), every_optimizer())
def test_no_step_size_changes_nothing(dynamics: Dynamics, word: str | None) -> None:
    param = parameter(X0)
    optimizer = WordOptimizer(dynamics, [param], lr=0.1, word=word, weight_decay=0.1)
    step(optimizer)
    step(optimizer)
    before, state = param.detach().clone(), {
        k: v.clone() for k, v in optimizer.state[param].items() if isinstance(v, torch.Tensor)
    }  # fmt: skip
    optimizer.param_groups[0]["lr"] = 0.0
    step(optimizer)
    assert torch.equal(param, before)
    for name, value in state.items():
        assert torch.equal(optimizer.state[param][name], value), name


@pytest.mark.parametrize(("dynamics", "word"), every_optimizer())
def test_zero_gradients_on_fresh_state_change_nothing(dynamics: Dynamics, word: str | None) -> None:
    param = parameter(X0)
    optimizer = WordOptimizer(dynamics, [param], lr=0.1, word=word)
    for _ in range(3):
        param.grad = torch.zeros_like(param)
        optimizer.step()
    assert torch.equal(param, parameter(X0))


@pytest.mark.parametrize(("dynamics", "word"), every_optimizer())
def test_gradients_are_never_modified(dynamics: Dynamics, word: str | None) -> None:
    for maximize in (False, True):
        param = parameter(X0)
        optimizer = WordOptimizer(dynamics, [param], lr=0.1, word=word, maximize=maximize)
        for _ in range(3):
            grad = landscape.df(param.detach())
            copy = grad.clone()
            param.grad = grad
            optimizer.step()
            assert param.grad is grad
            assert torch.equal(grad, copy)


@pytest.mark.parametrize("word", WORDS)
def test_maximize_climbs_as_the_negated_loss_descends(word: str) -> None:
    param, twin = parameter(X0), parameter(X0)
    up = optim.CD([param], lr=0.1, gamma=0.3, c=0.8, word=word, maximize=True)
    down = optim.CD([twin], lr=0.1, gamma=0.3, c=0.8, word=word)
    for _ in range(5):
        step(up)
        twin.grad = -landscape.df(twin.detach())
        down.step()
    assert torch.equal(param, twin)


def test_momentum_init_gradient_first_climbs() -> None:
    """p0 = +∇f: with BDA at γ = 0 the kick leaves p = (1 − h) ∇f and x = x0 + h (1 − h) ∇f."""
    param, h = parameter(X0), 0.1
    optimizer = optim.LDHD([param], lr=h, gamma=0.0, momentum_init="gradient")
    step(optimizer)
    g = landscape.df(torch.tensor(X0, dtype=torch.float64))
    expected = torch.tensor(X0, dtype=torch.float64) + h * (1 - h) * g
    torch.testing.assert_close(param.detach(), expected, rtol=1e-15, atol=1e-15)
    assert landscape(param.detach()) > landscape(X0)


@pytest.mark.parametrize("word", ["BDA", "BDWA", "WBDA", "BDADB"])
def test_weight_decay_on_a_flat_loss_is_its_exact_flow(word: str) -> None:
    param = parameter(X0)
    optimizer = optim.LDHD([param], lr=0.1, gamma=0.3, word=word, weight_decay=0.5)
    for _ in range(10):
        param.grad = torch.zeros_like(param)
        optimizer.step()
    expected = torch.tensor(X0, dtype=torch.float64) * math.exp(-0.5 * 0.1 * 10)
    torch.testing.assert_close(param.detach(), expected, rtol=1e-14, atol=0)


def test_weight_decay_stands_before_the_first_drift() -> None:
    param, twin = parameter(X0), parameter(X0)
    default = optim.CD([param], lr=0.1, gamma=0.3, c=0.8, weight_decay=0.5)
    written = optim.CD([twin], lr=0.1, gamma=0.3, c=0.8, weight_decay=0.5, word="BWACD")
    after = parameter(X0)
    last = optim.CD([after], lr=0.1, gamma=0.3, c=0.8, weight_decay=0.5, word="BACDW")
    for _ in range(5):
        step(default)
        step(written)
        step(last)
    assert torch.equal(param, twin)
    assert not torch.equal(param, after)


def test_weight_decay_of_ones_own_dynamics_is_kept() -> None:
    param = parameter([1.0])
    mine = Dynamics(Drift(), Kick(), WeightDecay(0.5))
    optimizer = optim.optimizer(mine, [param], lr=0.1)
    param.grad = torch.zeros_like(param)
    optimizer.step()
    assert optimizer.param_groups[0]["weight_decay"] == 0.5
    assert param.item() == pytest.approx(math.exp(-0.05), rel=1e-15)


def test_lr_may_be_a_tensor() -> None:
    param, twin = parameter(X0), parameter(X0)
    by_tensor = optim.CD([param], lr=torch.tensor(0.1, dtype=torch.float64), gamma=0.3, c=0.8)
    by_number = optim.CD([twin], lr=0.1, gamma=0.3, c=0.8)
    step(by_tensor)
    step(by_number)
    assert torch.equal(param, twin)


def test_max_step_is_c() -> None:
    """c = h/(2 max_step²), and BCDA then moves no coordinate by more than max_step."""
    param = parameter(X0)
    optimizer = optim.CD([param], lr=0.1, gamma=0.0, max_step=0.02, word="BCDA")
    assert optimizer.param_groups[0]["c"] == pytest.approx(0.1 / (2 * 0.02**2), rel=1e-15)
    assert optim.max_step_to_c(0.1, 0.02) == optimizer.param_groups[0]["c"]
    steep = Watched(landscape)
    steep.df = lambda x: 1e12 * landscape.df(x)
    moves = descend(optimizer, param, steep, 30).diff(dim=0).abs()
    assert moves.max() <= 0.02 * (1 + 1e-14)
    assert moves[0].tolist() == pytest.approx([0.02, 0.02], rel=1e-12)
    default = optim.CD([parameter(X0)], lr=0.1).param_groups[0]["c"]
    assert default == pytest.approx(0.1 / (2 * 1e-6), rel=1e-12)


def test_repr_tells_what_a_call_runs() -> None:
    made: Callable[..., str] = lambda word, **k: repr(  # noqa: E731
        optim.CD([parameter(X0)], lr=0.1, c=1.0, word=word, **k)
    )
    assert "of CD: a call runs BACD" in made("BACD")
    assert "a call runs B | BCDADC, the first call BCDADC" in made(SYMMETRIC)
    assert "a call runs BCDWA" in made("BCDA", weight_decay=0.1)
    assert "rests" not in made("BCDA", weight_decay=0.1)
    assert "a call runs BCDA; W rests, weight_decay is 0" in made("BCDA")
    assert "a call runs BABACD, with 2 gradients from a closure" in made("BABACD")
    assert "lr: 0.1" in made("BACD")


def test_step_hooks_run() -> None:
    param = parameter(X0)
    optimizer = optim.LDHD([param], lr=0.1)
    seen: list[str] = []
    optimizer.register_step_pre_hook(lambda *_: seen.append("before"))
    optimizer.register_step_post_hook(lambda *_: seen.append("after"))
    step(optimizer)
    assert seen == ["before", "after"]
    assert LDHD(1.0).name in repr(optimizer)


def test_misspelt_group_keys_are_refused() -> None:
    with pytest.raises(ValueError, match="'gama'; did you mean 'gamma'"):
        optim.LDHD([{"params": [parameter(X0)], "gama": 3.0}], lr=0.1)
    group = {"params": [parameter(X0)], "name": "head"}  # a label of one's own is fine
    assert optim.LDHD([group], lr=0.1).param_groups[0]["name"] == "head"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Cd", "did you mean CD"),
        ("SGD", r"convert\.from_sgd makes its equivalent"),
        ("AdamW", r"convert\.from_adam makes"),
        ("Langevin", r"optimizer\(Langevin\(\.\.\.\), params, lr\)"),
        ("__path__", "there are CADAM, CD"),
    ],
)
def test_a_name_that_is_not_there(name: str, told: str) -> None:
    with pytest.raises(AttributeError, match=told):
        getattr(optim, name)
