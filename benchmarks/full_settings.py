"""Every task in its full setting: three steps, kill −9, resumed, and the bits of six steps.

OMP_NUM_THREADS=1 python benchmarks/full_settings.py --data-dir DATA > benchmarks/full_settings.md
"""

import hashlib
import json
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import tyro
from machine import machine, on_threads
from torch import Tensor

from dashpot.analysis.training import checkpoint
from dashpot.analysis.training.published import published
from dashpot.analysis.training.settings import Settings
from dashpot.analysis.training.step import Step
from dashpot.analysis.training.task import Batch, Setting, Task
from dashpot.analysis.training.tasks import TASKS
from dashpot.analysis.training.tasks.classification import ClassificationTask
from dashpot.analysis.training.tasks.language import LanguageTask
from dashpot.analysis.training.trainer import train
from dashpot.landscapes import Split

STEPS, SAVED, FATAL = 6, 3, 5  # of a run; after which a checkpoint; the one in which it is killed
VALIDATION = 16  # examples: the data are looked at twice, and that is not what is shown here
BATCHES = {"owt": (2, 2), "gpt2": (2, 2)}  # examples, parts: what two cores do in a minute
HEAD = """# The full settings: killed and resumed

`OMP_NUM_THREADS=1 python benchmarks/full_settings.py --data-dir DATA > benchmarks/full_settings.md`

Each task trains {steps} steps in its full setting with the published hyperparameters of
{optimizer} (gpt2: those of owt), once uninterrupted, and once killed with SIGKILL in step {fatal},
when the checkpoint of step {saved} is the last one, and then called again: step {again} is made
twice. Losses are those of the batches; bits are the first digits of the SHA-256 of all weights and
of the optimizer's state. Batches are the planned ones unless said otherwise. {validation} examples
of the validation data were looked at before the first step and after the last. Memory is the most
that the process had; times are those of a machine that was busy with other work too.
Machine: {machine}.
"""


@dataclass(frozen=True)
class Job:
    """A task to be tried, and how."""

    name: str
    setting: Setting
    optimizer: str
    data_dir: Path | None
    device: str

    def task(self) -> Task:
        """The task, with few validation data."""
        task = TASKS[self.name](self.setting, self.data_dir)
        if isinstance(task, ClassificationTask):
            few = Split(*(tensor[:VALIDATION] for tensor in task._data.validation))
            task._data = replace(task._data, validation=few)
        elif isinstance(task, LanguageTask):
            task._windows = VALIDATION
            task._at_once = 1
        return task

    def settings(self) -> Settings:
        size, parts = BATCHES.get(self.name, (None, 1))
        return Settings(
            self.name,
            self.setting,
            self.optimizer,
            published(self.name, self.optimizer),
            steps=STEPS,
            batch_size=size,
            accumulate=parts,
            evaluate_every=STEPS,
        )


# --- in a process of its own ----------------------------------------------------------------------


def session(job: Job, folder: Path, record: Path, is_killed: bool) -> None:
    """Train in a folder; every loss, and what it took, are lines of `record`."""

    def write(**values: Any) -> None:
        with open(record, "a", encoding="utf-8") as handle:
            print(json.dumps(values), file=handle)

    def gradient(self: Step, batch: Batch, of: Callable[..., Tensor] = Step.gradient) -> Tensor:
        loss = of(self, batch)
        write(loss=loss.item())
        return loss

    def fatal(step: int, size: int, seed: int) -> Batch:
        if step == FATAL - 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return batch(step, size, seed)

    task, settings = job.task(), job.settings()
    Step.gradient = gradient
    batch = task.batch
    if is_killed:
        task.batch = fatal
    result = train(task, settings, folder, device=job.device, checkpoint_every=SAVED)
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts kibibytes
    write(
        name=task.name,
        source=task.source,
        size=settings.batch_size or task.plan.batch_size,
        planned=task.plan.batch_size,
        parts=settings.accumulate,
        parameters=sum(p.numel() for p in task.network().parameters()),
        ms=result.ms_per_step,
        peak=result.peak_bytes or host,
    )


