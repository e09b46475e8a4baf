"""The exponential rate of the energy, fitted while a trajectory runs."""

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from ...dynamics.elements import folded
from .reductions import Memory, least_of
from .saved import Saved

_MARGIN = 1e3  # energies are trusted above this multiple of their round-off
_DEPTH = 1.2  # E that stops falling below ε^1.2 E(0) has met its round-off: L ε² |x|², L < ε^−0.8
_DECLINE = 0.25  # of log E in a quarter of the time since it came near it; in a decay ¼ log 10³
_PARTS = 16  # blocks in which the number of saved states doubles
_LATE = 1 / 3  # of the time until E meets its floor, from which late times begin
_LEAST = torch.finfo(torch.float64).tiny


@dataclass(frozen=True)
class FittedRate:
    """`rate` r of E ~ e^(−r t): least squares of log E on t over the saved times of a window.

    Also `rate_error`, the standard error of r, and `rate_r2`, the share R² of the variance of
    log E that the line explains. E is f − f* + ½|p|²; r is negative where it grows.

    after  time at which the window begins. None: late times, from a third of the time for which
           E lies above its floor
    end    time at which it ends
    floor  what comes after E first met it is left out. None: 10³ times the round-off of E. That is
           at least ε|f*| + ε² E(0) with the ε of the state's type; ε² because E is quadratic in
           x − x*. Where E stops falling at a higher level below ε^1.2 E(0), it is that level
    name   of the result, for several windows at once

    States are left out in blocks, of 1/16 of those saved before them at most; the sums of blocks
    are kept until the end, when the floor is known. NaN with fewer than three states in the window,
    as where E falls too fast for the times saved, and for a trajectory lost to overflow.
    ValueError, before any work, for a landscape whose minimum f* is not known.
    Means and central sums of blocks are merged, never sums of squares: t and log E may lie far
    from 0 (Chan, Golub, LeVeque, The American Statistician 37 (1983) 242–247).
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
        least = math.fabs(least_of(first.landscape, self))
        floor = _MARGIN * (eps * least + eps * eps * energy)
        return {
            "floor": floor if self.floor is None else torch.full_like(energy, self.floor),
            "deep": eps**_DEPTH * energy,
            "lost": torch.zeros_like(energy, dtype=torch.bool),
            "seen": torch.zeros((), dtype=torch.int64),
        }

    def update(self, memory: Memory, saved: Saved) -> None:
        energy = saved.mechanical_energy.double()
        memory["lost"] = energy[-1].isnan()
        logs = energy.clamp(min=_LEAST).log()
        seen, known = int(memory["seen"]), saved.times.tolist()
        for first, last in _pieces(seen, len(known)):
            number = _block(seen + first)
            first = bisect_left(known, self.after or 0.0, first, last)
            last = bisect_right(known, self.end, first, last)
            if last > first:
                rows = slice(first, last)
                _add(memory, number, saved.times[rows], logs[rows], energy[rows])
        memory["seen"] = memory["seen"] + len(energy)

    def result(self, memory: Memory) -> dict[str, Tensor]:
        floor = memory["floor"]
        numbers = [name.split()[1] for name in memory if name.startswith("times ")]
        if not numbers:
            return dict.fromkeys(self.names, torch.full_like(floor, math.nan))
        times = torch.stack([memory[f"times {number}"] for number in numbers])
        sums = torch.stack([memory[f"sums {number}"] for number in numbers])
        if self.floor is None:
            floor = torch.maximum(floor, _MARGIN * _level(times, sums, memory["deep"]))
        least, most = sums[:, 3], sums[:, 4]
        used = ((least > floor) & (most < math.inf)).cummin(0).values
        if self.after is None:
            begins, ends = times[:, 3, None], times[:, 4, None]
            used &= begins >= _LATE * ends.where(used, 0.0).amax(0)
        return dict(zip(self.names, _line(times, sums, used & ~memory["lost"]), strict=True))


def _pieces(seen: int, count: int) -> list[tuple[int, int]]:
    """The rows of what is saved after `seen` states, cut where blocks end."""
    cuts = [row for row in range(1, count) if _block(seen + row) != _block(seen + row - 1)]
    return list(pairwise((0, *cuts, count)))


def _block(index: int) -> int:
    """The block of a saved state: _PARTS of one state each, _PARTS of one, of two, of four, ..."""
    octave = max(0, index.bit_length() - _PARTS.bit_length())
    return _PARTS * octave + (index >> octave)


def _add(memory: Memory, number: int, times: Tensor, logs: Tensor, energy: Tensor) -> None:
    """Add successive states to a block: its times' numbers [5], and those of log E, E [5, n]."""
    span, sums = f"times {number}", f"sums {number}"
    t = times[0] + (times - times[0]).mean()
    y = folded(logs) / len(logs)
    from_t, from_y = times - t, logs - y
    count = torch.full_like(t, len(times))
    when = torch.stack((count, t, (from_t * from_t).sum(), times[0], times[-1]))
    moments = (y, folded(from_t[:, None] * from_y), folded(from_y * from_y))
    what = torch.stack((*moments, energy.amin(0), energy.amax(0)))
    if span in memory:
        whens, whats = torch.stack((memory[span], when)), torch.stack((memory[sums], what))
        both = _merged(whens, whats, torch.ones_like(whats[:, 0], dtype=torch.bool))
        ends = torch.stack((whens[0, 3], whens[1, 4]))
        when = torch.cat((torch.stack(both[:3])[:, 0], ends))
        what = torch.stack((*both[3:], whats[:, 3].amin(0), whats[:, 4].amax(0)))
    memory[span], memory[sums] = when, what


