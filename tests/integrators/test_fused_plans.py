"""When a kernel makes a group's step, what it remembers, and what it does not hold."""

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from fused_group import Group, needs_compiler
from torch import nn

from dashpot.dynamics import CD
from dashpot.integrators import optim
from dashpot.integrators.kernels.errors import NoKernelError
from dashpot.integrators.kernels.fused import step as fused_step
from dashpot.integrators.kernels.fused.step import FusedStep
from dashpot.integrators.optimizers.fused import MANY, WORTHWHILE

pytestmark = needs_compiler


class Counter:
    """Counts the calls of something that goes on doing what it did."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        self.calls, original = 0, getattr(owner, name)

        def counted(*args: Any, **settings: Any) -> Any:
            self.calls += 1
            return original(*args, **settings)

        monkeypatch.setattr(owner, name, counted)


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([(2,)] * MANY, 1),
        ([(2,)] * (MANY - 1), 0),
        ([(WORTHWHILE - 2,), (2,)], 1),
        ([(WORTHWHILE - 3,), (2,)], 0),
    ],
    ids=["many tensors", "few tensors", "many elements", "few elements"],
)
def test_what_is_large_enough_for_a_kernel(
    shapes: list[tuple[int, ...]], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = Counter(monkeypatch, FusedStep, "run")
    params = [nn.Parameter(torch.ones(shape)) for shape in shapes]
    optimizer = optim.CD(params, lr=0.1)
    for param in params:
        param.grad = torch.ones_like(param)
    optimizer.step()
    assert counter.calls == expected
    assert all(float(param.detach()[0]) < 1 for param in params)


def sets_of_gradients(count: int, steps: int) -> Iterator[list[bool]]:
    """Which parameters have a gradient: experts in turn, and every fifth time all."""
    for step in range(steps):
        yield [step % 5 == 4 or i % 3 == step % 3 for i in range(count)]


def test_sets_of_parameters_that_return_are_not_planned_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counter = Counter(monkeypatch, fused_step, "Batch")
    shapes = [(i + 1, 3) for i in range(7)]
    every, plain = (Group(CD(0.3, 0.8), shapes=shapes) for _ in range(2))
    plans = []
    for present in sets_of_gradients(len(shapes), 15):
        grads = every.gradients()
        for name, ts in every.variables.items():
            for a, b in zip(plain.variables[name], ts, strict=True):
                a.copy_(b)
        chosen = [i for i, is_one in enumerate(present) if is_one]
        state = {name: [ts[i] for i in chosen] for name, ts in every.state.items()}
        x, g = ([ts[i] for i in chosen] for ts in (every.params, grads))
        expected = plain.expected(grads, 0.1, 0.0)
        every.kernel.run(x, g, state, every.values, 0.1, [0.0] * len(x))
        for i, is_one in enumerate(present):
            right = (expected["x"] if is_one else plain.params)[i]
            torch.testing.assert_close(every.params[i], right, rtol=1e-5, atol=1e-6)
        plans.append(counter.calls)
    assert plans[-1] == plans[4] == 4  # three sets of experts, and all


def test_a_refusal_is_for_these_tensors_alone() -> None:
    group = Group(CD(0.3, 0.8), shapes=[(6,)])
    double = [t.double() for t in group.gradients()]
    for _ in range(2):
        with pytest.raises(NoKernelError, match=r"no kernel for g of type torch\.int64"):
            group.run([g.long() for g in double], 0.1, 0.0)
        group.run(group.gradients(), 0.1, 0.0)


@pytest.mark.parametrize("fused", [None, True])
def test_a_missing_gradient_does_not_end_the_kernels_of_a_shared_friction(
    fused: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last steps differ then; the flows close them one by one, and the kernel comes back."""
    counter = Counter(monkeypatch, FusedStep, "run")
    count, trained = 2 + MANY, []
    for setting in (fused, False):
        params = [nn.Parameter(torch.linspace(0.5, 1, 4) + i / 8) for i in range(count)]
        optimizer = optim.KFAD(params, lr=0.1, mu=0.5, word="BACDCAB", fused=setting)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
        calls = []
        for step in range(8):
            for param in params:
                param.grad = param.detach() ** 3
            if step == 0:
                params[3].grad = None  # a late parameter
            if step == 4:
                params[2].grad = None
            counter.calls = 0
            optimizer.step()
            calls.append(counter.calls)
            schedule.step()
        assert calls == ([0] * 8 if setting is False else [1, 0, 1, 1, 1, 0, 1, 1])
        trained.append(params)
    for found, right in zip(*trained, strict=True):
        torch.testing.assert_close(found, right, rtol=1e-5, atol=1e-6)


def test_no_tensor_outlives_the_state_of_the_optimizer() -> None:
    params = [nn.Parameter(torch.ones(50, 40)) for _ in range(2)]
    optimizer = optim.RIKFAD(params, lr=0.1, fused=True)
    for param in params:
        param.grad = torch.ones_like(param)
    optimizer.step()
    optimizer.step()
    state = [weakref.ref(t) for state in optimizer.state.values() for t in state.values()]
    grads = [weakref.ref(param.grad) for param in params if param.grad is not None]
    optimizer.state.clear()
    optimizer.zero_grad()
    params.clear()
    param = None
    last = weakref.ref(optimizer.param_groups[0]["params"].pop())
    gc.collect()
    assert not any(ref() is not None for ref in (*state, *grads, last))
