"""What `ensembles.py` times: systems, who moves them, and that all arrive at one place."""

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import ensemble_peers as peers
import torch
from ensemble_peers import ALPHA, EPS, GAMMA, MU, STEP, TEMPERATURE, C, Run
from torch import Tensor
from tqdm import tqdm

from dashpot.dynamics import CADAM, CD, IKFAD, Dynamics, Langevin
from dashpot.integrators import simulate
from dashpot.integrators.advance import advancing
from dashpot.integrators.start import first_state
from dashpot.landscapes import Rosenbrock

SIZES = (1, 100, 10_000)
MILLION = 1_000_000
DYNAMICS: dict[str, Dynamics] = {
    "iKFAD": IKFAD(GAMMA, ALPHA, MU),
    "CD": CD(GAMMA, C),
    "CADAM": CADAM(GAMMA, ALPHA, C, EPS),
}
LANDSCAPE = Rosenbrock(2)
KERNEL, TORCH, LOOP = "dashpot, C kernel", "dashpot, torch", "torch, in place"
SCAN, EULER = "jax.lax.scan", "diffrax Euler"
STEPS = {  # of a run, for each of SIZES: long enough for a clock
    KERNEL: (8_000_000, 400_000, 8_000),
    TORCH: (500, 500, 100),
    LOOP: (1000, 1000, 300),
    "torch.compile": (10_000, 10_000, 1_000),
    "torchdiffeq Euler": (500, 500, 200),
    "torchdiffeq dopri5": (1000, 1000, 100),
    SCAN: (500_000, 50_000, 1_000),
    EULER: (1_000_000, 50_000, 2_000),
    "diffrax Tsit5": (20_000, 2_000, 50),
}
WORK = {  # of a step
    "torchdiffeq Euler": "no exponential or root; first order, unstable at rest",
    "torchdiffeq dopri5": "adaptive (rtol 1e-6, atol 1e-8), per h of time covered",
    EULER: "no exponential or root; first order, unstable at rest",
    "diffrax Tsit5": "six gradients",
    "torch.compile": f"the same word, {peers.UNROLLED} steps unrolled",
}
SAME, NEAR = 1e-12, 0.05
"""How far from the kernel a run of the same word may end, or one of another method."""


def starts(n: int) -> Tensor:
    """Where trajectories begin, [N, 2]."""
    draws = torch.Generator().manual_seed(0)
    return 0.3 * torch.randn(n, 2, dtype=torch.float64, generator=draws)


@dataclass(frozen=True)
class System:
    """A dynamics and a word."""

    name: str
    word: str
    dtype: torch.dtype = torch.float64

    @property
    def title(self) -> str:
        return f"{self.name} {self.word}" + ", float32" * (self.dtype is torch.float32)

    def starts(self, n: int) -> dict[str, Tensor]:
        """The first states [N, 2] by name: at rest, and with ζ = 1, as adaptive solvers need."""
        x = starts(n).to(self.dtype)
        values = dict.fromkeys(DYNAMICS[self.name].variables, torch.zeros_like(x))
        return {**values, "x": x} | ({"zeta": torch.ones_like(x)} if "zeta" in values else {})

    def rows(self, n: int) -> Tensor:
        """The first states, coordinate by coordinate, [variables · 2, N]."""
        return torch.cat([value.T for value in self.starts(n).values()]).contiguous()

    def ours(self, backend: str, n: int, steps: int) -> Run:
        x0, dynamics = self.starts(n), DYNAMICS[self.name]
        return lambda: simulate(
            dynamics, LANDSCAPE, x0, step=STEP, steps=steps, word=self.word, save_every=steps,
            backend=backend,  # type: ignore[arg-type]
        )["x"][-1].T  # fmt: skip

    def kernel(self, n: int, steps: int) -> Run:
        """The kernel alone; it goes on from where it was."""
        dynamics = DYNAMICS[self.name]
        s = first_state(dynamics, LANDSCAPE, self.starts(n), None, None)
        engine = advancing(dynamics, LANDSCAPE, s, STEP, word=self.word, backend="c")
        stopped = torch.full((n,), -1, dtype=torch.int64)

        def run() -> Tensor:
            engine.advance(s, 0, steps, stopped)
            return s.x

        return run

    def contenders(self, quick: bool) -> dict[str, Callable[[int, int], Any]]:
        """What gives a run of so many steps for N, some with the seconds of compiling it."""
        name, word = self.name, self.word

        def on_rows(make: Callable[..., Any], *given: str) -> Callable[[int, int], Any]:
            return lambda n, steps: make(*given, self.rows(n), steps)

        found = {
            KERNEL: partial(self.ours, "c"),
            LOOP: on_rows(peers.eager_loop, name, word),
            SCAN: on_rows(peers.jax_scan, name, word),
        }
        if self.dtype is torch.float32:
            return found
        if not quick:
            found["torch.compile"] = on_rows(peers.torch_compiled, name, word)
        return found | {
            TORCH: partial(self.ours, "torch"),
            EULER: on_rows(peers.diffrax_solve, "Euler", name),
            "diffrax Tsit5": on_rows(peers.diffrax_solve, "Tsit5", name),
            "torchdiffeq Euler": on_rows(peers.torch_ode, "euler", name),
            "torchdiffeq dopri5": on_rows(peers.torch_ode, "dopri5", name),
        }


