"""State in bfloat16, rounded stochastically; and when a kernel makes the step."""

import math
from typing import Any

import pytest
import torch
from optimizer_info import OURS, OptimizerInfo, give_gradients, parameters, values
from torch import nn

from dashpot.integrators import optim
from dashpot.integrators.kernels.errors import NoKernelError
from dashpot.integrators.kernels.fused.step import FusedStep
from dashpot.integrators.optimizers.fused import WORTHWHILE

each = pytest.mark.parametrize("info", OURS, ids=str)


def advance(optimizer: torch.optim.Optimizer, steps: int) -> None:
    for _ in range(steps):
        for group in optimizer.param_groups:
            give_gradients(group["params"])
        optimizer.step()


@each
def test_what_is_shaped_like_a_parameter_is_kept_in_half_the_memory(info: OptimizerInfo) -> None:
    params = parameters(torch.float32)
    optimizer = info.make(params, state_dtype=torch.bfloat16)
    advance(optimizer, 3)
    for param, state in optimizer.state.items():
        for name, value in state.items():
            if not isinstance(value, torch.Tensor):
                continue
            if name == "t" or (name == "xi" and info.name.startswith("KFAD")):
                assert value.dtype == torch.float64
            else:
                small = value.shape == param.shape
                assert value.dtype == (torch.bfloat16 if small else torch.float32)
    for p, start in zip(params, parameters(torch.float32), strict=True):
        assert p.dtype == torch.float32
        assert p.numel() == 0 or not torch.equal(p, start)


@each
def test_bfloat16_follows_single_precision(info: OptimizerInfo) -> None:
    """p and ζ round by 2⁻⁸ of themselves at most, in each of six steps that move x by h p."""
    params, twins = parameters(torch.float32), parameters(torch.float32)
    low, full = info.make(params, state_dtype=torch.bfloat16), info.make(twins)
    advance(low, 6)
    advance(full, 6)
    moved = max(
        float((p - q).abs().max())
        for p, q in zip(twins, parameters(), strict=True)
        if len(q.flatten())
    )
    for p, q in zip(params, twins, strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=6 * 2**-8 * moved)


@pytest.mark.parametrize("name", ["CD symmetric", "IKFAD", "RIKFAD", "CADAM"])
def test_a_kernel_rounds_to_the_same_bits(name: str) -> None:
    """Where both computed the same; an ulp of float32 before it changes one rounding in 2¹⁵."""
    info = next(info for info in OURS if info.name == name)
    both = []
    for fused in (True, False):
        params = parameters(torch.float32)
        optimizer = info.make(params, state_dtype=torch.bfloat16, noise=3, fused=fused)
        advance(optimizer, 1)
        both.append([state["p"].flatten() for state in optimizer.state.values()])
    one, two = (torch.cat(tensors) for tensors in both)
    assert (one != two).sum() <= 1


def test_rounding_depends_on_the_seed_alone_and_continues() -> None:
    def trained(noise: int | None, resumed: bool = False) -> list[torch.Tensor]:
        params = parameters(torch.float32)
        make: Any = lambda p: optim.CD(p, c=0.8, state_dtype=torch.bfloat16, noise=noise)  # noqa: E731
        optimizer = make(params)
        advance(optimizer, 3)
        if resumed:
            old, params = optimizer, [nn.Parameter(p.detach().clone()) for p in params]
            optimizer = make(params)
            optimizer.load_state_dict(old.state_dict())
        advance(optimizer, 3)
        return values(params)

    assert all(map(torch.equal, trained(1), trained(1)))
    assert all(map(torch.equal, trained(1), trained(1, resumed=True)))
    assert all(map(torch.equal, trained(None), trained(0)))
    assert not all(map(torch.equal, trained(1), trained(2)))


