"""What the generated Triton kernels do on the CPU, in Triton's interpreter; run as a script.

    TRITON_INTERPRET=1 python triton_measurements.py > measured.json

The interpreter is chosen when Triton is imported, so this has a process of its own.
"""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import mpmath
import torch
import triton.runtime.interpreter as interpreter  # pyright: ignore[reportMissingImports]
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

import problems

from dashpot.dynamics import (
    CADAM,
    CD,
    IKFAD,
    LDHD,
    Dynamics,
    Langevin,
    State,
    WeightDecay,
    elements,
)
from dashpot.integrators import Noise, Word
from dashpot.integrators.advance import advancing
from dashpot.integrators.cut import gradient_cut
from dashpot.integrators.kernels.fused import rounding
from dashpot.integrators.kernels.fused.triton_step import TritonStep
from dashpot.integrators.kernels.triton_code import function, kernels
from dashpot.integrators.noise import philox
from dashpot.integrators.step import apply
from dashpot.landscapes import Landscape

DTYPES = {"float32": torch.float32, "float64": torch.float64}
EXACT = {
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "log": mpmath.log,
    "log1p": mpmath.log1p,
    "sqrt": mpmath.sqrt,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tanh": mpmath.tanh,
    "phi1": lambda z: mpmath.expm1(z) / z,
    "tanh_gap": lambda v: (v - mpmath.tanh(v)) / v**3,
}
POSITIVE = ("log", "sqrt", "log1p")
SPECIAL = [float("nan"), float("inf"), float("-inf"), 0.0, 1e-40, 1e4, -1e4, 0.5]


def mend_interpreter() -> None:
    """Triton 3.6 asks numpy for int(array of one number), which numpy 2.4 refuses."""
    patch = interpreter._patch_lang_tensor

    def patched(tensor: Any, scope: Any) -> None:
        patch(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: int(self.handle.data.item()))

    interpreter._patch_lang_tensor = patched


def evaluated(call: str, *operands: Tensor) -> Tensor:
    """A function of `triton_functions` on tensors of one size."""
    names = [f"x{k}" for k in range(len(operands))]
    body = [
        "    i = tl.arange(0, B)",
        "    m = i < n",
        *(f"    {name} = tl.load({name}_ptr + i, mask=m, other=1.0)" for name in names),
        f"    tl.store(out + i, {call}({', '.join(names)}), mask=m)",
    ]
    arguments = [*(f"{name}_ptr" for name in names), "out", "n", "B: tl.constexpr"]
    out = torch.empty_like(operands[0])
    size = 1 << (out.numel() - 1).bit_length()
    kernels(function("check", arguments, body, ["n"]))["check"][(1,)](
        *operands, out, out.numel(), B=size
    )
    return out


def ulps(value: float, exact: Any, dtype: torch.dtype) -> float:
    """The error in units in the last place of the exact value."""
    info = torch.finfo(dtype)
    exponent = max(mpmath.frexp(abs(exact))[1] - 1, mpmath.frexp(info.tiny)[1] - 1)
    return float(abs(mpmath.mpf(value) - exact) / (mpmath.ldexp(1, exponent) * info.eps))


def functions() -> dict[str, Any]:
    """The largest error of each function, and what it makes of special values."""
    draws = torch.Generator().manual_seed(1)
    result: dict[str, Any] = {"errors": {}, "special": {}, "expected": {}}
    for name, dtype in DTYPES.items():
        for call, exact in EXACT.items():
            u = torch.rand(60, generator=draws, dtype=torch.float64) - 0.5
            x = torch.cat((160 * u, 2 * u, 0.02 * u, 1e-5 * u))
            if call in POSITIVE:
                x = torch.cat((torch.exp(160 * u), 1 + 0.001 * u))
            x = x.to(dtype)
            pairs = zip(evaluated(call, x).tolist(), x.tolist(), strict=True)
            worst = max(ulps(y, exact(mpmath.mpf(v)), dtype) for y, v in pairs)
            result["errors"][f"{call} {name}"] = worst
        special = torch.tensor(SPECIAL, dtype=dtype)
        for call in ("exp", "log1p", "sqrt", "abs", "tanh", "phi1", "tanh_gap", "nonzero"):
            written = "tl.abs" if call == "abs" else call
            result["special"][f"{call} {name}"] = evaluated(written, special).tolist()
            of_torch = getattr(elements, call)(special)
            result["expected"][f"{call} {name}"] = of_torch.tolist()
        first, second = torch.cartesian_prod(special, special).T.contiguous()
        for call, torch_call in {
            "maximum": torch.maximum,
            "minimum": torch.minimum,
            "less": lambda a, b: (a < b).to(a.dtype),
            "equal": lambda a, b: (a == b).to(a.dtype),
            "div": torch.div,
        }.items():
            result["special"][f"{call} {name}"] = evaluated(call, first, second).tolist()
            result["expected"][f"{call} {name}"] = torch_call(first, second).tolist()
        chosen = evaluated("where", (first > 0).to(dtype), first, second)
        result["special"][f"where {name}"] = chosen.tolist()
        result["expected"][f"where {name}"] = torch.where(first > 0, first, second).tolist()
    return result