def run(job: Job, folder: Path, *, is_killed: bool = False) -> tuple[list[float], dict[str, Any]]:
    """The losses of a session and its last words."""
    record = folder.with_suffix(".jsonl")
    record.unlink(missing_ok=True)
    process = multiprocessing.get_context("spawn").Process(
        target=session, args=(job, folder, record, is_killed)
    )
    process.start()
    process.join()
    if process.exitcode != (-signal.SIGKILL if is_killed else 0):
        raise SystemExit(f"{job.name}: a session ended with {process.exitcode}")
    lines = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    return [line["loss"] for line in lines if "loss" in line], lines[-1]


# --- what came out --------------------------------------------------------------------------------


def bits(folder: Path) -> str:
    """Of all weights and of the optimizer's state in the last checkpoint."""
    content = checkpoint.load(folder)
    if content is None or content["step"] != STEPS:
        raise SystemExit(f"{folder} has no checkpoint of step {STEPS}")
    digest = hashlib.sha256()
    for tensor in _tensors([content["network"], content["optimizer"]]):
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:12]


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(inner)


def proved(job: Job, folder: Path) -> tuple[str, bool]:
    """A section of the page, and whether the bits agree."""
    whole, about = run(job, folder / "whole")
    until, _ = run(job, folder / "cut", is_killed=True)
    after, _ = run(job, folder / "cut")
    one, other = bits(folder / "whole"), bits(folder / "cut")
    rows = {
        "uninterrupted": [*map(_digits, whole), one],
        "until it was killed": [*map(_digits, until), *[""] * (STEPS - len(until)), ""],
        "resumed": [*[""] * (STEPS - len(after)), *map(_digits, after), other],
    }
    agree = one == other and until == whole[: len(until)] and after == whole[-len(after) :]
    agree &= len(until) == FATAL - 1 and len(after) == STEPS - SAVED
    size = f"batches of {about['size']}"
    if about["size"] != about["planned"]:
        size += f" in {about['parts']} parts (planned: {about['planned']})"
    steps = " | ".join(f"step {n + 1}" for n in range(STEPS))
    lines = [
        f"\n## {job.name}\n",
        f"{about['name']}: {about['source']}.",
        f"{about['parameters']:,} parameters, {size}, at most {about['peak'] / 1e9:.2f} GB, "
        f"{about['ms']:.3g} ms a step. {'The same bits.' if agree else 'OTHER BITS.'}\n",
        f"| | {steps} | bits |",
        "|---" * (STEPS + 2) + "|",
        *(f"| {name} | {' | '.join(row)} |" for name, row in rows.items()),
    ]
    return "\n".join(lines), agree


def _digits(loss: float) -> str:
    return f"{loss:.7g}"


def main(
    tasks: tuple[str, ...] = ("cifar", "vit", "sst2", "qnli", "nano", "owt", "gpt2"),
    /,
    setting: Setting = "full",
    optimizer: str = "CD",
    data_dir: Path | None = None,
    device: str = "cpu",
) -> None:
    """Exit code 1 where bits differ, which they may on a GPU."""
    told = {"steps": STEPS, "saved": SAVED, "fatal": FATAL, "again": SAVED + 1}
    share = on_threads() if device == "cpu" else torch.cuda.get_device_name()
    about = {"optimizer": optimizer, "validation": VALIDATION, "machine": machine(share)}
    print(HEAD.format(**told, **about), end="", flush=True)
    agree = True
    job = Job("", setting, optimizer, data_dir, device)
    for name in tasks:
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            section, same = proved(replace(job, name=name), Path(folder))
        print(section, flush=True)
        print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr)
        agree &= same
    raise SystemExit(not agree)


if __name__ == "__main__":
    tyro.cli(main)
