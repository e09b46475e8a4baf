"""Published files from the network: resumed when cut, refused when wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from urllib.request import Request, urlopen

from filelock import FileLock
from tqdm import tqdm

from .published import Published

_PIECE = 1 << 16  # bytes
_SILENCE = 30.0  # seconds without a byte after which a connection counts as cut


def download(published: Published, path: Path) -> Path:
    """Fetch a file to `path`, with progress, unless it is there; returns `path`.

    Bytes go to NAME.part, which is renamed when size and checksum are right: `path` is whole or
    not there. A connection that is cut is taken up again where it ended, at once as long as that
    brings bytes, and in the next call otherwise. Processes that ask for the same file wait for
    the first of them.

    Raises ConnectionError where the server gives nothing more, ValueError for another file than
    the published one, which is deleted.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with FileLock(path.with_name(path.name + ".lock")):
        if not path.exists():
            _fill(published, part)
            try:
                published.check_file(part)
            except ValueError as error:
                part.unlink()
                raise ValueError(f"from {published.url}: {error}; deleted") from None
            os.replace(part, path)
    return path


def _fill(published: Published, part: Path) -> None:
    """Bytes into `part` until it has its size."""
    have = part.stat().st_size if part.exists() else 0
    if have > published.size:
        have = 0
    told = {"desc": published.name, "unit": "B", "unit_scale": True, "disable": None}
    with (
        open(part, "r+b" if have else "wb") as handle,
        tqdm(total=published.size, initial=have, **told) as bar,
    ):
        while have < published.size:
            before, why = have, "the connection ended"
            try:
                for start, piece in _pieces(published, have):
                    handle.seek(start)
                    handle.write(piece)
                    handle.truncate()  # a server that starts over may be cut before it is here
                    have = start + len(piece)
                    bar.update(have - bar.n)
                    if have >= published.size:
                        break
            except ConnectionError as error:
                why = str(error)
            if have <= before:
                raise ConnectionError(
                    f"{published.url} gives nothing more: {why}; {have} of {published.size} "
                    f"bytes are in {part}, and the next call goes on from there"
                )


def _pieces(published: Published, start: int) -> Iterator[tuple[int, bytes]]:
    """(position, bytes) from `start` on, or from 0 where the server knows no ranges."""
    headers = {"User-Agent": "dashpot", "Range": f"bytes={start}-"}
    try:
        with urlopen(Request(published.url, headers=headers), timeout=_SILENCE) as answer:
            at = start if answer.status == 206 else 0
            if at and not answer.headers.get("Content-Range", "").startswith(f"bytes {at}-"):
                raise ConnectionError(f"asked for bytes from {at} on, it sends others")
            rest = answer.headers.get("Content-Length")
            if rest is not None and at + int(rest) != published.size:
                raise ValueError(
                    f"{published.url} is not {published.name} as published: {published.size} "
                    f"bytes expected, {at + int(rest)} announced"
                )
            while piece := answer.read(_PIECE):
                yield at, piece
                at += len(piece)
    except (OSError, HTTPException) as error:
        raise ConnectionError(str(error) or repr(error)) from error