def normals() -> float:
    """The largest difference from the noise of the other backends, in units in the last place."""
    body = [
        "    i = tl.arange(0, 64)",
        "    block = tl.full((), 0, tl.int64) + first + tl.arange(0, 16)",
        "    key = (tl.full((), 0, tl.int64) + seed).to(tl.uint64, bitcast=True)",
        "    tick = tl.full((), 12345678901, tl.int64).to(tl.uint64)",
        "    tl.store(out + i, normals(key, block.to(tl.uint64), 3, tick, 3584))",
    ]
    kernel = kernels(function("check", ["out", "seed", "first"], body, ["seed", "first"]))["check"]
    worst = 0.0
    for seed, first in ((0, 0), (2**64 - 3, 5), (77, 2**40)):
        out = torch.empty(64, dtype=torch.float64)
        kernel[(1,)](out, seed - 2**64 if seed >= 2**63 else seed, first)
        expected = philox.normals(seed, 4 * first, 12345678901, 14, 1, 4, 64)[0, 3]
        spacing = torch.nextafter(expected.abs(), torch.tensor(torch.inf)) - expected.abs()
        worst = max(worst, float(((out - expected).abs() / spacing).max()))
    return worst


class Bowl(Landscape):
    """Coupled, with a division, an exponential and a choice."""

    def __init__(self) -> None:
        super().__init__(None, 2, name="bowl", start=[1.0, -0.6])

    def f(self, x: Tensor) -> Tensor:
        return 0.5 * (x * x).sum(0) + torch.exp(-x[0] * x[0]) * x[1] / (1 + x[1] * x[1])


def runs() -> dict[str, Any]:
    """Twelve steps, beside torch: differences relative to the largest number there was."""
    result: dict[str, Any] = {}
    for dynamics in (*problems.CATALOGUE, *problems.NOISY_DYNAMICS[:1]):
        for name, dtype in DTYPES.items():
            torch_, triton_ = (_run(dynamics, dtype, backend) for backend in ("torch", "triton"))
            (s, stopped, saved, written), (t, *others) = torch_, triton_
            ends = [_difference(getattr(s, v), getattr(t, v)) for v in dynamics.variables]
            rows = [_difference(saved[v], others[1][v]) for v in saved]
            result[f"{dynamics.name} {name}"] = {
                "difference": max(*ends, *rows) / torch.finfo(dtype).eps,
                "stopped": [stopped.tolist(), others[0].tolist()],
                "written": [written, others[2]],
            }
    return result


def _difference(expected: Tensor, found: Tensor) -> float:
    """Relative to the largest finite number, or 1; infinite where one is NaN or ∞ alone."""
    if not torch.equal(expected.isfinite(), found.isfinite()):
        return torch.inf
    largest = expected.nan_to_num(0.0, 0.0, 0.0).abs().max().clamp(min=1.0)
    return float(((expected - found).nan_to_num(0.0).abs() / largest).max())


def _run(dynamics: Dynamics, dtype: torch.dtype, backend: Any) -> Any:
    draws = torch.Generator().manual_seed(0)
    variables = {}
    for name in dynamics.variables:
        shape = (*dynamics.shape_of(name, (2,)), 5)
        value = torch.rand(shape, generator=draws, dtype=torch.float64)
        variables[name] = value if name in dynamics.scalars else value.to(dtype)
    variables["x"][0, 4] = torch.inf  # lost in the first step, alone
    s = State(variables, 1)
    step = torch.linspace(0.05, 0.1, 5, dtype=torch.float64)
    noise = Noise(5, first=6) if dynamics.is_noisy else None
    h = 0.05 if dynamics.is_noisy else step
    advance = advancing(dynamics, Bowl(), s, h, noise=noise, backend=backend)
    stopped = torch.full((5,), -1)
    saved = {v: getattr(s, v).new_zeros(4, *getattr(s, v).shape) for v in dynamics.variables}
    written = advance.advance(s, 3, 5, stopped, 3, saved)
    rest = {v: saved[v][written:] for v in saved}
    written += advance.advance(s, 8, 7, stopped, 3, rest)
    return s, stopped, saved, written


