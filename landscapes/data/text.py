"""Running text for models of language, character by character or in tokens."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from . import manual, tokens
from .folder import Folder, as_text
from .published import Published

_SHAKESPEARE = Published(
    "tinyshakespeare.txt",
    1_115_394,
    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
)
_CHECKED = 1 << 24  # tokens of a .bin file that are looked at,
_STRETCH = 1 << 14  # as many at a time


@dataclass(frozen=True)
class Text:
    """Token indices of a language, one after the other: [length], any integer type.

    The published splits have no test part; `with_test` makes one.
    """

    train: Tensor
    validation: Tensor
    test: Tensor | None
    vocabulary: int
    source: str
    is_standin: bool = False

    def with_test(self) -> Text:
        """The same training text; the second half of the validation text becomes the test text.

        Losses on the first half alone are not comparable with published ones.
        """
        if self.test is not None:
            return self
        half = len(self.validation) // 2
        told = f"{self.source}; its second half is the test text"
        return replace(
            self, validation=self.validation[:half], test=self.validation[half:], source=told
        )


def shakespeare(folder: Path | None, *, download: bool = False) -> Text:
    """Tiny Shakespeare, character by character: text/tinyshakespeare.txt of `folder`.

    It may be called input.txt as well. Its 65 characters are numbered in their order as Unicode.
    As published, the first nine tenths are for training and the last tenth for validation.

    download  fetch the file if it is not there

    Without data: Python's own manual (`is_standin`). Raises ValueError, naming the file, if it is
    truncated or another one.

    Source: A. Karpathy, char-rnn (2015), and nanoGPT (2022) for the split.
    """
    place = Folder(folder, create=download)
    names = ("text/tinyshakespeare.txt", "tinyshakespeare.txt", "text/input.txt", "input.txt")
    content = place.obtain(_SHAKESPEARE, *names, fetch=download)
    if content is None:
        return _manual("tiny Shakespeare")
    return _characters(content.decode(), "tiny Shakespeare, 1,115,394 characters", False)


def openwebtext(folder: Path | None, *, download: bool = False) -> Text:
    """OpenWebText in GPT-2's tokens: train.bin and val.bin of `folder`, as nanoGPT writes them.

    Little-endian uint16 without a header, in `folder`, openwebtext or text/openwebtext; they are
    mapped, not read. All tokens must be below 50,257, which is checked on 2²⁴ of a file.

    Or a stand-in: webtext.*.jsonl (.xz) in text, one document {"text": ...} a line, in GPT-2's
    byte pairs, each document ended by token 50,256, the last tenth for validation; it needs
    tokenizers/gpt2_encoder.json and gpt2_vocab.bpe, and the package tokenizers. Or, without any
    data, Python's own manual by characters.

    download  fetch the two files of the vocabulary if they are not there; the text itself is
              made by nanoGPT

    Raises ValueError naming a file that is truncated or another one, FileNotFoundError for one
    that is missing beside others, ImportError without tokenizers.

    Source: A. Gokaslan and V. Cohen, OpenWebText corpus (2019).
    """
    place = Folder(folder, create=download)
    return _bins(place) or _snippets(place, download) or _manual("OpenWebText")


def _bins(folder: Folder) -> Text | None:
    places = [folder.path / sub for sub in ("", "openwebtext", "text/openwebtext") if folder.path]
    for place in places:
        paths = [place / name for name in ("train.bin", "val.bin")]
        missing = [path.name for path in paths if not path.is_file()]
        if len(missing) == 1:
            raise FileNotFoundError(f"{place} has train.bin or val.bin, but no {missing[0]}")
        if not missing:
            train, validation = (_mapped(path) for path in paths)
            told = f"OpenWebText, {len(train):,} tokens of train.bin; validation: val.bin"
            return Text(train, validation, None, tokens.GPT2_SIZE, told)
    return None


def _mapped(path: Path) -> Tensor:
    """The tokens of a file, mapped into memory and looked at here and there."""
    size = path.stat().st_size
    if size == 0 or size % 2:
        raise ValueError(
            f"{path} is truncated or another file: tokens of 2 bytes expected, {size} bytes found"
        )
    count = size // 2
    mapped = torch.from_file(str(path), shared=False, size=count, dtype=torch.uint16)
    places = range(0, count, max(_STRETCH, count // (_CHECKED // _STRETCH)))
    for start in places:
        largest = mapped[start : start + _STRETCH].numpy().max()
        if largest >= tokens.GPT2_SIZE:
            raise ValueError(
                f"{path} is another file: tokens below {tokens.GPT2_SIZE} expected, {largest} "
                f"found at {start} or in the {_STRETCH} that follow"
            )
    return mapped


def _snippets(folder: Folder, download: bool) -> Text | None:
    """WebText, as far as it is there."""
    if folder.path is None:
        return None
    found = {path for sub in ("text", "") for path in (folder.path / sub).glob("webtext.*.jsonl*")}
    paths = sorted(path for path in found if path.suffix in (".jsonl", ".xz"))
    if not paths:
        return None
    documents = [text for path in paths for text in _documents(folder.read(path), path)]
    numbers, merges = tokens.gpt2(folder, fetch=download)
    told = (
        f"a stand-in for OpenWebText: {len(documents):,} snippets of WebText; validation: the "
        "last tenth"
    )
    return _cut(tokens.byte_pairs(numbers, merges, documents), tokens.GPT2_SIZE, told, True)


def _documents(content: bytes, path: Path) -> list[str]:
    lines = as_text(content, path).split("\n")
    documents = []
    for number, line in enumerate(lines[:-1] if not lines[-1] else lines, 1):
        try:
            documents.append(str(json.loads(line)["text"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f'{path}, line {number}: {{"text": ...}} expected, {line[:80]!r} found'
            ) from error
    return documents


def _manual(asked: str) -> Text:
    told = f"a stand-in for {asked}: {manual.SOURCE}"
    return _characters(manual.text(), told, True)


def _characters(text: str, told: str, is_standin: bool) -> Text:
    """Characters, numbered in their order as Unicode."""
    codes = np.array(list(text))
    characters, numbers = np.unique(codes, return_inverse=True)
    row = torch.from_numpy(numbers.astype(np.uint8))
    told = f"{told}, by characters; validation: the last tenth"
    return _cut(row, len(characters), told, is_standin)


def _cut(row: Tensor, vocabulary: int, told: str, is_standin: bool) -> Text:
    """The first nine tenths for training, the rest for validation."""
    end = int(0.9 * len(row))  # rounded as in the published split
    return Text(row[:end], row[end:], None, vocabulary, told, is_standin)
