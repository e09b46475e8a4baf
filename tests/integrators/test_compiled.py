"""Compiling C: cached by content, private, safe for threads and processes; or one warning."""

import ctypes
import hashlib
import os
import runpy
import stat
import subprocess
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from dashpot.integrators.kernels import compiled

SOURCE = "int answer(void) { return 42; }"
OTHER = "int answer(void) { return 666; }"

try:
    compiled.find_compiler()
    HAS_COMPILER = True
except compiled.NoCompilerError:
    HAS_COMPILER = False
needs_compiler = pytest.mark.skipif(not HAS_COMPILER, reason="there is no C compiler")
needs_owners = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no owners of files here")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("DASHPOT_CACHE", str(folder))
    return folder


def new_process() -> SimpleNamespace:
    """The module as a new process would see it: nothing loaded yet."""
    return SimpleNamespace(**runpy.run_path(compiled.__file__))


def answer(library: ctypes.CDLL | None) -> int:
    assert library is not None
    return library.answer()


def entry(cache: Path) -> Path:
    (found,) = cache.iterdir()
    return found


@needs_compiler
def test_built_once_and_found_again(cache: Path) -> None:
    assert answer(new_process().load(SOURCE)) == 42
    first = entry(cache)
    made = first.stat()
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700 or os.name == "nt"
    assert answer(new_process().load(SOURCE)) == 42
    assert entry(cache) == first and first.stat().st_mtime_ns == made.st_mtime_ns


@needs_compiler
def test_sources_and_flags_are_kept_apart(cache: Path) -> None:
    module = new_process()
    source = "int answer(void) { return X; }"
    assert [answer(module.load(source, (f"-DX={x}",))) for x in (1, 2, 1)] == [1, 2, 1]
    assert answer(module.load(SOURCE)) == 42
    assert len(list(cache.iterdir())) == 3


@needs_compiler
@pytest.mark.parametrize("damage", [b"", b"\x7fELF and nonsense", None])
def test_a_damaged_library_is_built_again(cache: Path, damage: bytes | None) -> None:
    """None: one that another source made, which loads well but is not the one asked for."""
    assert answer(new_process().load(SOURCE)) == 42
    path = entry(cache)
    if damage is None:
        new_process().load(OTHER)
        (wrong,) = set(cache.iterdir()) - {path}
        damage = wrong.read_bytes()
        wrong.unlink()
    path.unlink()  # in place it would change the library that is loaded
    path.write_bytes(damage)
    path.chmod(0o700)
    assert answer(new_process().load(SOURCE)) == 42
    assert entry(cache).read_bytes() != damage


@needs_compiler
@needs_owners
@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_a_library_that_others_can_write_is_built_again(cache: Path, mode: int) -> None:
    new_process().load(SOURCE)
    path = entry(cache)
    path.chmod(mode)
    before = path.stat().st_ino
    assert answer(new_process().load(SOURCE)) == 42
    assert not path.stat().st_mode & 0o022 and path.stat().st_ino != before


@needs_compiler
@needs_owners
def test_a_link_is_not_followed(cache: Path, tmp_path: Path) -> None:
    new_process().load(SOURCE)
    path = entry(cache)
    elsewhere = path.rename(tmp_path / "elsewhere.so")
    path.symlink_to(elsewhere)
    assert answer(new_process().load(SOURCE)) == 42
    assert not path.is_symlink()


@needs_compiler
@needs_owners
@pytest.mark.parametrize("spoil", ["others write", "another owner", "a file"])
def test_a_folder_that_is_not_ours_is_not_used(
    cache: Path, monkeypatch: pytest.MonkeyPatch, spoil: str
) -> None:
    if spoil == "a file":
        cache.write_text("")
    else:
        cache.mkdir()
    if spoil == "others write":
        cache.chmod(0o777)
    if spoil == "another owner":
        me, folder = os.geteuid(), cache.stat()
        assert folder.st_uid == me
        monkeypatch.setattr(os, "geteuid", lambda: me + 1)
        # then a temporary folder is not ours either, but libraries there are new
    assert answer(new_process().load(SOURCE)) == 42
    assert cache.is_file() or not list(cache.iterdir())


