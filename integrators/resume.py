"""Going on with a saved run, as if it had never stopped."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..dynamics import Dynamics, State
from .field import Field
from .start import not_a_dynamics, on_tensors
from .trajectory import Trajectory, described

_SAME = ("word", "step", "method", "noise", "dtype")
_CLOSE = 1e-9  # energies of one state, by another batch or another machine


@dataclass(frozen=True)
class Resumed:
    """Where a run goes on.

    run    what goes on
    state  its last saved variables, coordinates last; those that were lost by then are zero
    lost   [*batch], the steps at which they were; −1 also where a trajectory was lost after the
           last state that was saved: it will be again
    begin  the index of the step after which the state was saved
    """

    run: Trajectory
    state: dict[str, Tensor]
    lost: Tensor
    begin: int


def resumed(run: Trajectory, dynamics: Dynamics, landscape: Field) -> Resumed:
    """The last saved state of a run by `simulate` with this dynamics on this landscape.

    Raises ValueError for a run that was made otherwise; TypeError for what is no dynamics.
    """
    if run.settings.get("step") is None:
        raise ValueError(
            f"{run!r} was not made by simulate, so it has no step with which to go on; start from "
            'its last state with x0={"x": run["x"][-1], ...}'
        )
    if not isinstance(dynamics, Dynamics):
        raise TypeError(not_a_dynamics(dynamics))
    made = on_tensors(dynamics, torch.device(run.settings["device"]))
    _refuse_changes(run, described(made, landscape))
    begin = round(run.times[-1].item() / run.settings["step"])
    dead = (run.stopped_at >= 0) & (run.stopped_at <= begin)
    lasts = {name: value[-1] for name, value in run.states.items()}
    extra = {name: value.ndim - dead.ndim for name, value in lasts.items()}
    state = {
        name: torch.where(dead.reshape(*dead.shape, *(1,) * extra[name]), 0.0, value)
        for name, value in lasts.items()
    }
    return Resumed(run, state, torch.where(dead, run.stopped_at, -1), begin)


def refuse_another_run(
    going_on: Resumed,
    s: State,
    dynamics: Dynamics,
    landscape: Field,
    settings: Mapping[str, Any],
) -> None:
    """ValueError if what goes on, from the state `s`, is not what was begun."""
    run = going_on.run
    _refuse_changes(run, {name: settings[name] for name in _SAME})
    potential = landscape.f(s.x) - (landscape.minimum or 0.0)
    energy, before = dynamics.mechanical_energy(s, potential).cpu(), run.mechanical_energy[-1]
    alive = before.isfinite()
    if not torch.allclose(energy[alive], before[alive], rtol=_close(s), atol=_close(s)):
        raise ValueError(
            f"the run cannot go on: on this {landscape.name} its last state has another energy "
            "than it had; pass the landscape on which it was made"
        )


def _refuse_changes(run: Trajectory, now: Mapping[str, Any]) -> None:
    for name, value in now.items():
        if run.settings.get(name) != value:
            raise ValueError(
                f"the run cannot go on with {name} = {value}: it had {run.settings.get(name)}; "
                'to begin another one from there, use x0={"x": run["x"][-1], ...}'
            )


def _close(s: State) -> float:
    return max(_CLOSE, 100 * torch.finfo(s.x.dtype).eps)
