"""What looking at a training (`look_every`) costs, as a part of the time of its steps.

OMP_NUM_THREADS=1 python benchmarks/looks.py --data-dir DATA > benchmarks/looks.md
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import tyro
from machine import machine, on_threads
from tqdm import tqdm

from dashpot.analysis.training import checkpoint
from dashpot.analysis.training.published import published
from dashpot.analysis.training.settings import Settings
from dashpot.analysis.training.task import Task
from dashpot.analysis.training.tasks import TASKS
from dashpot.analysis.training.trainer import train

STEPS = 200  # of a run: ten looks at least, as one of ten is in full
EVERY = (20, 10)
OPTIMIZERS = {"nano": ("CD", "IKFAD", "CADAM", "SGD", "AdamW"), "vit": ("CD", "IKFAD")}
HEAD = """# The cost of looks

`OMP_NUM_THREADS=1 python benchmarks/looks.py --data-dir DATA > benchmarks/looks.md`

Time of the looks over the time of the steps of the same run, in percent: the median of {repeats}
runs of {steps} steps, and the lowest and highest; the optimizers take turns. Small settings,
published hyperparameters. Every tenth look is one in full. Machine: {machine}.

| task | parameters | optimizer | a look every 20 steps | every 10 steps |
|---|---|---|---|---|
"""


def main(data_dir: Path, repeats: int = 3) -> None:
    """Write the table."""
    sys.stdout.write(HEAD.format(repeats=repeats, steps=STEPS, machine=machine(on_threads())))
    runs = sum(map(len, OPTIMIZERS.values())) * len(EVERY) * repeats
    with tqdm(total=runs, unit="run") as bar:
        for name, optimizers in OPTIMIZERS.items():
            task = TASKS[name]("small", data_dir)
            cases = [(optimizer, every) for optimizer in optimizers for every in EVERY]
            costs: dict[tuple[str, int], list[float]] = {case: [] for case in cases}
            for case in repeats * cases:
                costs[case].append(cost(task, name, *case))
                bar.update()
            size = sum(parameter.numel() for parameter in task.network().parameters())
            for optimizer in optimizers:
                cells = [told(costs[optimizer, every]) for every in EVERY]
                row = (task.name, f"{size:,}", optimizer, *cells)
                sys.stdout.write(f"| {' | '.join(row)} |\n")
            sys.stdout.flush()


def cost(task: Task, name: str, optimizer: str, every: int) -> float:
    """Seconds of the looks over those of the steps."""
    settings = Settings(
        name,
        task.setting,
        optimizer,
        published(name, optimizer),
        steps=STEPS,
        evaluate_every=STEPS,
        look_every=every,
    )
    with tempfile.TemporaryDirectory() as folder:
        train(task, settings, folder)
        content = checkpoint.load(Path(folder))
    assert content is not None  # there is one at the end of a run
    seconds = content["seconds"]
    return seconds["look"] / seconds["train"]


def told(costs: Sequence[float]) -> str:
    low, middle, high = (f"{100 * find(costs):.1f}" for find in (min, median, max))
    return f"{middle} ({low} to {high})"


if __name__ == "__main__":
    tyro.cli(main)