def again() -> dict[str, bool]:
    """A kernel for other trajectories is, bit for bit, one that is made for them."""
    heats = torch.linspace(0.1, 1.0, 8, dtype=torch.float64)
    x = torch.linspace(-1.0, 1.0, 16, dtype=torch.float64).reshape(2, 8)

    def state(chosen: slice) -> State:
        return State({"x": x[:, chosen].clone(), "p": 0 * x[:, chosen]}, 1)

    def made(chosen: slice, first: int) -> Any:
        dynamics = Langevin(gamma=0.7, temperature=heats[chosen])
        return dynamics, state(chosen), 0.1 / (1 + first), Noise(2**64 - 3, first=first)

    dynamics, s, h, noise = made(slice(5), 0)
    known: Any = advancing(dynamics, Bowl(), s, h, noise=noise, backend="triton")
    dynamics, s, h, noise = made(slice(5, 8), 5)
    anew = advancing(dynamics, Bowl(), s, h, noise=noise, backend="triton")
    ends = []
    for engine in (known.again(dynamics, s, h, noise), anew):
        end = state(slice(5, 8))
        engine.advance(end, 0, 4, torch.full((3,), -1))
        ends.append(torch.cat((end.x, end.p)))
    return {
        "same": torch.equal(*ends) and bool((ends[0] != 0).all()),
        "refused": known.again(Langevin(0.7, 0.5), s, h, noise) is None,
    }


def calls() -> dict[str, Any]:
    """Two calls of an optimizer, beside the flows on tensors; and the bits of rounding."""
    result: dict[str, Any] = {}
    adam = CADAM(gamma=0.3, alpha=0.6, c=0.5, eps=0.1, bias_correction=True)
    for dynamics, word in (
        (LDHD(gamma=0.4), "BWDA"),
        (CD(gamma=0.3, c=0.8), "BDCAWCDB"),
        (IKFAD(gamma=0.3, alpha=0.7, mu=0.9), "WBACD"),
        (CADAM(gamma=0.3, alpha=0.6, c=0.5, eps=0.1), "BEWACD"),
        (adam, "EBWTACD"),
    ):
        dynamics = dynamics.with_part(WeightDecay(0.01))
        closing, opening = _pieces(dynamics, word)
        for name, dtype in DTYPES.items():
            step = TritonStep(dynamics, closing, opening)
            tensors = _tensors(dynamics, dtype)
            expected = _tensors(dynamics, dtype)
            for last in ([0.1, 0.0, 0.2, 0.1], [0.1] * 4):
                params, grads, *state = tensors.values()
                states = dict(zip(dynamics.variables[1:], state, strict=True))
                step.run(
                    params, grads, states, dynamics.hyperparameters, 0.1, last,
                    maximize=True, inv_scale=torch.tensor(0.5), found_inf=torch.tensor(0.0),
                )  # fmt: skip
                _by_flows(dynamics, closing, opening, expected, last)
            result[f"{dynamics.name} {word} {name}"] = max(
                float(((a - b).abs() / a.abs().clamp(min=1.0)).max()) / torch.finfo(dtype).eps
                for mine, theirs in zip(expected.values(), tensors.values(), strict=True)
                for a, b in zip(mine, theirs, strict=True)
                if a.numel()
            )
            before = [t.clone() for ts in tensors.values() for t in ts]
            for h, found in ((0.1, 1.0), (torch.tensor(0.0), 0.0)):
                step.run(params, grads, states, dynamics.hyperparameters, h, [0.1] * 4,
                         found_inf=torch.tensor(found))  # fmt: skip
            after = [t for ts in tensors.values() for t in ts]
            same = all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
            result[f"{dynamics.name} {word} {name} skipped"] = same
    result["rounding"] = _rounding_agrees()
    result["tensors"] = _tensors_are_numbers()
    return result


def _pieces(dynamics: Dynamics, word: str) -> tuple[Any, Any]:
    """The closing pieces of a call, and the opening ones."""
    substeps = Word(word, dynamics).substeps
    cut = gradient_cut(substeps)
    return substeps[cut:], substeps[:cut]


