"""Writing a file so that a reader never sees half of it."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def atomic(path: Path, mode: str = "wb") -> Iterator[Any]:
    """An open temporary file beside `path` that is renamed to it if all goes well.

    Otherwise the file that was there stays as it was. Missing folders are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    encoding = None if "b" in mode else "utf-8"
    number, name = tempfile.mkstemp(dir=path.parent)
    try:
        with open(number, mode, encoding=encoding) as handle:
            yield handle
        os.chmod(name, 0o666 & ~_umask())  # a temporary file is private, a result is not
        os.replace(name, path)
    except BaseException:
        with suppress(FileNotFoundError):  # Ctrl-C when it had its name already
            os.unlink(name)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