SYSTEMS = (
    System("iKFAD", "BACD"),
    System("CD", "BACD"),
    System("CD", "BCDA"),
    System("CADAM", "BEACD"),
    System("iKFAD", "BACD", torch.float32),
)


@dataclass
class Timed:
    """A run, what a second of it is worth, and its times in all rounds."""

    run: Run
    count: int  # trajectories times steps
    compiling: float = 0.0
    clock: Callable[[], float] = time.process_time
    times: list[float] = field(default_factory=list)

    def go(self) -> None:
        began = self.clock()
        self.run()
        self.times.append((self.clock() - began) / self.count)

    @property
    def rate(self) -> float:
        """Trajectory-steps a second."""
        return 1 / statistics.median(self.times)

    def over(self, other: "Timed") -> float:
        """How many times as long as another it takes."""
        return statistics.median(a / b for a, b in zip(self.times, other.times, strict=True))


def all_runs(
    systems: tuple[System, ...], quick: bool
) -> Iterator[tuple[tuple[System, str, int], Timed]]:
    """Every run, made, warm, and compared with that of the kernel."""
    for system in systems:
        makers = system.contenders(quick)
        for name, make in tqdm(makers.items(), disable=None, desc=system.title):
            _agree(system, name, make, makers[KERNEL])
            for n, steps in zip(SIZES, STEPS[name], strict=True):
                made = make(n, steps)
                run, compiling = made if isinstance(made, tuple) else (made, 0.0)
                run()
                yield (system, name, n), Timed(run, n * steps, compiling)
        run = system.kernel(MILLION, 200)
        run()
        yield (system, KERNEL, MILLION), Timed(run, MILLION * 200)


def _agree(system: System, name: str, make: Callable[[int, int], Any], kernel: Any) -> None:
    """All must arrive where the kernel does; 200 steps of a hundred trajectories."""
    made = make(100, 200)
    x = made[0]() if isinstance(made, tuple) else made()
    error = float((x.double() - kernel(100, 200)().double()).abs().max())
    same = SAME if system.dtype is torch.float64 else 1e-5
    bound = NEAR if "Euler" in name or "5" in name else same
    if not error <= bound:
        sys.exit(f"{name} ends {error:.2g} away from the kernel on {system.title}, not {bound:g}")


def threads(systems: tuple[System, ...]) -> dict[tuple[System, int, int], Timed]:
    """The kernel on one and on two threads, by the clock on the wall."""

    def runner(run: Run, count: int) -> Run:
        def threaded() -> Tensor:
            torch.set_num_threads(count)
            try:
                return run()
            finally:
                torch.set_num_threads(1)

        return threaded

    found = {}
    for system in systems[:2]:
        for n, steps in ((10_000, 8_000), (MILLION, 200)):
            for count in (1, 2):
                run = runner(system.kernel(n, steps), count)
                found[system, n, count] = Timed(run, n * steps, clock=time.perf_counter)
    return found


def langevin() -> dict[tuple[str, int], Timed]:
    """BAOAB on the C kernel, and torchsde's methods, on kinetic Langevin dynamics."""
    dynamics = Langevin(GAMMA, TEMPERATURE)
    found: dict[tuple[str, int], Timed] = {}
    for n, steps in zip(SIZES, (200_000, 20_000, 500), strict=True):
        x0 = starts(n)

        def ours(x0: Tensor = x0, steps: int = steps) -> Tensor:
            return simulate(
                dynamics, LANDSCAPE, x0, step=STEP, steps=steps, word="BAOAB", noise=0,
                save_every=steps, backend="c",
            )["x"][-1]  # fmt: skip

        found["dashpot BAOAB", n] = Timed(ours, n * steps)
        for method, short in (("euler", 50), ("srk", 20)):
            run = peers.torch_sde(method, x0, short)
            found[f"torchsde {method}", n] = Timed(run, n * short)
    for each in found.values():
        each.run()
    return found