def test_nothing_is_lost_on_average() -> None:
    """One kick by h/3: each p is one of two neighbours, on average the number between them."""
    count, kick = 40_000, 1 / 3
    param = nn.Parameter(torch.zeros(count))
    optimizer = optim.LDHD([param], lr=1.0, gamma=0.0, state_dtype=torch.bfloat16)
    param.grad = torch.full((count,), -kick)
    optimizer.step()
    kept = optimizer.state[param]["p"].double()
    gap = 2.0**-9  # of bfloat16 between 1/4 and 1/2
    assert sorted(set((kept / gap).tolist())) == [math.floor(kick / gap), math.ceil(kick / gap)]
    assert abs(float(kept.mean()) - kick) < 4 * gap / 2 / math.sqrt(count) + gap * 2**-16


def test_loading_keeps_the_type_that_was_asked_for() -> None:
    low = optim.IKFAD(parameters(torch.float32), state_dtype=torch.bfloat16)
    full = optim.IKFAD(parameters(torch.float32))
    advance(low, 2)
    advance(full, 2)
    saved = low.state_dict(), full.state_dict()
    low.load_state_dict(saved[1])
    full.load_state_dict(saved[0])
    for optimizer, dtype in ((low, torch.bfloat16), (full, torch.float32)):
        assert all(state["xi"].dtype == dtype for state in optimizer.state.values())
        advance(optimizer, 1)


class Calls:
    def __init__(self, error: Exception | None = None) -> None:
        self.count, self.error, self.run = 0, error, FusedStep.run

    def __call__(self, *args: Any, **settings: Any) -> None:
        self.count += 1
        if self.error:
            raise self.error
        self.run(*args, **settings)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    counter = Calls()
    monkeypatch.setattr(FusedStep, "run", lambda *a, **k: counter(*a, **k))
    return counter


@pytest.mark.parametrize(
    ("count", "settings", "expected"),
    [
        (WORTHWHILE, {}, 1),
        (WORTHWHILE - 1, {}, 0),
        (2, {"fused": True}, 1),
        (WORTHWHILE, {"fused": False}, 0),
        (WORTHWHILE, {"foreach": True}, 0),
        (WORTHWHILE, {"foreach": False}, 0),
        (WORTHWHILE, {"capturable": True}, 0),
    ],
    ids=str,
)
def test_when_a_kernel_makes_the_step(
    count: int, settings: dict[str, Any], expected: int, calls: Calls
) -> None:
    param = nn.Parameter(torch.ones(count))
    optimizer = optim.CD([param], **settings)
    advance(optimizer, 1)
    assert calls.count == expected
    assert float(param[0].detach()) < 1


def test_without_a_kernel_torch_makes_the_step(calls: Calls) -> None:
    calls.error = NoKernelError("no compiler here")
    points = [nn.Parameter(torch.ones(WORTHWHILE)) for _ in range(2)]
    optimizer, plain = optim.CD(points[:1]), optim.CD(points[1:], fused=False)
    advance(optimizer, 3)
    advance(plain, 3)
    assert calls.count == 3
    assert torch.equal(*points)
    asked = optim.CD(points[:1], fused=True)
    with pytest.raises(NoKernelError, match="leave out fused: no compiler here"):
        advance(asked, 1)
    assert torch.equal(*points)


def test_a_kernel_sees_what_has_become_other_tensors(calls: Calls) -> None:
    """State that was replaced, storage that was replaced, a gradient that is missing."""
    one, two = parameters(), parameters()
    fused, plain = optim.CD(one, c=0.8, fused=True), optim.CD(two, c=0.8)
    for step in range(8):
        for params, optimizer in ((one, fused), (two, plain)):
            give_gradients(params)
            if step == 2:
                optimizer.state[params[0]]["p"] = torch.ones_like(params[0])
            if step == 3:
                params[1].data = params[1].detach() + 1
            if step == 4:
                params[2].grad = None
            if step == 5:
                optimizer.state[params[3]] = {"p": torch.ones_like(params[3])}
            if step == 6:
                optimizer.state.clear()
            optimizer.step()
    assert calls.count == 8
    for a, b in zip(one, two, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-13, atol=1e-13)
