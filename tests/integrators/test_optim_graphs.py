"""Optimizers in graphs: compiled, captured without waiting, differentiated."""

import shutil
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from optimizer_info import OURS, OptimizerInfo, give_gradients, parameters, values
from torch import Tensor
from torch._dynamo.testing import CompileCounter
from torch.utils._python_dispatch import TorchDispatchMode

from dashpot.integrators import optim

each_of_ours = pytest.mark.parametrize("info", OURS, ids=str)
NAMED = {info.name: info for info in OURS}
COMPILED = [(NAMED["CD symmetric"], {}), (NAMED["RIKFAD"], {"capturable": True})]


@pytest.mark.parametrize(("info", "settings"), COMPILED, ids=str)
def test_a_schedule_compiles_nothing_anew(info: OptimizerInfo, settings: dict[str, Any]) -> None:
    """Also with lr as a plain number, and after the step in which nothing is to be closed."""
    torch._dynamo.reset()
    params, twins = parameters()[:2], parameters()[:2]
    lr: Any = torch.tensor(info.lr, dtype=torch.float64) if settings else info.lr
    one, two = info.make(params, lr=lr, **settings), info.make(twins)
    counter = CompileCounter()
    step = torch.compile(one.step, backend=counter)
    frames = []
    for n in range(4):
        for optimizer, points in ((one, params), (two, twins)):
            give_gradients(points)
            size = info.lr / (1 + n)
            is_tensor = isinstance(optimizer.param_groups[0]["lr"], Tensor)
            optimizer.param_groups[0]["lr"] = (
                torch.tensor(size, dtype=torch.float64) if is_tensor else size
            )
        step()
        two.step()
        frames.append(counter.frame_count)
    assert frames[1:] == frames[1:2] * 3
    assert frames[-1] <= 2
    for a, b in zip(params, twins, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-13, atol=1e-13)


class NoWaiting(TorchDispatchMode):
    """Refuses everything for which the host would wait for the device."""

    WAITS = ("_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select", "unique")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__ in self.WAITS:
            raise AssertionError(f"the host waits in {func}")
        return func(*args, **(kwargs or {}))


@each_of_ours
def test_a_capturable_step_waits_for_nothing_and_keeps_its_tensors(info: OptimizerInfo) -> None:
    params = parameters()
    lr = torch.tensor(info.lr, dtype=torch.float64)
    decay = torch.tensor(0.1, dtype=torch.float64)
    optimizer = info.make(params, lr=lr, capturable=True, weight_decay=decay)
    give_gradients(params)
    optimizer.step()
    kept = {id(p): {n: t.data_ptr() for n, t in s.items()} for p, s in optimizer.state.items()}
    for size in (0.5 * info.lr, 0.0, info.lr):
        lr.fill_(size)
        give_gradients(params)
        with NoWaiting():
            optimizer.step()
    for p, state in optimizer.state.items():
        assert all(isinstance(value, Tensor) for value in state.values())
        assert {n: t.data_ptr() for n, t in state.items()} == kept[id(p)]


@each_of_ours
def test_a_capturable_step_of_no_size_changes_no_bit(info: OptimizerInfo) -> None:
    params = parameters()
    lr = torch.tensor(0.0, dtype=torch.float64)
    optimizer = info.make(params, lr=lr, capturable=True)
    start = values(params)
    for size in (0.0, info.lr, info.lr):
        lr.fill_(size)
        give_gradients(params)
        optimizer.step()
        if size == 0:
            assert all(map(torch.equal, values(params), start))
    before = values(params), [
        {name: value.clone() for name, value in state.items()}
        for state in optimizer.state.values()
    ]  # fmt: skip
    lr.fill_(0.0)
    optimizer.step()
    assert all(map(torch.equal, values(params), before[0]))
    for old, new in zip(before[1], optimizer.state.values(), strict=True):
        for name, value in old.items():
            assert torch.equal(new[name], value)


