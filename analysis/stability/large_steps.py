"""Nonlinear boundedness: up to which stiffness a word keeps a quadratic mode within bounds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...integrators import Word, simulate
from ...integrators.backward import NoPastError
from ...landscapes import Landscape
from ..noiseless import refuse_noise
from .linear import with_dynamics

LADDER = (0.5, 1.0, 1.4, 1.5, 1.9, 2.1, 3.0, 5.0, 10.0, 30.0)
"""h√L on both sides of √2 and of 2, where words are lost, and far above."""

STARTS = (0.3, 1.0, 10.0, 100.0)
FACTOR = 1000.0
STEPS = 1000


class Modes(Landscape):
    """f = ½kx² with another `curvature` k for every trajectory, shaped like their batch."""

    def __init__(self, curvature: Tensor) -> None:
        self.curvature = curvature
        super().__init__(None, 1, name="modes", minimisers=[0.0], minimum=0.0, start=[1.0])

    def f(self, x: Tensor) -> Tensor:
        return 0.5 * self.curvature * x[0] * x[0]

    def df(self, x: Tensor) -> Tensor:
        return self.curvature * x


@dataclass(frozen=True)
class Boundedness:
    """Where a word kept the mode within bounds.

    ladder, starts  h√L and x₀
    bounded         [len(ladder)][len(starts)]: neither overflow nor |x| > 1000·|x₀| in 1000 steps
    limit           the largest h√L up to which every start was kept on the whole ladder; 0 if none
    """

    word: str
    dynamics: str
    ladder: tuple[float, ...]
    starts: tuple[float, ...]
    bounded: tuple[tuple[bool, ...], ...]

    @property
    def limit(self) -> float:
        limit = 0.0
        for r, kept in zip(self.ladder, self.bounded, strict=True):
            if not all(kept):
                break
            limit = r
        return limit


def boundedness(
    word: Word,
    *,
    step: float = 0.1,
    ladder: Sequence[float] = LADDER,
    starts: Sequence[float] = STARTS,
    steps: int = STEPS,
) -> Boundedness:
    """Run the word at h = `step` on f = ½Lx² with L = (r/h)² for every r = h√L of `ladder`.

    From rest at each of `starts`; ζ, where there is one, starts at f′(x₀)² and t at 1. A run is
    lost when it overflows or |x| comes above 1000·|x₀|; `bounded` means within these steps.

    Linear stability does not imply it: where the nonlinear friction C does not stand between
    every kick and the following drift, the drift moves with the whole kick, and a large
    amplitude is gradient descent with lr = h², which diverges for h√L > √2.

    Raises ValueError for a word without its dynamics, and for a ladder or starts that do not
    increase from above 0.
    """
    dynamics = with_dynamics(word)
    refuse_noise(
        dynamics,
        "no run of it stays below a bound for ever",
        "stability_limit(word) tells where its moments stay finite on a quadratic",
    )
    for name, values in (("ladder", ladder), ("starts", starts)):
        pairs = zip((0.0, *values), values, strict=False)
        if not (len(values) and all(a < b for a, b in pairs)):
            raise ValueError(f"{name} must be numbers > 0 that increase; got {tuple(values)}")
    root = torch.tensor(ladder, dtype=torch.float64)[:, None] / step
    x = torch.tensor(starts, dtype=torch.float64).expand(len(ladder), -1)
    curvature = (root * root).expand_as(x).contiguous()
    start: dict[str, Any] = {"x": x, "zeta": (curvature * x) ** 2, "t": torch.ones_like(x)}
    known = {
        name: value if name in dynamics.scalars else value[..., None]
        for name, value in start.items()
        if name in dynamics.variables
    }
    try:
        run = simulate(dynamics, Modes(curvature), known, step=step, steps=steps, word=word)
    except NoPastError:  # a jump that no start survives
        kept = torch.zeros(x.shape, dtype=torch.bool)
    else:
        furthest = run["x"][..., 0].abs().nan_to_num(nan=0.0).amax(0)
        finished = torch.as_tensor(run.stopped_at).reshape(x.shape) < 0
        kept = finished & (furthest <= FACTOR * x)
    return Boundedness(
        word.text, dynamics.name, tuple(ladder), tuple(starts),
        tuple(tuple(row) for row in kept.tolist()),
    )  # fmt: skip
