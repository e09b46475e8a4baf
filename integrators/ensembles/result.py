"""The record of an ensemble: one array per result, over the grid and the starts."""

import json
import os
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..files import atomic
from ..trajectory import Status

FACTS = "ensemble.json"  # in a folder, beside the arrays
_DAMAGE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, KeyError, TypeError, ValueError)


@dataclass
class Ensemble:
    """Results of many trajectories, as numpy arrays (memory-mapped where they lie in a folder).

    Attributes
        axes        values by name, in the order of the results' axes: those of the grid, then the
                    starts' ("start", or "start_1", "start_2", ...) as indices
        values      the results by name; `result["final_energy"]` is [*axes]; `in` and `for` go over
                    the names. "stopped_at" is the
                    index of the step at which a trajectory was lost to overflow, −1 for those that
                    were not; "computed" is False for what an interrupted run did not come to, where
                    results are NaN. Stored variables, `result["x"]`, are [T, *axes, *shape]
        times       [T] of the saved states; [k, T] where k step sizes are on the grid
        settings    everything that made it, as plain values
        status      "finished"; "diverged" (some were lost to overflow); "interrupted" (Ctrl-C, or
                    the process was killed): with the same `out` the rest is computed
        message     what happened
    """

    axes: dict[str, np.ndarray]
    values: dict[str, np.ndarray]
    times: np.ndarray
    settings: dict[str, Any] = field(default_factory=dict)
    status: Status = "interrupted"
    message: str = ""

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.values:
            raise KeyError(f"no result {name!r} in this ensemble; it has {', '.join(self.values)}")
        return self.values[name]

    def __contains__(self, name: object) -> bool:
        return name in self.values

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(axis) for axis in self.axes.values())

    @property
    def stopped_at(self) -> np.ndarray:
        return self["stopped_at"]

    @property
    def computed(self) -> np.ndarray:
        return self["computed"]

    def __repr__(self) -> str:
        shape = " × ".join(f"{len(axis)} {name}" for name, axis in self.axes.items()) or "1"
        label = f"{self.settings.get('dynamics', '?')} on {self.settings.get('landscape', '?')}"
        return f"Ensemble({label}, {shape}, {', '.join(self.values)}, {self.status})"

    def conclude(self) -> None:
        """Say how it ended, from what is there."""
        done, lost = int(self.computed.sum()), int((self.stopped_at >= 0).sum())
        finished = done == self.computed.size
        told = [] if finished else [f"interrupted after {done} of {self.computed.size}"]
        told += [f"{lost} of {done} trajectories were lost to overflow"] if lost else []
        self.status = "interrupted" if not finished else "diverged" if lost else "finished"
        self.message = "; ".join(told)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write everything to an `.npz` file, atomically; returns its path."""
        path = Path(path)
        if path.suffix != ".npz":
            path = path.with_name(path.name + ".npz")
        blob: dict[str, Any] = {"facts": np.array(self.facts()), **dict(self.arrays())}
        with atomic(path) as handle:
            np.savez(handle, **blob)
        return path

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Ensemble":
        """Read what `save` wrote, or a folder that `ensemble(out=...)` did.

        The arrays of a folder are mapped into memory, for reading. Raises ValueError for what is
        neither.
        """
        path = Path(path)
        try:
            if path.is_dir():
                return cls.assembled(
                    (path / FACTS).read_text(encoding="utf-8"),
                    {file.stem: np.load(file, mmap_mode="r") for file in path.glob("*.npy")},
                )
            with np.load(path, allow_pickle=False) as blob:
                arrays = {name: blob[name] for name in blob}
            return cls.assembled(str(arrays.pop("facts")), arrays)
        except _DAMAGE as error:
            if isinstance(error, FileNotFoundError) and not path.exists():
                raise
            raise ValueError(
                f"{path} is not an ensemble saved by dashpot, or it is damaged"
            ) from error

    def facts(self) -> str:
        """What is not an array, as text."""
        return json.dumps(
            {
                "axes": list(self.axes),
                "values": list(self.values),
                "settings": self.settings,
                "status": self.status,
                "message": self.message,
            },
            indent=1,
        )

    def arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        """All arrays, by the names they have in a file."""
        yield "times", self.times
        yield from ((f"axis_{name}", axis) for name, axis in self.axes.items())
        yield from ((f"value_{name}", value) for name, value in self.values.items())

    @classmethod
    def assembled(cls, facts: str, arrays: dict[str, np.ndarray]) -> "Ensemble":
        """The inverse of `facts` and `arrays`; KeyError or ValueError for something else."""
        known = json.loads(facts)
        return cls(
            axes={name: np.asarray(arrays[f"axis_{name}"]) for name in known.pop("axes")},
            values={name: arrays[f"value_{name}"] for name in known.pop("values")},
            times=np.asarray(arrays["times"]),
            **known,
        )
