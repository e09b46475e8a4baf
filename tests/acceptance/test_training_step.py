"""Torch's own wrappers of a training step: torch.compile, and the scaler of small gradients."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend
from trainings import OPTIMIZERS, batch, decayed, loss_of, network, optimizer, rounding

STEPS = 6


def weights(model: torch.nn.Module) -> list[Tensor]:
    return [p.detach() for p in model.parameters()]


@pytest.mark.parametrize(
    ("name", "backend"),
    [("LDHD", "aot_eager"), ("KFAD", "eager"), ("CD symmetric", "eager")],
)
def test_a_compiled_training_step(name: str, backend: str) -> None:
    """Loss, gradient and update in one; steps of another size are not compiled again."""
    torch.compiler.reset()
    counter = CompileCounterWithBackend(backend)
    results, compiled = [], []
    for wrap in (lambda run: run, lambda run: torch.compile(run, backend=counter)):
        model = network()
        made = optimizer(name, decayed(model))

        def train_step(x: Tensor, y: Tensor, model: Any = model, made: Any = made) -> Tensor:
            made.zero_grad()
            loss = ((model(x) - y) ** 2).mean()
            loss.backward()
            made.step()
            return loss.detach()

        run = wrap(train_step)
        losses = []
        for step in range(STEPS):
            losses.append(run(*batch(step)))
            compiled.append(counter.frame_count)
            for group in made.param_groups:
                group["lr"] *= 0.9
        results.append([*weights(model), torch.stack(losses)])
    assert 0 < compiled[-5] == compiled[-1]  # the first step differs: it closes none before it
    for plain, same in zip(*results, strict=True):
        torch.testing.assert_close(same, plain, rtol=0, atol=rounding(STEPS))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_scaler_changes_nothing_but_overflows(name: str) -> None:
    """Gradients times 2^k and back are the same bits; a step with an infinite one is left out."""
    model, twin = network(), network()
    made, plain = optimizer(name, decayed(model)), optimizer(name, decayed(twin))
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=3)
    for step in range(STEPS):
        made.zero_grad()
        scaler.scale(loss_of(model, step)).backward()
        if step == 2:
            grad = next(model.parameters()).grad
            assert grad is not None
            grad.fill_(torch.inf)
        else:
            plain.zero_grad()
            loss_of(twin, step).backward()
            plain.step()
        if step % 2:
            scaler.unscale_(made)  # as for clipping
        scaler.step(made)
        scaler.update()
    assert scaler.get_scale() == 2.0**10  # halved by the overflow, doubled after three good steps
    assert all(torch.equal(a, b) for a, b in zip(weights(model), weights(twin), strict=True))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", ["KFAD", "RIKFAD", "CD", "CADAM corrected"])
def test_autocast_learns(name: str, dtype: torch.dtype) -> None:
    model = network(dtype=torch.float32)
    made = optimizer(name, decayed(model))
    scaler = torch.amp.GradScaler("cpu", enabled=dtype == torch.float16)
    losses = []
    x, y = batch(0, torch.float32)
    for _ in range(40):
        made.zero_grad()
        with torch.autocast("cpu", dtype=dtype):
            loss = torch.nn.functional.mse_loss(model(x), y)
        scaler.scale(loss).backward()
        scaler.step(made)
        scaler.update()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert all(p.dtype == torch.float32 for p in weights(model))
