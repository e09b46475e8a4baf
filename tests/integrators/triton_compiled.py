"""The instructions that Triton makes for CUDA, which takes no GPU; run as a script.

python triton_compiled.py > instructions.json
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from triton.backends.compiler import GPUTarget  # pyright: ignore[reportMissingImports]
from triton.compiler import ASTSource  # pyright: ignore[reportMissingImports]

sys.path.insert(0, str(Path(__file__).parents[1]))

import problems

from dashpot.dynamics import CADAM, IKFAD, Dynamics, Langevin, State, WeightDecay
from dashpot.integrators import Noise, Word
from dashpot.integrators.cut import gradient_cut
from dashpot.integrators.kernels.fused.trace import trace_call
from dashpot.integrators.kernels.fused.triton_source import FusedText
from dashpot.integrators.kernels.recording.trace import trace_step
from dashpot.integrators.kernels.runs.triton_source import COUNTS, EnsembleText
from dashpot.integrators.kernels.triton_code import kernels
from dashpot.integrators.noise.draws import Source

NUMBERS = {"uniform", "given", "last", "hoisted", "found"}


def instructions(kernel: Any, types: dict[str, str], constants: dict[str, Any]) -> str:
    """The PTX of a kernel for compute capability 9.0, assembled too."""
    names = kernel.arg_names
    signature = {name: types.get(name, "constexpr") for name in names}
    signature |= {name: "*fp64" for name in names if name in NUMBERS}
    values = {(names.index(name),): value for name, value in constants.items()}
    aligned = {
        (names.index(n),): [["tt.divisibility", 16]] for n in names if signature[n][0] == "*"
    }
    source = ASTSource(kernel, signature, values, aligned)
    return triton.compile(source, target=GPUTarget("cuda", 90, 32)).asm["ptx"]


def write(dynamics: Dynamics, word: str, dtypes: tuple[str, ...]) -> str:
    """The kernel of an optimizer's step, with what closes the last one where there is something."""
    dynamics = dynamics.with_part(WeightDecay(0.01))
    substeps = Word(word, dynamics).substeps
    cut = gradient_cut(substeps)
    pasts = [substeps[cut:], ()] if substeps[cut:] else [()]
    traces = [trace_call(dynamics, past, substeps[:cut], is_matrix=True) for past in pasts]
    text = FusedText(traces, dict(zip(traces[0].inputs, dtypes, strict=True)))
    return instructions(
        kernels(text.text())["write"],
        {"chunks": "*i32", "table": "*i64", "seed": "i32"},
        {"BLOCK": 1024, "E": tl.float32, "ALIGNED": True, "HAS_FOUND": True},
    )


def ensemble(dtype: str) -> str:
    """The kernel of Langevin dynamics."""
    dynamics = Langevin(gamma=0.7, temperature=0.5)
    real = {"fp32": torch.float32, "fp64": torch.float64}[dtype]
    s = State({name: torch.zeros(2, 8, dtype=real) for name in dynamics.variables}, 1)
    source = Source(Noise(1), dynamics, s, 0.1)
    word = Word(dynamics.word, dynamics)
    trace = trace_step(dynamics, problems.CoupledQuartic(), s, 0.1, word, "word", source)
    kernel = kernels(EnsembleText(trace).text())["ensemble"]
    # a number of 64 bits beside one of 32, as in a run of more than 2³¹ steps
    types = dict.fromkeys(COUNTS, "i32") | {"every": "i64", "stopped": "*i64"}
    types |= {f"{of}_{name}": f"*{dtype}" for of in ("at", "saved") for name in dynamics.variables}
    element = {"fp32": tl.float32, "fp64": tl.float64}[dtype]
    return instructions(kernel, types, {"E": element, "BLOCK": 128})


if __name__ == "__main__":
    adam = CADAM(gamma=0.3, alpha=0.6, c=0.5, eps=0.1)
    friction = IKFAD(gamma=0.3, alpha=0.7, mu=0.9)
    made = {
        "write float32": write(adam, "BECDWA", ("float32",) * 4),
        "write bfloat16": write(adam, "BECDWA", ("bfloat16", "bfloat16", "float32", "bfloat16")),
        "write with a past": write(friction, "BCDWADCB", ("float32",) * 4),
        "ensemble float64": ensemble("fp64"),
    }
    print(json.dumps(made))
