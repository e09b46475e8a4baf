"""The folder of a run: what it is for, and whose it is now."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ...integrators.files import atomic
from .settings import Settings
from .task import Task

_SETTINGS, _LOCK = "settings.json", "lock"
_OF_THE_TASK = ("name", "data")  # beside the settings, in their file
_BEFORE = re.compile(r"lock|events|run\.json|tmp\w{8}")  # what a run may have before its settings
_WRITTEN = r"(log|result|checkpoint|best).*"


class BusyError(OSError):
    """Another process trains in this folder."""


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """The folder is this process' until the end, however that comes; BusyError if it is not free.

    Where files cannot be locked nobody is refused.
    """
    lock = FileLock(folder / _LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise BusyError(f"another process trains in {folder}") from None
    except NotImplementedError:
        pass
    try:
        yield
    finally:
        lock.release()


def claim(folder: Path, task: Task, settings: Settings) -> None:
    """Write what the folder is for, if it is nothing's yet."""
    path = folder / _SETTINGS
    if not path.exists():
        with atomic(path, "w") as handle:
            json.dump(_head(task, settings), handle, indent=1)


def check(folder: Path, task: Task, settings: Settings) -> None:
    """ValueError if the folder is for something else: other settings, other data, or no run."""
    path = folder / _SETTINGS
    if not path.exists():
        check_no_others(folder, _WRITTEN)
        return
    theirs = read_json(path)
    about = {name: theirs.get(name) for name in _OF_THE_TASK}
    found = {**settings_of(folder).as_json(), **about}
    mine = json.loads(json.dumps(_head(task, settings)))
    other = [name for name in {**found, **mine} if found.get(name) != mine.get(name)]
    if other:
        told = "; ".join(
            f"{name}: {found.get(name)} there, {mine.get(name)} here" for name in other
        )
        raise ValueError(f"{folder} holds a run of other settings ({told}); take another folder")


def check_no_others(folder: Path, names: str = ".*") -> None:
    """ValueError for a folder that holds something, but no run, not even one that was killed before
    it could write its settings.

    names  regular expression of what matters
    """
    if not folder.is_dir() or (folder / _SETTINGS).exists():
        return
    for path in sorted(folder.iterdir()):
        is_empty_log = path.name == "log.jsonl" and not path.stat().st_size
        is_fine = is_empty_log or _BEFORE.fullmatch(path.name)
        if re.fullmatch(names, path.name) and not is_fine:
            raise ValueError(f"{folder} holds {path.name} and no run; take another folder")


def _head(task: Task, settings: Settings) -> dict[str, Any]:
    return {**settings.as_json(), "name": task.name, "data": task.source}


def settings_of(folder: Path) -> Settings:
    """The settings of the run in a folder; ValueError names a file that has none."""
    found = read_json(path := folder / _SETTINGS)
    try:
        return Settings.from_json({k: v for k, v in found.items() if k not in _OF_THE_TASK})
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def read_json(path: Path) -> dict[str, Any]:
    """A file of JSON; ValueError names the one that has none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}; remove it") from error


def tidy(folder: Path) -> None:
    """Remove what a killed process has left of files that it was about to write.

    Only where there is a run: in another folder files of such names are somebody else's.
    """
    if (folder / _SETTINGS).exists():
        for path in folder.glob("tmp????????"):
            os.unlink(path)
