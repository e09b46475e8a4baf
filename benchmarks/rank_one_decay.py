"""How R-iKFAD's energy decays at γ = 0 on f = ½ tr(XᵀAX): like 1/t, or 1/√t where ε > 0.

    python benchmarks/rank_one_decay.py > benchmarks/rank_one_decay.md

Read d(1/E)/dt and d(E⁻²)/dt, which tend to constants long before the log–log slope is straight.
"""

import math

import tyro

from dashpot.analysis.energy.rank_one import RankOneDecay, rank_one_decay
from dashpot.landscapes import MatrixQuadratic

LANDSCAPES = [
    MatrixQuadratic(1.0, 1),
    MatrixQuadratic([1.0, 2.3], 2, rotation=0),
    MatrixQuadratic([1.0, 1.7, 2.6, 3.9], 3, rotation=0),
]
INTRODUCTION = """# Decay of rank-one friction at γ = 0

`python benchmarks/rank_one_decay.py > benchmarks/rank_one_decay.md`

R-iKFAD with α = μ = 1 on f = ½ tr(XᵀAX), to T = {until:g} by {how} from one
start of normal random numbers (the 1 × 1 matrix from 1), A rotated at random. The slope is that
of log E against log t over the last decade. The rate, with q = 1 at ε = 0 and q = 2 at ε > 0, is
the difference quotient of E^−q over each half of that decade (in log t): what tends to a constant.
Predicted, for the 1 × 1 matrix alone: at ε = 0 iKFAD's κ, at ε > 0 the rate at the energies of the
second half → its limit 2κ₂/(εμ²).

| matrix | eigenvalues of A | ε | law | slope | d(E^−q)/dt, first half | second half | predicted |
|---|---|---|---|---|---|---|---|"""


def main(until: float = 1e7, step: float | None = 0.05) -> None:
    """Measure and print the table; `until` is the final time, at least 100.

    `step` is that of the word BCDADCB, run by a generated kernel; None: DOP853, to T = 10⁵ or so.
    """
    how = "DOP853 (rtol 1e-9)" if step is None else f"the word BCDADCB with h = {step:g},"
    print(INTRODUCTION.format(until=until, how=how))
    for landscape in LANDSCAPES:
        for one in rank_one_decay(landscape, until=until, step=step, progress=True):
            print(row(one), flush=True)


def row(one: RankOneDecay) -> str:
    """One line of the table."""
    predicted = f"{one.predicted:.5g}"
    if one.limit != one.predicted:
        predicted += f" → {one.limit:.5g}"
    cells = (
        " × ".join(map(str, one.shape)),
        ", ".join(f"{k:g}" for k in one.modes),
        f"{one.eps:g}",
        "t^−1/2" if one.eps else "t^−1",
        f"{one.slope:.4f}",
        f"{one.first:.5g}",
        f"{one.second:.5g}",
        "–" if math.isnan(one.predicted) else predicted,
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    tyro.cli(main)
