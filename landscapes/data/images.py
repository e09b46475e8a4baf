"""CIFAR-10: ten kinds of things in photographs of 32 × 32 pixels."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..digits import Split, digits
from .download import download as fetch
from .folder import Folder
from .published import Published
from .splits import held_out

_BYTES = 1 + 3 * 32 * 32  # of an image: its class, then red, green and blue planes
_MEMBER = 10_000 * _BYTES
_BATCHES = (
    Published("data_batch_1.bin", _MEMBER, "5dd7e06a14cb22eb9f671a540d1b7c25"),
    Published("data_batch_2.bin", _MEMBER, "5ea93a67294ea407fff1d09f752e9692"),
    Published("data_batch_3.bin", _MEMBER, "942cd6a4bcdd0dd3c604fbe906cb4421"),
    Published("data_batch_4.bin", _MEMBER, "ae636b3ba5c66a11e91e8cb52e771fcb"),
    Published("data_batch_5.bin", _MEMBER, "53f37980c15c3d472c316c40844f3f0d"),
    Published("test_batch.bin", _MEMBER, "803d5f7f4d78ea53de84dbe85f74fb6d"),
)
_ARCHIVE = Published(
    "cifar-10-binary.tar.gz",
    170_052_171,
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
)
_PLACES = ("cifar10", "cifar-10-batches-bin", "cifar10/cifar-10-batches-bin", ".")
_TILES = (100, 50)  # rows and columns of images in a sheet

Labelled = tuple[NDArray[np.uint8], NDArray[np.uint8]]


@dataclass(frozen=True)
class Images:
    """Pictures and what they show: inputs uint8 [n, 3, 32, 32], targets int64 [n].

    classes     how many kinds there are
    source      which data, from where, and how many of them
    is_standin  whether they are not CIFAR-10
    """

    train: Split
    validation: Split
    test: Split
    classes: int
    source: str
    is_standin: bool = False


def cifar10(
    folder: Path | None, *, validation: int | None = None, download: bool = False
) -> Images:
    """CIFAR-10 from `folder`, its sub-folder cifar10 or cifar-10-batches-bin.

    There are either the official binary files (data_batch_1 … 5.bin, test_batch.bin), or their
    archive cifar-10-binary.tar.gz, or lossless sheets: train_00.webp, …, test_00.webp, …, with
    5000 images each, 50 a row, and train_labels.u8 and test_labels.u8, a byte an image. Of
    sheets there may be a few only; `source` says how many images that makes.

    validation  images held out of the training ones, the same in every run, as many of every
                class; None: a tenth
    download    fetch the archive if none of these are there

    Without data: the handwritten digits of scikit-learn, enlarged (`is_standin`).
    Raises ValueError naming a file that is truncated or another one, FileNotFoundError for one
    that is missing beside others.

    Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images (2009).
    """
    place = Folder(folder, create=download)
    read = _binary(place) or _archive(place, False) or _sheets(place) or _archive(place, download)
    if read is None:
        return _enlarged_digits()
    (images, labels), test, where = read
    count = len(labels) // 10 if validation is None else validation
    if not 0 < count < len(labels):
        raise ValueError(
            f"validation must be 1 to {len(labels) - 1}, of {len(labels)} training images; "
            f"got {count}"
        )
    stay, out = held_out(labels, count)
    told = f"{len(labels):,} of 50,000 training and {len(test[1]):,} of 10,000 test images"
    return Images(
        _split(images[stay], labels[stay]),
        _split(images[out], labels[out]),
        _split(*test),
        classes=10,
        source=f"CIFAR-10: {told} from {where}, {count:,} of the training ones for validation",
    )


def _binary(folder: Folder) -> tuple[Labelled, Labelled, str] | None:
    """The official files, unpacked."""
    found = [folder.find(*_at(one.name)) for one in _BATCHES]
    here = [path for path in found if path is not None]
    if not here:
        return None
    if missing := [one.name for one, path in zip(_BATCHES, found, strict=True) if path is None]:
        raise FileNotFoundError(f"{here[0].parent} has {here[0].name}, but no {missing}")
    contents = [folder.read(path, one) for path, one in zip(here, _BATCHES, strict=True)]
    return _from_batches(contents, "the official binary files")


def _archive(folder: Folder, may_fetch: bool) -> tuple[Labelled, Labelled, str] | None:
    """The official archive, read in place; its members are checked one by one."""
    path = folder.find(*_at(_ARCHIVE.name))
    if path is None and may_fetch and folder.path is not None:
        path = fetch(_ARCHIVE, folder.path / "cifar10" / _ARCHIVE.name)
    if path is None:
        return None
    wanted = {one.name: one for one in _BATCHES}
    contents: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r|gz") as archive:
            for member in archive:
                one = wanted.get(Path(member.name).name)
                if one is not None and (file := archive.extractfile(member)) is not None:
                    contents[one.name] = one.check(file.read(), path / one.name)
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{path} is truncated or no tar.gz file: {error}") from error
    if missing := [name for name in wanted if name not in contents]:
        raise ValueError(f"{path} is another file than {_ARCHIVE.name} as published: no {missing}")
    return _from_batches([contents[name] for name in wanted], _ARCHIVE.name)


def _from_batches(contents: list[bytes], where: str) -> tuple[Labelled, Labelled, str]:
    rows = [np.frombuffer(content, np.uint8).reshape(-1, _BYTES) for content in contents]
    train, test = np.concatenate(rows[:-1]), rows[-1]
    return _labelled(train), _labelled(test), where


def _labelled(rows: NDArray[np.uint8]) -> Labelled:
    return rows[:, 1:].reshape(-1, 3, 32, 32), rows[:, 0]


def _sheets(folder: Folder) -> tuple[Labelled, Labelled, str] | None:
    """Lossless sheets, as many as there are."""
    if folder.find(*_at("train_00.webp"), *_at("test_00.webp")) is None:
        return None
    return _sheets_of(folder, "train"), _sheets_of(folder, "test"), "lossless sheets"


def _sheets_of(folder: Folder, part: str) -> Labelled:
    first = folder.find(*_at(f"{part}_00.webp"))
    if first is None:
        raise FileNotFoundError(f"{folder.path} has sheets of CIFAR-10, but no {part}_00.webp")
    sheets = sorted(first.parent.glob(f"{part}_[0-9][0-9].webp"))
    for number, path in enumerate(sheets):
        if path.name != (name := f"{part}_{number:02}.webp"):
            raise FileNotFoundError(f"{first.parent} has {path.name}, but no {name}")
    path = first.parent / f"{part}_labels.u8"
    if not path.is_file():
        raise FileNotFoundError(f"{first.parent} has {first.name}, but no {path.name}")
    images = np.concatenate([_images_of(folder.read(sheet), sheet) for sheet in sheets])
    classes = np.frombuffer(folder.read(path), np.uint8)[: len(images)]
    if len(classes) < len(images) or classes.max() > 9:
        raise ValueError(
            f"{path} is truncated or another file: {len(images)} classes 0 to 9 expected, "
            f"{len(classes)} bytes up to {classes.max(initial=0)} found"
        )
    return images, classes


def _images_of(content: bytes, path: Path) -> NDArray[np.uint8]:
    """The 5000 images of a sheet [n, 3, 32, 32], row by row."""
    from PIL import Image

    rows, columns = _TILES
    expected = (32 * columns, 32 * rows)
    try:
        with Image.open(io.BytesIO(content)) as sheet:
            found = sheet.size
            pixels = np.asarray(sheet.convert("RGB")) if found == expected else None
    except (OSError, ValueError, SyntaxError) as error:
        raise ValueError(f"{path} is truncated or no picture: {error}") from error
    if pixels is None:
        raise ValueError(f"{path} is another file: {expected} pixels expected, {found} found")
    tiles = pixels.reshape(rows, 32, columns, 32, 3).transpose(0, 2, 4, 1, 3)
    return tiles.reshape(-1, 3, 32, 32)


def _at(name: str) -> list[str]:
    return [f"{place}/{name}" for place in _PLACES]


def _split(images: NDArray[np.uint8], classes: NDArray[np.uint8]) -> Split:
    return Split(torch.tensor(images), torch.tensor(classes, dtype=torch.int64))


def _enlarged_digits() -> Images:
    data = digits()

    def enlarged(split: Split) -> Split:
        pixels = (255 * split.inputs).round().to(torch.uint8).reshape(-1, 1, 8, 8)
        larger = pixels.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
        return Split(larger.repeat(1, 3, 1, 1), split.targets)

    parts = enlarged(data.train), enlarged(data.validation), enlarged(data.test)
    told = "a stand-in for CIFAR-10: 1797 handwritten digits of scikit-learn, enlarged to 32 × 32"
    return Images(*parts, classes=10, source=told, is_standin=True)
