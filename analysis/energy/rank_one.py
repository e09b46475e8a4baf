"""The decay of rank-one friction without linear friction: like 1/t, or 1/√t where ε > 0."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...dynamics import RIKFAD
from ...integrators import simulate, solve
from ...landscapes import MatrixQuadratic
from .prediction import inverse_square_rate, predict

_POINTS = 201  # of the last decade, evenly in log t
_SAVED = 20_000  # states of a run with fixed steps


@dataclass(frozen=True)
class RankOneDecay:
    """E ~ t^{−1/q} on f = ½ tr(XᵀAX) over the last decade of a run: q = 1 at ε = 0, 2 at ε > 0.

    shape, modes   of X, and the eigenvalues of A
    slope          of log E against log t, which is straight last of all
    first, second  (E_b^{−q} − E_a^{−q})/(t_b − t_a) over both halves (in log t): what settles early
    predicted      for the 1 × 1 matrix: at ε = 0 iKFAD's κ, at ε > 0 the rate at the energies of
                   the second half; NaN for others
    limit          what `predicted` tends to as t → ∞
    """

    shape: tuple[int, ...]
    modes: tuple[float, ...]
    eps: float
    q: int
    slope: float
    first: float
    second: float
    predicted: float
    limit: float


def rank_one_decay(
    landscape: MatrixQuadratic,
    eps: Sequence[float] = (0.0, 0.1),
    *,
    until: float = 1e5,
    step: float | None = None,
    progress: bool = False,
) -> list[RankOneDecay]:
    """Follow R-iKFAD with γ = 0, α = μ = 1 up to `until` and fit the last decade, for every ε.

    From one start of normal random numbers (the 1 × 1 matrix from 1). `step` None: by DOP853 with
    rtol 1e-9, exact to all digits that matter, but slow; a number h: by the symmetric word
    `BCDADCB` in a generated kernel, for times that no adaptive solver reaches, with an error in
    the rates of order h². Raises ValueError if the run does not reach `until`.
    """
    generator = torch.Generator().manual_seed(1)
    x0 = torch.randn(landscape.shape, dtype=torch.float64, generator=generator)
    if landscape.dimension == 1:
        x0 = torch.ones_like(x0)
    made = RIKFAD(0.0, 1.0, 1.0, torch.tensor(eps, dtype=torch.float64))
    x0 = x0.expand(len(eps), *landscape.shape)
    if step is None:
        run = solve(
            made, landscape, x0, until=until, times=np.geomspace(until / 10, until, _POINTS),
            rtol=1e-9, atol=1e-13, progress=progress,
        )  # fmt: skip
    else:
        steps = round(until / step)
        run = simulate(
            made, landscape, x0, step=step, steps=steps, word="BCDADCB",
            save_every=max(1, steps // _SAVED), progress=progress,
        )  # fmt: skip
    if run.status != "finished":
        raise ValueError(f"the run did not reach t = {until:g}: {run.message}")
    wanted = torch.from_numpy(np.geomspace(until / 10, until, _POINTS))
    nearest = torch.searchsorted(run.times, wanted).clamp(max=len(run) - 1)
    times, energies = run.times[nearest], run.mechanical_energy[nearest].unbind(1)
    return [_fit(landscape, one, times, energy) for one, energy in zip(eps, energies, strict=True)]


def _fit(landscape: MatrixQuadratic, eps: float, times: Tensor, energy: Tensor) -> RankOneDecay:
    q = 2 if eps else 1
    middle, last = len(times) // 2, len(times) - 1

    def rate(a: int, b: int) -> float:
        return float((energy[b] ** -q - energy[a] ** -q) / (times[b] - times[a]))

    now, limit = _theory(landscape, eps, energy[[middle, last]])
    return RankOneDecay(
        shape=tuple(landscape.shape),
        modes=tuple(landscape.column.spectrum.tolist()),
        eps=eps,
        q=q,
        slope=float(np.polyfit(times.log().numpy(), energy.log().numpy(), 1)[0]),
        first=rate(0, middle),
        second=rate(middle, last),
        predicted=now,
        limit=limit,
    )


def _theory(landscape: MatrixQuadratic, eps: float, energies: Tensor) -> tuple[float, float]:
    if landscape.dimension > 1:
        return math.nan, math.nan
    made = RIKFAD(0.0, 1.0, 1.0, eps)
    if not eps:
        kappa = predict(made, landscape).rate
        return kappa, kappa
    k = landscape.column.spectrum.item()
    # where time goes like E⁻², the mean of E over time is the harmonic mean of both ends
    harmonic = 2 / float((1 / energies).sum())
    values = made.hyperparameters
    return inverse_square_rate(values, k, harmonic), inverse_square_rate(values, k)
