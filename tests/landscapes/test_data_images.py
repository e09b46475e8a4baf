"""CIFAR-10 from small files of the same layouts."""

import hashlib
import io
import os
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dashpot.landscapes import digits
from dashpot.landscapes.data import Images, cifar10, images
from dashpot.landscapes.data.published import Published

NAMES = [f"data_batch_{number}.bin" for number in range(1, 6)] + ["test_batch.bin"]
COUNT = 40  # images of a batch


def pictures(numbers: range) -> np.ndarray:
    """[n, 3, 32, 32], with a value for each place: other ones in every direction."""
    n, channel, y, x = np.ix_(numbers, range(3), range(32), range(32))
    return ((n + 50 * channel + 3 * y + 2 * x) % 256).astype(np.uint8)


def shown(number: int) -> int:
    """The class of an image: each as often as the others in any ten in a row."""
    return 3 * number % 10


@pytest.fixture(scope="module")
def contents() -> list[bytes]:
    """Six files as CIFAR-10's, of 40 images each."""
    files = []
    for batch in range(len(NAMES)):
        numbers = range(batch * COUNT, (batch + 1) * COUNT)
        planes = pictures(numbers).reshape(COUNT, -1)
        files.append(
            b"".join(
                bytes([shown(n)]) + row.tobytes() for n, row in zip(numbers, planes, strict=True)
            )
        )
    return files


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, contents: list[bytes]) -> None:
    """The published files are those of this test; a sheet has 2 × 5 images."""
    batches = [
        Published(name, len(content), hashlib.md5(content).hexdigest())
        for name, content in zip(NAMES, contents, strict=True)
    ]
    monkeypatch.setattr(images, "_BATCHES", tuple(batches))
    monkeypatch.setattr(images, "_TILES", (2, 5))


