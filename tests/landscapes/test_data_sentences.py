"""GLUE from small tables of the same layout, and the sentences that stand in for it."""

import builtins
import hashlib
import lzma
import os
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dashpot.landscapes.data import Sentences, glue, glue_files, manual, sentences, tokens
from dashpot.landscapes.data.folder import Folder
from dashpot.landscapes.data.published import Published

# a line separator, a next-line and a quotation mark, which are no ends of rows or fields
ODD = 'a\u2028line, "a\x85mark'
FILMS = [(f"film number {n} is {'good' if n % 3 else 'bad'}", int(n % 3 > 0)) for n in range(60)]
ANSWERS = [
    (f"where is {n} ?", f"{n} is {'here' if n % 2 else 'red'}", int(n % 2 == 0)) for n in range(40)
]


def sst2(rows: list[tuple[str, int]], end: str = "\n") -> bytes:
    lines = ["sentence\tlabel", *(f"{text} \t{label}" for text, label in rows)]
    return "".join(line + end for line in lines).encode()


def qnli(rows: list[tuple[str, str, int]]) -> bytes:
    names = ("entailment", "not_entailment")
    lines = [f"{n}\t{a}\t{b}\t{names[label]}" for n, (a, b, label) in enumerate(rows)]
    return "\n".join(["index\tquestion\tsentence\tlabel", *lines, ""]).encode()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The published tables are those of this test."""
    for name, files in list(glue_files._GLUE.items()):
        rows = len(FILMS if name == "SST-2" else ANSWERS)
        monkeypatch.setitem(glue_files._GLUE, name, replace(files, tables={}, whole=rows))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Both tasks, and a small vocabulary in BERT's place."""
    contents = {
        "glue/SST-2/train.tsv.xz": lzma.compress(sst2(FILMS)),
        "glue/SST-2/dev.tsv": sst2([(ODD, 1), *FILMS[:2]]),
        "QNLI/train.tsv": qnli(ANSWERS),
        "QNLI/dev.tsv.xz": lzma.compress(qnli(ANSWERS[:3])),
    }
    words = "[PAD] [UNK] [CLS] [SEP] film number is good bad where ? here red ##0 1 2"
    vocabulary = f"{words} ".replace(" ", "\n").encode()
    contents["tokenizers/bert_uncased_vocab.txt"] = vocabulary
    for name, content in contents.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    digest = hashlib.sha256(vocabulary).hexdigest()
    name = "bert_uncased_vocab.txt"
    monkeypatch.setattr(tokens, "_BERT", Published(name, len(vocabulary), digest))
    return tmp_path


def rows_of(parts: Sentences) -> list[tuple[tuple[int, ...], int]]:
    pairs = [
        (tuple(row), label)
        for split in (parts.train, parts.validation)
        for row, label in zip(split.inputs.tolist(), split.targets.tolist(), strict=True)
    ]
    return sorted(pairs)


# --- tables ------------------------------------------------------------------------------------


def test_rows_and_labels(folder: Path) -> None:
    found = glue_files.read("SST-2", Folder(folder), fetch=False)
    assert found is not None
    train, dev, where = found
    assert train.texts == [f"{text} " for text, _ in FILMS]
    assert train.labels.tolist() == [label for _, label in FILMS]
    assert dev.texts[0] == f"{ODD} "
    assert where == "60 of 60 training rows (train.tsv.xz)"
    found = glue_files.read("QNLI", Folder(folder), fetch=False)
    assert found is not None
    assert found[0].texts == [(a, b) for a, b, _ in ANSWERS]
    assert found[0].labels.tolist() == [label for *_, label in ANSWERS]


def test_lines_may_end_as_on_windows(folder: Path) -> None:
    (folder / "glue/SST-2/dev.tsv").write_bytes(sst2([(ODD, 1), *FILMS[:2]], "\r\n"))
    found = glue_files.read("SST-2", Folder(folder), fetch=False)
    assert found is not None
    assert found[1].texts == [f"{ODD} ", f"{FILMS[0][0]} ", f"{FILMS[1][0]} "]
    assert found[1].labels.tolist() == [1, 0, 1]


def test_a_part_of_qnli_will_do(folder: Path) -> None:
    (folder / "QNLI/train.tsv").unlink()
    (folder / "QNLI/train_9k.tsv.xz").write_bytes(lzma.compress(qnli(ANSWERS[:30])))
    found = glue_files.read("QNLI", Folder(folder), fetch=False)
    assert found is not None
    assert len(found[0].texts) == 30
    assert found[2] == "30 of 40 training rows (train_9k.tsv.xz)"


