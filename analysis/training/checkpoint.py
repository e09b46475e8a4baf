"""What a run needs to go on, in files that are whole or not there."""

import os
import pickle
import warnings
import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ...integrators.files import atomic

_NAME, _PREVIOUS, _DAMAGED = "checkpoint.pt", "checkpoint-previous.pt", "checkpoint-damaged.pt"
_DAMAGES = (RuntimeError, zipfile.BadZipFile, pickle.UnpicklingError, EOFError, OSError)


def save(folder: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint; the one before stays beside it. OSError leaves one of them at least."""
    path = folder / _NAME
    with _saved(path, dict(content)):
        if path.exists():
            os.replace(path, folder / _PREVIOUS)


def load(folder: Path) -> dict[str, Any] | None:
    """The last whole checkpoint of a folder; None if there is none. Nothing is unpickled."""
    for name in (_NAME, _PREVIOUS):
        path = folder / name
        try:
            return _read(path)
        except FileNotFoundError:
            continue
        except _DAMAGES as error:
            before = name == _NAME and (folder / _PREVIOUS).exists()
            then = "the one before is taken" if before else "the run begins anew"
            warnings.warn(f"{path} cannot be read, {then}: {error}", stacklevel=2)
            os.replace(path, folder / _DAMAGED)  # never to take the place of the one before
    return None


def best_path(folder: Path, step: int) -> Path:
    """The weights with which the validation data were best, at a step.

    One file for each such step, so that a checkpoint's best weights are its own.
    """
    return folder / f"best-{step}.pt"


def save_best(folder: Path, step: int, weights: Mapping[str, Any]) -> None:
    """Write the weights of a step; OSError if that fails."""
    with _saved(best_path(folder, step), dict(weights)):
        pass


def load_best(folder: Path, step: int) -> dict[str, Any]:
    """The weights of a step, on the CPU."""
    return _read(best_path(folder, step))


def forget_best(folder: Path, but: Collection[int | None]) -> None:
    """Remove the best weights of all steps but some."""
    kept = {best_path(folder, step) for step in but if step is not None}
    for path in {*folder.glob("best-*.pt")} - kept:
        path.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as parts:
        if (part := parts.testzip()) is not None:  # torch itself compares no checksums
            raise zipfile.BadZipFile(f"{part} in {path} is damaged")
    return torch.load(path, map_location="cpu", weights_only=True)


@contextmanager
def _saved(path: Path, content: dict[str, Any]) -> Iterator[None]:
    """The body runs when all is on the disk, just before the file gets its name."""
    try:
        with atomic(path) as handle:
            torch.save(content, handle)
            handle.flush()
            os.fsync(handle.fileno())
            yield
    except RuntimeError as error:  # how torch says that a write failed
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise
