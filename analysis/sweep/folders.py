"""The folder of a sweep: its head, and a folder for every run, written by the trainer."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from ...integrators.files import atomic
from ..training.checkpoint import best_path
from ..training.folder import BusyError, held, read_json, settings_of
from ..training.log import lines
from ..training.result import Result
from ..training.settings import Settings
from .head import Head
from .inside import Inside
from .plan import Kind, Run, Sweep
from .target import Look

_HEAD, _PLAN, _RUN, _PRUNED = "sweep.json", "plan.json", "run.json", "pruned.json"
RESULTS, TABLES, PAGE = "results.json", "report.md", "index.html"  # what the report writes
State: TypeAlias = Literal["finished", "diverged", "pruned", "unfinished"]


def claim(out: Path, head: Head) -> None:
    """Write what the folder is for; ValueError if it is for something else.

    A folder that does not name its device goes on with any.
    """
    path = out / _HEAD
    mine = json.loads(json.dumps(asdict(head)))
    if not path.exists():
        if strange := [name for name in (RESULTS, TABLES, PAGE) if (out / name).exists()]:
            raise ValueError(f"{out} has {strange[0]}, but no {_HEAD}; take another folder")
        with atomic(path, "w") as handle:
            json.dump(mine, handle, indent=1)
        return
    theirs, mine = _leaves({"device": head.device, **read_json(path)}), _leaves(mine)
    for name in {**theirs, **mine}:
        there, here = theirs.get(name), mine.get(name)
        if there != here:  # one is enough: most of them differ together
            raise ValueError(
                f"{out} holds another sweep: {name} {there!r} there, {here!r} here; take another "
                "folder"
            )


def _leaves(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without the two levels of sweep.json; no name stands in both."""
    inner = [value for value in values.values() if isinstance(value, dict)]
    outer = {name: value for name, value in values.items() if not isinstance(value, dict)}
    return {name: value for some in (outer, *inner) for name, value in some.items()}


def head_of(out: Path) -> Head:
    """ValueError where there is no sweep."""
    if not (out / _HEAD).exists():
        raise ValueError(f"{out} is not the folder of a sweep: it has no {_HEAD}")
    try:
        return Head(**read_json(out / _HEAD))
    except TypeError as error:
        raise ValueError(f"{out / _HEAD} is of another version: {error}") from error


def plan(out: Path, planned: Mapping[str, Sequence[int]]) -> None:
    """Add to the rows that are to be compared, and to their seeds, what is not there yet."""
    before = planned_rows(out)
    added = {name: [*before.get(name, ()), *seeds] for name, seeds in planned.items()}
    merged = {name: sorted(set(seeds)) for name, seeds in {**before, **added}.items()}
    if merged != before:
        with atomic(out / _PLAN, "w") as handle:
            json.dump(merged, handle, indent=1)


def planned_rows(out: Path) -> dict[str, list[int]]:
    """Rows that are to be compared, in the order in which they were asked for, and their seeds."""
    path = out / _PLAN
    return read_json(path) if path.exists() else {}


def announce(out: Path, run: Run) -> Path:
    """The folder of a run, with what it is for."""
    folder = out / run.folder
    path = folder / _RUN
    if not path.exists():
        with atomic(path, "w") as handle:
            json.dump(run.about, handle, indent=1)
    return folder


class PrunedError(Exception):
    """A run ends early: it fell behind."""


def prune(folder: Path, step: int) -> None:
    """Note that the run ended early, after so many steps."""
    with atomic(folder / _PRUNED, "w") as handle:
        json.dump({"step": step}, handle)


def is_pruned(folder: Path) -> bool:
    return (folder / _PRUNED).exists()


def is_over(folder: Path) -> bool:
    """Whether nothing is left to do."""
    return (folder / "result.json").exists() or is_pruned(folder)


def all_over(out: Path, sweep: Sweep) -> set[str]:
    """Folders of its runs that are over; with a search, of all runs of its optimizers."""
    found = {path.parent.relative_to(out) for path in out.glob(f"*/*/*/{_RUN}")}
    if sweep.tune is None:
        found &= {run.folder for run in sweep.known_runs()}
    else:
        found = {folder for folder in found if folder.parts[1] in sweep.optimizers}
    return {folder.as_posix() for folder in found if is_over(out / folder)}


def is_held(folder: Path) -> bool:
    """Whether somebody trains in it now."""
    if not folder.exists():
        return False
    try:
        with held(folder):
            return False
    except BusyError:
        return True


def lighten(folder: Path, best_step: int | None) -> None:
    """Remove the checkpoints of a run that is over, and all weights but those of that step."""
    kept = None if best_step is None else best_path(folder, best_step)
    for pattern in ("checkpoint*.pt", "best-*.pt"):
        for path in folder.glob(pattern):
            if path != kept:
                path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Row:
    """What is known of a run.

    looks   at the validation data, with finite values of the metric
    value   the best of them; None without any
    has_diverged  a loss was not finite, or the last look is not, or is worse than the first one,
                  before any step
    inside  of a reported run that was looked at (`look_every`)
    """

    kind: Kind
    label: str
    factor: float
    trial: int | None
    folder: Path
    settings: Settings
    state: State
    looks: tuple[Look, ...]
    value: float | None
    has_diverged: bool
    result: Result | None
    inside: Inside | None

    @property
    def is_over(self) -> bool:
        return self.state != "unfinished"

    @property
    def as_json(self) -> dict[str, Any]:
        result = None if self.result is None else asdict(self.result)
        return {
            **{name: getattr(self, name) for name in ("kind", "label", "factor", "trial", "state")},
            "folder": self.folder.as_posix(),
            "settings": self.settings.as_json(),
            "value": self.value,
            "steps": self.looks[-1].step if self.looks else 0,
            **{
                name: result and result[name]
                for name in ("best_step", "test", "seconds", "ms_per_step", "state_bytes")
            },
        }


def rows(out: Path, head: Head) -> Iterator[Row]:
    """Every run that has begun, in the order of its folder's name."""
    for path in sorted(out.glob(f"*/*/*/{_RUN}")):
        if (path.parent / "settings.json").exists():
            yield _row(out, path.parent, read_json(path), head)


def _row(out: Path, folder: Path, about: Mapping[str, Any], head: Head) -> Row:
    result = Result.read(folder)
    state: State = "pruned" if is_pruned(folder) else "unfinished"
    if result is not None and result.status != "interrupted":
        state = result.status
    has_log = (folder / "log.jsonl").exists()
    measured = list(lines(folder, "validation")) if has_log else []
    looks = tuple(
        Look(line["step"], line["seconds"], line[head.metric])
        for line in measured
        if math.isfinite(line[head.metric])
    )
    values = [look.value for look in looks]
    best = max if head.larger_is_better else min
    costs = [head.cost(line[head.metric]) for line in (*measured[:1], *measured[-1:])]
    got_worse = bool(costs) and not costs[1] <= costs[0]  # NaN is not better
    return Row(
        kind=about["kind"],
        label=about["label"],
        factor=about["factor"],
        trial=about["trial"],
        folder=folder.relative_to(out),
        settings=settings_of(folder),
        state=state,
        looks=looks,
        value=best(values, default=None),
        has_diverged=state == "diverged" or (state == "finished" and got_worse),
        result=result,
        inside=Inside.of_run(folder) if has_log and about["kind"] == "report" else None,
    )
