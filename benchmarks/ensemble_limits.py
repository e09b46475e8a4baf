"""What a kernel cannot be faster than, and what it costs to make one."""

import ctypes
import os
import subprocess
import sys
import tempfile
import time
from importlib.resources import files

import torch

from dashpot.dynamics import Dynamics, State
from dashpot.integrators import Word
from dashpot.integrators.kernels.compiled import load
from dashpot.integrators.kernels.recording.expression import in_order
from dashpot.integrators.kernels.recording.trace import trace_step
from dashpot.landscapes import Landscape

_NUMBERS = 1024  # of doubles: two arrays of them fit into the first cache
_APART = 256  # numbers between them, so that their addresses differ in the last 12 bits
_LOOP = """
void many({real} *y, const {real} *x, long n, long times) {{
    for (long k = 0; k < times; k++) {{
        for (long i = 0; i < n; i++) y[i] = {function}(x[i]);
        __asm__ volatile("" ::: "memory");
    }}
}}
"""
_FIRST_RUN = """
import time
from dashpot.dynamics import IKFAD
from dashpot.integrators import simulate
from dashpot.landscapes import Rosenbrock
for _ in range(2):
    began = time.perf_counter()
    simulate(IKFAD(0.5, 1.0, 0.5), Rosenbrock(2), step=1e-3, steps=1, backend="c")
    print(time.perf_counter() - began)
"""


class ExpRate:
    """Exponentials a second of one thread, over an array in the first cache."""

    def __init__(self, function: str, real: str = "double") -> None:
        if function == "exp":  # the C library's, in vectors
            head = '__attribute__((simd("notinbranch"))) extern double exp(double);'
            ctypes.CDLL("libmvec.so.1", mode=ctypes.RTLD_GLOBAL)
        else:
            head = files("dashpot.integrators.kernels").joinpath("elementary.c").read_text("utf-8")
        library = load(head + _LOOP.format(real=real, function=function))
        assert library is not None
        self._many = library.many
        self._many.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_long, ctypes.c_long]
        kind = torch.float32 if real == "float" else torch.float64
        memory = torch.linspace(-2, 0, 2 * _NUMBERS + _APART, dtype=kind)  # vectors are aligned
        self._x, self._y = memory[:_NUMBERS], memory[_NUMBERS + _APART :]

    def __call__(self, times: int = 20_000) -> float:
        began = time.process_time()
        self._many(self._y.data_ptr(), self._x.data_ptr(), _NUMBERS, times)
        return _NUMBERS * times / (time.process_time() - began)


def exponentials(dynamics: Dynamics, landscape: Landscape, word: str) -> int:
    """How many exponentials of coordinates the kernel takes for a step of one trajectory."""
    names = {name: torch.zeros(2, 2, dtype=torch.float64) for name in dynamics.variables}
    trace = trace_step(
        dynamics, landscape, State(names, 1), 1e-3, Word(word, dynamics), "word", None
    )
    ends = [new for _, new in trace.state] + [one.next for one in trace.carried]
    return sum(node.kind == "element" and node.op in ("exp", "phi1") for node in in_order(ends))


def making() -> tuple[float, float]:
    """Seconds of a first run of one step in a new process with an empty cache, and of a second."""
    with tempfile.TemporaryDirectory() as folder:
        said = subprocess.run(
            [sys.executable, "-c", _FIRST_RUN], env={**os.environ, "DASHPOT_CACHE": folder},
            capture_output=True, text=True, check=True,
        ).stdout.split()  # fmt: skip
    return float(said[0]), float(said[1])