def _merged(times: Tensor, sums: Tensor, chosen: Tensor) -> tuple[Tensor, ...]:
    """count, t, tt, y, ty, yy [n] of the blocks that are `chosen` [K, n]."""
    n = times[:, 0, None] * chosen
    count = folded(n)
    some = count.clamp(min=1)
    y, ty, yy = (sums[:, k].where(chosen, 0.0) for k in range(3))
    t_mean = folded(n * times[:, 1, None]) / some
    y_mean = folded(n * y) / some
    from_t, from_y = times[:, 1, None] - t_mean, y - y_mean
    tt = folded(times[:, 2, None] * chosen + n * from_t * from_t)
    return (
        count, t_mean, tt, y_mean,
        folded(ty + n * from_t * from_y), folded(yy + n * from_y * from_y),
    )  # fmt: skip


def _line(times: Tensor, sums: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The rate of the chosen blocks [K, n], its standard error and R²; NaN below 3 states."""
    count, _, tt, _, ty, yy = _merged(times, sums, chosen)
    left = (yy - ty * ty / tt).clamp(min=0)
    values = (-ty / tt, (left / (count - 2) / tt).sqrt(), 1 - left / yy)
    rate, error, share = (value.where(count >= 3, math.nan) for value in values)
    return rate, error, share


def _level(times: Tensor, sums: Tensor, deep: Tensor) -> Tensor:
    """Where E stopped falling below `deep`: its largest value in the last block; 0 if it did not.

    It did, if in the last quarter of the time since E first came within the margin of that level
    log E fell by no more than _DECLINE, up to four standard errors of its slope.
    """
    begins, end = times[:, 3, None], times[-1, 4]
    level = sums[-1, 4]
    near = sums[:, 3] <= _MARGIN * level
    since = begins.where(near, math.inf).amin(0)
    late = begins >= (since + 3 * end) / 4
    late[-1] = True
    rate, error, _ = _line(times, sums, late)
    length = end - begins.where(late, math.inf).amin(0)
    stopped = (level < deep) & (rate * length < _DECLINE + 4 * error * length)
    return level.where(stopped, 0.0)