def test_the_archive_is_read_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "SST-2.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("SST-2/train.tsv", sst2(FILMS))
        archive.writestr("SST-2/dev.tsv", sst2(FILMS[:5]))
        archive.writestr("SST-2/test.tsv", "index\tsentence\n0\tsecret\n")
    content = path.read_bytes()
    files = glue_files._GLUE["SST-2"]
    digest = hashlib.sha256(content).hexdigest()
    files = replace(files, archive=replace(files.archive, size=len(content), digest=digest))
    monkeypatch.setitem(glue_files._GLUE, "SST-2", files)
    found = glue_files.read("SST-2", Folder(tmp_path), fetch=False)
    assert found is not None
    assert found[0].texts == [f"{text} " for text, _ in FILMS]
    assert found[1].labels.tolist() == [label for _, label in FILMS[:5]]
    path.write_bytes(content[:-10])
    with pytest.raises(ValueError, match=r"SST-2\.zip .* \(truncated\)"):
        glue_files.read("SST-2", Folder(tmp_path), fetch=False)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"label\tsentence\n1\tgood\n", "the columns sentence, label expected"),
        (b"sentence\tlabel\ngood\t1\nbetter\n", "line 3: 2 columns that end with 0 or 1"),
        (b"sentence\tlabel\ngood\t1\nbest\t7\n", "line 3: .* 'best.t7' found"),
        (b"sentence\tlabel\ngo\xff\xfeod\t1\n", "UTF-8 expected"),
        (b"", "the columns sentence, label expected"),
    ],
)
def test_tables_that_are_wrong_are_named(folder: Path, content: bytes, told: str) -> None:
    (folder / "glue/SST-2/dev.tsv").write_bytes(content)
    with pytest.raises(ValueError, match=rf"dev\.tsv.*{told}"):
        glue_files.read("SST-2", Folder(folder), fetch=False)


def test_truncated_tables_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "QNLI/train.tsv"
    path.write_bytes(qnli(ANSWERS[:39]))
    with pytest.raises(ValueError, match=r"train\.tsv .* 40 rows expected, 39 found"):
        glue_files.read("QNLI", Folder(folder), fetch=False)
    path = folder / "glue/SST-2/train.tsv.xz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"train\.tsv\.xz is truncated"):
        glue_files.read("SST-2", Folder(folder), fetch=False)
    content = sst2(FILMS)
    known = Published("train.tsv", len(content), hashlib.sha256(content).hexdigest())
    files = replace(glue_files._GLUE["SST-2"], tables={"train.tsv": known})
    monkeypatch.setitem(glue_files._GLUE, "SST-2", files)
    path.write_bytes(lzma.compress(content))
    assert glue_files.read("SST-2", Folder(folder), fetch=False) is not None
    path.write_bytes(lzma.compress(content.replace(b"film number 7", b"film number 8")))
    with pytest.raises(ValueError, match=r"train\.tsv\.xz .* sha256 \w{64} expected"):
        glue_files.read("SST-2", Folder(folder), fetch=False)


def test_what_is_missing_is_named(folder: Path) -> None:
    (folder / "QNLI/dev.tsv.xz").unlink()
    with pytest.raises(FileNotFoundError, match=r"a part of QNLI, but no dev\.tsv"):
        glue("QNLI", folder, length=16)
    (folder / "tokenizers/bert_uncased_vocab.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"no tokenizers/bert_uncased_vocab\.txt"):
        glue("SST-2", folder, length=16)
    wrong: Any = "MNLI"
    with pytest.raises(ValueError, match="task must be one of SST-2, QNLI; got 'MNLI'"):
        glue(wrong, folder, length=16)
    with pytest.raises(ValueError, match="length must be an integer >= 4; got 3"):
        glue("SST-2", folder, length=3)


# --- tokens ------------------------------------------------------------------------------------


def pieces(word: str, vocabulary: list[str]) -> list[int]:
    """The longest piece that fits, again and again; [UNK] for the word if none does."""
    found, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = ("##" if start else "") + word[start:end]
            if piece in vocabulary:
                found.append(vocabulary.index(piece))
                start = end
                break
        else:
            return [vocabulary.index("[UNK]")]
    return found


def test_sentences_become_tokens(folder: Path) -> None:
    pytest.importorskip("tokenizers")
    data = glue("SST-2", folder, length=8)
    assert not data.is_standin
    assert (data.classes, data.vocabulary, data.padding) == (2, 16, 0)
    names = (folder / "tokenizers/bert_uncased_vocab.txt").read_text().split()
    expected = []
    for text, label in FILMS:
        found = [i for word in text.split() for i in pieces(word, names)]
        row = [2, *found[:6], 3]
        expected.append((tuple(row + [0] * (8 - len(row))), label))
    assert rows_of(data) == sorted(expected)
    assert [len(s.targets) for s in (data.train, data.validation, data.test)] == [54, 6, 3]
    assert data.validation.targets.sum() == 4  # two thirds, as of all
    assert data.test.targets.tolist() == [1, 0, 1]
    assert data.train.inputs.dtype == data.train.targets.dtype == torch.int64
    again = glue("SST-2", folder, length=8)
    assert torch.equal(again.validation.inputs, data.validation.inputs)


def test_pairs_become_tokens(folder: Path) -> None:
    pytest.importorskip("tokenizers")
    names = (folder / "tokenizers/bert_uncased_vocab.txt").read_text().split()
    data = glue("QNLI", folder, length=9)
    expected = []
    for first, second, label in ANSWERS:
        parts = [
            [i for word in part.split() for i in pieces(word, names)] for part in (first, second)
        ]
        while len(parts[0]) + len(parts[1]) > 9 - 3:
            max(parts, key=len).pop()
        row = [2, *parts[0], 3, *parts[1], 3]
        expected.append((tuple(row + [0] * (9 - len(row))), label))
    assert rows_of(data) == sorted(expected)


def test_without_the_package_the_extra_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name == "tokenizers":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install 'dashpot\[networks\]'"):
        glue("SST-2", folder, length=8)


def test_words_of_a_text() -> None:
    words = tokens.Words(["to be, or not to be: to", "be is to or"], 4 + 4)
    # to 4 times, be 3, or 2, then "," before ":", "is" and "not" in order, once each
    assert list(words.numbers) == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "to", "be", "or", ","]
    rows = words.encode(["Not to be", "to be to be to be"], 6)
    assert rows.tolist() == [[2, 1, 4, 5, 3, 0], [2, 4, 5, 4, 5, 3]]
    assert words.encode([("to be to be", "or")], 6).tolist() == [[2, 4, 5, 3, 6, 3]]


# --- without data ------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["SST-2", "QNLI"])
def test_without_data_there_is_the_manual(task: glue_files.GlueTask, tmp_path: Path) -> None:
    data, again = glue(task, None, length=48), glue(task, tmp_path, length=48)
    assert data.is_standin
    assert data.source.startswith(f"a stand-in for {task}: ")
    splits = (data.train, data.validation, data.test)
    for split in splits:
        assert abs(split.targets.double().mean().item() - 0.5) < 1 / len(split.targets)
        assert split.inputs.shape == (len(split.targets), 48)
        assert split.inputs.min() >= 0
        assert split.inputs.max() < data.vocabulary
    assert min(len(split.targets) for split in splits) > 200
    assert torch.equal(data.test.inputs, again.test.inputs)


def test_reversed_sentences() -> None:
    rows = sentences._orders()
    written = {sentence for topic in manual.sentences() for sentence in topic}
    for text, label in zip(rows.texts, rows.labels, strict=True):
        assert isinstance(text, str)
        assert (text in written) == label
    assert sentences._reversed("Names refer to objects.") == "objects to refer Names."
    assert sorted(rows.texts) != sorted(written)


def test_pairs_of_sentences() -> None:
    rows = sentences._pairs()
    place = {s: (t, n) for t, topic in enumerate(manual.sentences()) for n, s in enumerate(topic)}
    seen: list[str] = []
    for (first, second), label in zip(rows.texts, rows.labels, strict=True):
        topic, number = place[first]
        assert (place[second] == (topic, number + 1)) == (label == 0)
        seen += [first, second]
    assert len(set(seen)) == len(seen)  # none in two rows: training tells nothing of the test


# --- the published files -----------------------------------------------------------------------


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("tokenizers")
    folder = os.environ.get("DASHPOT_DATA")
    if folder is None or not (Path(folder) / "glue").is_dir():
        pytest.skip("DASHPOT_DATA names no folder with glue/")
    monkeypatch.undo()
    return Path(folder)


def test_published_sentences(real: Path) -> None:
    found = glue_files.read("SST-2", Folder(real), fetch=False)
    assert found is not None
    assert (len(found[0].texts), len(found[1].texts)) == (67_349, 872)
    # The dev set has 444 good and 428 bad opinions.
    assert np.bincount(found[1].labels).tolist() == [428, 444]
    vocabulary = tokens.bert(Folder(real), fetch=False)
    assert len(vocabulary) == tokens.BERT_SIZE
    # as in the documentation of BERT: 101 and 102 around; "embeddings" falls into four pieces
    names = ["[CLS]", "em", "##bed", "##ding", "##s", "are", "good", "[SEP]", "[PAD]"]
    row: Tensor = tokens.word_pieces(vocabulary, ["Embeddings are GOOD"], 9)[0]
    assert row.tolist() == [vocabulary[name] for name in names]
    assert (row[0], row[7]) == (101, 102)


def test_published_pairs(real: Path) -> None:
    found = glue_files.read("QNLI", Folder(real), fetch=False)
    assert found is not None
    assert len(found[1].texts) == 5463
    assert all(len(pair) == 2 and "\t" not in "".join(pair) for pair in found[1].texts)
