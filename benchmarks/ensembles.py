"""Ensembles: time per step of the generated C kernels beside other tools, in one interleaved run.

pip install -c constraints.txt '.[peers]'
python benchmarks/ensembles.py > benchmarks/ensembles.md

Nothing else should be running. `--quick` takes one system, and no torch.compile.
"""

import statistics
import sys

import torch
import tyro
from ensemble_limits import ExpRate, exponentials, making
from ensemble_peers import GAMMA, STEP, TEMPERATURE
from ensemble_runs import (
    DYNAMICS,
    EULER,
    KERNEL,
    LANDSCAPE,
    LOOP,
    MILLION,
    SCAN,
    SIZES,
    STEPS,
    SYSTEMS,
    TORCH,
    WORK,
    System,
    Timed,
    all_runs,
    langevin,
    threads,
)
from machine import machine, on_threads
from tqdm import tqdm

Runs = dict[tuple[System, str, int], Timed]


def main(rounds: int = 9, quick: bool = False) -> None:
    """Time everything in turn, `rounds` times, and print the tables."""
    try:
        import diffrax  # pyright: ignore[reportMissingImports]  # the extra `peers`
        import jax  # pyright: ignore[reportMissingImports]
    except ImportError:
        sys.exit("diffrax is not installed: pip install -c constraints.txt '.[peers]'")
    torch.set_num_threads(1)
    systems, rounds = (SYSTEMS[:1], min(rounds, 3)) if quick else (SYSTEMS, rounds)
    first, second = making()
    exp = {"ours": ExpRate("d_exp"), "libmvec": ExpRate("exp"), "float": ExpRate("s_exp", "float")}
    timed, noise, threaded = dict(all_runs(systems, quick)), langevin(), threads(systems)
    rates: dict[str, list[float]] = {name: [] for name in exp}
    for _ in tqdm(range(rounds), disable=None, desc="rounds"):
        for name, rate in exp.items():
            rates[name].append(rate())
        for each in [*timed.values(), *noise.values(), *threaded.values()]:
            each.go()
    peak = {name: statistics.median(values) for name, values in rates.items()}
    peers = f"diffrax {diffrax.__version__} and jax {jax.__version__}"
    print(HEAD.format(step=STEP, rounds=rounds, machine=machine(on_threads()), peers=peers))
    for system in systems:
        print_ratios(system, timed)
    print_rates(systems, timed)
    print_limits(systems[0], timed, peak, first, second)
    print_threads(threaded)
    print_noise(noise)


HEAD = """# Ensembles: time per step

`python benchmarks/ensembles.py > benchmarks/ensembles.md`, with `pip install '.[peers]'`

iKFAD, CD and CADAM on Rosenbrock's function in two dimensions, float64 unless said, h = {step:g},
N trajectories, nothing saved in between. Medians of {rounds} interleaved rounds, of seconds of
processor time on one thread; everything warm, compiling not counted, its seconds in brackets.
What follows the same word ends within 1e-12 of the kernel, other methods within 0.05 (200 steps).
dashpot's times include all that `simulate` does. For {peers} the state is a tuple
of arrays [N], which they compile best; diffrax takes all trajectories as one system.
Machine: {machine}."""


def print_ratios(system: System, timed: Runs) -> None:
    """How many times as long as the kernel the others take."""
    print(f"\n## {system.title}: time per step over that of the kernel\n")
    print(f"| | {' | '.join(f'N = {n:,}' for n in SIZES)} | a step is |\n|---|---|---|---|---|")
    for name in (name for name in STEPS if (system, name, 1) in timed):
        rows = [timed[system, name, n] for n in SIZES]
        cells = [
            f"{row.over(timed[system, KERNEL, n]):.3g}"
            + f" ({row.compiling:.2g} s)" * (row.compiling > 0)
            for n, row in zip(SIZES, rows, strict=True)
        ]
        print(f"| {name} | {' | '.join(cells)} | {WORK.get(name, 'the same word')} |")


def print_rates(systems: tuple[System, ...], timed: Runs) -> None:
    sizes = (*SIZES, MILLION)
    print("\n## The kernel: trajectory-steps per second, at a million without `simulate`\n")
    print(f"| | {' | '.join(f'N = {n:,}' for n in sizes)} |\n|---|---|---|---|---|")
    for system in systems:
        cells = (f"{timed[system, KERNEL, n].rate:.3g}" for n in sizes)
        print(f"| {system.title} | {' | '.join(cells)} |")


def print_limits(
    system: System,
    timed: Runs,
    peak: dict[str, float],
    first: float,
    second: float,
) -> None:
    """Targets, and what was reached."""
    count = exponentials(DYNAMICS[system.name], LANDSCAPE, system.word)

    def over(name: str, n: int) -> float:
        return timed[system, name, n].over(timed[system, KERNEL, n])

    exponents = count * timed[system, KERNEL, 10_000].rate
    print(f"""
## {system.title}: limits and targets

| | target | measured |
|---|---|---|
| N = 1: `jax.lax.scan` / kernel | 8 | {over(SCAN, 1):.3g} |
| N = 1: diffrax Euler / kernel | 50 | {over(EULER, 1):.3g} |
| N = 1: eager loop / kernel | 1500 | {over(LOOP, 1):.3g} in place, {over(TORCH, 1):.3g} dashpot's |
| N = 10,000: `jax.lax.scan` / kernel | 2 | {over(SCAN, 10_000):.3g} |
| N = 10,000: diffrax Euler / kernel | 2 | {over(EULER, 10_000):.3g} |
| N = 10,000: exponentials per second ({count} a step) over the machine's | 0.8 | \
{exponents / peak["ours"]:.2f} of `d_exp`, {exponents / peak["libmvec"]:.2f} of libmvec |
| first run of one step, new process, empty cache | 1 s | {first:.2f} s, the second {second:.3f} s |

Exponentials per second of one thread, in the first cache: the kernels' `d_exp` {peak["ours"]:.3g},
libmvec's {peak["libmvec"]:.3g}; `s_exp` (float32) {peak["float"]:.3g}.""")


def print_threads(threaded: dict[tuple[System, int, int], Timed]) -> None:
    print("\n## Two threads: the kernel's time on one over that on two, by the clock on the wall\n")
    print("| | N = 10,000 | N = 1,000,000 |\n|---|---|---|")
    for system in dict.fromkeys(system for system, _, _ in threaded):
        cells = (
            f"{threaded[system, n, 1].over(threaded[system, n, 2]):.2f}" for n in (10_000, MILLION)
        )
        print(f"| {system.title} | {' | '.join(cells)} |")


def print_noise(noise: dict[tuple[str, int], Timed]) -> None:
    print(f"""
## Langevin dynamics: time per step over that of dashpot's BAOAB

γ = {GAMMA:g}, T = {TEMPERATURE:g}; the kernel makes the noise of `Noise(0)`, torchsde that of its
Brownian motion.
""")
    print(f"| | {' | '.join(f'N = {n:,}' for n in SIZES)} |\n|---|---|---|---|")
    for name in dict.fromkeys(name for name, _ in noise):
        cells = (f"{noise[name, n].over(noise['dashpot BAOAB', n]):.3g}" for n in SIZES)
        print(f"| {name} | {' | '.join(cells)} |")
    rates = ", ".join(f"{noise['dashpot BAOAB', n].rate:.3g}" for n in SIZES)
    print(f"\ndashpot's BAOAB makes {rates} trajectory-steps per second.")


if __name__ == "__main__":
    tyro.cli(main)
