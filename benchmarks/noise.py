"""A thousand Langevin trajectories: time per step beside torchsde, in one interleaved run.

pip install -c constraints.txt '.[peers]'
python benchmarks/noise.py > benchmarks/noise.md
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch
import tyro
from machine import machine, on_threads
from torch import Tensor
from tqdm import tqdm

from dashpot.dynamics import Langevin
from dashpot.integrators import Noise, simulate
from dashpot.integrators.schemes import GRADIENTS
from dashpot.landscapes import DoubleWell

GAMMA, TEMPERATURE, STEP = 1.0, 0.5, 0.01
TRAJECTORIES, DIMENSION = 1000, 2
OURS = {
    "BAOAB": {"word": "BAOAB"},
    "OBABO": {"word": "OBABO"},
    "UBU": {"word": "UBU"},
    "Euler–Maruyama": {"method": "euler-maruyama"},
    "Heun": {"method": "heun"},
}
PEERS = {"torchsde Euler": "euler", "torchsde SRK": "srk"}
GRADIENTS_OF = {  # a step, where it is not one
    "Heun": str(GRADIENTS["heun"]),
    "torchsde SRK": "2",
    "normal numbers": "–",
}
INTRODUCTION = """# Noise: time per step

`python benchmarks/noise.py > benchmarks/noise.md`, with `pip install '.[peers]'`

{trajectories} trajectories of kinetic Langevin dynamics (γ = {gamma:g}, T = {temperature:g}) on
the double well in {dimension} dimensions, float64, h = {step:g}, {steps} steps a run, nothing saved
in between; medians of {rounds} interleaved rounds. torchsde {peer} with diagonal noise and its
default Brownian motion; all call the same gradient. The gradient and the normal numbers are what a
step cannot do without.
Machine: {machine}.

| method | gradients | µs per step | torchsde Euler / this | torchsde SRK / this |
|---|---|---|---|---|"""


def main(steps: int = 200, rounds: int = 21) -> None:
    """Time everything in turn, `rounds` times, and print the table."""
    try:
        import torchsde  # pyright: ignore[reportMissingImports]  # the extra `peers`
    except ImportError:
        sys.exit("torchsde is not installed: pip install -c constraints.txt '.[peers]'")
    calls = {**ours(steps), **parts(steps), **peers(steps)}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()  # compiles, allocates
    for _ in tqdm(range(rounds), disable=None):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            times[name].append((time.perf_counter() - began) / steps * 1e6)
    print(
        INTRODUCTION.format(
            trajectories=TRAJECTORIES, gamma=GAMMA, temperature=TEMPERATURE, dimension=DIMENSION,
            step=STEP, steps=steps, rounds=rounds, peer=torchsde.__version__,
            machine=machine(on_threads()),
        )
    )  # fmt: skip
    for name in calls:
        ratios = [
            statistics.median(a / b for a, b in zip(times[peer], times[name], strict=True))
            for peer in PEERS
        ]
        gradients = GRADIENTS_OF.get(name, "1")
        cells = name, gradients, f"{statistics.median(times[name]):.0f}", *map(_ratio, ratios)
        print(f"| {' | '.join(cells)} |")


def _ratio(value: float) -> str:
    return f"{value:.3g}"


def ours(steps: int) -> dict[str, Callable[[], object]]:
    """The words and schemes of dashpot."""
    dynamics, field = Langevin(GAMMA, TEMPERATURE), DoubleWell(DIMENSION)
    x0 = torch.zeros(TRAJECTORIES, DIMENSION, dtype=torch.float64)

    def runner(options: dict[str, str]) -> Callable[[], object]:
        return lambda: simulate(
            dynamics, field, x0, step=STEP, steps=steps, save_every=steps, noise=0,
            **options,  # type: ignore[arg-type]
        )  # fmt: skip

    return {name: runner(options) for name, options in OURS.items()}


def parts(steps: int) -> dict[str, Callable[[], object]]:
    """One gradient, and the normal numbers, of every step alone."""
    field, noise = DoubleWell(DIMENSION), Noise(0)
    x = torch.zeros(DIMENSION, TRAJECTORIES, dtype=torch.float64)

    def gradients() -> None:
        for _ in range(steps):
            field.df(x)

    def normals() -> None:
        for tick in range(steps):
            noise.normals(tick, 0, 1, DIMENSION, TRAJECTORIES)

    return {"gradient": gradients, "normal numbers": normals}


def peers(steps: int) -> dict[str, Callable[[], object]]:
    """torchsde on the same equation, y = (x, p)."""
    import torchsde  # pyright: ignore[reportMissingImports]  # the extra `peers`

    field = DoubleWell(DIMENSION)

    class Equation(torch.nn.Module):
        noise_type, sde_type = "diagonal", "ito"
        amplitude = torch.cat(
            [torch.zeros(DIMENSION), torch.full((DIMENSION,), (2 * GAMMA * TEMPERATURE) ** 0.5)]
        ).expand(TRAJECTORIES, -1).double()  # fmt: skip

        def f(self, t: Tensor, y: Tensor) -> Tensor:
            x, p = y[:, :DIMENSION], y[:, DIMENSION:]
            return torch.cat([p, -field.df(x.T.contiguous()).T - GAMMA * p], 1)

        def g(self, t: Tensor, y: Tensor) -> Tensor:
            return self.amplitude

    equation = Equation()
    y0 = torch.zeros(TRAJECTORIES, 2 * DIMENSION, dtype=torch.float64)
    ends = torch.tensor([0.0, steps * STEP], dtype=torch.float64)

    @torch.no_grad()
    def run(method: str) -> Tensor:
        ys = torchsde.sdeint(equation, y0, ends, method=method, dt=STEP)
        assert isinstance(ys, Tensor)
        return ys

    return {name: lambda method=method: run(method) for name, method in PEERS.items()}


if __name__ == "__main__":
    tyro.cli(main)
