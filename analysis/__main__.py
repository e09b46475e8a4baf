"""The command line, `dashpot COMMAND`; `python -m dashpot.analysis` runs the study."""

import contextlib
import io
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import fields
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import version
from typing import Any

import tyro

from .commands.errors import BadCallError

COMMANDS = {
    "study": "Study",
    "word": "Describe",
    "convert": "Convert",
    "map": "Map",
    "train": "TrainCommand",
    "sweep": "SweepCommand",
}
"""A module of `commands`, and its class; only the one that is asked for is loaded."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 0, 1 for a failure, 2 for a bad call, 130 after Ctrl-C."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given == ["--version"]:
        print(f"dashpot {version('dashpot')}")
        return 0
    speaks = os.environ.get("LOCAL_RANK", "0") == "0"  # processes of torchrun all say the same
    try:
        command = _parse(given)
        command.check()
        return command.run()
    except BadCallError as error:
        if speaks:
            print(f"dashpot: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        if speaks:
            print("dashpot: interrupted before anything was finished", file=sys.stderr)
        return 130


def _class_of(command: str) -> Any:
    return getattr(import_module(f".commands.{command}", __package__), COMMANDS[command])


def _parse(arguments: Sequence[str]) -> Any:
    """tyro's parser, with its errors as one line."""
    first = arguments[0] if arguments else ""
    if not first.startswith("-") and first not in COMMANDS:
        close = get_close_matches(first, COMMANDS, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise BadCallError(f"no command {first!r}; there are {', '.join(COMMANDS)}{hint}")
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            if first in COMMANDS:
                return tyro.cli(_class_of(first), prog=f"dashpot {first}", args=arguments[1:])
            return tyro.extras.subcommand_cli_from_dict(
                {command: _class_of(command) for command in COMMANDS},
                prog="dashpot",
                description="Optimizers as damped mechanical systems, simulated and checked.",
                args=list(arguments),
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise BadCallError(_with_hint(_one_line(errors.getvalue()), first)) from None


def _with_hint(message: str, command: str) -> str:
    """For an option that is not there the closest one that is."""
    wrong = re.match(r"Unrecognized (?:or misplaced )?options: (--[\w-]+)", message)
    if wrong is None or command not in COMMANDS:
        return message
    options = [f"--{field.name.replace('_', '-')}" for field in fields(_class_of(command))]
    close = get_close_matches(wrong[1], options, 1)
    return f"{message}; did you mean {close[0]}?" if close else message


def _one_line(boxed: str) -> str:
    """The message inside tyro's frame: title, message, help, with rules between them."""
    plain = re.sub(r"\x1b\[[0-9;]*m|\[/?bold\]", "", boxed)
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
    # an optional value was tried as None first, which nobody asked for
    tried = r"no type matching .*? could be instantiated from (\[.*?\])\..* - [^:]+: "
    message = re.sub(tried, r"cannot read \1: ", message)
    return message or "cannot read the command; see dashpot --help"


if __name__ == "__main__":
    given = sys.argv[1:]
    if given != ["--version"] and (not given or given[0].startswith("-")):
        given = ["study", *given]  # python -m dashpot.analysis --quick is dashpot study --quick
    sys.exit(main(given))
