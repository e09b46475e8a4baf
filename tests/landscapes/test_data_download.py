"""Downloads from a server of our own that cuts, lies and forgets."""

import hashlib
import re
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from tqdm import tqdm

from dashpot.landscapes.data import glue_files, images, shakespeare, text
from dashpot.landscapes.data.download import download
from dashpot.landscapes.data.folder import Folder
from dashpot.landscapes.data.published import Published

CONTENT = np.random.default_rng(0).bytes(1_000_000)


class Server(ThreadingHTTPServer):
    """Sends `content`, at most `most` bytes of it a time; `starts` are the positions asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.most, self.ranges, self.announces = CONTENT, len(CONTENT), True, True
        self.status: int | None = None
        self.starts: list[int] = []

    @property
    def published(self) -> Published:
        """The content as it is now, and this address for it."""
        url = f"http://127.0.0.1:{self.server_port}/numbers.bin"
        digest = hashlib.sha256(self.content).hexdigest()
        return Published("numbers.bin", len(self.content), digest, url)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "bytes=0-"))
        assert asked is not None
        server.starts.append(int(asked[1]))
        start = int(asked[1]) if server.ranges else 0
        if server.status is not None:
            self.send_error(server.status)
            return
        self.send_response(206 if server.ranges else 200)
        last = len(server.content) - 1
        if server.ranges:
            self.send_header("Content-Range", f"bytes {start}-{last}/{last + 1}")
        if server.announces:
            self.send_header("Content-Length", str(last + 1 - start))
        self.end_headers()
        with suppress(ConnectionError):  # who asked may be gone
            self.wfile.write(server.content[start : start + server.most])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_whole_file_comes_once(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "numbers.bin"
    for _ in range(2):
        assert download(server.published, path) == path
        assert path.read_bytes() == CONTENT
    assert server.starts == [0]
    assert not path.with_name("numbers.bin.part").exists()


@pytest.mark.parametrize("announces", [True, False])
def test_a_cut_connection_is_taken_up_where_it_ended(
    server: Server, tmp_path: Path, announces: bool
) -> None:
    server.most, server.announces = 300_000, announces
    path = download(server.published, tmp_path / "numbers.bin")
    assert path.read_bytes() == CONTENT
    assert server.starts == [0, 300_000, 600_000, 900_000]


def test_the_next_call_goes_on_too(server: Server, tmp_path: Path) -> None:
    path, part = tmp_path / "numbers.bin", tmp_path / "numbers.bin.part"
    part.write_bytes(CONTENT[:250_000])
    server.status = 503
    with pytest.raises(ConnectionError, match=r"503.*250000 of 1000000 bytes are in .*\.part"):
        download(server.published, path)
    assert part.read_bytes() == CONTENT[:250_000]
    assert not path.exists()
    server.status = None
    assert download(server.published, path).read_bytes() == CONTENT
    assert server.starts == [250_000, 250_000]


def test_nothing_is_lost_when_interrupted(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(bar: tqdm, n: float = 1) -> None:
        raise KeyboardInterrupt

    path, part = tmp_path / "numbers.bin", tmp_path / "numbers.bin.part"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(tqdm, "update", interrupted)
        download(server.published, path)
    had = part.stat().st_size
    assert 0 < had < len(CONTENT)
    assert download(server.published, path).read_bytes() == CONTENT
    assert server.starts == [0, had]


def test_a_server_without_ranges_starts_over(server: Server, tmp_path: Path) -> None:
    path, part = tmp_path / "numbers.bin", tmp_path / "numbers.bin.part"
    part.write_bytes(b"x" * 700_000)
    server.ranges, server.most = False, 400_000
    with pytest.raises(ConnectionError, match="the connection ended; 400000 of 1000000 bytes"):
        download(server.published, path)
    assert part.read_bytes() == CONTENT[:400_000]  # nothing of what was there before
    server.most = len(CONTENT)
    assert download(server.published, path).read_bytes() == CONTENT


def test_wrong_bytes_are_refused(server: Server, tmp_path: Path) -> None:
    wrong = bytearray(CONTENT)
    wrong[123_456] ^= 1
    published = server.published
    server.content = bytes(wrong)
    digests = [hashlib.sha256(content).hexdigest() for content in (CONTENT, wrong)]
    told = f"numbers.bin as published: sha256 {digests[0]} expected, {digests[1]} found; deleted"
    with pytest.raises(ValueError, match=told):
        download(published, tmp_path / "numbers.bin")
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".lock"] == []


@pytest.mark.parametrize("announces", [True, False])
@pytest.mark.parametrize("size", [999_999, 1_000_001])
def test_a_file_of_another_size_is_refused(
    server: Server, tmp_path: Path, size: int, announces: bool
) -> None:
    published = server.published
    server.content, server.announces = (CONTENT + b"x")[:size], announces
    server.most = size
    told = "1000000 bytes expected, .* announced" if announces else "as published|nothing more"
    with pytest.raises((ValueError, ConnectionError), match=told):
        download(published, tmp_path / "numbers.bin")
    assert not (tmp_path / "numbers.bin").exists()


@pytest.mark.parametrize("size", [400_000, 1_000_000, 1_200_000])
def test_what_another_download_left_does_no_harm(server: Server, tmp_path: Path, size: int) -> None:
    path, part = tmp_path / "numbers.bin", tmp_path / "numbers.bin.part"
    part.write_bytes(b"x" * size)
    if size <= len(CONTENT):
        with pytest.raises(ValueError, match="deleted"):
            download(server.published, path)
    assert download(server.published, path).read_bytes() == CONTENT


def test_who_comes_second_waits(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "numbers.bin"
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: download(server.published, path), range(4)))
    assert paths == [path] * 4
    assert server.starts == [0]
    assert path.read_bytes() == CONTENT


def test_data_that_are_not_there_are_fetched_if_asked(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play = b"ROMEO: but soft, what light through yonder window breaks?\n" * 9
    server.content, server.most = play, 100
    monkeypatch.setattr(text, "_SHAKESPEARE", server.published)
    assert shakespeare(tmp_path).is_standin
    assert server.starts == []
    for folder in (tmp_path / "new", tmp_path / "new"):
        data = shakespeare(folder, download=True)
        assert not data.is_standin
        assert len(data.train) + len(data.validation) == len(play)
    assert server.starts == [0, 100, 200, 300, 400, 500]
    assert (tmp_path / "new/text/tinyshakespeare.txt").read_bytes() == play


def test_archives_are_fetched_if_asked(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.content = b"no archive"
    monkeypatch.setattr(images, "_ARCHIVE", replace(server.published, name="a.tar.gz"))
    with pytest.raises(ValueError, match=r"cifar10/a\.tar\.gz is truncated or no tar\.gz"):
        images.cifar10(tmp_path, download=True)
    files = glue_files._GLUE["QNLI"]
    monkeypatch.setitem(glue_files._GLUE, "QNLI", replace(files, archive=server.published))
    with pytest.raises(zipfile.BadZipFile):
        glue_files.read("QNLI", Folder(tmp_path), fetch=True)
    assert (tmp_path / "glue/numbers.bin").read_bytes() == b"no archive"


def test_no_server(server: Server, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(ConnectionError, match=r"numbers\.bin gives nothing more: .*404"):
        download(server.published, tmp_path / "numbers.bin")
