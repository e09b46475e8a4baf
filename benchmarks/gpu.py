"""Everything that takes a GPU, in one run: are the kernels right, and how fast are they?

    python benchmarks/gpu.py [--quick]

Checks every kernel against the CPU in float64, then times optimizer steps beside torch's own and
ensembles beside what arithmetic allows; prints tables and writes them to benchmarks/gpu.md. Takes
less than 8 minutes on one GPU. Needs torch for CUDA, which brings Triton; where nothing can be
installed, a folder `dashpot` of links to the rooms, on PYTHONPATH, is enough.
"""

import argparse
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from gpu_limits import interleaved, least_time, rate, state_of
from shapes import SHAPES
from torch import Tensor

from dashpot.dynamics import CADAM, CD, IKFAD, KFAD, LDHD, CubicLangevin, Dynamics, Langevin
from dashpot.integrators import Noise, optim, simulate
from dashpot.integrators.advance import advancing
from dashpot.landscapes import Himmelblau, Rosenbrock

DEVICE = "cuda"
ENSEMBLES: list[Dynamics] = [
    LDHD(gamma=0.4),
    CD(gamma=0.5, c=2.0),
    KFAD(gamma=0.3, alpha=0.7, mu=0.9),
    IKFAD(gamma=0.3, alpha=0.7, mu=0.9),
    CADAM(gamma=0.3, alpha=0.6, c=0.5, eps=0.1),
    Langevin(gamma=0.7, temperature=0.5),
    CubicLangevin(gamma=0.4, c=0.8, temperature=0.5),
]
OPTIMIZERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "LDHD": (optim.LDHD, {"gamma": 0.5}),
    "CD": (optim.CD, {"gamma": 0.5, "c": 100.0}),
    "CD BCDADCB": (optim.CD, {"gamma": 0.5, "c": 100.0, "word": "BCDADCB"}),
    "IKFAD": (optim.IKFAD, {"gamma": 0.5, "alpha": 1.0, "mu": 0.01}),
    "CADAM": (optim.CADAM, {"gamma": 0.5, "alpha": 0.5, "c": 0.1}),
}
TYPES = (
    (torch.float64, None),
    (torch.float32, None),
    (torch.bfloat16, None),
    (torch.float16, None),
    (torch.float32, torch.bfloat16),
)
"""Of parameters; and of the state, where it is not the type in which is computed."""

TIMED = ("CD", "IKFAD", "CADAM", "LDHD")
BYTES = {"CD": 20, "LDHD": 20, "SGD": 20, "IKFAD": 28, "CADAM": 28, "AdamW": 28}
"""Read and written for each parameter in a step, everything in float32."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Check and time the kernels on a GPU.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller ensembles")
    quick = parser.parse_args().quick
    if not torch.cuda.is_available():
        sys.exit("there is no CUDA device here, or this torch is built without CUDA")
    begin = time.perf_counter()
    report = Report()
    report.add("# On a GPU", "", "`python benchmarks/gpu.py" + " --quick" * quick + "`", "")
    report.add(f"{torch.cuda.get_device_name()}, torch {torch.__version__}.")
    for section in (check_ensembles, check_optimizers, check_graph, time_optimizers,
                    time_ensembles, time_compiled):  # fmt: skip
        try:
            section(report, quick)
        except Exception:  # what else there is to know should still be known
            report.add("", f"{section.__name__} failed:", "```", traceback.format_exc(), "```")
            report.failures += 1
        torch.cuda.empty_cache()
    report.add("", f"{report.failures} failures; {time.perf_counter() - begin:.0f} s.")
    Path(__file__).with_suffix(".md").write_text("\n".join(report.lines) + "\n", encoding="utf-8")
    sys.exit(min(report.failures, 1))


class Report:
    """Lines that are printed and kept."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.failures = 0

    def add(self, *lines: str) -> None:
        print(*lines, sep="\n", flush=True)
        self.lines += lines

    def table(self, title: str, *columns: str) -> None:
        self.add("", f"## {title}", "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|")

    def row(self, *cells: object) -> None:
        self.add(f"| {' | '.join(map(str, cells))} |")

    def verdict(self, is_right: bool) -> str:
        self.failures += not is_right
        return "ok" if is_right else "**wrong**"


