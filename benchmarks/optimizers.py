"""The time of one optimizer step beside torch's, in one interleaved run for each set of shapes.

OMP_NUM_THREADS=2 python benchmarks/optimizers.py > benchmarks/optimizers.md
"""

import ctypes
import gc
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from machine import machine
from shapes import SHAPES
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer
from tqdm import tqdm

from dashpot.integrators import optim

Params = list[nn.Parameter]

SCALE, GRADIENT = 0.02, 1e-3  # of parameters, and of gradients: nothing is subnormal
HEAD = """# Optimizer steps: time beside torch's fused AdamW

`OMP_NUM_THREADS=2 python benchmarks/optimizers.py > benchmarks/optimizers.md`

One `step()` in float32, parameters and gradients in place; medians of {rounds} interleaved rounds
(five times as many below 2²⁴ parameters; foreach: {slow}), medians of the ratios within a round.
Bytes are those that a step moves for each parameter (KFAD and RIKFAD read p and the gradient
twice); bandwidth is that of them, as a fraction of what `a += b` of as many numbers reaches in the
same round (12 bytes each; a copy would also read what it overwrites). State is what the optimizer
keeps, and peak what a step adds to the process at its highest (Linux tells), in bytes for each
parameter.
Machine: {machine}.
"""
COLUMNS = """
## {name}: {tensors} tensors, {millions:.1f} million parameters, {threads} thread(s)

| optimizer | way | ms | ratio | bytes moved | of bandwidth | bytes of state | peak |
|---|---|---|---|---|---|---|---|"""


@dataclass(frozen=True)
class Contender:
    """An optimizer, how to make it for a way of stepping, and the bytes its step moves."""

    name: str
    make: Callable[..., Optimizer]
    moved: int


CONTENDERS = [
    Contender("AdamW", lambda ps, **way: AdamW(ps, lr=1e-4, **way), 28),
    Contender("SGD, momentum", lambda ps, **way: SGD(ps, lr=1e-4, momentum=0.9, **way), 20),
    Contender("CD", lambda ps, **way: optim.CD(ps, lr=1e-2, **way), 20),
    Contender("CADAM", lambda ps, **way: optim.CADAM(ps, lr=1e-2, **way), 28),
    Contender("IKFAD", lambda ps, **way: optim.IKFAD(ps, lr=1e-2, **way), 28),
    Contender("KFAD", lambda ps, **way: optim.KFAD(ps, lr=1e-2, mu=1e3, **way), 28),
    Contender("RIKFAD", lambda ps, **way: optim.RIKFAD(ps, lr=1e-2, **way), 28),
]
REFERENCE = CONTENDERS[0]


def main(
    rounds: int = 15,
    slow: int = 3,
    threads: tuple[int, ...] = (1, 2),
    only: str = "",
    foreach: bool = True,
) -> None:
    """Time every optimizer in turn and print a table for every set of shapes.

    rounds   of fused steps; GPT-2-small takes a second for each
    slow     rounds of foreach steps
    threads  of torch, one table each
    only     a set of shapes, if not all
    foreach  whether the slow ways are timed too
    """
    print(HEAD.format(rounds=rounds, slow=slow, machine=machine(f"{os.cpu_count()} cores")))
    for name, shapes in SHAPES.items():
        for count in threads:
            if only in ("", name):
                torch.set_num_threads(count)
                table(name, shapes(), rounds, slow if foreach else 0, count)


def table(
    name: str, shapes: Sequence[tuple[int, ...]], rounds: int, slow: int, threads: int
) -> None:
    """Measure one set of shapes with so many threads."""
    random = torch.Generator().manual_seed(0)
    params = [nn.Parameter(SCALE * torch.randn(shape, generator=random)) for shape in shapes]
    for param in params:
        param.grad = GRADIENT * torch.randn(param.shape, generator=random)
    size = sum(param.numel() for param in params)
    facts = {"tensors": len(params), "millions": size / 1e6, "threads": threads}
    print(COLUMNS.format(name=name, **facts))
    short = rounds if size > 2**24 else 5 * rounds  # steps of milliseconds are cheap to repeat
    for way, count in (("fused", short), ("foreach", slow)):
        if count:
            measure(params, way, count, size)
        gc.collect()


def measure(params: Params, way: str, rounds: int, size: int) -> None:
    """All optimizers one way, with the reference and a sum in every round."""
    made = {c.name: c.make(params, **{way: True}) for c in CONTENDERS}
    steps: dict[str, Callable[[], object]] = {name: opt.step for name, opt in made.items()}
    extra = AdamW(params, lr=1e-4, fused=True)
    source, target = torch.ones(size), torch.zeros(size)
    steps |= {"reference": extra.step, "sum": lambda: target.add_(source)}
    for step in steps.values():
        step()  # compiles, makes the state
        step()
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in tqdm(range(rounds), disable=None):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - began)
    for one in CONTENDERS:
        mine = times[one.name]
        ratio = _median(a / b for a, b in zip(mine, times["reference"], strict=True))
        share = _median(b / a for a, b in zip(mine, times["sum"], strict=True)) * one.moved / 12
        cells = (
            one.name, way, f"{_median(mine) * 1e3:.3g}", f"{ratio:.2f}", f"{one.moved}",
            f"{share:.2f}", f"{state_bytes(made[one.name]) / size:.3g}",
            f"{peak(steps[one.name]) / size:.2g}",
        )  # fmt: skip
        print(f"| {' | '.join(cells)} |", flush=True)


def _median(values: Iterable[float]) -> float:
    return statistics.median(values)


def state_bytes(optimizer: Optimizer) -> int:
    """The memory of all tensors that the optimizer keeps for its parameters."""
    values = (v for state in optimizer.state.values() for v in state.values())
    return sum(v.numel() * v.element_size() for v in values if isinstance(v, Tensor))


def peak(step: Callable[[], object]) -> float:
    """The bytes by which the memory of the process exceeds what it had before; NaN if not known."""
    reset, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of the GNU C library
    if give_back is None or not reset.exists():
        return float("nan")
    give_back(0)  # memory that was freed, but not to the system, would be taken again unseen
    reset.write_text("5")
    before = _kilobytes(status, "VmRSS")
    step()
    return 1024.0 * max(0, _kilobytes(status, "VmHWM") - before)


def _kilobytes(status: Path, name: str) -> int:
    return next(
        int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(name)
    )


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
