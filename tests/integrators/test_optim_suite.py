"""Every optimizer of the table against a plain loop, in every implementation."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from optimizer_info import (
    ALL,
    IMPLEMENTATIONS,
    OURS,
    Loop,
    OptimizerInfo,
    WordLoop,
    give_gradients,
    parameters,
    values,
)
from torch import Tensor

from dashpot.dynamics import CADAM, CD, KFAD, Dynamics
from dashpot.integrators import optim

each = pytest.mark.parametrize("info", ALL, ids=str)
each_of_ours = pytest.mark.parametrize("info", OURS, ids=str)
STEPS = 8
# rounding of numbers of size 1 to 10 in eight steps of some thirty operations, in double precision
ROUNDING: dict[str, Any] = {"rtol": 1e-13, "atol": 1e-13}


def sizes(info: OptimizerInfo) -> list[float]:
    """Step sizes that change, rest for one step, and go on."""
    return [info.lr * factor for factor in (1.0, 1.0, 0.7, 0.4, 0.0, 1.2, 0.9, 0.9)]


def set_lr(group: dict[str, Any], lr: float) -> None:
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(lr)
    else:
        group["lr"] = lr


def follow(
    optimizer: torch.optim.Optimizer, loops: Sequence[Loop], lrs: Sequence[float], turned: bool
) -> None:
    """Steps of an optimizer and of a loop for each of its groups, with the same gradients."""
    for lr in lrs:
        for group, loop in zip(optimizer.param_groups, loops, strict=True):
            set_lr(group, lr)
            loop.step(give_gradients(group["params"], turned=turned), lr)
        optimizer.step()
        compare(optimizer, loops)


def compare(optimizer: torch.optim.Optimizer, loops: Sequence[Loop], **tolerance: Any) -> None:
    for group, loop in zip(optimizer.param_groups, loops, strict=True):
        for param, x in zip(group["params"], loop.x, strict=True):
            torch.testing.assert_close(param.detach().double(), x, **(tolerance or ROUNDING))


@each
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_it_is_the_plain_loop(info: OptimizerInfo, implementation: str) -> None:
    if implementation not in info.implementations:
        pytest.skip("torch's own needs a GPU for it")
    params = parameters()
    lr: Any = torch.tensor(info.lr, dtype=torch.float64)  # only with it is nothing waited for
    settings = {"lr": lr} if implementation == "capturable" else {}
    optimizer = info.make(params, **settings, **IMPLEMENTATIONS[implementation])
    start = values(params)
    lrs = sizes(info) if info.ours else [lr for lr in sizes(info) if lr]
    # torch's fused kernels for the CPU take it that a gradient lies as its parameter does
    follow(optimizer, [info.loop(params, 0.0)], lrs, turned=info.ours)
    assert (params[0].detach() - start[0]).abs().min() > 1e-3


def words(letters: str) -> st.SearchStrategy[str]:
    """Every letter once or twice, in any order."""
    counted = st.tuples(*(st.sampled_from((letter, 2 * letter)) for letter in letters))
    return counted.flatmap(lambda all_of: st.permutations("".join(all_of))).map("".join)


@pytest.mark.parametrize(
    "dynamics", [CD(0.3, 0.8), KFAD(0.3, 0.7, 0.9), CADAM(0.3, 0.6, 0.5, 0.1)], ids=str
)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_word_is_the_plain_loop(dynamics: Dynamics, data: st.DataObject) -> None:
    word = data.draw(words("".join(dynamics.parts)))
    params = parameters()[:3]
    optimizer = optim.optimizer(dynamics, params, 0.1, word=word, foreach=True)
    assume(optimizer.gradients == 1)
    loop = WordLoop(params, dynamics, word, 0.0)
    follow(optimizer, [loop], [0.1, 0.05, 0.08, 0.08], turned=False)


@each
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["single", "half"])
def test_lower_precision_follows(info: OptimizerInfo, dtype: torch.dtype) -> None:
    params = parameters(dtype)
    start = torch.cat([p.detach().double().flatten() for p in params])
    optimizer, loop = info.make(params), info.loop(params, 0.0)
    for _ in range(STEPS):
        loop.step(give_gradients(params), info.lr)
        optimizer.step()
    found = torch.cat([p.detach().double().flatten() for p in params])
    exact = torch.cat([x.flatten() for x in loop.x])
    # a step rounds x ≤ 3 to half an ulp; to the gradient that is an error of at most a few of
    # them, with a sign by chance: on average over 37 numbers less than an ulp of 2 in a step
    assert (found - exact).abs().mean() <= STEPS * torch.finfo(dtype).eps
    moved = (exact - start).abs().mean()
    assert (found - exact).abs().mean() <= moved / 4, (
        "it is not nearer to the loop than to the start"
    )


@each_of_ours
def test_foreach_and_single_are_the_same_bits(info: OptimizerInfo) -> None:
    one, two = parameters(torch.float32), parameters(torch.float32)
    first, second = info.make(one, foreach=True), info.make(two, foreach=False)
    for _ in range(STEPS):
        for params, optimizer in ((one, first), (two, second)):
            give_gradients(params)
            optimizer.step()
    for a, b in zip(one, two, strict=True):
        assert torch.equal(a, b)


@each
@pytest.mark.parametrize("implementation", ["foreach", "fused"])
def test_groups_have_their_own_settings(info: OptimizerInfo, implementation: str) -> None:
    params = parameters()
    groups = [
        {"params": params[:2]},
        {"params": params[2:], "maximize": True, **({"weight_decay": 0.2} if info.decays else {})},
    ]
    optimizer = info.make(groups, **IMPLEMENTATIONS[implementation])
    loops = [info.loop(params[:2], 0.0), info.loop(params[2:], 0.2 if info.decays else 0.0)]
    for _ in range(STEPS):
        for group, loop, sign in zip(optimizer.param_groups, loops, (1.0, -1.0), strict=True):
            grads = give_gradients(group["params"], 0.3)
            loop.step([sign * grad for grad in grads], info.lr)
        optimizer.step()
    compare(optimizer, loops)


@each
def test_the_points_may_be_a_list_a_generator_or_named(info: OptimizerInfo) -> None:
    twins = [parameters() for _ in range(3)]
    named = [(f"layer.{i}", p) for i, p in enumerate(twins[2])]
    made = [info.make(twins[0]), info.make(p for p in twins[1]), info.make(iter(named))]
    for params, optimizer in zip(twins, made, strict=True):
        for _ in range(3):
            give_gradients(params)
            optimizer.step()
    for one, two, three in zip(*twins, strict=True):
        assert torch.equal(one, two)
        assert torch.equal(one, three)
    names = made[2].state_dict()["param_groups"][0]["param_names"]
    assert names == [name for name, _ in named]


@each_of_ours
def test_numbers_may_be_tensors(info: OptimizerInfo) -> None:
    plain, given = parameters(), parameters()
    one, two = info.make(plain), info.make(given)
    for group in two.param_groups:
        for name in ("lr", *info.hyperparameters, "weight_decay"):
            group[name] = torch.tensor(float(group[name]), dtype=torch.float64)
    for _ in range(STEPS):
        for params, optimizer in ((plain, one), (given, two)):
            give_gradients(params)
            optimizer.step()
    for a, b in zip(plain, given, strict=True):
        torch.testing.assert_close(a, b, **ROUNDING)


@each
@pytest.mark.parametrize("implementation", ["single", "foreach"])
def test_complex_parameters_are_pairs_of_real_ones(
    info: OptimizerInfo, implementation: str
) -> None:
    real = [p for p in parameters() if p.ndim in (1, 2) and p.shape[-1] != 5]
    paired = [torch.nn.Parameter(torch.stack([p, 0.5 - p], -1).detach()) for p in real]
    whole = [torch.nn.Parameter(torch.view_as_complex(p.detach().clone())) for p in paired]
    one = info.make(paired, **IMPLEMENTATIONS[implementation])
    two = info.make(whole, **IMPLEMENTATIONS[implementation])
    for _ in range(STEPS):
        give_gradients(paired, 0.3)
        for p, q in zip(paired, whole, strict=True):
            assert p.grad is not None
            q.grad = torch.view_as_complex(p.grad.contiguous())
        one.step()
        two.step()
    for p, q in zip(paired, whole, strict=True):
        rounding: Any = {"rtol": 0, "atol": 0} if info.ours else ROUNDING
        torch.testing.assert_close(p.detach(), torch.view_as_real(q.detach()), **rounding)
    if info.ours:
        assert two.state[whole[0]]["p"].dtype == torch.complex128


@each_of_ours  # torch's own cannot
def test_gradients_may_be_conjugates(info: OptimizerInfo) -> None:
    points = [torch.nn.Parameter(torch.tensor([1 + 2j, 0.5j])) for _ in range(2)]
    made = [info.make([p]) for p in points]
    grad = torch.tensor([0.3 - 1j, 2.0])
    points[0].grad, points[1].grad = grad.conj(), grad.conj().resolve_conj()
    for optimizer in made:
        optimizer.step()
    assert torch.equal(*points)
