"""What a section of the study is made of: jobs for the workers, rows for the files, pictures."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

STYLE: dict[Any, Any] = {
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "0.92",
    "legend.fontsize": 8.5,
    "svg.hashsalt": "dashpot",
}


@dataclass(frozen=True)
class Scope:
    """How much is studied, where, and into which folder runs are saved."""

    runs: Path
    quick: bool = False
    seed: int = 0
    device: str = "cpu"


@dataclass(frozen=True)
class Job:
    """One piece of work for a worker process; its results stand at `place` in the section."""

    section: str
    place: int
    call: Callable[..., Any]
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Finding:
    """What a job found: its kind, rows for results.json, and what a figure needs besides them."""

    kind: str
    rows: tuple[dict[str, Any], ...]
    drawn: Any = None


def finite(value: Any) -> Any:
    """A value as json can hold it: None for NaN and infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def finite_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with every value `finite`."""
    return {name: finite(value) for name, value in row.items()}


def rows_by_kind(results: Sequence[Finding]) -> dict[str, list[dict[str, Any]]]:
    """The rows of several findings, by kind."""
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in results:
        if finding.rows:
            found.setdefault(finding.kind, []).extend(finding.rows)
    return found


@dataclass(frozen=True)
class Picture:
    """A drawn figure: its file stem, section of the report, title and caption."""

    stem: str
    section: str
    title: str
    caption: str
    figure: Figure


class Module(Protocol):
    """A section of the study.

    `jobs`, in the order in which they should start, run in worker processes. What they return, in
    the order of their places, goes to `rows` (for results.json) and to `pictures`.
    """

    @staticmethod
    def jobs(scope: Scope) -> list[Job]: ...
    @staticmethod
    def rows(results: Sequence[Any]) -> Any: ...
    @staticmethod
    def pictures(results: Sequence[Any], runs: Path) -> Iterator[Picture]: ...


@contextmanager
def canvas(*shape: int, size: tuple[float, float]) -> Iterator[tuple[Figure, Any]]:
    """A figure with `shape` panels in the study's style, closed when it has been used."""
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(
            *(shape or (1, 1)), figsize=size, layout="constrained", squeeze=False
        )
        try:
            yield figure, axes
        finally:
            plt.close(figure)
