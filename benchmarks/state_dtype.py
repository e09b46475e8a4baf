"""What state in bfloat16 costs: training curves with float32, and both ways of rounding.

python benchmarks/state_dtype.py > benchmarks/state_dtype.md
"""

import math
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path

import matplotlib.pyplot as plt
import torch
import tyro
from matplotlib.axes import Axes
from shapes import gpt2_small
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer
from tqdm import tqdm

from dashpot.analysis.training.digits import BATCH_SIZE, SPLIT, tuned
from dashpot.integrators import optim
from dashpot.landscapes import Digits, classifier, digits

LIGHT = "CD, γ of LDHD"  # which keeps 93 % of the momentum in a step; the tuned one, 54 %
TUNED = {"CD": "CD", LIGHT: "CD", "IKFAD": "IKFAD", "RIKFAD": "IKFAD", "CADAM": "CADAM"}
WAYS = ("float32", "bfloat16", "to nearest")
SHOWN = (1, 2, 5, 10, 20, 40)  # epochs
STYLES = {"float32": "k-", "bfloat16": "C0--", "to nearest": "C1:"}
FIGURE = Path(__file__).with_suffix(".png")
HEAD = """# State in bfloat16

`python benchmarks/state_dtype.py > benchmarks/state_dtype.md`

The network and the tuned hyperparameters of `digits.md` (RIKFAD has those of IKFAD; CD also
with the lr and γ of LDHD, which keep 93 % of the momentum in a step, where its own keep 54 %),
{seeds} seeds, {epochs} epochs in batches of {batch}. *bfloat16* is `state_dtype=torch.bfloat16`,
rounded stochastically; *to nearest* is what it would be without that: the same state, rounded to
the nearest bfloat16 after every step. Parameters and arithmetic are float32 throughout.

Training loss after so many epochs (geometric mean over the seeds), and at the end: how the
logarithm of the training loss and the validation accuracy (in points) differ from those with
float32 state, mean of the paired differences ± its standard error. What is to be seen: CADAM's ζ
loses αh = 0.12 % in a step, less than half the spacing of bfloat16 (0.2 to 0.4 %), so rounded to
nearest it cannot decay; rounded by chance it does, on average exactly.

![Training loss by epoch for every kind of state](state_dtype.png)

| optimizer | state | {epochs_shown} | log training loss | validation accuracy |
|---|---|{rules}---|---|"""
MEMORY = """
State for each parameter of GPT-2-small's shapes, measured:

| optimizer | float32 | bfloat16 |
|---|---|---|"""


@dataclass(frozen=True)
class Curve:
    """Training loss by epoch, and the accuracy on the validation split at the end."""

    losses: list[float]
    accuracy: float


def main(seeds: int = 10, epochs: int = 40, memory: bool = True) -> None:
    """Train every optimizer with every kind of state from the same starts, and print the tables."""
    torch.set_num_threads(1)
    shown = [epoch for epoch in SHOWN if epoch <= epochs]
    print(
        HEAD.format(
            seeds=seeds, epochs=epochs, batch=BATCH_SIZE, rules="---|" * len(shown),
            epochs_shown=" | ".join(map(str, shown)),
        )
    )  # fmt: skip
    bar = tqdm(total=len(TUNED) * len(WAYS) * seeds, disable=None)
    figure, panels = plt.subplots(1, 5, figsize=(15, 3.4), sharey=True, layout="constrained")
    for name, axes in zip(TUNED, panels, strict=True):
        runs: dict[str, list[Curve]] = {}
        for way in WAYS:
            runs[way] = []
            for seed in range(seeds):
                runs[way].append(train(name, way, seed, epochs))
                bar.update()
            print(row(name, way, runs[way], runs["float32"], shown), flush=True)
        draw(axes, name, runs)
    bar.close()
    panels[0].set_ylabel("training loss")
    panels[0].legend(title="state", loc="lower left")
    figure.savefig(FIGURE, dpi=110)
    if memory:
        print(MEMORY)
        for name in TUNED:
            kinds = (state_bytes(name, dtype) for dtype in (None, torch.bfloat16))
            print(f"| {name} | {' | '.join(f'{size:.3f} bytes' for size in kinds)} |", flush=True)


