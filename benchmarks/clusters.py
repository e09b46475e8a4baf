"""How often quenches, annealing and basin hopping reach the deepest minimum of a cluster.

    python benchmarks/clusters.py > benchmarks/clusters.md

A quarter of an hour on one core; `--quick` takes a minute or two. The 38 atoms are the hard
case: the truncated octahedron lies in a narrow funnel, beside a wide one of icosahedral minima.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import tyro

from dashpot.analysis import (
    KINETIC_QUENCH,
    Quench,
    Quenched,
    Success,
    anneal,
    basin_hopping,
    cooling,
)
from dashpot.dynamics import Langevin
from dashpot.landscapes import LennardJones

CUBIC = Quench()
QUENCHES = {"CD": CUBIC, "iKFAD": KINETIC_QUENCH}
COOLINGS = {13: (0.30, 0.10), 38: (0.22, 0.08)}  # from above the melting point to well below it
REACHED = 1e-6  # quenched to max |∇f| < 1e-6, energies are good to 1e-10; minima are 0.1 apart
INTRODUCTION = """# Deepest minima of Lennard-Jones clusters

`python benchmarks/clusters.py{flag} > benchmarks/clusters.md`

Trials are independent runs from random starts. The rate is that of runs whose lowest quenched
energy is the global minimum's, with Wilson's 95% interval; all gradients of all runs are counted,
starts and final quenches included. Quenches: {cd} or
{ikfad}, word `BCDA`, h = {h}.
Annealing: BAOAB Langevin dynamics with γ = 1 and h = 0.03, 20 temperatures in equal ratios (LJ13:
0.30 to 0.10, LJ38: 0.22 to 0.08), then the quench. Basin hopping: T = 0.8, all coordinates moving
by up to 0.36, a walker stopping once it is there; "α = 0.4": loose atoms move alone, over the
surface. A quench that does not end within 600 steps is refused, as some of iKFAD from overlaps are.

| cluster | search | trials | reached | rate (95%) | gradients a trial | per success | lowest |
|---|---|---|---|---|---|---|---|"""


def main(quick: bool = False) -> None:
    """Run the searches and print the table as it comes."""
    print(
        INTRODUCTION.format(
            flag=" --quick" if quick else "",
            cd=CUBIC.dynamics,
            ikfad=KINETIC_QUENCH.dynamics,
            h=CUBIC.step,
        ),
        flush=True,
    )
    for n in (13, 38):
        landscape = LennardJones(n)
        for name, rest in searches(landscape, 10 if quick else 1):
            print(row(landscape, name, rest), flush=True)


def searches(landscape: LennardJones, less: int) -> Iterator[tuple[str, Quenched]]:
    """Every search on one cluster, `less` times shorter; progress goes to stderr."""
    hard = landscape.n > 13
    show = sys.stderr.isatty()
    for name, quench in QUENCHES.items():
        starts = landscape.random_start((4000 if hard else 2000) // less, seed=1)
        yield f"{name} quench", quench(landscape, starts, progress=show)
    short, long = (300, 3000) if hard else (50, 800)
    for steps, name in ((short, "CD"), (short, "iKFAD"), (long, "CD")):
        first = CUBIC(landscape, landscape.random_start((100 if hard else 200) // less, seed=2))
        run = anneal(
            partial(Langevin, 1.0),
            landscape,
            first.x,
            cooling(*COOLINGS[landscape.n], 20),
            step=0.03,
            steps=steps // less,
            noise=3,
            quench=QUENCHES[name],
            progress=show,
        )
        cost = run.rest.gradients + first.gradients
        yield f"Langevin, 20 × {steps // less} steps, {name}", replace(run.rest, gradients=cost)
    walks = [("CD", None, 1), ("iKFAD", None, 2), ("CD", 0.4, 2)]
    for name, surface, share in walks:
        hops = (1000 if hard else 200) // share // less
        run = basin_hopping(
            landscape,
            landscape.random_start(64 // share, seed=4),
            replace(QUENCHES[name], tolerance=1e-2, at_most=600),
            hops=hops,
            noise=5,
            surface=surface,
            target=landscape.minimum,
            progress=show,
        )
        moves = "" if surface is None else f", α = {surface}"
        yield f"basin hopping, {hops} hops, {name}{moves}", run.best


def row(landscape: LennardJones, name: str, rest: Quenched) -> str:
    """One line of the table."""
    assert landscape.minimum is not None
    reached = rest.energy < landscape.minimum + REACHED
    one = Success.of(reached.tolist(), int(rest.gradients.sum()))
    low, high = one.interval
    cells = (
        landscape.name,
        name,
        str(one.trials),
        str(one.successes),
        f"{one.rate:.3f} ({low:.3f}–{high:.3f})",
        f"{one.gradients / one.trials:,.0f}",
        f"{one.gradients_per_success:,.0f}" if one.successes else "–",
        f"{rest.energy.min():.6f}",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    tyro.cli(main)
