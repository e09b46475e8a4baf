"""What a training run tells: while it lasts, and at its end."""

import sys
from pathlib import Path
from types import TracebackType

from tqdm import tqdm

from ..training.checkpoint import best_path
from ..training.result import Result
from ..training.task import Task

_LOOK = "validation "  # before the name of a number from the validation data


class Bar:
    """Loss, validation and throughput: a bar on a terminal, else a line for each validation.

    Throughput is that of the steps since what was shown before.

    steps  of the whole run; a resumed one begins where it was
    quiet  say nothing
    """

    def __init__(self, steps: int, *, quiet: bool = False) -> None:
        self._steps, self._quiet = steps, quiet
        self._numbers: dict[str, float] = {}
        hidden = quiet or not sys.stderr.isatty()
        self._bar = tqdm(total=steps, unit="step", dynamic_ncols=True, disable=hidden)
        self._has_begun = False
        self._step = 0  # of the last news
        self._since, self._time = 0, 0.0  # steps since what was shown, and by their rates how long
        self._speed = ""

    def __call__(self, step: int, numbers: dict[str, float]) -> None:
        if "resumed" in numbers and not self._quiet:
            tqdm.write(f"goes on after step {step} of {self._steps}", file=sys.stderr)
        if step > self._step and self._bar.disable:
            self._numbers.pop("loss", None)  # a line tells that of its own step
        self._numbers |= numbers
        if rate := numbers.get("examples_per_second"):
            self._since += step - self._step
            self._time += (step - self._step) / rate
        self._step = step
        if not self._bar.disable:
            if not self._has_begun:  # what earlier sessions did does not count as speed
                self._bar.initial = self._bar.n = self._bar.last_print_n = step
            self._bar.set_postfix_str(self._told(), refresh=False)
            self._bar.update(step - self._bar.n)
        elif not self._quiet and any(name.startswith(_LOOK) for name in numbers):
            print(f"step {step} of {self._steps}: {self._told()}", file=sys.stderr, flush=True)
        self._has_begun = True

    def __enter__(self) -> "Bar":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._bar.close()

    def _told(self) -> str:
        found = self._numbers
        names = ["loss", *(name for name in found if name.startswith(_LOOK))]
        parts = [f"{name} {found[name]:.4f}" for name in names if name in found]
        if self._time:
            speed = self._since / self._time
            self._speed = f"{speed:,.0f}" if speed >= 100 else f"{speed:.3g}"
            self._since, self._time = 0, 0.0
        if self._speed:
            parts.append(f"{self._speed} examples/s")
        return ", ".join(parts)


def summary(task: Task, result: Result, out: Path, steps: int, *, again: bool) -> list[str]:
    """What came out, in two or three lines.

    again  the run had come to its end before
    """
    lines = []
    if again:
        lines.append("trained before; --out names another folder to do it again")
    if result.status == "diverged":
        what = f"the loss of step {result.steps + 1} of {steps} was"
        if result.steps == steps:
            what = "the weights after the last step were"
        lines.append(f"diverged: {what} not finite")
    if result.status == "interrupted":
        lines.append(f"interrupted after {result.steps} of {steps} steps: the same command goes on")
    if result.validation is not None and result.best_step is not None:
        told = f"{task.name}: best {_numbers(_LOOK, result.validation)} at step {result.best_step}"
        lines.append(f"{told} of {steps}")
    if result.test is not None:
        lines.append(f"with the same weights {_numbers('test ', result.test)}")
    spent = [f"{result.seconds / 60:.1f} minutes"]
    if result.ms_per_step is not None:
        spent.append(f"{result.ms_per_step:.3g} ms a step")
    spent.append(f"{result.state_bytes / 1e6:.3g} MB of optimizer state")
    if result.peak_bytes is not None:
        spent.append(f"{result.peak_bytes / 1e9:.3g} GB on the device at most")
    kept = f"{out}: log.jsonl"
    if result.best_step is not None and best_path(out, result.best_step).exists():
        kept += f", {best_path(out, result.best_step).name}"
    return [*lines, f"{', '.join(spent)}; {kept}"]


def _numbers(prefix: str, numbers: dict[str, float]) -> str:
    return ", ".join(f"{prefix}{name} {value:.4f}" for name, value in numbers.items())
