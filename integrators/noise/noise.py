"""The noise of a run: every number by its own counter, so that nothing else matters."""

import math
import operator
from dataclasses import dataclass
from numbers import Real
from typing import Any

from torch import Tensor

from . import philox

SAMPLES = 26  # the channel of the uniforms with which a landscape samples; 0 to 25 are A to Z


def channel_of(driver: str) -> int:
    """The channel of a Brownian motion, by its letter."""
    return ord(driver) - ord("A")


@dataclass(frozen=True)
class Noise:
    """Random numbers that depend on the seed, trajectory, coordinate and time alone.

        simulate(Langevin(gamma=1.0, temperature=0.5), landscape, x0, step=0.1, steps=1000, noise=1)
        simulate(..., step=0.1, noise=Noise(seed=1, finest=0.1 / 8))

    A trajectory has the same numbers, bit for bit, whatever else is in the batch, however the batch
    is cut, whatever is saved, and wherever a run is interrupted and goes on. With one compiler or
    another, or without (then numpy's Philox is used), uniform numbers are the same bits and
    normal ones agree to 4 units in the last place.

    seed    a whole number from 0 to 2⁶⁴ − 1
    finest  the time of the finest increments. Runs whose steps, and the times of whose noisy
            letters, are whole multiples of it follow one Brownian motion: an exact flow is run in
            its finest pieces, which adds up the integrals of the noise exactly; a scheme gets the
            sum of the increments of W. None: every step's increments are numbered by themselves
    first   index of the first trajectory: trajectories 500 to 999 alone have the numbers they
            have in a batch of 1000, with first=500

    Letters and schemes take them as increments in the sense of Itô. The generator is
    Philox4x64-10 with key (seed, 0) and counter (trajectory // 4, coordinate, tick, channel and
    place), Box–Muller. Source: Salmon, Moraes, Dror, Shaw, Parallel random numbers: as easy as
    1, 2, 3, SC 2011.

    Raises TypeError or ValueError for what is no seed, no time, or no index.
    """

    seed: int
    finest: float | None = None
    first: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", _index("seed", self.seed, 64))
        object.__setattr__(self, "first", _index("first", self.first, 62))
        if self.finest is None:
            return
        if not isinstance(self.finest, Real) or isinstance(self.finest, bool):
            raise TypeError(f"finest must be a time, or None; got {self.finest!r}")
        try:
            finest = float(self.finest)
        except OverflowError:
            finest = math.inf
        if not 0 < finest < math.inf:
            raise ValueError(f"finest must be a finite time > 0; got {self.finest}")
        object.__setattr__(self, "finest", finest)

    def normals(
        self, tick: int, channel: int, count: int, coordinates: int, trajectories: int
    ) -> Tensor:
        """[count, coordinates, trajectories] standard normal numbers, float64, on the CPU."""
        return philox.normals(
            self.seed, self.first, tick, channel, count, coordinates, trajectories
        )

    def uniforms(
        self, tick: int, channel: int, count: int, coordinates: int, trajectories: int
    ) -> Tensor:
        """[count, coordinates, trajectories] numbers in [0, 1), float64, on the CPU."""
        return philox.uniforms(
            self.seed, self.first, tick, channel, count, coordinates, trajectories
        )

    def as_settings(self) -> dict[str, Any]:
        """What makes it, as plain values for a saved run: `Noise(**settings)`."""
        return {"seed": self.seed, "finest": self.finest, "first": self.first}


def _index(name: str, value: Any, bits: int) -> int:
    """`value` as a plain whole number of so many bits."""
    try:
        index = operator.index(value)
    except TypeError:
        index = None
    if index is None or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number; got {value!r}")
    if not 0 <= index < 2**bits:
        raise ValueError(f"{name} must be from 0 to 2^{bits} − 1; got {index}")
    return index
