"""How fast arithmetic lets a GPU be: operations of a step, and how many it makes a second."""

import statistics
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from dashpot.dynamics import Dynamics, State
from dashpot.integrators import Noise, Word
from dashpot.integrators.field import Field
from dashpot.integrators.kernels.recording.expression import Node, in_order
from dashpot.integrators.kernels.recording.trace import trace_step
from dashpot.integrators.kernels.triton_code import function, kernels
from dashpot.integrators.noise.draws import Source

COST = {"div": 9, "sqrt": 9, "exp": 16, "expm1": 18, "log": 24, "log1p": 30, "sin": 20, "cos": 20,
        "tanh": 28, "phi1": 36, "tanh_gap": 120, "pow": 80,
        "soft_cap": 23}  # fmt: skip
"""Operations in multiply-adds; a sum with a product is one of them, what is not named too."""

NORMAL = 40, 100
"""Of a normal number: multiply-adds in float64 (half of a logarithm, a root, a sine and a cosine),
and operations on whole numbers (a quarter of Philox)."""


def interleaved(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """The median time of each call in µs, taken in turn; each time at least 10 calls in a row."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        for _ in range(3):
            call()
    for _ in range(rounds):
        for name, call in calls.items():
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda.synchronize()
            begin.record()
            for _ in range(10):
                call()
            end.record()
            torch.cuda.synchronize()
            taken[name].append(begin.elapsed_time(end) * 100)
    return {name: statistics.median(times) for name, times in taken.items()}


def state_of(dynamics: Dynamics, dtype: torch.dtype, n: int, device: str) -> State:
    """n trajectories in 2 dimensions, at rest."""
    shapes = {name: (*dynamics.shape_of(name, (2,)), n) for name in dynamics.variables}
    kinds = {k: torch.float64 if k in dynamics.scalars else dtype for k in shapes}
    variables = {k: torch.zeros(v, dtype=kinds[k], device=device) for k, v in shapes.items()}
    variables["x"].uniform_(-1.0, 1.0)
    return State(variables, 1)


def least_time(
    dynamics: Dynamics, landscape: Field, dtype: torch.dtype, rates: Mapping[torch.dtype, float]
) -> float:
    """Seconds a step of one trajectory takes if nothing but arithmetic takes time.

    Operations in float64 have their own rate; all others together have that of float32.
    """
    in_float64, others = work(dynamics, landscape, dtype)
    everything = (in_float64 + others) / rates[torch.float32]
    return max(in_float64 / rates[torch.float64], everything)


def work(dynamics: Dynamics, landscape: Field, dtype: torch.dtype) -> tuple[int, int]:
    """Operations of a step of one trajectory in float64, and all others."""
    s = state_of(dynamics, dtype, 4, "cpu")
    source = Source(Noise(1), dynamics, s, 0.001) if dynamics.is_noisy else None
    plan = Word(dynamics.word, dynamics)
    trace = trace_step(dynamics, landscape, s, 0.001, plan, "word", source)
    results = [new for _, new in trace.state] + [one.next for one in trace.carried]
    nodes = [n for n in in_order(results) if n.kind in ("scalar", "element") and n.op != "input"]
    merged = set(_sums_with_products(nodes, set(results)))
    counts = {True: 0, False: 0}
    for node in nodes:
        is_float64 = node.kind == "scalar" or dtype == torch.float64
        counts[is_float64] += COST.get(node.op, 1) - (node in merged)
    for old, _ in trace.state:  # is it finite?
        counts[old.kind == "scalar" or dtype == torch.float64] += 1
    normals = sum(len(draw.nodes) for draw in trace.draws)
    return counts[True] + normals * NORMAL[0], counts[False] + normals * NORMAL[1]


def _sums_with_products(nodes: list[Node], results: set[Node]) -> Iterator[Node]:
    """Sums that one multiply-add makes, with a product that nothing else uses."""
    users: dict[Node, int] = {}
    for node in nodes:
        for argument in node.args:
            users[argument] = users.get(argument, 0) + 1
    for node in nodes:
        free = [a for a in node.args if a.op == "mul" and users[a] == 1 and a not in results]
        if node.op in ("add", "sub") and free:
            yield node


def rate(dtype: torch.dtype) -> float:
    """Multiply-adds a second of the device, measured: eight chains in every thread."""
    chains = [f"a{k}" for k in range(8)]
    body = [
        "    i = tl.program_id(0) * B + tl.arange(0, B)",
        *(f"    {a} = tl.load(out + i) + {k}" for k, a in enumerate(chains)),
        "    for _ in range(steps):",
        *(f"        {a} = tl.fma({a}, {a}, {a})" for a in chains * 8),
        f"    tl.store(out + i, {' + '.join(chains)})",
    ]
    kernel = kernels(function("peak", ["out", "steps", "B: tl.constexpr"], body, ["steps"]))["peak"]
    block, steps = 256, 200
    programs = 64 * torch.cuda.get_device_properties().multi_processor_count
    out = torch.zeros(programs * block, dtype=dtype, device="cuda")
    taken = interleaved({"": lambda: kernel[(programs,)](out, steps, B=block, num_warps=8)}, 5)
    return out.numel() * 64 * steps / (taken[""] * 1e-6)
