"""Words into numbers: BERT's word pieces, GPT-2's byte pairs, and whole words."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from .folder import Folder
from .published import Published

Texts: TypeAlias = Sequence[str] | Sequence[tuple[str, str]]

BERT_SIZE, GPT2_SIZE = 30_522, 50_257  # of the vocabularies
PADDING = 0  # in BERT's vocabulary, and in those of `Words`
_GPT2_END = 50_256  # ends a document
_AT_ONCE = 4096  # texts between two updates of the progress

_BERT = Published(
    "bert_uncased_vocab.txt",
    231_508,
    "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    "https://huggingface.co/google-bert/bert-base-uncased/resolve/main/vocab.txt",
)
_GPT2 = "https://openaipublic.blob.core.windows.net/gpt-2/encodings/main"
_GPT2_IDS = Published(
    "gpt2_encoder.json",
    1_042_301,
    "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    f"{_GPT2}/encoder.json",
)
_GPT2_MERGES = Published(
    "gpt2_vocab.bpe",
    456_318,
    "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
    f"{_GPT2}/vocab.bpe",
)


def bert(folder: Folder, *, fetch: bool) -> dict[str, int]:
    """The lower-case vocabulary of BERT, tokenizers/bert_uncased_vocab.txt in the folder.

    Source: J. Devlin, M.-W. Chang, K. Lee, K. Toutanova, BERT, NAACL (2019).
    """
    pieces = _needed(folder, _BERT, fetch).decode().split("\n")[:-1]
    return {piece: number for number, piece in enumerate(pieces)}


def word_pieces(vocabulary: Mapping[str, int], texts: Texts, length: int) -> Tensor:
    """Sentences, or pairs, in lower case: [CLS] a [SEP] or [CLS] a [SEP] b [SEP], [n, length].

    int64; the longer one of a pair is cut until all fit, and what is shorter is padded.
    """
    from_package = _package().BertWordPieceTokenizer(dict(vocabulary), lowercase=True)
    from_package.enable_truncation(length)
    from_package.enable_padding(pad_id=vocabulary["[PAD]"], length=length)
    rows = [
        np.array([encoded.ids for encoded in from_package.encode_batch(some)], np.int64)
        for some in _in_parts(texts)
    ]
    return torch.from_numpy(np.concatenate(rows))


def gpt2(folder: Folder, *, fetch: bool) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Token numbers and merges of GPT-2: tokenizers/gpt2_encoder.json, gpt2_vocab.bpe.

    Source: A. Radford et al., Language Models are Unsupervised Multitask Learners (2019).
    """
    numbers = json.loads(_needed(folder, _GPT2_IDS, fetch))
    lines = _needed(folder, _GPT2_MERGES, fetch).decode().split("\n")[1:-1]  # after its version
    merges = [(first, second) for first, second in (line.split(" ") for line in lines)]
    return numbers, merges


def byte_pairs(
    vocabulary: Mapping[str, int],
    merges: Sequence[tuple[str, str]],
    documents: Sequence[str],
    *,
    end: int = _GPT2_END,
) -> Tensor:
    """Documents as one row of tokens, each followed by `end`: uint16."""
    tokenizer = _package().ByteLevelBPETokenizer(dict(vocabulary), list(merges))
    tokens = [
        np.array([*encoded.ids, end], np.uint16)
        for some in _in_parts(documents)
        for encoded in tokenizer.encode_batch(some)
    ]
    return torch.from_numpy(np.concatenate(tokens))


class Words:
    """A vocabulary of the `size` − 4 most frequent words of some texts, in lower case."""

    def __init__(self, texts: Sequence[str], size: int) -> None:
        counts = Counter(word for text in texts for word in _words(text))
        frequent = sorted(counts, key=lambda word: (-counts[word], word))[: size - 4]
        named = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *frequent]
        self.numbers = {word: number for number, word in enumerate(named)}

    def __len__(self) -> int:
        return len(self.numbers)

    def encode(self, texts: Texts, length: int) -> Tensor:
        """As `word_pieces`, word by word."""
        rows = torch.full((len(texts), length), PADDING)
        for row, text in zip(rows, texts, strict=True):
            parts = [_words(part) for part in ([text] if isinstance(text, str) else text)]
            while 1 + sum(len(part) + 1 for part in parts) > length:
                max(parts, key=len).pop()
            found = ["[CLS]", *(word for part in parts for word in (*part, "[SEP]"))]
            row[: len(found)] = torch.tensor([self.numbers.get(word, 1) for word in found])
        return rows


def _words(text: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]", text.lower())


def _in_parts(texts: Sequence[Any]) -> Iterator[list[Any]]:
    """Some at a time, with progress if it takes long."""
    with tqdm(total=len(texts), desc="tokens", unit="text", disable=None, delay=2) as bar:
        for start in range(0, len(texts), _AT_ONCE):
            some = list(texts[start : start + _AT_ONCE])
            yield some
            bar.update(len(some))


def _needed(folder: Folder, published: Published, fetch: bool) -> bytes:
    name = published.name
    found = folder.obtain(published, f"tokenizers/{name}", name, fetch=fetch)
    if found is None:
        raise FileNotFoundError(
            f"{folder.path} has no tokenizers/{name}, by which its text is read; it is "
            f"{published.url}"
        )
    return found


def _package() -> Any:
    try:
        import tokenizers  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError(
            "to read this text the package tokenizers is needed: pip install 'dashpot[networks]'"
        ) from error
    return tokenizers
