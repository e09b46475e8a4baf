"""How R-iKFAD's energy decays at γ = 0 on f = ½ tr(XᵀAX): like 1/t, or 1/√t where ε > 0.

    python benchmarks/rank_one_decay.py > benchmarks/rank_one_decay.md

Read d(1/E)/dt and d(E⁻²)/dt, which tend to constants long before the log–log slope is straight.
"""

import sys

import numpy as np
import torch
import tyro
from torch import Tensor

from dashpot.analysis import predict
from dashpot.analysis.energy.prediction import inverse_square_rate
from dashpot.dynamics import RIKFAD
from dashpot.integrators import Trajectory, solve
from dashpot.landscapes import MatrixQuadratic

EPS = (0.0, 0.1)
LANDSCAPES = [
    MatrixQuadratic(1.0, 1),
    MatrixQuadratic([1.0, 2.3], 2, rotation=0),
    MatrixQuadratic([1.0, 1.7, 2.6, 3.9], 3, rotation=0),
]
INTRODUCTION = """# Decay of rank-one friction at γ = 0

`python benchmarks/rank_one_decay.py > benchmarks/rank_one_decay.md`

R-iKFAD with α = μ = 1 on f = ½ tr(XᵀAX), solved to T = {until:g} by DOP853 (rtol 1e-9) from one
start of normal random numbers (the 1 × 1 matrix from 1), A rotated at random. The slope is that
of log E against log t over the last decade. The rate, with q = 1 at ε = 0 and q = 2 at ε > 0, is
the difference quotient of E^−q over each half of that decade (in log t): what tends to a constant.
Predicted, for the 1 × 1 matrix alone: at ε = 0 iKFAD's κ, at ε > 0 the rate at the energies of the
second half → its limit 2κ₂/(εμ²). T = 10⁷ is left for later: it needs compiled loops.

| matrix | eigenvalues of A | ε | law | slope | d(E^−q)/dt, first half | second half | predicted |
|---|---|---|---|---|---|---|---|"""


def main(until: float = 1e5) -> None:
    """Measure and print the table; `until` is the final time, at least 100."""
    print(INTRODUCTION.format(until=until))
    for landscape in LANDSCAPES:
        run = measured(landscape, until)
        for index, eps in enumerate(EPS):
            print(row(landscape, eps, run.times, run.mechanical_energy[:, index]), flush=True)


def measured(landscape: MatrixQuadratic, until: float) -> Trajectory:
    """One run with a trajectory for every ε, saved over the last decade."""
    generator = torch.Generator().manual_seed(1)
    x0 = torch.randn(landscape.shape, dtype=torch.float64, generator=generator)
    if landscape.dimension == 1:
        x0 = torch.ones_like(x0)
    run = solve(
        RIKFAD(0.0, 1.0, 1.0, torch.tensor(EPS, dtype=torch.float64)),
        landscape,
        x0.expand(len(EPS), *landscape.shape),
        until=until,
        times=np.geomspace(until / 10, until, 201),
        rtol=1e-9,
        atol=1e-13,
        progress=True,
    )
    if run.status != "finished":
        sys.exit(run.message)
    return run


def row(landscape: MatrixQuadratic, eps: float, times: Tensor, energy: Tensor) -> str:
    q = 2 if eps else 1
    middle, last = len(times) // 2, len(times) - 1
    slope = np.polyfit(times.log().numpy(), energy.log().numpy(), 1)[0]

    def rate(a: int, b: int) -> float:
        change = energy[b] ** -q - energy[a] ** -q
        return float(change / (times[b] - times[a]))

    m, n = landscape.shape
    modes = ", ".join(f"{k:g}" for k in landscape.column.spectrum.tolist())
    cells = (
        f"{m} × {n}",
        modes,
        f"{eps:g}",
        "t^−1/2" if eps else "t^−1",
        f"{slope:.4f}",
        f"{rate(0, middle):.5g}",
        f"{rate(middle, last):.5g}",
        predicted(landscape, eps, energy[[middle, last]]) if landscape.dimension == 1 else "–",
    )
    return f"| {' | '.join(cells)} |"


def predicted(landscape: MatrixQuadratic, eps: float, energies: Tensor) -> str:
    if not eps:
        return f"{predict(RIKFAD(0.0, 1.0, 1.0), landscape).rate:.5g}"
    values = RIKFAD(0.0, 1.0, 1.0, eps).hyperparameters
    k = landscape.column.spectrum.item()
    # where time goes like E⁻², the mean of E over time is the harmonic mean of both ends
    now = inverse_square_rate(values, k, 2 / float((1 / energies).sum()))
    return f"{now:.5g} → {inverse_square_rate(values, k):.5g}"


if __name__ == "__main__":
    tyro.cli(main)
