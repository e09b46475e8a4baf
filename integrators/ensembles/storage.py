"""Where the results of an ensemble are kept while it runs, and how a broken-off run goes on."""

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..files import atomic
from .result import FACTS, Ensemble

_SAVE_EVERY = 30.0  # seconds between two writings of an .npz file, at least
_NOTHING = {"stopped_at": -1, "computed": False}  # where nothing is computed; NaN for the rest
_AT_ONCE = 2**22  # numbers filled at a time
_CLOSE = 1e-5  # values of one f, by another batch or another machine, in single precision


@dataclass(frozen=True)
class Layout:
    """What arrays an ensemble needs: by name their shape and type."""

    axes: dict[str, np.ndarray]
    values: dict[str, tuple[tuple[int, ...], np.dtype]]
    times: np.ndarray
    settings: dict[str, Any]

    def allocated(self, folder: Path | None) -> Ensemble:
        """With nothing computed; in memory, or as files of a folder."""
        made = Ensemble(self.axes, {}, self.times, self.settings)
        for name, (shape, kind) in self.values.items():
            if folder is None:
                made.values[name] = np.empty(shape, kind)
            else:
                made.values[name] = np.lib.format.open_memmap(
                    folder / f"value_{name}.npy", "w+", dtype=kind, shape=shape
                )
            _fill(name, made.values[name])
        return made

    def same_as(self, old: Ensemble, where: Path) -> None:
        """ValueError if `old` is another ensemble, with what differs."""
        own = json.loads(json.dumps(self.settings))
        changed = [
            f"{name} = {old.settings.get(name)!r} there, {own.get(name)!r} here"
            for name in {**old.settings, **own}
            if name != "f" and old.settings.get(name) != own.get(name)
        ]
        if not _close(old.settings.get("f"), own["f"]):
            changed.append("other values of f at the starts or around them")
        if list(old.axes) != list(self.axes):
            changed.append(f"axes {', '.join(old.axes)} there, {', '.join(self.axes)} here")
        changed += [
            f"other values of {name}"
            for name, axis in self.axes.items()
            if name in old.axes and not np.array_equal(old.axes[name], axis)
        ]
        if not np.array_equal(old.times, self.times, equal_nan=True):
            changed.append("other saved times")
        changed += [f"no {name} there" for name in self.values if name not in old.values]
        changed += [f"no {name} here" for name in old.values if name not in self.values]
        changed = changed or [
            f"{name} is {array.dtype} {array.shape} there, {kind} {shape} here"
            for name, (shape, kind) in self.values.items()
            for array in (old.values[name],)
            if (array.shape, array.dtype) != (shape, kind)
        ]
        if changed:
            raise ValueError(
                f"{where} has an ensemble made otherwise: {'; '.join(changed)}. Name another out, "
                "or remove it"
            )


class Storage:
    """The arrays of an ensemble, filled as chunks of trajectories are finished.

    out    None: in memory; a name that ends in .npz: in memory, written at the end, and after a
           chunk if half a minute has passed; any other: a folder of memory-mapped arrays
    owner  False in all but one of several processes, which alone writes files
    """

    def __init__(self, layout: Layout, out: Path | None, owner: bool = True) -> None:
        self._file = out if out is not None and out.suffix == ".npz" else None
        self._folder = out if self._file is None else None
        self._owner = owner
        self._saved = time.monotonic()
        if out is not None and out.exists() and not self._is_fresh(out):
            self.record = self._reopened(layout, out)
        elif self._folder is None:
            self.record = layout.allocated(None)
        else:
            self._folder.mkdir(parents=True, exist_ok=True)
            self.record = layout.allocated(self._folder)
            self._write_facts()

    @property
    def is_shared(self) -> bool:
        """Whether other processes see what is written here."""
        return self._folder is not None

    def write(self, name: str, places: np.ndarray, value: Any) -> None:
        """A result of some trajectories, `value` [n]."""
        self.record.values[name].reshape(-1)[places] = value

    def write_states(self, name: str, begin: int, places: np.ndarray, states: np.ndarray) -> None:
        """Saved states number `begin` and on of some trajectories, `states` [T, n, *shape]."""
        array = self.record.values[name]
        points = math.prod(self.record.shape)
        rows = array.reshape(len(array), points, *states.shape[2:])
        rows[begin : begin + len(states), places] = states

    def forget(self, places: np.ndarray) -> None:
        """Whatever was written of trajectories that were broken off."""
        points = math.prod(self.record.shape)
        for name, array in self.record.values.items():
            if array.shape == self.record.shape:
                self.write(name, places, _NOTHING.get(name, np.nan))
            else:  # stored states
                array.reshape(len(array), points, -1)[:, places] = np.nan

    def finish(self, places: np.ndarray) -> None:
        """Mark trajectories as computed; what an .npz file has is brought up to date at times."""
        self.write("computed", places, True)
        if self._file is not None and time.monotonic() - self._saved > _SAVE_EVERY:
            self.save()

    def save(self) -> None:
        """Write what there is."""
        self._saved = time.monotonic()
        if not self._owner:
            return
        if self._file is not None:
            self.record.save(self._file)
        elif self._folder is not None:
            for value in self.record.values.values():
                if isinstance(value, np.memmap):
                    value.flush()
            self._write_facts()

    def _is_fresh(self, out: Path) -> bool:
        return out.is_dir() and not any(out.iterdir())

    def _reopened(self, layout: Layout, out: Path) -> Ensemble:
        old = Ensemble.load(out)
        layout.same_as(old, out)
        if self._folder is not None:
            old.values = {
                name: np.load(out / f"value_{name}.npy", mmap_mode="r+") for name in old.values
            }
        old.status, old.message = "interrupted", ""
        return old

    def _write_facts(self) -> None:
        assert self._folder is not None
        for name, array in self.record.arrays():
            if not name.startswith("value_"):
                with atomic(self._folder / f"{name}.npy") as handle:
                    np.save(handle, array)
        with atomic(self._folder / FACTS, "w") as handle:
            handle.write(self.record.facts())


def _fill(name: str, array: np.ndarray) -> None:
    """As where nothing is computed: NaN, −1 or False; a large array piece by piece."""
    nothing = _NOTHING.get(name, np.nan)
    flat = array.reshape(-1)
    for begin in range(0, flat.size, _AT_ONCE):
        flat[begin : begin + _AT_ONCE] = nothing


def _close(there: Any, here: list[float]) -> bool:
    """Numbers that two machines may have computed."""
    if there is None or len(there) != len(here):
        return False
    size = np.abs([value for value in here if math.isfinite(value)] or [0.0]).max()
    return np.allclose(there, here, rtol=_CLOSE, atol=_CLOSE * _CLOSE * size, equal_nan=True)


def as_path(out: Any) -> Path | None:
    """The path of `out`: a name that ends in .npz, or a folder, whose name has an ending only
    where it is there already.
    """
    if out is None:
        return None
    path = Path(out)
    if path.is_file() and path.suffix != ".npz":
        raise ValueError(f"out must be a name that ends in .npz, or a folder; {path} is a file")
    if path.suffix not in ("", ".npz") and not path.is_dir():
        raise ValueError(
            f"out must be a name that ends in .npz, or a folder; got {path} (make it first, if it "
            "is to be a folder)"
        )
    if path.is_dir() and path.suffix == ".npz":
        raise ValueError(f"out: {path} is a folder; a name that ends in .npz is a file")
    return path
