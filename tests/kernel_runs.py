"""Runs in torch and by a C kernel, side by side."""

from typing import Any

import torch
from problems import ordinary_start

from dashpot.dynamics import Dynamics
from dashpot.integrators import Trajectory, simulate
from dashpot.landscapes import Landscape


def both(
    dynamics: Dynamics, landscape: Landscape, x0: Any, steps: int = 1, **options: Any
) -> tuple[Trajectory, Trajectory]:
    """The same run in torch and in C."""
    options.setdefault("step", 0.05)
    if dynamics.is_noisy:
        options.setdefault("noise", 1)
    return tuple(
        simulate(dynamics, landscape, x0, steps=steps, backend=backend, **options)
        for backend in ("torch", "c")
    )  # type: ignore[return-value]


def ulps(a: Trajectory, b: Trajectory) -> float:
    """The largest difference of last states, in units of the largest number of the state."""
    unit = torch.finfo(b["x"].dtype).eps
    largest = max(1.0, *(v.nan_to_num().abs().max().item() for v in a.states.values()))
    return max(
        (a[n][-1] - b[n][-1]).nan_to_num().abs().max().item() for n in a.states
    ) / (unit * largest)  # fmt: skip


def some_starts(dynamics: Dynamics, count: int = 11) -> dict[str, Any]:
    """Different states, more than a block of few lanes and not a whole number of them."""
    shift = torch.linspace(-0.4, 0.5, count, dtype=torch.float64)
    start = {}
    for name, value in ordinary_start(dynamics).items():
        one = torch.as_tensor(value, dtype=torch.float64)
        away = shift.abs() if name in ("zeta", "t", "xi") else shift
        start[name] = one + (away if one.ndim == 0 else away[:, None])
    return start
