"""Going on with a saved run, as if it had never stopped."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..dynamics import Dynamics
from .field import Field
from .trajectory import Trajectory, described

_SAME = ("word", "step", "method", "noise", "dtype")


def last_state(run: Trajectory) -> dict[str, Tensor]:
    """The last saved variables; a trajectory that was lost has zeros, and stays lost."""
    if run.settings.get("step") is None:
        raise ValueError(
            f"{run!r} was not made by simulate, so it has no step with which to go on; start from "
            'its last state with x0={"x": run["x"][-1], ...}'
        )
    dead = run.stopped_at >= 0
    lasts = {name: value[-1] for name, value in run.states.items()}
    extra = {name: value.ndim - dead.ndim for name, value in lasts.items()}
    return {
        name: torch.where(dead.reshape(*dead.shape, *(1,) * extra[name]), 0.0, value)
        for name, value in lasts.items()
    }


def refuse_another_run(
    run: Trajectory, dynamics: Dynamics, landscape: Field, settings: Mapping[str, Any]
) -> int:
    """The index of the run's last step; ValueError if what goes on is not what was begun."""
    now = {**described(dynamics, landscape), **settings}
    for name in (*described(dynamics, landscape), *_SAME):
        if run.settings.get(name) != now[name]:
            raise ValueError(
                f"the run cannot go on with {name} = {now[name]}: it had {run.settings.get(name)}; "
                'to begin another one from there, use x0={"x": run["x"][-1], ...}'
            )
    return round(run.times[-1].item() / settings["step"])
