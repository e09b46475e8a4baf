"""From any start to a local minimum: damped runs of many systems at once, until all are at rest."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from tqdm import tqdm

from ...dynamics import CD, IKFAD, Dynamics
from ...integrators import simulate
from ...landscapes import Landscape
from ...landscapes.checks import integer
from ..interrupts import uninterrupted
from .counted import Counted

Rest = Literal["converged", "unfinished", "diverged", "interrupted"]


@dataclass(frozen=True, repr=False)
class Quenched:
    """Where a batch of quenches ended.

    x          [B, *shape], the last points; of one that diverged, the last that was looked at
    energy     [B], f there
    slope      [B], max |∇f| there
    gradients  [B] int64, how many gradients each system took
    status     of each: "converged" (slope < tolerance); "unfinished" (out of steps);
               "diverged" (overflow); "interrupted" (Ctrl-C)
    """

    x: Tensor
    energy: Tensor
    slope: Tensor
    gradients: Tensor
    status: tuple[Rest, ...]

    def __repr__(self) -> str:
        ends = [(self.status.count(end), end) for end in get_args(Rest)]
        counts = ", ".join(f"{count} {end}" for count, end in ends if count)
        return (
            f"Quenched({len(self.status)} systems: {counts or 'none'}; lowest energy "
            f"{self.lowest:.8g}, {int(self.gradients.sum())} gradients)"
        )

    @property
    def lowest(self) -> float:
        """The lowest energy of those that did not diverge; infinite if there is none."""
        kept = torch.tensor([one != "diverged" for one in self.status], dtype=torch.bool)
        return min(self.energy[kept & self.energy.isfinite()].tolist(), default=math.inf)

    @property
    def converged(self) -> Tensor:
        """[B] bool."""
        return torch.tensor([one == "converged" for one in self.status], dtype=torch.bool)


@dataclass(frozen=True)
class Quench:
    """How to come to rest: a damped dynamics, its word and step, and when to stop.

        rest = Quench()(LennardJones(13), LennardJones(13).random_start(100, seed=0))

    dynamics   without noise. The default is CD with γ = 2 and c = 4; `KINETIC_QUENCH` takes iKFAD
    step       the step size h. The stiffest mode of Lennard-Jones clusters has ω ≈ 32, so that
               h ω = 1.6; for a Morse cluster take about 0.27/ρ
    word       the default damps every kick before the drift that follows: with CD no coordinate
               moves by more than √(h/(2c)) = 0.08 a step, however violent the start
    tolerance  a system is at rest where max |∇f| < tolerance, looked at every `block` steps
    at_most    steps, then a system is "unfinished"

    Systems at rest leave the batch, so they cost nothing, and the others go on in blocks of steps
    with all their variables. A system's result does not depend on the rest of the batch.

    Raises ValueError or TypeError for a tolerance that is not > 0 and counts that are not >= 1.
    """

    dynamics: Dynamics = field(default_factory=lambda: CD(gamma=2.0, c=4.0))
    step: float = 0.05
    word: str = "BCDA"
    tolerance: float = 1e-6
    at_most: int = 10_000
    block: int = 20

    def __post_init__(self) -> None:
        if not self.tolerance > 0:
            raise ValueError(f"tolerance must be > 0, a force; got {self.tolerance!r}")
        for name in ("at_most", "block"):
            integer(getattr(self, name), name, 1)

    def __call__(self, landscape: Landscape, starts: Any, *, progress: bool = False) -> Quenched:
        """Quench starts [B, *shape]. Ctrl-C returns what is done, with status "interrupted"."""
        x = points(landscape, starts)
        work = _Work(Counted(landscape), x)
        with tqdm(total=len(x), disable=not progress, desc="quench", unit="system") as bar:
            try:
                bar.update(work.settle(self.tolerance))
                while len(work.left) and work.steps < self.at_most:
                    work.advance(self)
                    bar.update(work.drop_lost() + work.settle(self.tolerance))
            except KeyboardInterrupt:
                work.end("interrupted")
        return work.result()


KINETIC_QUENCH = Quench(IKFAD(gamma=2.0, alpha=10.0, mu=0.02))
"""The same with iKFAD. Its friction ξ needs a time ln(ξ)/α to forget a violent kick, so that
overlapping atoms are held fast where they are: such systems take longer than with CD, or stay."""


def points(landscape: Landscape, starts: Any) -> Tensor:
    """starts as a float64 tensor [B, *shape] of its own; ValueError if they are not that."""
    x = torch.as_tensor(starts, dtype=torch.float64).detach().clone()
    if x.shape[1:] != landscape.shape:
        expected = ", ".join(("B", *map(str, landscape.shape)))
        raise ValueError(f"starts must have shape ({expected}), a batch; got {tuple(x.shape)}")
    return x


class _Work:
    """A quench on its way: where all systems are, and the variables of those that still move."""

    def __init__(self, landscape: Counted, x: Tensor) -> None:
        self.landscape = landscape
        self.x, self.state = x, {"x": x}
        self.energy = torch.full((len(x),), torch.nan, dtype=x.dtype)
        self.slope = self.energy.clone()
        self.gradients = torch.zeros(len(x), dtype=torch.int64)
        self.status: list[Rest] = ["unfinished"] * len(x)
        self.left = torch.arange(len(x))
        self.steps = 0
        self.lost = torch.zeros(0, dtype=torch.bool)

    def settle(self, tolerance: float) -> int:
        """Look at the forces; systems at rest leave. Returns how many."""
        if not len(self.left):
            return 0
        slope = self.landscape.slope(self.state["x"])
        self._count()
        self.slope[self.left] = slope
        return self._leave(slope < tolerance, "converged")

    def advance(self, how: Quench) -> None:
        """A block of steps of those that are left."""
        steps = min(how.block, how.at_most - self.steps)
        run = simulate(
            how.dynamics, self.landscape, self.state,
            step=how.step, steps=steps, word=how.word, save_every=steps,
        )  # fmt: skip
        self._count()
        uninterrupted(run)
        self.steps += steps
        self.lost = run.stopped_at >= 0
        self.state = {name: value[-1] for name, value in run.states.items()}

    def drop_lost(self) -> int:
        """Systems that overflowed leave. Returns how many."""
        count = self._leave(self.lost, "diverged")
        self.x[self.left] = self.state["x"]
        return count

    def end(self, status: Rest) -> None:
        """Those that are left get this status."""
        for k in self.left.tolist():
            self.status[k] = status

    def result(self) -> Quenched:
        if len(self.x):
            self.energy = self.landscape.value(self.x)
        return Quenched(self.x, self.energy, self.slope, self.gradients, tuple(self.status))

    def _count(self) -> None:
        self.gradients[self.left] += self.landscape.gradients
        self.landscape.gradients = 0

    def _leave(self, those: Tensor, status: Rest) -> int:
        for k in self.left[those].tolist():
            self.status[k] = status
        self.left = self.left[~those]
        self.state = {name: value[~those] for name, value in self.state.items()}
        return int(those.sum())