def draw(axes: Axes, name: str, runs: Mapping[str, Sequence[Curve]]) -> None:
    """The geometric mean over the seeds by epoch, and the range of float32."""
    for way, curves in runs.items():
        logs = torch.tensor([curve.losses for curve in curves]).log()
        axes.plot(logs.mean(0).exp(), STYLES[way], label=way)
        if way == "float32":
            least, most = logs.exp().amin(0), logs.exp().amax(0)
            axes.fill_between(range(len(least)), least, most, color="k", alpha=0.1, linewidth=0)
    axes.set(yscale="log", xlabel="epoch", title=name)


def row(
    name: str, way: str, runs: Sequence[Curve], plain: Sequence[Curve], shown: Sequence[int]
) -> str:
    losses = (math.exp(statistics.mean(math.log(r.losses[epoch]) for r in runs)) for epoch in shown)
    cells = [name, way, *(f"{loss:.4f}" for loss in losses)]
    if way == "float32":
        return f"| {' | '.join([*cells, '–', '–'])} |"
    pairs = list(zip(runs, plain, strict=True))
    logs = [math.log(a.losses[-1] / b.losses[-1]) for a, b in pairs]
    points = [100 * (a.accuracy - b.accuracy) for a, b in pairs]
    return f"| {' | '.join([*cells, _difference(logs), _difference(points)])} |"


def _difference(values: Sequence[float]) -> str:
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return f"{statistics.mean(values):+.3f} ± {error:.3f}"


def train(name: str, way: str, seed: int, epochs: int) -> Curve:
    """One run; the start and the order of the batches depend on the seed alone."""
    training, validation = _data().train, _data().validation
    model = classifier(seed=seed)
    optimizer = make(name, model.parameters(), torch.bfloat16 if way == "bfloat16" else None, seed)
    order = torch.Generator().manual_seed(1000 + seed)
    losses = [_loss(model, training.inputs, training.targets)]
    for _ in range(epochs):
        for batch in torch.randperm(len(training.targets), generator=order).split(BATCH_SIZE):
            optimizer.zero_grad()
            cross_entropy(model(training.inputs[batch]), training.targets[batch]).backward()
            optimizer.step()
            if way == "to nearest":
                for value in tensors_of(optimizer):
                    value.copy_(value.bfloat16())
        losses.append(_loss(model, training.inputs, training.targets))
    with torch.no_grad():
        hits = model(validation.inputs).argmax(1) == validation.targets
    return Curve(losses, hits.double().mean().item())


def make(
    name: str, params: Iterator[nn.Parameter] | list[nn.Parameter], dtype: torch.dtype | None,
    seed: int = 0,
) -> Optimizer:  # fmt: skip
    made: Callable[..., Optimizer] = getattr(optim, name.split(",")[0])
    values = {**tuned(TUNED[name]), **(tuned("LDHD") if name == LIGHT else {})}
    stochastic = {} if dtype is None else {"state_dtype": dtype, "noise": seed}
    return made(params, **values, fused=True, **stochastic)


def tensors_of(optimizer: Optimizer) -> Iterator[Tensor]:
    """The state that is shaped like its parameter."""
    for param, state in optimizer.state.items():
        yield from (v for v in state.values() if isinstance(v, Tensor) and v.shape == param.shape)


def state_bytes(name: str, dtype: torch.dtype | None) -> float:
    """Bytes of state for each parameter, after a step."""
    params = [nn.Parameter(torch.zeros(shape)) for shape in gpt2_small()]
    for param in params:
        param.grad = torch.zeros(()).expand(param.shape)
    optimizer = make(name, params, dtype)
    optimizer.step()
    values = chain.from_iterable(state.values() for state in optimizer.state.values())
    total = sum(v.numel() * v.element_size() for v in values if isinstance(v, Tensor))
    return total / sum(param.numel() for param in params)


@torch.no_grad()
def _loss(model: nn.Module, inputs: Tensor, targets: Tensor) -> float:
    return cross_entropy(model(inputs), targets).item()


@cache
def _data() -> Digits:
    return digits(SPLIT)


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
