"""Lightning: its trainer passes the training step to the optimizer as a closure."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ExponentialLR
from torch.utils.data import DataLoader, TensorDataset

lightning = pytest.importorskip("lightning")

from trainings import OPTIMIZERS, batch, decayed, network, optimizer, plain_loop, rounding  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*ModelCheckpoint"),
]
EPOCHS = 8


class Regression(lightning.LightningModule):
    def __init__(self, name: str, seed: int = 0, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        self.optimizer_name, self.network, self.losses = name, network(seed, dtype), []

    def training_step(self, batch: list[Tensor]) -> Tensor:
        x, y = batch
        loss = nn.functional.mse_loss(self.network(x), y)
        self.losses.append(loss.item())
        return loss

    def configure_optimizers(self) -> Any:
        made = optimizer(self.optimizer_name, decayed(self.network))
        return {"optimizer": made, "lr_scheduler": ExponentialLR(made, 0.95)}

    def weights(self) -> list[Tensor]:
        return [p.detach() for p in self.network.parameters()]


def fit(
    module: Regression, folder: Path, epochs: int = EPOCHS, resume: str | None = None, **more: Any
) -> Any:
    usual: dict[str, Any] = {
        "default_root_dir": folder, "max_epochs": epochs, "accelerator": "cpu", "devices": 1,
        "gradient_clip_val": 0.5, "logger": False, "enable_checkpointing": False,
        "enable_progress_bar": False, "enable_model_summary": False,
    }  # fmt: skip
    trainer = lightning.Trainer(**{**usual, **more})
    dtype = module.weights()[0].dtype
    loader = DataLoader(TensorDataset(*batch(0, dtype)), batch_size=4)
    trainer.fit(module, loader, ckpt_path=resume)
    return trainer


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_trainer_trains_as_a_plain_loop(name: str, tmp_path: Path) -> None:
    module = Regression(name)
    fit(module, tmp_path, precision="64-true")
    assert len(module.losses) == 2 * EPOCHS
    for mine, expected in zip(module.weights(), plain_loop(name, EPOCHS, 4), strict=True):
        torch.testing.assert_close(mine, expected, rtol=0, atol=rounding(2 * EPOCHS))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_checkpoint_resumes_bit_for_bit(name: str, tmp_path: Path) -> None:
    straight = Regression(name)
    fit(straight, tmp_path, precision="64-true")
    half = fit(Regression(name), tmp_path, EPOCHS // 2, precision="64-true")
    half.save_checkpoint(tmp_path / "half.ckpt")
    resumed = Regression(name, seed=1)
    fit(resumed, tmp_path, resume=str(tmp_path / "half.ckpt"), precision="64-true")
    for a, b in zip(straight.weights(), resumed.weights(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", ["KFAD", "RIKFAD", "CD", "CD symmetric", "CADAM corrected"])
def test_mixed_precision_learns(name: str, tmp_path: Path) -> None:
    module = Regression(name, dtype=torch.float32)
    fit(module, tmp_path, epochs=40, precision="bf16-mixed", accumulate_grad_batches=2)
    assert sum(module.losses[-2:]) < 0.5 * sum(module.losses[:2])
