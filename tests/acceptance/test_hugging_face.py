"""The Trainer of Hugging Face transformers: a language model learns a sentence by heart."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")  # the Trainer is built on it

from trainings import OPTIMIZERS  # noqa: E402

from dashpot.integrators import optim  # noqa: E402

SENTENCE = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8]
ENTROPY = -sum(math.log(SENTENCE.count(word) / 12) for word in SENTENCE) / 12
SETTINGS: dict[str, dict[str, Any]] = {
    **{name: {"lr": 0.5, "gamma": 1.0} for name in OPTIMIZERS},
    **{name: {"lr": 0.05, "gamma": 10.0} for name in ("CADAM", "CADAM symmetric", "CADAM fused")},
    "CADAM corrected": {"lr": 0.2},
    "Langevin": {"lr": 0.5},
}
"""What a language model wants otherwise than a small network."""


def model() -> Any:
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=16, n_positions=16, n_embd=8, n_layer=1, n_head=2,
        resid_pdrop=0.1, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config)


def samples() -> list[dict[str, Tensor]]:
    """The sentence from every place on, so that their order matters to the bits."""
    turns = [SENTENCE[k:] + SENTENCE[:k] for k in range(len(SENTENCE))]
    return [{"input_ids": torch.tensor(t), "labels": torch.tensor(t)} for t in turns]


def arguments(folder: Path, **more: Any) -> Any:
    usual: dict[str, Any] = {
        "output_dir": str(folder), "max_steps": 30, "per_device_train_batch_size": 4,
        "weight_decay": 0.1, "report_to": [], "use_cpu": True, "disable_tqdm": True,
        "logging_steps": 1, "save_strategy": "no", "lr_scheduler_type": "cosine",
        "warmup_steps": 2, "dataloader_pin_memory": False,
    }  # fmt: skip
    return transformers.TrainingArguments(**{**usual, **more})


def settings(name: str) -> tuple[Any, dict[str, Any]]:
    kind, usual = OPTIMIZERS[name]
    return kind, {**usual, **SETTINGS[name]}


def losses(trainer: Any) -> list[float]:
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_class_and_its_settings(name: str, tmp_path: Path) -> None:
    """The Trainer makes the groups with and without decay, clips gradients, warms up, anneals.

    Who only counts the words of the sentence has a loss of their entropy, at the least.
    """
    trainer = transformers.Trainer(
        model=model(),
        args=arguments(tmp_path),
        train_dataset=samples(),
        optimizer_cls_and_kwargs=settings(name),
    )
    trainer.train()
    made = trainer.optimizer.optimizer  # inside the wrapper of accelerate
    assert [group["weight_decay"] for group in made.param_groups] == [0.1, 0.0]
    assert all(made.state[p]["p"].shape == p.shape for p in trainer.model.parameters())
    assert losses(trainer)[-1] < ENTROPY < losses(trainer)[0]


def own_optimizer(folder: Path, name: str, **more: Any) -> Any:
    """A Trainer that is given an optimizer and a scheduler."""
    network = model()
    kind, chosen = settings(name)
    optimizer = kind(network.parameters(), **chosen)
    scheduler = LambdaLR(optimizer, lambda step: 1 / (1 + 0.1 * step))
    return transformers.Trainer(
        model=network,
        args=arguments(folder, save_steps=10, save_strategy="steps", **more),
        train_dataset=samples(),
        optimizers=(optimizer, scheduler),
    )


@pytest.mark.parametrize("name", ["KFAD", "RIKFAD", "CD symmetric", "CADAM corrected", "Langevin"])
def test_a_checkpoint_resumes_bit_for_bit(name: str, tmp_path: Path) -> None:
    straight = own_optimizer(tmp_path, name, gradient_accumulation_steps=2)
    straight.train()
    resumed = own_optimizer(tmp_path, name, gradient_accumulation_steps=2)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-10"))
    pairs = zip(straight.model.parameters(), resumed.model.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert losses(straight)[-1] < losses(straight)[0]


class Subclassed(transformers.Trainer):
    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        self.optimizer = optim.CD(self.model.parameters(), lr=0.5, gamma=1.0, c=3.0)
        return self.optimizer


def test_a_subclass_makes_the_optimizer_in_bfloat16(tmp_path: Path) -> None:
    trainer = Subclassed(
        model=model(), args=arguments(tmp_path, bf16=True), train_dataset=samples()
    )
    trainer.train()
    assert losses(trainer)[-1] < ENTROPY
