"""The order of a word, measured: halve h and watch the error shrink."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..dynamics import Dynamics
from ..integrators import Trajectory, Word, simulate, solve
from ..landscapes import Landscape
from ..landscapes.checks import integer
from .interrupts import uninterrupted
from .noiseless import refuse_noise, refuse_sampled


@dataclass(frozen=True)
class ConvergenceOrder:
    """Errors at a fixed time for a sequence of step sizes.

    slope   least-squares slope of log error against log h: the measured order
    steps   step sizes h, decreasing
    errors  largest difference to the reference, over all variables, at each h
    word    the word that was measured
    """

    slope: float
    steps: tuple[float, ...]
    errors: tuple[float, ...]
    word: str
    dynamics: str

    @property
    def measured(self) -> str:
        """The errors and their step sizes, as text."""
        errors = ", ".join(f"{e:.2g}" for e in self.errors)
        return f"errors {errors} at h = {', '.join(f'{h:g}' for h in self.steps)}"


UNLIKE = "runs of different h see different samples"

_X, _P = (1.0, -0.7, 0.4, 0.8), (0.3, 0.2, -0.1, 0.25)


def coupled_quartic(*shape: int) -> Landscape:
    """f = Σ ¼(a⁴ + b⁴) + a² + ½ab + ½b² + 0.1 a³b over neighbours a, b of x, of `shape` (2,).

    Nonlinear, coupled, without symmetry; the neighbours are those of x read row by row.
    """
    shape = shape or (2,)

    def f(x: Tensor) -> Tensor:
        a, b = x.flatten()[:-1], x.flatten()[1:]
        return ((a**4 + b**4) / 4 + a**2 + a * b / 2 + b**2 / 2 + a**3 * b / 10).sum()

    return Landscape(f, shape, name="coupled quartic", start=_cycled(_X, shape))


def generic_start(dynamics: Dynamics, shape: Sequence[int] = (2,)) -> dict[str, Any]:
    """A state off every symmetry, for x of `shape`: a start at which words show their order.

    ζ, t and rank-one frictions start away from 0, where the flow is not smooth.
    """
    known = {"x": _cycled(_X, shape), "p": _cycled(_P, shape), "zeta": 1.0, "t": 1.0}
    known |= {"rows": 0.5, "cols": 0.5}
    return {name: value for name, value in known.items() if name in dynamics.variables}


def _cycled(values: Sequence[float], shape: Sequence[int]) -> Tensor:
    numbers = itertools.islice(itertools.cycle(values), math.prod(shape))
    return torch.tensor([*numbers], dtype=torch.float64).reshape(tuple(shape))


def division_counts(divisions: Sequence[int]) -> list[int]:
    """Numbers of steps to one time, rising; ValueError unless they are two or more different."""
    try:
        counts = sorted({integer(n, "divisions", 1) for n in divisions})
    except (TypeError, ValueError):
        counts = []
    if len(counts) < max(2, len(divisions)):
        raise ValueError(
            f"divisions must be two or more different whole numbers >= 1; got {tuple(divisions)}"
        )
    return counts


def convergence_order(
    dynamics: Dynamics,
    landscape: Landscape,
    x0: Any = None,
    *,
    word: str | Word | None = None,
    until: float = 1.0,
    divisions: Sequence[int] = (64, 128, 256, 512),
    reference: Trajectory | None = None,
) -> ConvergenceOrder:
    """Measure the order of a word: the slope of the error at t = `until` against h.

    The error is taken over all variables, relative to 1 + |value|, against a DOP853 solution at
    tolerance 1e-13 (or a given `reference` run that ends at `until`). CADAM's symmetric words
    lose order when started from ζ = 0, where √ζ is not smooth: give x0 a positive "zeta".

    Raises ValueError for noise, if a run does not reach `until`, or if fewer than two errors
    stand clear of the reference's own accuracy.
    """
    refuse_noise(
        dynamics,
        "this is the order of an ODE's word",
        "Word.order() proves its weak order, weak_order_linear, local_weak_order and "
        "strong_order measure weak and strong ones",
    )
    refuse_sampled(landscape, UNLIKE)
    counts = division_counts(divisions)
    plan = Word(dynamics.word if word is None else word, dynamics)
    if reference is None:
        reference = solve(
            dynamics, landscape, x0, until=until, times=[until], rtol=1e-13, atol=1e-14
        )
    if reference.status != "finished" or not math.isclose(float(reference.times[-1]), until):
        raise ValueError(f"the reference did not reach t = {until:g}: {reference.message}")
    steps, errors = [], []
    for n in counts:
        run = simulate(
            dynamics, landscape, x0, step=until / n, steps=n, word=plan, save_every=n,
            dtype=torch.float64,
        )  # fmt: skip
        if uninterrupted(run).status != "finished":
            raise ValueError(f"the run with h = {until / n:g} did not finish: {run.message}")
        steps.append(until / n)
        errors.append(_difference(run, reference))
    slope = fitted_slope(np.array(steps), np.array(errors))
    return ConvergenceOrder(slope, tuple(steps), tuple(errors), plan.text, dynamics.name)


def _difference(run: Trajectory, reference: Trajectory) -> float:
    worst = 0.0
    for name, values in run.states.items():
        exact = reference[name][-1]
        worst = max(worst, float(((values[-1] - exact).abs() / (1 + exact.abs())).max()))
    return worst


def fitted_slope(steps: np.ndarray, errors: np.ndarray) -> float:
    """The slope of log error against log h; ValueError where the errors are round-off."""
    clear = errors > 1e-12  # below it the reference's own error and round-off take part
    if clear.sum() < 2:
        raise ValueError(
            f"the errors {errors} are too close to round-off; use fewer divisions (larger h)"
        )
    return float(np.polyfit(np.log(steps[clear]), np.log(errors[clear]), 1)[0])