def write(folder: Path, contents: list[bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in zip(NAMES, contents, strict=True):
        (folder / name).write_bytes(content)


def write_archive(path: Path, contents: list[bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in zip(NAMES, contents, strict=True):
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def write_sheet(path: Path, numbers: range) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet = np.zeros((64, 160, 3), np.uint8)
    for place, picture in enumerate(pictures(numbers)):
        row, column = divmod(place, 5)
        tile = slice(32 * row, 32 * row + 32), slice(32 * column, 32 * column + 32)
        sheet[tile] = picture.transpose(1, 2, 0)
    Image.fromarray(sheet).save(path, lossless=True)


def write_sheets(folder: Path) -> None:
    """Twenty training images and ten test images, numbered on; labels for all fifty and ten."""
    for name, numbers in [
        ("train_00", range(10)), ("train_01", range(10, 20)), ("test_00", range(20, 30)),
    ]:  # fmt: skip
        write_sheet(folder / f"{name}.webp", numbers)
    (folder / "train_labels.u8").write_bytes(bytes(shown(n) for n in range(50)))
    (folder / "test_labels.u8").write_bytes(bytes(shown(n) for n in range(20, 30)))


def check(data: Images, train: int, held_out: int, test: int) -> None:
    """Every image once, with its own class; those of the test apart, in order."""
    sets = (data.train, data.validation, data.test)
    assert [len(s.targets) for s in sets] == [train - held_out, held_out, test]
    for split in sets:
        assert (split.inputs.dtype, split.targets.dtype) == (torch.uint8, torch.int64)
        numbers = split.inputs[:, 0, 0, 0].long()
        # the number of an image is its first pixel; its class and all pixels follow from it
        expected = torch.from_numpy(pictures(range(256)))[numbers]
        assert torch.equal(split.inputs, expected)
        assert torch.equal(split.targets, 3 * numbers % 10)
    numbers = torch.cat([s.inputs[:, 0, 0, 0] for s in sets[:2]]).tolist()
    assert sorted(numbers) == list(range(train))
    assert data.test.inputs[:, 0, 0, 0].tolist() == list(range(train, train + test))
    assert data.classes == 10
    assert not data.is_standin


@pytest.mark.parametrize("place", [".", "cifar10", "cifar-10-batches-bin"])
def test_binary_files(tmp_path: Path, contents: list[bytes], place: str) -> None:
    assert contents[0][:4] == bytes([0, 0, 2, 4])  # a class, then red from left to right
    write(tmp_path / place, contents)
    check(cifar10(tmp_path), 200, 20, 40)


def test_the_archive_is_read_in_place(tmp_path: Path, contents: list[bytes]) -> None:
    write_archive(tmp_path / "cifar-10-binary.tar.gz", contents)
    check(cifar10(tmp_path, validation=50), 200, 50, 40)
    assert len(list(tmp_path.iterdir())) == 1


def test_sheets(tmp_path: Path) -> None:
    write_sheets(tmp_path / "cifar10")
    data = cifar10(tmp_path, validation=10)
    check(data, 20, 10, 10)
    assert "20 of 50,000 training and 10 of 10,000 test images" in data.source


def test_validation_has_as_many_of_every_class(tmp_path: Path, contents: list[bytes]) -> None:
    write(tmp_path, contents)
    data = cifar10(tmp_path)
    assert data.validation.targets.bincount().tolist() == [2] * 10
    assert data.train.targets.bincount().tolist() == [18] * 10
    assert torch.equal(cifar10(tmp_path).validation.inputs, data.validation.inputs)


def test_files_that_are_wrong_are_named(tmp_path: Path, contents: list[bytes]) -> None:
    write(tmp_path, contents)
    path = tmp_path / "data_batch_3.bin"
    path.write_bytes(contents[2][:-5])
    size = len(contents[2])
    told = rf"data_batch_3\.bin .* {size} bytes expected, {size - 5} found \(truncated\)"
    with pytest.raises(ValueError, match=told):
        cifar10(tmp_path)
    path.write_bytes(contents[3])
    with pytest.raises(ValueError, match=r"data_batch_3\.bin .* md5 \w{32} expected, \w{32} found"):
        cifar10(tmp_path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"no \['data_batch_3\.bin'\]"):
        cifar10(tmp_path)


def test_archives_that_are_wrong_are_named(tmp_path: Path, contents: list[bytes]) -> None:
    path = tmp_path / "cifar-10-binary.tar.gz"
    write_archive(path, contents)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(ValueError, match=r"tar\.gz is truncated"):
        cifar10(tmp_path)
    write_archive(path, [*contents[:5], contents[0]])
    with pytest.raises(ValueError, match=r"tar\.gz/test_batch\.bin is not test_batch\.bin"):
        cifar10(tmp_path)
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(ValueError, match=r"tar\.gz is truncated or no tar\.gz"):
        cifar10(tmp_path)


def test_sheets_that_are_wrong_are_named(tmp_path: Path) -> None:
    def refused(error: type[Exception], told: str) -> None:
        with pytest.raises(error, match=told):
            cifar10(tmp_path)
        write_sheets(tmp_path)

    write_sheets(tmp_path)
    path = tmp_path / "train_01.webp"
    path.write_bytes(path.read_bytes()[:-40])
    refused(ValueError, r"train_01\.webp is truncated")
    Image.new("RGB", (64, 64)).save(path, lossless=True)
    refused(ValueError, r"train_01\.webp .*\(160, 64\) pixels expected, \(64, 64\) found")
    (tmp_path / "train_01.webp").rename(tmp_path / "train_02.webp")
    refused(FileNotFoundError, r"train_02\.webp, but no train_01\.webp")
    (tmp_path / "train_02.webp").unlink()
    (tmp_path / "train_labels.u8").write_bytes(bytes(19))
    refused(ValueError, r"train_labels\.u8 .* 20 classes 0 to 9 expected, 19 bytes")
    (tmp_path / "train_labels.u8").write_bytes(bytes([0] * 19 + [10]))
    refused(ValueError, r"train_labels\.u8 .* up to 10 found")
    (tmp_path / "test_labels.u8").unlink()
    refused(FileNotFoundError, r"no test_labels\.u8")
    (tmp_path / "test_00.webp").unlink()
    refused(FileNotFoundError, r"no test_00\.webp")


def test_listed_sums_are_compared(tmp_path: Path) -> None:
    write_sheets(tmp_path / "cifar10")
    path = tmp_path / "cifar10" / "train_00.webp"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (tmp_path / "SHA256SUMS").write_text(f"{digest}  cifar10/train_00.webp\n")
    cifar10(tmp_path)
    write_sheet(path, range(1, 11))
    with pytest.raises(ValueError, match=rf"train_00\.webp .* sha256 {digest} expected"):
        cifar10(tmp_path)
    (tmp_path / "SHA256SUMS").write_text(f"{digest}\n")
    with pytest.raises(ValueError, match=rf"SHA256SUMS, line 1: sum and name .*{digest}"):
        cifar10(tmp_path)
    (tmp_path / "SHA256SUMS").write_bytes(b"\xff")
    with pytest.raises(ValueError, match="SHA256SUMS is another file: UTF-8 expected"):
        cifar10(tmp_path)


def test_without_data_there_are_digits(tmp_path: Path) -> None:
    known = digits()
    for data in (cifar10(None), cifar10(tmp_path)):
        assert data.is_standin
        assert "stand-in" in data.source
        for split, small in zip(
            (data.train, data.validation, data.test),
            (known.train, known.validation, known.test),
            strict=True,
        ):
            assert split.inputs.shape == (len(small.targets), 3, 32, 32)
            assert torch.equal(split.targets, small.targets)
            blocks = split.inputs.double().unflatten(3, (8, 4)).unflatten(2, (8, 4))
            assert torch.equal(blocks.amin((3, 5)), blocks.amax((3, 5)))  # 4 × 4 alike
            dots = blocks.mean((3, 5)) * (16 / 255)
            assert (dots - 16 * small.inputs.reshape(-1, 1, 8, 8)).abs().max() <= 8 / 255 + 1e-12


@pytest.mark.parametrize("count", [0, 200, -3])
def test_validation_that_cannot_be(tmp_path: Path, contents: list[bytes], count: int) -> None:
    write(tmp_path, contents)
    with pytest.raises(ValueError, match=f"validation must be 1 to 199, .* got {count}"):
        cifar10(tmp_path, validation=count)


def test_folders_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match=re.escape(str(tmp_path / "nothing"))):
        cifar10(tmp_path / "nothing")
    with pytest.raises(ValueError, match="a download needs a folder"):
        cifar10(None, download=True)


def test_published_images(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = os.environ.get("DASHPOT_DATA")
    if folder is None or not (Path(folder) / "cifar10").is_dir():
        pytest.skip("DASHPOT_DATA names no folder with cifar10/")
    monkeypatch.undo()
    data = cifar10(Path(folder))
    counts = [s.targets.bincount() for s in (data.train, data.validation, data.test)]
    assert all(len(set(count.tolist())) == 1 for count in counts)  # each class as often
    # Mean of the 50,000 training images, 0.4914 0.4822 0.4465, with the spread of images' means
    # (about 0.14) over √n.
    pixels = data.train.inputs.double().mean((2, 3)) / 255
    published = torch.tensor([0.4914, 0.4822, 0.4465], dtype=torch.float64)
    assert (pixels.mean(0) - published).abs().max() < 4 * 0.14 / len(pixels) ** 0.5
