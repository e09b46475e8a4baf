"""The files of two tasks of GLUE: sentences, or pairs of them, in two classes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .download import download
from .folder import Folder, as_text
from .published import Published

GlueTask: TypeAlias = Literal["SST-2", "QNLI"]


@dataclass(frozen=True)
class Rows:
    """Sentences, or pairs of them, and their classes 0 or 1: int64 [n]."""

    texts: list[str] | list[tuple[str, str]]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class _Files:
    """How a task was published.

    columns  of a table, its header; texts are those between the index and the label
    labels   of the classes 0 and 1
    whole    rows of train.tsv
    tables   those whose checksum is known; it is that of the table itself, not of its .xz
    trains   names of the training table, the whole one first
    """

    archive: Published
    columns: tuple[str, ...]
    labels: tuple[str, str]
    whole: int
    tables: Mapping[str, Published]
    trains: tuple[str, ...] = ("train.tsv",)


def _tables(*tables: Published) -> dict[str, Published]:
    return {table.name: table for table in tables}


_URL = "https://dl.fbaipublicfiles.com/glue/data"
_GLUE: dict[GlueTask, _Files] = {
    "SST-2": _Files(
        Published(
            "SST-2.zip",
            7_439_277,
            "d67e16fb55739c1b32cdce9877596db1c127dc322d93c082281f64057c16deaa",
            f"{_URL}/SST-2.zip",
        ),
        ("sentence", "label"),
        ("0", "1"),
        67_349,
        _tables(
            Published(
                "train.tsv",
                3_806_081,
                "48eac26399f8456935f81dd9e3a745c1430adb6c62e233ccfe22db4a0d15d1d1",
            ),
            Published(
                "dev.tsv",
                94_931,
                "54a9c12c77e402fc14d6a66a506f24d999f596b0176eb777c972cccc2f9cc4b0",
            ),
        ),
    ),
    "QNLI": _Files(
        Published(
            "QNLIv2.zip",
            10_627_589,
            "e634e78627a29adaecd4f955359b22bf5e70f2cbd93b493f2d624138a0c0e5f5",
            f"{_URL}/QNLIv2.zip",
        ),
        ("index", "question", "sentence", "label"),
        ("entailment", "not_entailment"),
        104_743,
        _tables(
            Published(
                "train_9k.tsv",
                2_192_050,
                "31d36100033912d934bb5b28fdc086d724eb718a6426650c8cc703c0901db9a6",
            ),
            Published(
                "dev.tsv",
                1_367_342,
                "ac19409dcb04631eaaa094bdebdcf621086bc352503dfb6a1a648b614986f4fd",
            ),
        ),
        ("train.tsv", "train_9k.tsv"),
    ),
}


def read(task: GlueTask, folder: Folder, *, fetch: bool) -> tuple[Rows, Rows, str] | None:
    """The rows of the training table and of dev.tsv, and where they are from; None: no such."""
    if task not in _GLUE:
        raise ValueError(f"task must be one of {', '.join(_GLUE)}; got {task!r}")
    files = _GLUE[task]
    return _loose(task, files, folder) or _archived(task, files, folder, fetch)


def _loose(task: GlueTask, files: _Files, folder: Folder) -> tuple[Rows, Rows, str] | None:
    places = (f"glue/{task}", task)
    train = folder.find(*(f"{place}/{name}" for name in files.trains for place in places))
    dev = folder.find(*(f"{place}/dev.tsv" for place in places))
    if train is None and dev is None:
        return None
    if train is None or dev is None:
        missing = f"{files.trains[0]} beside dev.tsv" if train is None else "dev.tsv"
        raise FileNotFoundError(f"{folder.path} has a part of {task}, but no {missing}")
    contents = (
        folder.read(path, files.tables.get(path.name.removesuffix(".xz"))) for path in (train, dev)
    )
    rows = [
        _rows(content, path, files) for content, path in zip(contents, (train, dev), strict=True)
    ]
    count = len(rows[0].labels)
    if train.name.startswith("train.tsv") and count != files.whole:
        raise ValueError(f"{train} is another file: {files.whole} rows expected, {count} found")
    return rows[0], rows[1], f"{count:,} of {files.whole:,} training rows ({train.name})"


def _archived(
    task: GlueTask, files: _Files, folder: Folder, fetch: bool
) -> tuple[Rows, Rows, str] | None:
    name = files.archive.name
    path = folder.find(f"glue/{name}", name)
    if path is None and fetch and folder.path is not None:
        path = download(files.archive, folder.path / "glue" / name)
    if path is None:
        return None
    with zipfile.ZipFile(io.BytesIO(folder.read(path, files.archive))) as archive:
        train, dev = (
            _rows(archive.read(f"{task}/{part}.tsv"), path, files) for part in ("train", "dev")
        )
    return train, dev, f"the {files.whole:,} training rows ({name})"


def _rows(content: bytes, path: Path, files: _Files) -> Rows:
    """Lines end with a line feed and nothing else: sentences hold other characters that could."""
    header, *lines = as_text(content, path).split("\n")
    if tuple(header.rstrip("\r").split("\t")) != files.columns:
        raise ValueError(
            f"{path} is another file: the columns {', '.join(files.columns)} expected, "
            f"{header[:80]!r} found"
        )
    if lines and not lines[-1]:
        lines.pop()
    texts, labels = [], []
    for number, line in enumerate(lines, 2):
        fields = line.rstrip("\r").split("\t")
        if len(fields) != len(files.columns) or fields[-1] not in files.labels:
            raise ValueError(
                f"{path}, line {number}: {len(files.columns)} columns that end with "
                f"{' or '.join(files.labels)} expected, {line[:80]!r} found"
            )
        labels.append(files.labels.index(fields[-1]))
        texts.append(fields[0] if len(fields) == 2 else (fields[1], fields[2]))
    return Rows(texts, np.array(labels, np.int64))