def _tensors_are_numbers() -> bool:
    """Numbers in tensors are as good, and so are several types in one group, bit for bit."""
    dynamics = CD(gamma=0.3, c=0.8).with_part(WeightDecay(0.01))
    values = dynamics.hyperparameters
    ends = []
    for as_tensors in (False, True):
        made = [_tensors(dynamics, dtype) for dtype in DTYPES.values()]
        lists = [made[0][name][:2] + made[1][name][:2] for name in ("x", "g", "p")]
        step = TritonStep(dynamics, *_pieces(dynamics, "BDCAWCDB"))
        for h, last in ((0.1, [0.0, 0.1, 0.2, 0.3]), (0.2, [0.1] * 4)):
            given: tuple[Any, ...] = (values, h, last)
            if as_tensors:
                given = ({k: torch.tensor(v, dtype=torch.float64) for k, v in values.items()},
                         torch.tensor(h, dtype=torch.float64),
                         [torch.tensor(one, dtype=torch.float64) for one in last])  # fmt: skip
            step.run(lists[0], lists[1], {"p": lists[2]}, *given)
        ends.append([*lists[0], *lists[2]])
    return all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


def _tensors(dynamics: Dynamics, dtype: torch.dtype) -> dict[str, list[Tensor]]:
    draws = torch.Generator().manual_seed(0)
    made: dict[str, list[Tensor]] = {}
    for name in ("x", "g", *dynamics.variables[1:]):
        numbers = name in dynamics.scalars
        shapes = [()] * 4 if numbers else [(1100, 3), (7,), (), (0,)]
        values = [torch.rand(shape, generator=draws, dtype=torch.float64) for shape in shapes]
        made[name] = values if numbers else [value.to(dtype) for value in values]
    return made


def _by_flows(
    dynamics: Dynamics, closing: Any, opening: Any, tensors: dict[str, list[Tensor]], last: Any
) -> None:
    """The same call by the parts' flows, tensor by tensor."""
    bound = dynamics.bind(
        {k: torch.tensor(v, dtype=torch.float64) for k, v in dynamics.hyperparameters.items()}
    )
    for i, past in enumerate(last):
        s = State({n: ts[i] for n, ts in tensors.items() if n != "g"}, tensors["x"][i].ndim)
        s.g = -0.5 * tensors["g"][i]
        pieces = [(u, past) for u in closing if past] + [(u, 0.1) for u in opening]
        for u, h in pieces:
            time = torch.tensor(float(u.fraction) * h, dtype=torch.float64)
            apply([(bound.letters[u.part.letter], time)], s, lambda _, g=s.g: g)
        for name, ts in tensors.items():
            if name != "g":
                ts[i] = getattr(s, name)


def _rounding_agrees() -> bool:
    """State in bfloat16 is that in float32, rounded as `rounding.py` says, bit for bit."""
    dynamics = CD(gamma=0.3, c=0.8)
    opening = Word("BDCA", dynamics).substeps
    draws = torch.Generator().manual_seed(0)
    shapes = [(1500,), (3, 5)]
    grads = [torch.randn(shape, generator=draws) for shape in shapes]
    p = [torch.randn(shape, generator=draws).bfloat16() for shape in shapes]
    ends = []
    for dtype in (torch.float32, torch.bfloat16):
        state = [t.to(dtype, copy=True) for t in p]
        step = TritonStep(dynamics, (), opening)
        step.run([torch.zeros(s) for s in shapes], grads, {"p": state}, dynamics.hyperparameters,
                 0.1, [0.1, 0.1], seed=2**64 - 5, places=[4, 9], ticks=[7, 2**40])  # fmt: skip
        ends.append(state)
    keys = [rounding.key(2**64 - 5, 4, 7, 1), rounding.key(2**64 - 5, 9, 2**40, 1)]
    expected = [rounding.to_bfloat16(t, key) for t, key in zip(ends[0], keys, strict=True)]
    return all(torch.equal(a, b) for a, b in zip(expected, ends[1], strict=True))


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # numpy's, at what Triton does with NaN
    mpmath.mp.prec = 150
    mend_interpreter()
    measured = {
        "functions": functions(), "normals": normals(), "runs": runs(), "calls": calls(),
        "again": again(),
    }  # fmt: skip
    print(json.dumps(measured))
