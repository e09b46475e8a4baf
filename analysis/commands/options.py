"""Values of a command's options, read and checked before any work."""

import math
import tempfile
from pathlib import Path

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
    folder = next(above for above in path.absolute().parents if above.exists())
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise BadCallError(f"--output {path}: {folder}: {error.strerror}") from None
