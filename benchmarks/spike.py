"""How many coordinates a spike of the gradient freezes in IKFAD, and for how long, by its scheme.

OMP_NUM_THREADS=1 python benchmarks/spike.py --data-dir DATA > benchmarks/spike.md
"""

import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import fmean, median

import torch
import tyro
from machine import machine, on_threads
from torch import Tensor, nn
from tqdm import tqdm

from dashpot.analysis.training.log import lines
from dashpot.analysis.training.looks.spells import frozen_spells
from dashpot.analysis.training.published import published
from dashpot.analysis.training.settings import Settings
from dashpot.analysis.training.task import Batch, Part, Task
from dashpot.analysis.training.tasks import TASKS
from dashpot.analysis.training.trainer import train

SPIKE, STEPS = 200, 500  # the step with the spike; of a run
NORMS = (None, 10.0, 100.0, 1000.0)  # of the gradient of that step; None: its own
SCHEMES = ("palindrome", "rotation")
LATER = (0, 1, 10, 100)  # steps after the spike
QUIET = 100  # steps before it
HEAD = """# A spike of the gradient, and the coordinates it freezes

`OMP_NUM_THREADS=1 python benchmarks/spike.py --data-dir DATA > benchmarks/spike.md`

{task}, small: {source}.
IKFAD with the published hyperparameters, batch {batch}, {steps} steps without clipping (with that
of the published setting no gradient is longer than 1). The gradient of step {spike} is given a
norm. Every step was looked at: a coordinate is frozen where the damping of the step leaves less
than a tenth of its momentum. Percentages are of the coordinates with a momentum: in the {quiet}
steps before, in step {spike}, and 1, 10 and 100 steps later. Spells are those that began in step
{spike}, among 4096 coordinates that are followed: how many there are, and the steps they last (>:
to the end of the run). ξ is the highest 95 % quantile of a layer from step {spike} on, the loss
that of the validation data after the last step. Means over seeds 0 to {last_seed}; the loss with
its range, the longest spell and the largest ξ of all. Machine: {machine}.

| norm | scheme | % before | in it | 1 later | 10 | 100 | spells | median | longest | ξ | loss |
|---|---|---|---|---|---|---|---|---|---|---|---|
"""


class Spiked(Task):
    """Another task, in one step of which the gradient has a given norm."""

    def __init__(self, task: Task, norm: float | None) -> None:
        super().__init__("nano with a spike", task.setting, task.plan, task.source, False)
        self._task, self._norm, self._step = task, norm, 0
        self.metric, self.larger_is_better = task.metric, task.larger_is_better
        self.has_test = task.has_test

    def network(self) -> nn.Module:
        return self._task.network()

    def batch(self, step: int, size: int, seed: int) -> Batch:
        self._step = step
        return self._task.batch(step, size, seed)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        loss = self._task.loss(network, batch)
        if self._norm is None or self._step != SPIKE or not torch.is_grad_enabled():
            return loss
        gradients = torch.autograd.grad(loss, list(network.parameters()), retain_graph=True)
        scale = self._norm / nn.utils.get_total_norm(gradients)
        return loss.detach() + scale * (loss - loss.detach())  # the value stays

    def evaluate(self, network: nn.Module, part: Part, device: torch.device) -> dict[str, float]:
        return self._task.evaluate(network, part, device)


@dataclass(frozen=True)
class Measured:
    """What a run says of its spike; frozen are fractions of the coordinates, spells steps."""

    before: float
    frozen: tuple[float, ...]
    spells: list[int]
    lasts: bool
    friction: float
    loss: float


def main(data_dir: Path, seeds: int = 3) -> None:
    """Write the table."""
    task = TASKS["nano"]("small", data_dir)
    head = HEAD.format(
        task=task.name,
        source=task.source,
        batch=task.plan.batch_size,
        steps=STEPS,
        spike=SPIKE,
        quiet=QUIET,
        last_seed=seeds - 1,
        machine=machine(on_threads()),
    )
    sys.stdout.write(head)
    bar = tqdm(total=len(NORMS) * len(SCHEMES) * seeds, unit="run")
    for norm in NORMS:
        for scheme in SCHEMES:
            runs = []
            for seed in range(seeds):
                runs.append(run(task, norm, scheme, seed))
                bar.update()
            cells = ("its own" if norm is None else f"{norm:g}", scheme, *row(runs))
            sys.stdout.write(f"| {' | '.join(cells)} |\n")
            sys.stdout.flush()


def run(task: Task, norm: float | None, scheme: str, seed: int) -> Measured:
    settings = Settings(
        "nano",
        task.setting,
        "IKFAD",
        published("nano", "IKFAD"),
        seed=seed,
        steps=STEPS,
        evaluate_every=STEPS,
        clip=math.inf,
        options={"scheme": scheme},
        look_every=1,
    )
    with tempfile.TemporaryDirectory() as folder:
        train(Spiked(task, norm), settings, folder)
        return measured(Path(folder))


def measured(folder: Path) -> Measured:
    looks = list(lines(folder, "look"))
    spells = [spell for spell in frozen_spells(folder) if spell.start == SPIKE]
    layers = chain.from_iterable(look["layers"].values() for look in looks[SPIKE:])
    return Measured(
        before=fmean(look["frozen"] for look in looks[SPIKE - QUIET : SPIKE]),
        frozen=tuple(looks[SPIKE + later]["frozen"] for later in LATER),
        spells=[spell.steps for spell in spells],
        lasts=any(not spell.ended for spell in spells),
        friction=max(layer["friction"][-1] for layer in layers),
        loss=list(lines(folder, "validation"))[-1]["loss"],
    )


def row(runs: Sequence[Measured]) -> Iterator[str]:
    yield f"{100 * fmean(one.before for one in runs):.3f}"
    for fractions in zip(*(one.frozen for one in runs), strict=True):
        yield f"{100 * fmean(fractions):.3f}"
    spells = list(chain.from_iterable(one.spells for one in runs))
    open_end = "> " if any(one.lasts for one in runs) else ""
    yield f"{len(spells) / len(runs):.0f}"
    yield f"{median(spells):.0f}" if spells else "–"
    yield f"{open_end}{max(spells)}" if spells else "–"
    yield f"{max(one.friction for one in runs):.3g}"
    losses = [one.loss for one in runs]
    yield f"{fmean(losses):.3f} ({min(losses):.3f} to {max(losses):.3f})"


if __name__ == "__main__":
    tyro.cli(main)