@needs_compiler
def test_what_cannot_be_loaded_from_the_cache_is_built_elsewhere(cache: Path) -> None:
    """As from a disk that allows no programs: the entry is whole, but the system refuses it."""
    new_process().load(SOURCE)
    path = entry(cache)
    key = path.stem.split("-")[0]
    path.unlink()
    refused = cache / f"{key}-{hashlib.sha256(b'refused').hexdigest()}.so"
    refused.write_bytes(b"refused")
    refused.chmod(0o700)
    assert answer(new_process().load(SOURCE)) == 42
    assert entry(cache) == refused


@needs_compiler
def test_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose user has no entry: a temporary folder serves."""

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("DASHPOT_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert answer(new_process().load(SOURCE)) == 42


@needs_compiler
def test_a_relative_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loader is given a whole path: it would look for a bare name in the system's folders."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DASHPOT_CACHE", ".")
    for _ in range(2):
        library = new_process().load(SOURCE)
        assert answer(library) == 42 and library._name == str(entry(tmp_path))


@needs_compiler
def test_threads_at_once(cache: Path) -> None:
    module = new_process()
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: module.load(SOURCE), range(16)))
    assert answer(found[0]) == 42 and all(library is found[0] for library in found)


@needs_compiler
def test_processes_at_once(cache: Path) -> None:
    code = (
        f"import runpy; print(runpy.run_path({compiled.__file__!r})['load']({SOURCE!r}).answer())"
    )
    begun = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(4)
    ]
    assert [process.communicate()[0].strip() for process in begun] == [b"42"] * 4
    entry(cache)


def no_compiler(folder: Path) -> str:
    return "/nonexistent/compiler"


def failing_compiler(folder: Path) -> str:
    script = folder / "cc"
    script.write_text("#!/bin/sh\necho 'no licence today' >&2\nexit 1\n")
    script.chmod(0o700)
    return str(script)


@pytest.mark.skipif(os.name == "nt", reason="a compiler that is a shell script")
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (no_compiler, "there is no C compiler (CC=/nonexistent/compiler)"),
        (failing_compiler, "no licence today"),
    ],
)
def test_without_a_compiler_one_warning(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder,
    make: Callable[[Path], str], reason: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("CC", make(tmp_path))
    module = new_process()
    warnings.simplefilter("always")
    assert module.load(SOURCE) is None and module.load(OTHER) is None
    said = [str(w.message) for w in recwarn if w.category is RuntimeWarning]
    assert len(said) == 1 and reason in said[0]
    assert not cache.exists() or not list(cache.iterdir())


@needs_compiler
def test_a_source_that_is_wrong_gives_none(cache: Path) -> None:
    with pytest.warns(RuntimeWarning, match="cannot compile a kernel: .*error"):
        assert new_process().load("int answer(void) { return ; } }") is None


@needs_compiler
def test_a_compiler_with_arguments(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path, *_) = compiled.find_compiler()
    monkeypatch.setenv("CC", f"{path} -DEXTRA=7")
    assert answer(new_process().load("int answer(void) { return EXTRA; }")) == 7


@needs_compiler
def test_doubles_are_never_contracted(cache: Path) -> None:
    """x y + z with x y = 1 − 2⁻¹⁰⁴: rounded twice it is 1 + z, contracted it is 2⁻¹⁰⁴ away."""
    source = "double f(double x, double y, double z) { return x * y + z; }"
    library = new_process().load(source)
    library.f.argtypes, library.f.restype = [ctypes.c_double] * 3, ctypes.c_double
    assert library.f(1 + 2.0**-52, 1 - 2.0**-52, -1.0) == 0.0
