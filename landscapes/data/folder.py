"""A data folder: files are found in it plain or as .xz, unpacked and checked."""

from __future__ import annotations

import hashlib
import lzma
from pathlib import Path

from .download import download
from .published import Published

_SUMS = "SHA256SUMS"


class Folder:
    """Where a person keeps data; None: nowhere.

    If it has a file SHA256SUMS, what is read and named there is checked by it.

    create  make it if it is not there

    Raises NotADirectoryError for a folder that is not there; ValueError for none to create.
    """

    def __init__(self, path: Path | None, *, create: bool = False) -> None:
        self.path = path
        if path is None:
            if create:
                raise ValueError("a download needs a folder for the data; got none")
            return
        if create:
            path.mkdir(parents=True, exist_ok=True)
        if not path.is_dir():
            raise NotADirectoryError(f"{path} is no folder; the data are to be in one that is")

    def find(self, *names: str) -> Path | None:
        """The first file there is of NAME and NAME.xz, for each of the names in turn."""
        if self.path is not None:
            for name in names:
                for path in (self.path / name, self.path / f"{name}.xz"):
                    if path.is_file():
                        return path
        return None

    def read(self, path: Path, published: Published | None = None) -> bytes:
        """The content of a file, unpacked, and checked if it is known as it was published.

        Raises ValueError, naming the file, if it is truncated or another one.
        """
        content = path.read_bytes()
        expected = self._listed().get(path)
        if expected not in (None, found := hashlib.sha256(content).hexdigest()):
            raise ValueError(
                f"{path} is truncated or another file: sha256 {expected} expected (by {_SUMS}), "
                f"{found} found in {len(content)} bytes"
            )
        if path.suffix == ".xz":
            try:
                content = lzma.decompress(content)
            except lzma.LZMAError as error:
                raise ValueError(f"{path} is truncated or no xz file: {error}") from error
        return content if published is None else published.check(content, path)

    def obtain(self, published: Published, *names: str, fetch: bool) -> bytes | None:
        """A published file under one of these names, or fetched to be the first; None if not."""
        path = self.find(*names)
        if path is None and fetch and self.path is not None:
            path = download(published, self.path / names[0])
        return None if path is None else self.read(path, published)

    def _listed(self) -> dict[Path, str]:
        if self.path is None or not (sums := self.path / _SUMS).is_file():
            return {}
        found = {}
        for number, line in enumerate(as_text(sums.read_bytes(), sums).splitlines(), 1):
            if line.strip():
                digest, _, name = line.partition(" ")
                if not name.strip():
                    raise ValueError(
                        f"{sums}, line {number}: sum and name expected, {line!r} found"
                    )
                found[self.path / name.strip().removeprefix("*")] = digest
        return found


def as_text(content: bytes, path: Path) -> str:
    """The content of a file in UTF-8; ValueError, naming it, if it is not."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is another file: UTF-8 expected, {error}") from error