def check_ensembles(report: Report, quick: bool) -> None:
    """20 steps of 1001 trajectories; errors of rounding grow, here by far less than tenfold."""
    report.table("Ensembles beside torch on the CPU in float64", "dynamics", "landscape", "type",
                 "largest difference / ε", "", "the same bits in two calls")  # fmt: skip
    for dynamics in ENSEMBLES:
        for landscape in (Rosenbrock(2), Himmelblau()):
            x0 = torch.randn(1001, 2, generator=torch.Generator().manual_seed(0))
            noise = Noise(3, first=5) if dynamics.is_noisy else None
            how: dict[str, Any] = {"step": 0.01, "steps": 20, "save_every": 5, "noise": noise}
            start = x0.to(torch.float64)
            right = simulate(dynamics, landscape, start, backend="torch", **how)
            for dtype in (torch.float64, torch.float32):
                run = simulate(dynamics, landscape, x0.to(DEVICE, dtype), dtype=dtype,
                               backend="triton", **how)  # fmt: skip
                names = dynamics.variables
                difference = max(_difference(right[name], run[name]) for name in names)
                difference /= torch.finfo(dtype).eps
                begun = simulate(dynamics, landscape, x0.to(DEVICE, dtype), dtype=dtype,
                                 backend="triton", **{**how, "steps": 7})  # fmt: skip
                ended = simulate(dynamics, landscape, begun, steps=13)
                same = all(torch.equal(run[name][-1], ended[name][-1]) for name in names)
                report.row(dynamics.name, landscape.name, _name(dtype), f"{difference:.1f}",
                           report.verdict(difference < 500), report.verdict(same))  # fmt: skip


def _difference(right: Tensor, found: Tensor) -> float:
    right, found = right.double().cpu(), found.double().cpu()
    return float(((right - found).abs().max()) / right.abs().max().clamp(min=1.0))


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def check_optimizers(report: Report, quick: bool) -> None:
    """Four steps on odd shapes; a parameter is rounded to its type in every step."""
    report.table("Optimizers beside foreach on the CPU in float64", "optimizer", "parameters",
                 "state", "largest difference / ε", "")  # fmt: skip
    shapes = [(1000, 33), (7,), (), (4096,), (64, 3, 3, 3)]
    for name, (make, settings) in OPTIMIZERS.items():
        for dtype, state in TYPES:
            kept = {"state_dtype": state} if state else {}
            ends = []
            for device, own, how in (("cpu", torch.float64, {"foreach": True}),
                                     (DEVICE, dtype, {"fused": True, **kept})):  # fmt: skip
                draws = torch.Generator().manual_seed(0)
                params = [torch.randn(s, generator=draws).to(dtype) for s in shapes]
                params = [torch.nn.Parameter(p.to(device, own)) for p in params]
                step = make(params, lr=0.05, weight_decay=0.1, **how, **settings)
                for _ in range(4):
                    for p, shape in zip(params, shapes, strict=True):
                        p.grad = (torch.randn(shape, generator=draws).to(dtype)).to(device, own)
                    step.step()
                ends.append([p.detach() for p in params])
            unit = max(torch.finfo(one).eps for one in (dtype, state or dtype))
            difference = max(map(_difference, *ends)) / unit
            wide = torch.float64 if dtype == torch.float64 else torch.float32
            report.row(name, _name(dtype), _name(state or wide),
                       f"{difference:.1f}", report.verdict(difference < 8))  # fmt: skip


def parameters(shapes: list[tuple[int, ...]]) -> list[torch.nn.Parameter]:
    """Of the sizes that weights and gradients have, so that nothing is subnormal."""
    params = [torch.nn.Parameter(0.02 * torch.randn(s, device=DEVICE)) for s in shapes]
    for p in params:
        p.grad = 1e-3 * torch.randn_like(p)
    return params


def check_graph(report: Report, quick: bool) -> None:
    """A captured step, replayed, is the eager one, bit for bit, also as lr moves on the device."""
    report.table("CUDA graph of a step on ResNet-18", "optimizer", "eager, µs", "replayed, µs", "")
    for name in TIMED:
        make, settings = OPTIMIZERS[name]
        ends, calls = [], {}
        for captured in (False, True):
            torch.manual_seed(0)
            params = parameters(SHAPES["ResNet-18"]())
            lr = torch.tensor(0.01, device=DEVICE, dtype=torch.float64)
            step = make(params, lr=lr, fused=True, capturable=True, **settings)
            for _ in range(3):
                step.step()
            call = captured_call(step.step) if captured else step.step
            for factor in (1.0, 0.5, 0.25):
                lr.fill_(0.01 * factor)
                call()
            ends.append([p.detach().clone() for p in params])
            calls[captured] = call
        same = all(torch.equal(a, b) for a, b in zip(*ends, strict=True))
        taken = interleaved({str(k): call for k, call in calls.items()}, 5 if quick else 15)
        report.row(name, f"{taken['False']:.0f}", f"{taken['True']:.0f}", report.verdict(same))


def captured_call(call: Callable[[], Any]) -> Callable[[], Any]:
    """A graph's replay; the capture itself does nothing."""
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay


