"""Basin hopping: Metropolis steps from minimum to minimum, each hop a batch of quenches."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor
from tqdm import tqdm

from ...integrators import Noise
from ...landscapes import Cluster
from ...landscapes.checks import integer
from .moves import Moves
from .quench import Quench, Quenched, points

_DECISION = 0  # channel of the uniforms of the Metropolis decision; those of moves follow


@dataclass(frozen=True, repr=False)
class BasinHopping:
    """What W walkers found in H hops; hop 0 is the quench of the starts.

    best       the deepest minimum of each walker, quenched once more to 1e-6; its gradients are
               those of the walker's whole search
    energies   [H + 1, W], of the minimum in which each walker stands
    found      [H + 1, W], of the minimum to which each hop led, taken or not; NaN where its quench
               did not end, and for walkers that had stopped at the target before
    gradients  [H + 1, W] int64, of each hop
    target     the energy that was looked for, or None
    reached    [W] int64, the first hop that led to the target, −1 if none did
    status     "finished": all hops are done or all walkers there; "interrupted" (Ctrl-C)
    """

    best: Quenched
    energies: Tensor
    found: Tensor
    gradients: Tensor
    target: float | None
    reached: Tensor
    status: Literal["finished", "interrupted"]

    def __repr__(self) -> str:
        hops, walkers = len(self.found) - 1, len(self.reached)
        text = f"BasinHopping({self.status}: {walkers} walkers, {hops} hops"
        if self.target is not None:
            text += f", {int((self.reached >= 0).sum())} reached {self.target:.8g}"
        return f"{text}; best = {self.best!r})"

    @property
    def lowest(self) -> Tensor:
        """[H + 1, W], the deepest energy that each walker has found so far."""
        return self.found.nan_to_num(nan=torch.inf).cummin(0).values


def basin_hopping(
    landscape: Cluster,
    starts: Any,
    quench: Quench | None = None,
    *,
    temperature: float = 0.8,
    step: float = 0.36,
    hops: int,
    noise: int | Noise,
    surface: float | None = None,
    target: float | Literal["minimum"] | None = "minimum",
    margin: float = 1e-2,
    progress: bool = False,
) -> BasinHopping:
    """Wales and Doye's Monte Carlo on the transformed landscape x ↦ f(quench(x)).

    A hop moves the atoms (see `Moves`), quenches, and is taken with probability
    min(1, e^{−ΔE/T}) in the quenched energies. All walkers hop together, each hop is one batch of
    quenches; one that does not end is refused.

    starts       [W, n, 3], one for each walker
    quench       `Quench(tolerance=1e-2, at_most=600)` if absent: a hop needs the energy to a small
                 fraction of T only, and the deepest minima are quenched again in the end
    temperature  T > 0 in units of the pair energy; 0.8 is Wales and Doye's
    step         every coordinate moves by a uniform number in ±step
    surface      α, when a loose atom moves alone; None: never
    noise        a seed or a `Noise`: what a walker does depends on it and on its place alone
    target       walkers stop hopping once they have found this energy, up to `margin`; "minimum":
                 the cluster's `minimum`, if it is known. None: they make all hops

    Ctrl-C returns the hops that are done. Raises TypeError for what is no `Cluster` and ValueError
    for other arguments that do not fit, before any work.
    Source: D. J. Wales, J. P. K. Doye, J. Phys. Chem. A 101 (1997) 5111.
    """
    if not isinstance(landscape, Cluster):
        raise TypeError(
            f"basin_hopping takes a Cluster first, such as LennardJones(38); got {landscape!r}"
        )
    if not (math.isfinite(temperature) and temperature > 0):
        raise ValueError(f"temperature must be an energy > 0; got {temperature!r}")
    hops = integer(hops, "hops", 0)
    if isinstance(target, str):
        if target != "minimum":
            raise ValueError(f'target must be an energy, "minimum" or None; got {target!r}')
        target = landscape.minimum
    noise = noise if isinstance(noise, Noise) else Noise(noise)
    quench = quench or Quench(tolerance=1e-2, at_most=600)
    moves = Moves(landscape, step, surface, noise)
    walk = _Walk(points(landscape, starts), -math.inf if target is None else target + margin)
    first = quench(landscape, walk.x, progress=progress)
    walk.take(first, torch.zeros(len(walk.x)), temperature)
    status: Literal["finished", "interrupted"] = "finished"
    with tqdm(total=hops, disable=not progress, desc="basin hopping", unit="hop") as bar:
        try:
            _go_on(first)
            for hop in range(1, hops + 1):
                if not len(walk.going):
                    break
                u = noise.uniforms(hop, _DECISION, 1, 1, len(walk.x))[0, 0]
                rest = quench(landscape, moves(hop, walk.x)[walk.going])
                _go_on(rest)
                walk.take(rest, u, temperature)
                bar.set_postfix(best=f"{walk.best_energy.min():.6f}", reached=walk.there)
                bar.update()
        except KeyboardInterrupt:
            status = "interrupted"
    best = replace(quench, tolerance=1e-6, at_most=10_000)(landscape, walk.best)
    return walk.result(best, target, status)


def _go_on(rest: Quenched) -> None:
    """Ctrl-C ends a quench quietly; here it ends the walk."""
    if "interrupted" in rest.status:
        raise KeyboardInterrupt


class _Walk:
    """The walkers: where they stand, the best they have seen, and what every hop gave."""

    def __init__(self, starts: Tensor, goal: float) -> None:
        walkers = len(starts)
        self.goal = goal
        self.x, self.best = starts, starts.clone()
        self.energy = torch.full((walkers,), torch.inf, dtype=starts.dtype)
        self.best_energy = self.energy.clone()
        self.reached = torch.full((walkers,), -1)
        self.going = torch.arange(walkers)
        self.history: list[tuple[Tensor, Tensor, Tensor]] = []  # energy, found, gradients

    @property
    def there(self) -> int:
        return int((self.reached >= 0).sum())

    def take(self, rest: Quenched, u: Tensor, temperature: float) -> None:
        """One hop of the walkers that are going: `rest` is where it led, u [W] decides."""
        going = self.going
        energy = torch.where(rest.converged, rest.energy, torch.inf)
        # a walker whose start could not be quenched stands at +∞: any minimum is taken from there
        rise = (energy - self.energy[going]).nan_to_num(nan=torch.inf)
        taken = u[going] < torch.exp(-rise / temperature)
        self.x[going[taken]], self.energy[going[taken]] = rest.x[taken], energy[taken]
        better = energy < self.best_energy[going]
        self.best[going[better]] = rest.x[better]
        self.best_energy[going[better]] = energy[better]
        everyone = torch.full_like(self.energy, torch.nan)
        everyone[going] = torch.where(rest.converged, rest.energy, torch.nan)
        cost = torch.zeros(len(everyone), dtype=torch.int64)
        cost[going] = rest.gradients
        self.history.append((self.energy.clone(), everyone, cost))
        self.reached[going[energy <= self.goal]] = len(self.history) - 1
        self.going = going[energy > self.goal]

    def result(
        self, best: Quenched, target: float | None, status: Literal["finished", "interrupted"]
    ) -> BasinHopping:
        energies, found, gradients = map(torch.stack, zip(*self.history, strict=True))
        best = replace(best, gradients=best.gradients + gradients.sum(0))
        return BasinHopping(best, energies, found, gradients, target, self.reached, status)
