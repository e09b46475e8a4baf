"""Sentences, or pairs of them, to be told apart."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .. import checks
from ..digits import Split
from . import manual, tokens
from .folder import Folder
from .glue_files import GlueTask, Rows, read
from .splits import held_out

_WORDS = 2000  # of the vocabulary for the stand-in


@dataclass(frozen=True)
class Sentences:
    """Tokens of sentences, and their classes: inputs [n, length] and targets [n], both int64.

    vocabulary  how many tokens there are
    padding     the token that fills what is shorter than `length`
    source      which data, from where, and how many of them
    is_standin  whether they are other data than those asked for
    """

    train: Split
    validation: Split
    test: Split
    classes: int
    vocabulary: int
    padding: int
    source: str
    is_standin: bool = False


def glue(task: GlueTask, folder: Path | None, *, length: int, download: bool = False) -> Sentences:
    """A task of GLUE from glue/TASK or TASK in `folder`: train.tsv and dev.tsv, or .xz of them.

    "SST-2": is the opinion of a film good (1)? "QNLI": does the sentence answer the question (0)
    or not (1)? Of QNLI a part of the training rows will do, train_9k.tsv. Or their archives
    SST-2.zip, QNLIv2.zip. Text becomes BERT's lower-case word pieces, [CLS] a [SEP] or
    [CLS] a [SEP] b [SEP], by tokenizers/bert_uncased_vocab.txt.

    The classes of GLUE's test sets are secret: test is dev.tsv, and validation is cut from the
    training rows, the same in every run: 2000, or a tenth where that is less, of each class its
    share. SST-2's training rows are phrases of whole sentences; those of one sentence may fall on
    both sides, so that accuracies are higher on validation than on test.

    length    tokens of a row, at least 4; longer ones are cut, shorter ones padded
    download  fetch the archive and the vocabulary if they are not there

    Without data, a stand-in of Python's own manual, word by word: "SST-2" is whether a sentence
    stands as written (1) or its words are reversed (0), "QNLI" whether a sentence follows the
    other (0) or not (1). Raises ValueError naming a file that is truncated or another one,
    FileNotFoundError for one that is missing beside others, ImportError without tokenizers.

    Source: A. Wang et al., GLUE, ICLR (2019); R. Socher et al., EMNLP (2013); P. Rajpurkar et al.,
    EMNLP (2016).
    """
    length = checks.integer(length, "length", 4)
    place = Folder(folder, create=download)
    found = read(task, place, fetch=download)
    if found is None:
        return _standin(task, length)
    train, test, where = found
    vocabulary = tokens.bert(place, fetch=download)

    def split(rows: Rows) -> Split:
        return _split(tokens.word_pieces(vocabulary, rows.texts, length), rows.labels)

    count = min(2000, len(train.labels) // 10)
    parts = _cut(split(train), count)
    told = f"{task} (GLUE): {where}, {count:,} of them for validation; test: dev.tsv"
    return Sentences(*parts, split(test), 2, len(vocabulary), vocabulary["[PAD]"], told)


def _split(rows: Tensor, labels: NDArray[np.int64]) -> Split:
    return Split(rows, torch.from_numpy(labels))


def _cut(whole: Split, count: int) -> tuple[Split, Split]:
    """What stays and what is held out."""
    stay, out = (torch.from_numpy(part) for part in held_out(whole.targets.numpy(), count))
    kept = Split(whole.inputs[stay], whole.targets[stay])
    return kept, Split(whole.inputs[out], whole.targets[out])


def _standin(task: GlueTask, length: int) -> Sentences:
    rows = _pairs() if task == "QNLI" else _orders()
    share = len(rows.labels) // 5
    vocabulary = tokens.Words([manual.text()], _WORDS)
    rest, test = _cut(_split(vocabulary.encode(rows.texts, length), rows.labels), share)
    parts = _cut(rest, share)
    asked = "does a sentence follow the other?" if task == "QNLI" else "are the words reversed?"
    told = f"a stand-in for {task}: {asked}, {len(rows.labels)} of {manual.SOURCE}"
    return Sentences(*parts, test, 2, len(vocabulary), tokens.PADDING, told, is_standin=True)


def _orders() -> Rows:
    """Every other sentence as written (1), the rest with their words reversed (0)."""
    written = [sentence for topic in manual.sentences() for sentence in topic]
    labels = np.arange(len(written)) % 2
    rows = zip(written, labels, strict=True)
    return Rows([text if label else _reversed(text) for text, label in rows], labels)


def _reversed(sentence: str) -> str:
    """The words from last to first; the mark at the end stays there."""
    mark = sentence[-1] if sentence[-1] in ".:!?" else ""
    return " ".join(reversed(sentence.removesuffix(mark).split())) + mark


def _pairs() -> Rows:
    """Every other pair in a row (0), the rest with the second of another such pair (1)."""
    halves = [(topic[::2], topic[1::2]) for topic in manual.sentences()]
    pairs = [pair for firsts, seconds in halves for pair in zip(firsts, seconds, strict=False)]
    labels = np.arange(len(pairs)) % 2
    apart = pairs[1::2]
    moved = [*apart[len(apart) // 2 :], *apart[: len(apart) // 2]]
    pairs[1::2] = [(first, second) for (first, _), (_, second) in zip(apart, moved, strict=True)]
    return Rows(pairs, labels)
