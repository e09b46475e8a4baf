"""Compiling a C source on this machine, once: the library is kept on disk by content.

The folder is private to the user (`DASHPOT_CACHE`, or `dashpot` in the user's cache folder); a
library that is not exactly the one that was built there is built again, never loaded.
"""

import ctypes
import hashlib
import os
import platform
import shutil
import stat
import subprocess
import tempfile
import threading
import warnings
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path

FLAGS = ("-O3", "-shared", "-fPIC", "-ffp-contract=off", "-fno-math-errno")
TRIED = ("-march=native", "-mprefer-vector-width=512")  # used where the compiler takes them
_TIMEOUT = 120  # seconds for one source

_lock = threading.Lock()


class NoCompilerError(RuntimeError):
    """There is no C compiler, or it cannot compile a source."""


def load(source: str) -> ctypes.CDLL | None:
    """The library of a C source, compiled if it is not in the cache.

    None where there is no working C compiler (the environment's `CC`, else cc, gcc or clang);
    a warning says so once. Several threads and processes may compile one source at once.
    """
    with _lock:
        return _loaded(source)


@cache
def _loaded(source: str) -> ctypes.CDLL | None:
    try:
        compiler = find_compiler()
        flags = (*FLAGS, *_accepted(compiler))
        return ctypes.CDLL(str(_library(source, compiler, flags)))
    except (NoCompilerError, OSError) as error:
        _warn(str(error))
        return None


@lru_cache(maxsize=1)
def _warn(reason: str) -> None:
    warnings.warn(
        f"dashpot computes more slowly: {reason}; install a C compiler such as gcc, or let CC "
        "name one",
        RuntimeWarning,
        stacklevel=2,
    )


def find_compiler() -> str:
    """The path of the C compiler; NoCompilerError if there is none."""
    names = [os.environ["CC"]] if os.environ.get("CC") else ["cc", "gcc", "clang"]
    for name in names:
        if path := shutil.which(name):
            return path
    raise NoCompilerError(f"there is no C compiler ({', '.join(names)})")


@cache
def _accepted(compiler: str) -> tuple[str, ...]:
    """Those of the flags to be tried with which the compiler compiles."""
    kept: tuple[str, ...] = ()
    with tempfile.TemporaryDirectory() as folder:
        for flag in TRIED:
            try:
                _compile("int one(void) { return 1; }", compiler, (*FLAGS, *kept, flag), folder)
            except NoCompilerError:
                continue
            kept = (*kept, flag)
    return kept


def _library(source: str, compiler: str, flags: Sequence[str]) -> Path:
    """The path of the built library, in a folder that only this user can write."""
    folder = cache_folder()
    key = hashlib.sha256("\0".join((source, *_identity(compiler), *flags)).encode()).hexdigest()
    # the name of the library is the hash of its content: what does not fit is not loaded
    note = folder / f"{key[:32]}.sha256"
    if _is_ours(note):
        library = folder / f"{note.read_text().strip()}.so"
        if _is_ours(library) and _digest(library) == library.stem:
            return library
    with tempfile.TemporaryDirectory(dir=folder) as work:
        built = _compile(source, compiler, flags, work)
        library = folder / f"{_digest(built)}.so"
        os.chmod(built, 0o700)
        os.replace(built, library)
        fresh = Path(work) / "note"
        fresh.write_text(library.stem)
        os.chmod(fresh, 0o600)
        os.replace(fresh, note)
    return library


def _compile(source: str, compiler: str, flags: Sequence[str], folder: str) -> Path:
    code, library = Path(folder) / "source.c", Path(folder) / "library.so"
    code.write_text(source, encoding="utf-8")
    command = [compiler, *flags, "-o", str(library), str(code), "-lm"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoCompilerError(f"{compiler} does not run: {error}") from None
    if done.returncode or not library.exists():
        last = (done.stderr.strip().splitlines() or ["no message"])[0]
        raise NoCompilerError(f"{compiler} cannot compile a kernel: {last}")
    return library


@cache
def _identity(compiler: str) -> tuple[str, ...]:
    """What a library depends on besides its source and flags: compiler and processor."""
    try:
        told = subprocess.run(
            [compiler, "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        told = ""
    processor = platform.processor()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as lines:
            processor = "".join(line for line in lines if line.startswith(("flags", "Features")))
    return (compiler, told, platform.machine(), platform.system(), processor)


def cache_folder() -> Path:
    """The private folder for libraries; a temporary one where that cannot be had."""
    chosen = os.environ.get("DASHPOT_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(chosen) if chosen else Path(base) / "dashpot"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if _is_ours(folder) and os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    return _temporary_folder()


@lru_cache(maxsize=1)
def _temporary_folder() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="dashpot-")
    _kept.append(folder)  # removed when Python ends
    return Path(folder.name)


_kept: list[tempfile.TemporaryDirectory[str]] = []


def _is_ours(path: Path) -> bool:
    """Whether it exists, no link, belongs to this user, and no other can write it."""
    try:
        facts = path.lstat()
    except OSError:
        return False
    if stat.S_ISLNK(facts.st_mode):
        return False
    if not hasattr(os, "getuid"):  # Windows: the user's own folder is protected by its rights
        return True
    return facts.st_uid == os.getuid() and not facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
