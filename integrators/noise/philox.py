"""Normal and uniform numbers by counter: compiled where there is a C compiler, else by numpy."""

import ctypes
import math
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..kernels.compiled import load

_WORD = 2**64
_PLACES = 256  # in a channel
_WITHIN = np.uint64(2**50 - 1)  # the bits of an angle below those of its octant


def normals(
    seed: int, first: int, tick: int, channel: int, count: int, coordinates: int, trajectories: int
) -> Tensor:
    """[count, coordinates, trajectories] standard normal numbers, float64: Box–Muller.

    Two trajectories of a block share a radius √(−2 log(1 − u)) and an angle 2πv.
    """
    return _draw("normals", seed, first, tick, channel, count, coordinates, trajectories)


def uniforms(
    seed: int, first: int, tick: int, channel: int, count: int, coordinates: int, trajectories: int
) -> Tensor:
    """[count, coordinates, trajectories] numbers in [0, 1), multiples of 2⁻⁵³, float64."""
    return _draw("uniforms", seed, first, tick, channel, count, coordinates, trajectories)


def _draw(name: str, seed: int, first: int, tick: int, channel: int, *shape: int) -> Tensor:
    _check(tick, channel, *shape)
    compiled = _compiled()
    if compiled is None:
        return torch.from_numpy(by_numpy(name, seed, first, tick, channel, *shape))
    out = torch.empty(shape, dtype=torch.float64, device="cpu")  # whatever the default device is
    compiled[name](seed, first, tick, channel, *shape, out.data_ptr())
    return out


def _check(tick: int, channel: int, count: int, coordinates: int, trajectories: int) -> None:
    """ctypes would take the lowest bits of whatever does not fit."""
    if not 0 <= tick < _WORD:
        raise ValueError(f"tick must be from 0 to 2^64 − 1; got {tick}")
    if not 0 <= channel < _WORD // _PLACES:
        raise ValueError(f"channel must be from 0 to 2^56 − 1; got {channel}")
    if not 0 <= count <= _PLACES:
        raise ValueError(f"count must be from 0 to {_PLACES}; got {count}")
    if min(coordinates, trajectories) < 0:
        raise ValueError(f"there is no batch of {coordinates} coordinates × {trajectories}")


@cache
def _compiled() -> dict[str, Any] | None:
    library = load(
        files("dashpot.integrators.noise").joinpath("philox.c").read_text(encoding="utf-8")
    )
    if library is None:
        return None
    found = {}
    for name in ("normals", "uniforms"):
        function = getattr(library, name)
        function.argtypes = [ctypes.c_uint64] * 4 + [ctypes.c_int64] * 3 + [ctypes.c_void_p]
        function.restype = None
        found[name] = function
    return found


def by_numpy(
    name: str, seed: int, first: int, tick: int, channel: int,
    count: int, coordinates: int, trajectories: int,
) -> np.ndarray:  # fmt: skip
    """The same by numpy's Philox: uniforms bit for bit, normals to 4 ulp."""
    out = np.empty((count, coordinates, trajectories))
    begin, skipped = first // 4, first % 4
    blocks = (first + trajectories + 3) // 4 - begin
    for k in range(count):
        for coordinate in range(coordinates):
            words = _words(seed, (begin, coordinate, tick, channel * _PLACES + k), blocks)
            made = _uniform(words) if name == "uniforms" else box_muller(words)
            out[k, coordinate] = made[skipped : skipped + trajectories]
    return out


def _words(seed: int, counter: tuple[int, int, int, int], blocks: int) -> np.ndarray:
    """The words of blocks that follow one another, four each."""
    before = sum(part << 64 * place for place, part in enumerate(counter)) - 1
    generator = np.random.Philox(
        key=np.array([seed, 0], dtype=np.uint64),
        # numpy counts up before it makes a block
        counter=np.array([(before >> 64 * place) % _WORD for place in range(4)], dtype=np.uint64),
    )
    return np.asarray(generator.random_raw(4 * blocks))


def _uniform(words: np.ndarray) -> np.ndarray:
    return (words >> np.uint64(11)) * 2.0**-53


def box_muller(words: np.ndarray) -> np.ndarray:
    """Normal numbers from words: radius, angle, radius, angle, ..."""
    radius, angle = words[0::2], words[1::2]
    r = np.sqrt(-2 * np.log((2.0**53 - (radius >> np.uint64(11))) * 2.0**-53))
    octant = (angle >> np.uint64(61)).astype(np.int64)
    within = ((angle >> np.uint64(11)) & _WITHIN).astype(np.float64)
    odd = octant % 2 == 1
    t = np.where(odd, 2.0**50 - within, within) * (math.pi / 4 * 2.0**-50)
    c, s = np.cos(t), np.where(odd, -np.sin(t), np.sin(t))
    quarters = (octant + 1) // 2 % 4
    first = r * np.choose(quarters, [c, -s, -c, s])
    second = r * np.choose(quarters, [s, c, -s, -c])
    return np.stack([first, second], 1).ravel()
