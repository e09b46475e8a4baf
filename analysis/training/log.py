"""The log of a run: a line of JSON for everything that was measured."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_NAME = "log.jsonl"


class Log:
    """`log.jsonl` in the folder of a run.

    Lines that cannot be written, on a full disk, are kept and written with the next ones.
    """

    def __init__(self, folder: Path, length: int = 0) -> None:
        """Goes on after the first `length` bytes; what follows them is measured anew."""
        self._path = folder / _NAME
        self._waiting = b""
        with open(self._path, "ab") as handle:
            there = handle.seek(0, os.SEEK_END)
            self.length = min(length, there)  # a machine that lost its power may have less
            handle.truncate(self.length)

    def write(self, kind: str, step: int, **values: Any) -> None:
        """Add a line. OSError where it has to wait."""
        line = json.dumps({"kind": kind, "step": step, **values})
        self._waiting += line.encode() + b"\n"
        self._flush()

    def sync(self) -> None:
        """All lines are on the disk when this returns; OSError if they are not."""
        self._flush(sync=True)

    def _flush(self, *, sync: bool = False) -> None:
        with open(self._path, "r+b", buffering=0) as handle:
            handle.seek(self.length)
            rest = memoryview(self._waiting)
            while rest:
                rest = rest[handle.write(rest) :]
            handle.truncate()
            if sync:
                os.fsync(handle.fileno())
        self.length += len(self._waiting)
        self._waiting = b""


def lines(folder: Path, kind: str | None = None) -> Iterator[dict[str, Any]]:
    """What a run has logged, in order; a line that was cut off at the end is passed over."""
    with open(folder / _NAME, encoding="utf-8") as handle:
        for line in handle:
            if not line.endswith("\n"):
                return
            found = json.loads(line)
            if kind is None or found["kind"] == kind:
                yield found
