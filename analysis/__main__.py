"""The command line: `dashpot study`, also `python -m dashpot.analysis`."""

import contextlib
import io
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import tyro


@dataclass(frozen=True)
class Study:
    """Decay of the energy, order of the words, and a trained network: tables, figures, a page.

    Writes index.html (open it in a browser), figures, runs and results.json into a folder.
    """

    quick: bool = False
    """Shorter runs and two seeds: about 30 seconds instead of two minutes."""
    out: Path | None = None
    """Folder to write; must not exist. Default: study-001, study-002, ... here."""
    overwrite: bool = False
    """Replace the folder given by --out if it exists."""
    seed: int = 0
    """First seed of the training runs."""
    only: tuple[Literal["decay", "order", "training"], ...] = ()
    """Sections to run; all if not given."""
    device: str = "cpu"
    """Where simulations and training run, for example cuda."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0, 2 for a bad call, 130 after Ctrl-C."""
    try:
        command = _parse(sys.argv[1:] if arguments is None else arguments)
        _check(command)
    except ValueError as error:
        print(f"dashpot: {error}", file=sys.stderr)
        return 2
    return _run(command)


def _parse(arguments: Sequence[str]) -> Study:
    """tyro's parser, with its errors as one line."""
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            return tyro.extras.subcommand_cli_from_dict(
                {"study": Study},
                prog="dashpot",
                description="Optimizers as damped mechanical systems, simulated and checked.",
                args=list(arguments),
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise ValueError(_one_line(errors.getvalue())) from None


def _one_line(boxed: str) -> str:
    """The message inside tyro's frame: title, message, help, with rules between them."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", boxed)
    lines = [line.strip("│╭╮╰╯ ") for line in plain.splitlines()]
    if lines and lines[0].startswith("─"):  # the title is part of the frame, if not in ASCII
        lines[0] = "─"
    groups: list[list[str]] = [[]]
    for line in lines:
        if line and set(line) <= set("─-"):
            groups.append([])
        elif line:
            groups[-1].append(line)
    message = " ".join(groups[1]) if len(groups) > 1 else ""
    return message or "cannot read the command; see dashpot study --help"


def _check(command: Study) -> None:
    """Everything that can be wrong with a call, before any work is done. Raises ValueError."""
    if command.seed < 0:
        raise ValueError(f"--seed must be a whole number >= 0; got {command.seed}")
    try:
        torch.zeros(1, device=torch.device(command.device))
    except Exception as error:
        first = str(error).splitlines()[0]
        raise ValueError(f"--device {command.device} cannot be used: {first}") from None
    out = command.out
    if out is not None and out.exists():
        if not out.is_dir():
            raise ValueError(f"--out {out} is a file; name a folder")
        if not command.overwrite:
            raise ValueError(f"--out {out} exists; name a new folder, or add --overwrite")
        if any(out.iterdir()) and not (out / "results.json").exists():
            raise ValueError(f"--out {out} is not a study's folder; --overwrite would lose it")
    parent = next(p for p in (out or Path("study")).absolute().parents if p.exists())
    try:
        tempfile.TemporaryFile(dir=parent).close()
    except OSError as error:
        raise ValueError(f"cannot write in {parent}: {error.strerror}") from None


def _run(command: Study) -> int:
    from .study.report import terminal_tables
    from .study.run import SECTIONS, next_folder, study

    out = command.out or next_folder(Path.cwd())
    if command.out is not None and out.exists():
        shutil.rmtree(out)
    started = time.perf_counter()
    results = study(
        out,
        quick=command.quick,
        seed=command.seed,
        only=command.only or SECTIONS,
        device=command.device,
    )
    print(terminal_tables(results.as_json()))
    print(f"\n{out / 'index.html'} written in {time.perf_counter() - started:.0f} s")
    if results.interrupted:
        print("interrupted: this is what was finished")
        return 130
    for failure in results.failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if results.failures else 0


if __name__ == "__main__":
    sys.exit(main())
