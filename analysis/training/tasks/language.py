"""Next-character and next-token prediction by GPT-2 in several sizes, and by an LSTM."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ....landscapes.data import Text, openwebtext, shakespeare
from ....landscapes.networks import GPT, LSTM
from ..order import Drawn, generator
from ..task import Batch, Part, Plan, Setting, Task

_EVALUATION = 1 << 34  # the windows that are evaluated are drawn apart from those of training


class LanguageTask(Task):
    """Predicts each token from those before it in its window.

    build    a network from the number of tokens
    block    tokens of a window
    windows  windows that are evaluated, the same ones each time, `at_once` of them in a batch
    """

    def __init__(
        self,
        name: str,
        setting: Setting,
        text: Text,
        plan: Plan,
        build: Callable[[int], nn.Module],
        *,
        block: int,
        windows: int,
        at_once: int = 16,
    ) -> None:
        super().__init__(name, setting, plan, text.source, text.is_standin)
        self._text, self._build, self._block = text, build, block
        self._windows, self._at_once = windows, at_once
        self.has_test = text.test is not None
        for part in ("train", "validation", "test")[: 2 + self.has_test]:
            if len(tokens := getattr(text, part)) <= block:
                raise ValueError(
                    f"{text.source}: {part} has {len(tokens)} tokens, a window needs {block + 1}"
                )

    def network(self) -> nn.Module:
        return self._build(self._text.vocabulary)

    def batch(self, step: int, size: int, seed: int) -> Batch:
        train = self._text.train
        return self._cut(train, Drawn(len(train) - self._block, size, seed).indices(step))

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        inputs, targets = batch
        return cross_entropy(network(inputs).flatten(0, -2), targets.flatten())

    def evaluate(self, network: nn.Module, part: Part, device: torch.device) -> dict[str, float]:
        tokens: Tensor | None = getattr(self._text, part)
        if tokens is None:
            raise ValueError(f"{self.name}: the published split has no test data")
        drawn = generator(_EVALUATION)
        starts = torch.randint(len(tokens) - self._block, (self._windows,), generator=drawn)
        losses = []
        for some in starts.split(self._at_once):
            inputs, targets = self._cut(tokens, some)
            loss = self.loss(network, (inputs.to(device), targets.to(device)))
            losses.append(loss.double() * (len(some) / self._windows))
        return {"loss": torch.stack(losses).sum().item()}

    def _cut(self, tokens: Tensor, starts: Tensor) -> Batch:
        windows = tokens[starts[:, None] + torch.arange(self._block + 1)].long()
        return windows[:, :-1], windows[:, 1:]


# --- the tasks ------------------------------------------------------------------------------------


def nano(setting: Setting, folder: Path | None, *, download: bool = False) -> LanguageTask:
    """GPT-2-nano on the characters of tiny Shakespeare: 4 layers, 4 heads, width 128, block 64.

    Batches of 16, 5001 steps, clip 1; validation loss over 100 batches every 100 steps.
    small: width 64, 2000 steps, 20 batches; half of the validation text is for the test.
    """
    text = _split(shakespeare(folder, download=download), setting)
    width, steps, batches = {"full": (128, 5001, 100), "small": (64, 2000, 20), "tiny": (8, 20, 1)}[
        setting
    ]
    block, layers = (8, 1) if setting == "tiny" else (64, 4)
    build = partial(GPT, block=block, layers=layers, heads=4, width=width)
    plan = Plan(16, steps, evaluate_every=min(100, steps // 2), clip=1.0)
    return LanguageTask("nano", setting, text, plan, build, block=block, windows=16 * batches)


def lstm(setting: Setting, folder: Path | None, *, download: bool = False) -> LanguageTask:
    """Two LSTM layers of width 256 on tiny Shakespeare, otherwise as `nano`.

    small: one layer of width 128, 2000 steps, 20 batches; half of the validation text is for the
    test.
    """
    text = _split(shakespeare(folder, download=download), setting)
    width, layers, steps, batches = {
        "full": (256, 2, 5001, 100),
        "small": (128, 1, 2000, 20),
        "tiny": (8, 1, 20, 1),
    }[setting]
    block = 8 if setting == "tiny" else 64
    build = partial(LSTM, width=width, layers=layers)
    plan = Plan(16, steps, evaluate_every=min(100, steps // 2), clip=1.0)
    return LanguageTask("lstm", setting, text, plan, build, block=block, windows=16 * batches)


def owt(setting: Setting, folder: Path | None, *, download: bool = False) -> LanguageTask:
    """GPT-2 with 6 layers, 8 heads, width 512 and block 1024 on OpenWebText, clip 1.

    Batches of 32 windows (32,768 tokens), 20,000 steps; 200 windows every 250 steps.
    small: 2 layers, 2 heads, width 64, block 64; batches of 4 windows, 800 steps, 64 windows
    every 100 steps; half of the validation text is for the test.
    """
    return _web("owt", setting, folder, download, layers=6, heads=8, width=512, size=32)


def gpt2(setting: Setting, folder: Path | None, *, download: bool = False) -> LanguageTask:
    """GPT-2 with 124M parameters (12 layers, 12 heads, width 768, block 1024) on OpenWebText.

    Batches of 512 windows (524,288 tokens; see `Settings.accumulate`), 20,000 steps, clip 1; 200
    windows every 250 steps. small: as `owt`, but 12 layers.
    """
    return _web("gpt2", setting, folder, download, layers=12, heads=12, width=768, size=512)


def _web(
    name: str,
    setting: Setting,
    folder: Path | None,
    download: bool,
    *,
    layers: int,
    heads: int,
    width: int,
    size: int,
) -> LanguageTask:
    text = _split(openwebtext(folder, download=download), setting)
    block, windows, plan = 1024, 200, Plan(size, 20_000, evaluate_every=250, clip=1.0)
    if setting == "small":
        layers, heads, width, block = {"owt": 2, "gpt2": 12}[name], 2, 64, 64
        windows, plan = 64, Plan(4, 800, evaluate_every=100, clip=1.0)
    if setting == "tiny":
        layers, heads, width, block = 1, 2, 8, 8
        windows, plan = 16, Plan(8, 20, evaluate_every=10, clip=1.0)
    build = partial(GPT, block=block, layers=layers, heads=heads, width=width)
    return LanguageTask(name, setting, text, plan, build, block=block, windows=windows, at_once=8)


def _split(text: Text, setting: Setting) -> Text:
    """In "full" the published split; the others keep half of its validation part for the test."""
    return text if setting == "full" else text.with_test()
