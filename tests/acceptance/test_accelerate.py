"""Hugging Face accelerate: prepared optimizers, accumulation, mixed precision, saved states."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import ExponentialLR
from torch.utils.data import DataLoader, TensorDataset

accelerate = pytest.importorskip("accelerate")

from trainings import OPTIMIZERS, batch, decayed, network, optimizer, plain_loop, rounding  # noqa: E402


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """accelerate keeps its settings in class attributes; a test leaves none to the next."""
    reset = accelerate.state.AcceleratorState._reset_state
    reset(reset_partial_state=True)
    yield
    reset(reset_partial_state=True)


class Job:
    """A training as accelerate's users write it, on one batch of eight in parts of four."""

    def __init__(self, name: str, seed: int = 0, precision: str = "no", parts: int = 2) -> None:
        self.accelerator = accelerate.Accelerator(
            cpu=True, mixed_precision=precision, gradient_accumulation_steps=parts
        )
        dtype = torch.float64 if precision == "no" else torch.float32
        model = network(seed, dtype)
        loader = DataLoader(TensorDataset(*batch(0, dtype)), batch_size=8 // parts)
        made = optimizer(name, decayed(model))
        self.model, self.optimizer, self.loader, self.scheduler = self.accelerator.prepare(
            model, made, loader, ExponentialLR(made, 0.95)
        )

    def advance(self, epochs: int) -> list[float]:
        """One step an epoch; the loss of every part."""
        losses = []
        for _ in range(epochs):
            for x, y in self.loader:
                with self.accelerator.accumulate(self.model):
                    loss = nn.functional.mse_loss(self.model(x), y)
                    self.accelerator.backward(loss)
                    if self.accelerator.sync_gradients:
                        self.accelerator.clip_grad_norm_(self.model.parameters(), 0.5)
                    self.optimizer.step()
                    self.scheduler.step()
                    self.optimizer.zero_grad(set_to_none=True)
                    losses.append(loss.item())
        return losses

    def weights(self) -> list[torch.Tensor]:
        return [p.detach().clone() for p in self.model.parameters()]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_accumulated_gradients_train_as_whole_ones(name: str) -> None:
    """A step every second backward: the mean of two means of four is the mean of eight."""
    job = Job(name)
    job.advance(8)
    assert isinstance(job.optimizer, torch.optim.Optimizer)
    for mine, expected in zip(job.weights(), plain_loop(name, 8), strict=True):
        torch.testing.assert_close(mine, expected, rtol=0, atol=rounding(8))


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("name", ["KFAD", "RIKFAD", "CD", "CD symmetric", "CADAM corrected"])
def test_mixed_precision_learns(name: str, precision: str) -> None:
    job = Job(name, precision=precision, parts=1)
    losses = job.advance(40)
    assert losses[-1] < 0.5 * losses[0]
    assert all(p.dtype == torch.float32 for p in job.weights())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_saved_state_continues_bit_for_bit(name: str, tmp_path: Path) -> None:
    job = Job(name)
    job.advance(5)
    job.accelerator.save_state(str(tmp_path))
    job.advance(5)
    straight = job.weights()
    again: Any = Job(name, seed=1)
    again.accelerator.load_state(str(tmp_path))
    again.advance(5)
    for a, b in zip(straight, again.weights(), strict=True):
        assert torch.equal(a, b)
