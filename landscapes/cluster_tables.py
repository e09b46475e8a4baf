"""Tables of global minima of atomic clusters, read from a data directory."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

_ENERGIES, _GEOMETRIES = "energies.json", "lj003_150_sigma_units.npz"
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, KeyError, TypeError, ValueError)


@dataclass(frozen=True)
class ClusterTables:
    """The lowest known minima.

    lennard_jones  n → energy in ε, n = 2 … 150
    morse          ρ → n → energy in units of the pair energy; ρ = 6: n = 2 … 80, others: a few
    geometries     n → points [n, 3] in σ of the Lennard-Jones minimum, n = 3 … 150

    Source: D. J. Wales, J. P. K. Doye and others, The Cambridge Cluster Database,
    http://www-wales.ch.cam.ac.uk/CCD.html
    """

    lennard_jones: Mapping[int, float]
    morse: Mapping[float, Mapping[int, float]]
    geometries: Mapping[int, Tensor]


def cluster_tables(data_dir: str | os.PathLike[str]) -> ClusterTables:
    """Read `clusters/energies.json` and `clusters/lj003_150_sigma_units.npz` in `data_dir`.

    Raises FileNotFoundError where a file is missing, ValueError where it is not what it should
    be; both name it.
    """
    folder = Path(data_dir) / "clusters"
    for name in (_ENERGIES, _GEOMETRIES):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{folder / name} is missing; data_dir must be the folder that has clusters/{name}"
            )
    try:
        blob = json.loads((folder / _ENERGIES).read_text())
        lennard_jones = _by_number(blob["lj_epsilon"])
        prefix = "morse_rho"
        morse = {
            float(key.removeprefix(prefix)): _by_number(table)
            for key, table in blob.items()
            if key.startswith(prefix)
        }
    except (*_DAMAGE, AttributeError) as error:
        raise ValueError(
            f"{folder / _ENERGIES} is not a table of cluster energies: {error!r}"
        ) from error
    try:
        with np.load(folder / _GEOMETRIES, allow_pickle=False) as arrays:
            geometries = {int(key.removeprefix("LJ")): _points(key, arrays[key]) for key in arrays}
    except _DAMAGE as error:
        raise ValueError(
            f"{folder / _GEOMETRIES} is not a file of cluster geometries: {error!r}"
        ) from error
    return ClusterTables(lennard_jones, morse, geometries)


def _by_number(table: Mapping[str, float]) -> dict[int, float]:
    return {int(n): float(energy) for n, energy in table.items()}


def _points(key: str, array: np.ndarray) -> Tensor:
    if array.shape != (int(key.removeprefix("LJ")), 3) or not np.isfinite(array).all():
        raise ValueError(f"{key} must be finite numbers [n, 3]; got shape {array.shape}")
    return torch.from_numpy(array.astype(np.float64))
