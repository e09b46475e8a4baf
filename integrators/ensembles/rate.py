"""The exponential rate of the energy, fitted while a trajectory runs."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .reductions import Memory
from .saved import Saved

_MARGIN = 1e3  # energies are trusted above this multiple of their round-off
_SUMS = ("count", "t", "y", "tt", "ty", "yy")


@dataclass(frozen=True)
class FittedRate:
    """`rate` r of E ~ e^(−r t): least squares of log E on t over the saved times of a window.

    Also `rate_error`, the standard error of r, and `rate_r2`, the share R² of the variance of
    log E that the line explains. E is f − f* + ½|p|²; r is negative where it grows.

    after  time at which the window begins. None: late times, which begin between a quarter and a
           half of the time for which E lies above its floor (two fits go on side by side; when
           the number of saved states has doubled, the younger takes the place of the elder)
    end    time at which it ends
    floor  what comes after E first met it is left out. None: 10³ times the round-off of E,
           ε|f*| + ε² E(0) with the ε of the state's type; ε² because E is quadratic in x − x*
    name   of the result, for several windows at once

    NaN with fewer than three saved states in the window, or for a trajectory lost to overflow.
    Means and central sums are updated, never sums of squares (Welford, Technometrics 4 (1962)
    419–420): t and log E may lie far from 0.
    """

    after: float | None = None
    end: float = math.inf
    floor: float | None = None
    name: str = "rate"

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, f"{self.name}_error", f"{self.name}_r2")

    def begin(self, first: Saved) -> Memory:
        energy = first.mechanical_energy[0].double()
        eps = torch.finfo(first.state.x.dtype).eps
        floor = _MARGIN * (eps * math.fabs(first.landscape.minimum or 0.0) + eps * eps * energy)
        if self.floor is not None:
            floor = torch.full_like(energy, self.floor)
        fits = energy.new_zeros(2, len(energy))
        return {
            "floor": floor,
            "open": torch.ones_like(energy, dtype=torch.bool),
            "lost": torch.zeros_like(energy, dtype=torch.bool),
            "seen": torch.zeros((), dtype=torch.int64),
            **{name: fits.clone() for name in _SUMS},
        }

    def update(self, memory: Memory, saved: Saved) -> None:
        energies = saved.mechanical_energy.double()
        for time, energy in zip(saved.times.tolist(), energies, strict=True):
            memory["lost"] = memory["lost"] | energy.isnan()
            memory["open"] = memory["open"] & energy.isfinite() & (energy > memory["floor"])
            if self.after is None:
                _pass_on(memory)
            if (self.after or 0.0) <= time <= self.end:
                _add(memory, time, energy.log())

    def result(self, memory: Memory) -> dict[str, Tensor]:
        count, tt, ty, yy = (memory[name][0] for name in ("count", "tt", "ty", "yy"))
        slope, left = ty / tt, (yy - ty * ty / tt).clamp(min=0)
        fitted = (count >= 3) & ~memory["lost"]
        values = (-slope, (left / (count - 2) / tt).sqrt(), 1 - left / yy)
        found = (torch.where(fitted, value, math.nan) for value in values)
        return dict(zip(self.names, found, strict=True))


def _pass_on(memory: Memory) -> None:
    """When 1, 2, 4, 8, ... states were seen: the younger fit becomes the elder."""
    memory["seen"] = memory["seen"] + 1
    seen = int(memory["seen"])
    if seen & (seen - 1):
        return
    for name in _SUMS:
        younger = torch.stack((memory[name][1], torch.zeros_like(memory[name][1])))
        memory[name] = torch.where(memory["open"], younger, memory[name])


def _add(memory: Memory, t: float, y: Tensor) -> None:
    """One point more for both fits of every trajectory that is still open."""
    one = memory["open"].double()
    y = torch.where(memory["open"], y, 0.0)
    memory["count"] = memory["count"] + one
    share = one / memory["count"].clamp(min=1)
    from_t, from_y = t - memory["t"], y - memory["y"]
    memory["t"] = memory["t"] + share * from_t
    memory["y"] = memory["y"] + share * from_y
    memory["tt"] = memory["tt"] + one * from_t * (t - memory["t"])
    memory["ty"] = memory["ty"] + one * from_t * (y - memory["y"])
    memory["yy"] = memory["yy"] + one * from_y * (y - memory["y"])