def test_capturing_is_refused_where_lr_would_be_baked_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch asks about a GPU is answered as during a capture, in its new way and its old."""
    params = parameters()
    plain, able = optim.CD(params), optim.CD(params, lr=torch.tensor(0.1), capturable=True)
    give_gradients(params)
    stream = SimpleNamespace(is_capturing=lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **_: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "current_stream", lambda: stream)
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    start = values(params)
    with pytest.raises(RuntimeError, match=r"graph capture of step.*capturable is False"):
        plain.step()
    assert all(map(torch.equal, values(params), start))
    able.step()
    assert not torch.equal(params[0], start[0])


@pytest.mark.skipif(shutil.which("g++") is None, reason="Inductor needs a C++ compiler")
def test_inductor_compiles_a_step() -> None:
    """Fused multiplications round differently: one rounding in each of some thirty operations."""
    torch._dynamo.reset()
    both = []
    for compiled in (True, False):
        params = parameters()[:2]
        optimizer = optim.CD(params, lr=0.1, c=0.8)
        step = torch.compile(optimizer.step) if compiled else optimizer.step
        for _ in range(3):
            give_gradients(params)
            step()
        both.append(values(params))
    for a, b in zip(*both, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-13, atol=1e-13)


@each_of_ours
def test_a_kernel_takes_times_that_are_tensors(info: OptimizerInfo) -> None:
    results = []
    for settings in ({"fused": True, "capturable": True}, {"foreach": True}):
        params, lr = parameters(), torch.tensor(info.lr, dtype=torch.float64)
        optimizer = info.make(params, lr=lr, **settings)
        for size in (0.0, 1.0, 0.5, 0.0, 0.7, 1.0):
            lr.fill_(size * info.lr)
            give_gradients(params)
            optimizer.step()
        results.append(values(params))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-13, atol=1e-13)


@each_of_ours
def test_a_captured_late_parameter_joins(info: OptimizerInfo) -> None:
    """As with plain numbers: its closing piece has size 0, its friction is that of its group."""
    results = []
    for settings in ({}, {"capturable": True}):
        params = parameters()
        lr: Any = torch.tensor(info.lr, dtype=torch.float64) if settings else info.lr
        optimizer = info.make(params, lr=lr, **settings)
        for step in range(5):
            give_gradients(params if step > 1 else params[2:])
            optimizer.step()
        results.append(values(params))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-13, atol=1e-13)


def final_loss(info: OptimizerInfo, numbers: dict[str, Any], start: Tensor, steps: int = 4) -> Any:
    """The loss after steps that are recorded, as a function of the start and of numbers."""
    x = start.clone()
    optimizer = info.make([x], differentiable=True)
    optimizer.param_groups[0].update(numbers)
    for _ in range(steps):
        here = x.clone()  # x is overwritten
        x.grad = here**3 + here
        optimizer.step()
    return (x**4 / 4 + x**2 / 2).sum()


@each_of_ours
def test_steps_are_differentiable_by_start_step_size_and_hyperparameters(
    info: OptimizerInfo,
) -> None:
    """Against central differences, whose error is h² f‴/6 + ε f/h ≈ 1e-9 for h = 1e-5."""
    made = info.make([torch.zeros(2)]).param_groups[0]
    names = ["lr", *(name for name in info.hyperparameters if float(made[name]) > 0)]
    start = torch.tensor([[0.8, -0.5], [0.3, 1.1]], dtype=torch.float64, requires_grad=True)
    numbers = {
        name: torch.tensor(float(made[name]), dtype=torch.float64, requires_grad=True)
        for name in names
    }
    slopes = torch.autograd.grad(final_loss(info, numbers, start), [start, *numbers.values()])
    with torch.no_grad():
        plain = {name: value.detach() for name, value in numbers.items()}
        for name, slope in zip(names, slopes[1:], strict=True):
            up, down = (
                final_loss(info, {**plain, name: plain[name] + h}, start) for h in (1e-5, -1e-5)
            )
            assert slope.item() == pytest.approx(float(up - down) / 2e-5, rel=1e-6, abs=1e-8), name
        shift = torch.zeros_like(start)
        shift[0, 1] = 1e-5
        up, down = final_loss(info, plain, start + shift), final_loss(info, plain, start - shift)
        assert slopes[0][0, 1].item() == pytest.approx(float(up - down) / 2e-5, rel=1e-6, abs=1e-8)


def test_a_leaf_is_not_overwritten_in_a_graph() -> None:
    param = torch.nn.Parameter(torch.ones(2))
    optimizer = optim.CD([param], differentiable=True)
    param.grad = torch.ones(2)
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        optimizer.step()
