"""Values of a command's options, read and checked before any work."""

import math
import os
import tempfile
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

import torch

from ..training.parallel import own_device
from .errors import BadCallError


def number_or_range(name: str, text: str) -> tuple[float, float | None]:
    """A number, or the two ends of a range."""
    option = "--step (or --lr)" if name == "step" else f"--{name}"
    refusal = BadCallError(
        f"{option} must be a number, or a range of positive numbers such as 1e-3:10; got {text!r}"
    )
    try:
        numbers = [float(part) for part in text.split(":")]
    except ValueError:
        raise refusal from None
    if len(numbers) > 2 or not all(math.isfinite(number) for number in numbers):
        raise refusal
    if len(numbers) == 1:
        if name == "step" and numbers[0] <= 0:
            raise BadCallError(f"{option} must be > 0; got {text!r}")
        return numbers[0], None
    if not 0 < numbers[0] < numbers[1]:
        why = "the smaller end comes first" if min(numbers) > 0 else "an axis is logarithmic"
        raise BadCallError(f"{refusal}: {why}")
    return numbers[0], numbers[1]


def check_place(path: Path) -> None:
    """BadCallError unless a file can be written there; missing folders are made later."""
    if path.is_dir():
        raise BadCallError(f"--output {path}: it is a folder")
    _check_writable(f"--output {path}", path.absolute().parent)


def check_folder(option: str, path: Path) -> None:
    """BadCallError unless files can be written in that folder; missing ones are made later."""
    _check_writable(f"--{option} {path}", path.absolute())


def _check_writable(told: str, folder: Path) -> None:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        raise BadCallError(f"{told}: {there}: {error.strerror}") from None


def known(what: str, name: str, names: Iterable[str]) -> None:
    """BadCallError for a name that is none of those there are."""
    by_case = {one.lower(): one for one in names}
    if name in by_case.values():
        return
    close = get_close_matches(name.lower(), by_case, 1)
    hint = f"; did you mean {by_case[close[0]]}?" if close else ""
    raise BadCallError(f"no {what} {name!r}; there are {', '.join(by_case.values())}{hint}")


def check_device(name: str) -> None:
    """BadCallError unless it is a CPU or a CUDA device that is here, under torchrun one for each
    process.
    """
    try:
        if name.partition(":")[0] not in ("cpu", "cuda"):
            raise RuntimeError("only cpu and cuda are supported")
        device, processes = torch.device(name), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        there = torch.cuda.device_count()
        if device == torch.device("cuda") and there < processes > 1:
            raise RuntimeError(f"{processes} processes, but {there} of them")
        torch.zeros(1, device=own_device(device))
    except Exception as error:
        first = str(error).splitlines()[0]
        raise BadCallError(f"--device {name} cannot be used: {first}") from None
