"""Running text, from files of the published layouts and without any."""

import hashlib
import json
import lzma
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from dashpot.landscapes.data import Text, manual, openwebtext, shakespeare, text, tokens
from dashpot.landscapes.data.folder import Folder
from dashpot.landscapes.data.published import Published

PLAY = "ROMEO: but soft,\nwhat light\u2028 through yonder window breaks?\r\n" * 7
GREEK = "αβγ" * 5


def characters(text: Text, alphabet: str) -> str:
    letters = sorted(set(alphabet))
    return "".join(letters[n] for n in torch.cat((text.train, text.validation)).tolist())


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> bytes:
    content = (PLAY + GREEK).encode()
    digest = hashlib.sha256(content).hexdigest()
    published = Published("tinyshakespeare.txt", len(content), digest)
    monkeypatch.setattr(text, "_SHAKESPEARE", published)
    return content


@pytest.mark.parametrize("name", ["text/tinyshakespeare.txt", "input.txt", "text/input.txt.xz"])
def test_characters(tmp_path: Path, play: bytes, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(lzma.compress(play) if name.endswith("xz") else play)
    data = shakespeare(tmp_path)
    length = len(PLAY + GREEK)
    assert not data.is_standin
    assert data.vocabulary == len(set(PLAY + GREEK))
    assert characters(data, PLAY + GREEK) == PLAY + GREEK
    assert len(data.train) == int(0.9 * length)
    assert data.test is None


def test_half_of_the_validation_text_for_a_test(tmp_path: Path, play: bytes) -> None:
    (tmp_path / "input.txt").write_bytes(play)
    data = shakespeare(tmp_path)
    parts = data.with_test()
    assert parts.test is not None
    assert torch.equal(parts.train, data.train)
    assert torch.equal(torch.cat((parts.validation, parts.test)), data.validation)
    assert 0 <= len(parts.test) - len(parts.validation) <= 1
    assert parts.with_test() is parts
    assert parts.source != data.source


def test_another_play_is_refused(tmp_path: Path, play: bytes) -> None:
    path = tmp_path / "input.txt"
    path.write_bytes(play[:-1])
    told = rf"input\.txt is not .* {len(play)} bytes expected, {len(play) - 1} found"
    with pytest.raises(ValueError, match=told):
        shakespeare(tmp_path)
    path.write_bytes(play.replace(b"soft", b"hard"))
    with pytest.raises(ValueError, match=r"input\.txt .* sha256 \w+ expected"):
        shakespeare(tmp_path)


def write_bins(folder: Path, train: np.ndarray, validation: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    train.astype("<u2").tofile(folder / "train.bin")
    validation.astype("<u2").tofile(folder / "val.bin")


@pytest.mark.parametrize("place", [".", "openwebtext"])
def test_tokens_of_openwebtext(tmp_path: Path, place: str) -> None:
    train = np.random.default_rng(0).integers(0, 50_257, 100_000)
    train[7] = 50_256
    write_bins(tmp_path / place, train, train[:500])
    for path in (tmp_path / place).iterdir():
        path.chmod(0o444)
    data = openwebtext(tmp_path)
    assert (data.vocabulary, data.test, data.is_standin) == (50_257, None, False)
    chosen = torch.tensor([[7, 8], [99_998, 99_999]])  # as a window of a text is taken
    assert data.train[chosen].tolist() == train[chosen.numpy()].tolist()
    assert torch.equal(data.train.long(), torch.from_numpy(train))
    assert torch.equal(data.validation.long(), torch.from_numpy(train[:500]))
    assert "100,000 tokens" in data.source


@pytest.mark.parametrize("place", [0, 50_000, 99_999])
def test_a_token_that_is_none_is_refused(tmp_path: Path, place: int) -> None:
    train = np.zeros(100_000)
    train[place] = 50_257
    write_bins(tmp_path, train, train[:0])
    with pytest.raises(ValueError, match=r"train\.bin .* below 50257 expected, 50257 found"):
        openwebtext(tmp_path)


def test_other_files_of_tokens_are_refused(tmp_path: Path) -> None:
    train = np.zeros(100)
    write_bins(tmp_path, train, train[:0])
    with pytest.raises(ValueError, match=r"val\.bin .* 0 bytes found"):
        openwebtext(tmp_path)
    (tmp_path / "val.bin").write_bytes(b"123")
    with pytest.raises(ValueError, match=r"val\.bin is truncated .* 3 bytes found"):
        openwebtext(tmp_path)
    (tmp_path / "val.bin").unlink()
    with pytest.raises(FileNotFoundError, match=r"no val\.bin"):
        openwebtext(tmp_path)


def test_snippets_that_are_wrong_are_named(tmp_path: Path) -> None:
    path = tmp_path / "text" / "webtext.valid.jsonl"
    path.parent.mkdir()
    path.write_text(json.dumps({"text": "one"}) + "\n")
    with pytest.raises(FileNotFoundError, match=r"no tokenizers/gpt2_encoder\.json"):
        openwebtext(tmp_path)
    path.write_text(json.dumps({"text": "one"}) + '\n{"text": "tw')
    with pytest.raises(ValueError, match=r"webtext\.valid\.jsonl, line 2: "):
        openwebtext(tmp_path)


def test_byte_pairs() -> None:
    pytest.importorskip("tokenizers")
    vocabulary = {"a": 0, "b": 1, "Ġ": 2, "ab": 3, "Ġab": 4, "c": 5}
    merges = [("a", "b"), ("Ġ", "ab")]
    row = tokens.byte_pairs(vocabulary, merges, ["ab abc", "", "ba"], end=9)
    assert row.tolist() == [3, 4, 5, 9, 9, 1, 0, 9]


def test_without_data_there_is_the_manual(tmp_path: Path) -> None:
    for data in (shakespeare(None), openwebtext(None), openwebtext(tmp_path)):
        assert data.is_standin
        assert data.source.startswith("a stand-in for ")
        assert characters(data, manual.text()) == manual.text()


@pytest.fixture
def real() -> Path:
    folder = os.environ.get("DASHPOT_DATA")
    if folder is None or not (Path(folder) / "text").is_dir():
        pytest.skip("DASHPOT_DATA names no folder with text/")
    return Path(folder)


def test_published_play(real: Path) -> None:
    data = shakespeare(real)
    # as nanoGPT counts them
    assert (len(data.train), len(data.validation), data.vocabulary) == (1_003_854, 111_540, 65)


def test_published_byte_pairs(real: Path) -> None:
    pytest.importorskip("tokenizers")
    vocabulary, merges = tokens.gpt2(Folder(real), fetch=False)
    assert len(vocabulary) == tokens.GPT2_SIZE
    assert vocabulary["<|endoftext|>"] == 50_256
    row = tokens.byte_pairs(vocabulary, merges, ["Hello world", " naïve\n\n100%"])
    assert row[:3].tolist() == [15_496, 995, 50_256]  # GPT-2's numbers for these words
    # Each byte stands for itself, or is shifted to 256 and what follows: the pieces spell the text.
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    shifted = [byte for byte in range(256) if byte not in plain]
    byte_of = {chr(256 + place): byte for place, byte in enumerate(shifted)}
    byte_of |= {chr(byte): byte for byte in plain}
    names = {number: name for name, number in vocabulary.items()}
    spelt = "".join(names[number] for number in row[3:-1].tolist())
    assert bytes(byte_of[letter] for letter in spelt).decode() == " naïve\n\n100%"


def test_published_snippets(real: Path) -> None:
    pytest.importorskip("tokenizers")
    data = openwebtext(real)
    assert data.is_standin
    row = torch.cat((data.train, data.validation)).long()
    assert (row == 50_256).sum() == 4724 + 4723  # each document ends
    # English text: between four and six bytes a token
    assert 4 < (1_417_601 + 1_417_947) / len(row) < 6
