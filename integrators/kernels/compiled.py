"""Compiling a C source on this machine, once: the library is kept on disk by content.

The folder is private to the user (`DASHPOT_CACHE`, or `dashpot` in the user's cache folder); a
library that is not exactly the one that was built there is built again, never loaded.
"""

import ctypes
import hashlib
import os
import platform
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

FLAGS = (
    "-O3", "-shared", "-fPIC", "-fno-math-errno", "-ffp-contract=off",
    "-fno-trapping-math",  # changes no bit; lets choices between numbers be vectorised
)  # fmt: skip
TRIED = ("-march=native", "-mprefer-vector-width=512")  # used where the compiler takes them
_TIMEOUT = 120  # seconds for one source
_FEATURES = (
    "flags",
    "Features",
    "features",
    "isa",
)  # of x86, ARM, s390 and RISC-V in /proc/cpuinfo

_lock = threading.Lock()


class NoCompilerError(RuntimeError):
    """There is no C compiler, or it cannot compile a source."""


class _TooSlowError(NoCompilerError):
    """The compiler works, but takes too long for a source."""


def load(source: str, flags: tuple[str, ...] = ()) -> ctypes.CDLL | None:
    """The library of a C source, compiled with `FLAGS` and `flags` if it is not in the cache.

    None where there is no working C compiler (the environment's `CC`, else cc, gcc or clang), or
    where it takes longer than two minutes; `why` says which, and a warning says so once. What
    failed is not tried again in this process. Several threads and processes may compile one source
    at once.
    """
    return _made(source, flags)[0]


def why(source: str, flags: tuple[str, ...] = ()) -> str:
    """Why `load` has no library of a source; empty if it has one."""
    return _made(source, flags)[1]


def _made(source: str, flags: tuple[str, ...]) -> tuple[ctypes.CDLL | None, str]:
    with _lock:
        return _loaded(source, flags)


@cache
def _loaded(source: str, flags: tuple[str, ...]) -> tuple[ctypes.CDLL | None, str]:
    reason, advice = "", "install a C compiler such as gcc, or let CC name one"
    try:
        compiler = find_compiler()
        for folder in _folders():
            try:
                return ctypes.CDLL(str(_library(source, flags, compiler, folder))), ""
            except OSError as error:  # a full disk, or one from which nothing may be run
                reason, advice = str(error), "let DASHPOT_CACHE name a folder to keep libraries in"
    except _TooSlowError as error:
        reason, advice = str(error), "what is large runs without a kernel"
    except NoCompilerError as error:
        reason = str(error)
    _warn(f"{reason}; {advice}")
    return None, reason


_warned: list[str] = []


def _warn(reason: str) -> None:
    if not _warned:
        text = f"dashpot computes more slowly: {reason}"
        warnings.warn(text, RuntimeWarning, stacklevel=1 + _depth())
    _warned.append(reason)


def _depth() -> int:
    """How many frames above the caller's the user's own line is, the caller's included."""
    own = (__name__.partition(".")[0], "torch")  # torch.no_grad stands between
    frame, depth = sys._getframe(1), 0
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in own:
        frame, depth = frame.f_back, depth + 1
    return depth


def find_compiler() -> tuple[str, ...]:
    """The path of the C compiler, with what `CC` adds to it; NoCompilerError if there is none."""
    named = os.environ.get("CC", "").split()
    for name in named[:1] or ("cc", "gcc", "clang"):
        if path := shutil.which(name):
            return (path, *named[1:])
    tried = f"CC={named[0]}" if named else "cc, gcc, clang"
    raise NoCompilerError(f"there is no C compiler ({tried})")


@cache
def _accepted(compiler: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the flags to be tried with which the compiler compiles; usually all of them do."""
    with tempfile.TemporaryDirectory() as work:
        for flags in (TRIED, *((flag,) for flag in TRIED)):
            try:
                _compile("int one(void) { return 1; }", (*FLAGS, *flags), compiler, work)
            except NoCompilerError:
                continue
            return flags
    return ()


def _library(source: str, flags: tuple[str, ...], compiler: tuple[str, ...], folder: Path) -> Path:
    """The path of the library in a folder that only this user can write.

    Its name is what it was made from and the hash of its content, so that one that was damaged
    or put there by another is seen, and is built again.
    """
    parts = (source, *FLAGS, *TRIED, *flags, *_identity(compiler))
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    for path in folder.glob(f"{key}-*.so"):
        if _is_ours(path, stat.S_ISREG) and path.stem == f"{key}-{_digest(path)}":
            return path
    with tempfile.TemporaryDirectory(dir=folder) as work:
        built = _compile(source, (*FLAGS, *_accepted(compiler), *flags), compiler, work)
        built.chmod(0o700)
        return built.replace(folder / f"{key}-{_digest(built)}.so")


def _compile(source: str, flags: tuple[str, ...], compiler: tuple[str, ...], work: str) -> Path:
    text, library = Path(work) / "source.c", Path(work) / "library.so"
    text.write_text(source, encoding="utf-8")
    command = [*compiler, *flags, "-o", str(library), str(text), "-lm"]
    try:
        code, said = _run(command)
    except subprocess.TimeoutExpired:
        said = f"{compiler[0]} takes longer than {_TIMEOUT} s for a kernel"
        raise _TooSlowError(said) from None
    except OSError as error:
        raise NoCompilerError(f"{compiler[0]} does not run: {error}") from None
    if code or not library.exists():
        lines = said.strip().splitlines() or ["no message"]
        line = next((line for line in lines if "error" in line), lines[0])
        raise NoCompilerError(f"{compiler[0]} cannot compile a kernel: {line}")
    return library


def _run(command: list[str]) -> tuple[int, str]:
    """How a compiler ends, and its messages; too late or interrupted, its helpers end with it."""
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            said = process.communicate(timeout=_TIMEOUT)[1]
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL) if hasattr(os, "killpg") else process.kill()
            raise
        return process.returncode, said


@cache
def _identity(compiler: tuple[str, ...]) -> tuple[str, ...]:
    """What a library depends on besides its source and flags: compiler, processor and system."""
    try:
        version = subprocess.run(
            [*compiler, "--version"], capture_output=True, text=True, errors="replace", timeout=10,
            check=False,
        ).stdout  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        version = ""
    processor = [platform.processor(), platform.node()]  # of a cache that machines share
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", errors="replace") as lines:
            processor = sorted({line for line in lines if line.startswith(_FEATURES)})
    bits = str(8 * ctypes.sizeof(ctypes.c_void_p))
    return (*compiler, version, platform.machine(), platform.system(), bits, *processor)


def _folders() -> Iterator[Path]:
    """Where libraries may be kept: the user's private folder; failing that a temporary one."""
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = Path(os.environ.get("DASHPOT_CACHE") or base / "dashpot").resolve()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if _is_ours(folder, stat.S_ISDIR):
            yield folder
    except (OSError, RuntimeError):  # no home, or no right to write there
        pass
    yield _temporary_folder()


@cache
def _temporary_folder() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="dashpot-", ignore_cleanup_errors=True)
    _kept.append(folder)  # removed when Python ends
    return Path(folder.name)


_kept: list[tempfile.TemporaryDirectory[str]] = []


def _is_ours(path: Path, is_kind: Callable[[int], bool]) -> bool:
    """Whether it is of this kind, no link, belongs to this user, and no other can write it."""
    try:
        facts = path.lstat()
    except OSError:
        return False
    if not is_kind(facts.st_mode):
        return False
    if not hasattr(os, "geteuid"):  # Windows: the user's own folder is protected by its rights
        return True
    return facts.st_uid == os.geteuid() and not facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
