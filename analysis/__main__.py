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

import torch
import tyro

from .study import SECTIONS, Section


@dataclass(frozen=True)
class Study:
    """Decay of the energy, order of the words, and a trained network: tables, figures, a page.

    Writes index.html (open it in a browser), figures, runs and results.json into a folder.
    """

    quick: bool = False
    """Fewer landscapes and two seeds: about 30 seconds instead of two minutes."""
    out: Path | None = None
    """Folder to write; new or empty. Default: study-001, study-002, ... here."""
    overwrite: bool = False
    """Replace an earlier study in the folder given by --out."""
    seed: int = 0
    """First seed of the training runs."""
    only: tuple[Section, ...] = ()
    """Sections to run, separated by spaces; all if not given."""
    device: str = "cpu"
    """Where simulations and training run: cpu or cuda. References and orders stay on the cpu."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0, 2 for a bad call, 130 after Ctrl-C."""
    try:
        command = _parse(sys.argv[1:] if arguments is None else arguments)
        _check(command)
        return _run(command)
    except _BadCallError as error:
        print(f"dashpot: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("dashpot: interrupted before anything was finished", file=sys.stderr)
        return 130


class _BadCallError(ValueError):
    """A call that cannot be carried out, told in one line."""


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
        raise _BadCallError(_one_line(errors.getvalue())) from None


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
    """Everything that can be wrong with a call, before any work is done. Raises _BadCallError."""
    if not 0 <= command.seed < 2**31:
        raise _BadCallError(f"--seed must be a whole number from 0 to 2³¹ − 1; got {command.seed}")
    _check_device(command.device)
    if command.overwrite and command.out is None:
        raise _BadCallError("--overwrite needs --out, the folder to replace")
    if command.out is not None:
        _check_folder(command.out, command.overwrite)
    parent = next(p for p in (command.out or Path("study")).absolute().parents if p.exists())
    try:
        tempfile.TemporaryFile(dir=parent).close()
    except OSError:
        raise _BadCallError(f"cannot write in {parent}") from None


def _check_device(name: str) -> None:
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda"):
            raise RuntimeError("only cpu and cuda are supported")
        torch.zeros(1, device=device)
    except Exception as error:
        first = str(error).splitlines()[0]
        raise _BadCallError(f"--device {name} cannot be used: {first}") from None


def _check_folder(out: Path, overwrite: bool) -> None:
    if not out.exists() and not out.is_symlink():
        return
    if out.is_symlink() or not out.is_dir():
        raise _BadCallError(f"--out {out} is a file or a link; name a folder")
    if not any(out.iterdir()):
        return
    if not (out / "results.json").exists():
        raise _BadCallError(f"--out {out} exists and is not a study's folder; name a new one")
    if not overwrite:
        raise _BadCallError(f"--out {out} exists; name a new folder, or add --overwrite")
    if out.resolve() in (Path.cwd(), *Path.cwd().parents):
        raise _BadCallError(f"--out {out} is the folder you are in; go elsewhere to replace it")


def _run(command: Study) -> int:
    from .study.report import terminal_tables
    from .study.run import next_folder, study

    out = command.out or next_folder(Path.cwd())
    replaced = None
    if out.exists():  # kept under a free name until the new study is whole
        replaced = next_folder(out.parent, f"{out.name}-replaced")
        out.rename(replaced)
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
        if replaced is not None:
            print(f"the study it was to replace is in {replaced}")
        return 130
    if replaced is not None:
        shutil.rmtree(replaced)
    for failure in results.failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if results.failures else 0


if __name__ == "__main__":
    given = sys.argv[1:]
    if not given or given[0].startswith("-"):
        given = ["study", *given]  # python -m dashpot.analysis --quick is dashpot study --quick
    sys.exit(main(given))