def time_optimizers(report: Report, quick: bool) -> None:
    bandwidth = copy_bandwidth()
    report.table(f"A step of an optimizer (a copy moves {bandwidth:.2f} TB/s)", "shapes",
                 "optimizer", "µs", "of fused AdamW", "of copy's bandwidth")  # fmt: skip
    for shapes, make_shapes in SHAPES.items():
        params = parameters(make_shapes())
        count = sum(p.numel() for p in params)
        calls: dict[str, Callable[[], Any]] = {}
        for way in ("fused", "foreach"):
            which: dict[str, Any] = {way: True}
            calls[f"AdamW {way}"] = torch.optim.AdamW(params, lr=1e-5, **which).step
            calls[f"SGD {way}"] = torch.optim.SGD(params, lr=1e-5, momentum=0.9, **which).step
            for name in TIMED:
                make, settings = OPTIMIZERS[name]
                calls[f"{name} {way}"] = make(params, lr=1e-4, **which, **settings).step
        taken = interleaved(calls, 5 if quick else 15)
        for name, us in taken.items():
            moved = BYTES[name.split()[0]] * count / us / 1e6
            report.row(shapes, name, f"{us:.0f}", f"{us / taken['AdamW fused']:.2f}",
                       f"{moved / bandwidth:.2f}")  # fmt: skip
        del calls, params
        torch.cuda.empty_cache()


def copy_bandwidth() -> float:
    """TB/s, read and written."""
    source, target = (torch.zeros(2**28, device=DEVICE) for _ in range(2))
    us = interleaved({"copy": lambda: target.copy_(source)}, 5)["copy"]
    return 8 * source.numel() / us / 1e6


def time_compiled(report: Report, quick: bool) -> None:
    """torch.compile of a foreach step, under a schedule."""
    report.table("torch.compile(opt.step), ResNet-18", "optimizer", "µs", "of fused")
    for name in TIMED[:1] if quick else TIMED[:3]:
        make, settings = OPTIMIZERS[name]
        params = parameters(SHAPES["ResNet-18"]())
        fused = make(params, lr=1e-4, fused=True, **settings)
        lr = torch.tensor(1e-4, device=DEVICE, dtype=torch.float64)
        foreach = make(params, lr=lr, foreach=True, capturable=True, **settings)
        foreach.step()
        taken = interleaved({"compiled": torch.compile(foreach.step), "fused": fused.step}, 5)
        report.row(name, f"{taken['compiled']:.0f}", f"{taken['compiled'] / taken['fused']:.1f}")


def time_ensembles(report: Report, quick: bool) -> None:
    report.table("Ensembles on Rosenbrock's function in 2 dimensions, one launch per 0.1 s",
                 "dynamics", "type", "trajectories", "steps/s", "of the arithmetic limit",
                 "eager torch / this")  # fmt: skip
    sizes = (10**5, 10**6) if quick else (10**5, 10**6, 10**7)
    rates = {dtype: rate(dtype) for dtype in (torch.float64, torch.float32)}
    for dynamics in (CD(gamma=0.5, c=2.0), IKFAD(0.3, 0.7, 0.9), CADAM(0.3, 0.6, 0.5, 0.1),
                     Langevin(gamma=0.7, temperature=0.5)):  # fmt: skip
        for dtype in rates:
            least = least_time(dynamics, Rosenbrock(2), dtype, rates)
            for n in sizes:
                speed = {b: _speed(dynamics, dtype, n, b) for b in ("torch", "triton")}
                report.row(dynamics.name, _name(dtype), f"{n:.0e}", f"{speed['triton']:.2e}",
                           f"{speed['triton'] * least:.2f}",
                           f"{speed['triton'] / speed['torch']:.0f}")  # fmt: skip
    of_each = (f"{1e-12 * limit:.1f}e12 in {_name(dtype)}" for dtype, limit in rates.items())
    report.add("", f"The limit is that of multiply-adds, measured: {', '.join(of_each)} a second.")


def _speed(dynamics: Dynamics, dtype: torch.dtype, n: int, backend: Any) -> float:
    """Steps of trajectories per second."""
    s = state_of(dynamics, dtype, n, DEVICE)
    noise = Noise(1) if dynamics.is_noisy else None
    advance = advancing(dynamics, Rosenbrock(2), s, 0.001, noise=noise, backend=backend)
    stopped = torch.full((n,), -1, device=DEVICE)
    noisy_torch = backend == "torch" and dynamics.is_noisy
    steps = 2 if noisy_torch else 50
    advance.advance(s, 0, steps, stopped)
    if backend == "triton":
        steps = max(100, int(2e10 / n))
    torch.cuda.synchronize()
    begin = time.perf_counter()
    advance.advance(s, steps, steps, stopped)
    torch.cuda.synchronize()
    return n * steps / (time.perf_counter() - begin)


if __name__ == "__main__":
    main()
