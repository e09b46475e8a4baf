"""Simulated annealing: a dynamics at falling temperature, then a quench."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ...dynamics import Dynamics
from ...integrators import Noise, simulate
from ...landscapes import Landscape
from ...landscapes.checks import integer
from ..interrupts import uninterrupted
from .counted import Counted
from .quench import Quench, Quenched, points


@dataclass(frozen=True, repr=False)
class Annealed:
    """Where a batch of annealed runs ended.

    rest          the quenches after the last stage; its gradients are those of the whole run, and
                  a system that overflowed on the way has the status "diverged"
    temperatures  [S], of the stages that were done
    energies      [S, B], f at the end of each
    status        "finished", or "interrupted" (Ctrl-C)
    """

    rest: Quenched
    temperatures: tuple[float, ...]
    energies: Tensor
    status: Literal["finished", "interrupted"]

    def __repr__(self) -> str:
        text = f"Annealed({self.status}: {len(self.temperatures)} stages"
        if self.temperatures:
            text += f" from T = {self.temperatures[0]:.3g} to {self.temperatures[-1]:.3g}"
        return f"{text}; rest = {self.rest!r})"


def anneal(
    dynamics: Callable[[float], Dynamics],
    landscape: Landscape,
    starts: Any,
    temperatures: Sequence[float],
    *,
    step: float,
    steps: int,
    noise: int,
    word: str | None = None,
    quench: Quench | None = None,
    progress: bool = False,
) -> Annealed:
    """Run through the temperatures one after the other, then quench.

        langevin = partial(Langevin, 1.0)
        anneal(langevin, landscape, starts, cooling(0.4, 0.05, 20), step=0.03, steps=500, noise=1)

    dynamics      from a temperature, for example `lambda T: Langevin(1.0, T)`; one without noise,
                  such as `lambda T: CD(1.0, 1/T)`, is run as it is
    starts        [B, *shape]; atoms must not overlap badly: noise and a cap on the momentum do
                  not go together, so quench random starts first
    temperatures  in the order in which they are taken; positions and momenta go on
    steps         of size `step` at each temperature, in the dynamics' own word or `word`
    noise         a seed, from which that of every stage is drawn; a system's run depends on it
                  and on the system's place in the batch alone
    quench        `Quench()` if absent

    Atomic clusters evaporate above their melting point if they have the time. Ctrl-C ends the
    stages, and what is done is quenched; a second one ends the quench too. Raises TypeError or
    ValueError for arguments that do not fit, before any work.
    """
    noise = integer(noise, "noise", 0)
    schedule = _schedule(temperatures)
    stages = [_at(dynamics, temperature) for temperature in schedule]
    quench = quench or Quench()
    field = Counted(landscape)
    state = {"x": points(landscape, starts)}
    batch = len(state["x"])
    lost = torch.zeros(batch, dtype=torch.bool)
    energies: list[Tensor] = []
    status: Literal["finished", "interrupted"] = "finished"
    with tqdm(total=len(stages), disable=not progress, desc="anneal", unit="stage") as bar:
        try:
            for stage, one in enumerate(stages):
                run = uninterrupted(simulate(
                    one, field, state,
                    step=step, steps=steps, word=word, save_every=steps,
                    noise=Noise(_seed(noise, stage)) if one.is_noisy else None,
                ))  # fmt: skip
                gone = run.stopped_at >= 0
                ends = {name: _kept(gone, v[-1], state.get(name)) for name, v in run.states.items()}
                energies.append(field.value(ends["x"]))
                state, lost = ends, lost | gone
                bar.set_postfix(T=f"{schedule[stage]:.3g}")
                bar.update()
        except KeyboardInterrupt:
            status = "interrupted"
    rest = quench(landscape, state["x"])
    if "interrupted" in rest.status:
        status = "interrupted"
    ends = zip(rest.status, lost.tolist(), strict=True)
    rest = replace(
        rest,
        gradients=rest.gradients + field.gradients,
        status=tuple("diverged" if gone else end for end, gone in ends),
    )
    table = torch.stack(energies) if energies else torch.zeros(0, batch, dtype=torch.float64)
    return Annealed(rest, schedule[: len(energies)], table, status)


def cooling(hottest: float, coldest: float, stages: int) -> list[float]:
    """Temperatures in equal ratios from the hottest to the coldest, stages >= 1 of them.

    Raises ValueError unless hottest > coldest > 0.
    """
    if not 0 < coldest < hottest < math.inf:
        raise ValueError(
            f"cooling goes down: hottest > coldest > 0, both finite; got {hottest} and {coldest}"
        )
    return np.geomspace(hottest, coldest, integer(stages, "stages", 1)).tolist()


def _schedule(temperatures: Sequence[float]) -> tuple[float, ...]:
    try:
        return tuple(float(one) for one in temperatures)
    except (TypeError, ValueError):
        raise TypeError(
            "temperatures must be a sequence of numbers, such as cooling(0.4, 0.05, 20); got "
            f"{temperatures!r}"
        ) from None


def _at(dynamics: Callable[[float], Dynamics], temperature: float) -> Dynamics:
    """The dynamics at a temperature; TypeError if it is no function of that alone."""
    problem = None
    try:
        made = dynamics(temperature)
    except TypeError as error:
        made, problem = dynamics, error
    if not isinstance(made, Dynamics) or problem is not None:
        raise TypeError(
            "dynamics must be a function of the temperature, such as "
            f"lambda T: Langevin(1.0, T); got {dynamics!r}"
        ) from problem
    return made


def _seed(seed: int, stage: int) -> int:
    """A seed for the stage: the stages of one run, and those of other seeds, share no noise."""
    return int(np.random.SeedSequence([seed, stage]).generate_state(1, np.uint64)[0] >> 1)


def _kept(gone: Tensor, value: Tensor, before: Tensor | None) -> Tensor:
    """The value, but of systems that were lost that from before the stage, or zero."""
    old = torch.zeros_like(value) if before is None else before
    return torch.where(gone.reshape(-1, *(1,) * (value.ndim - 1)), old, value)
