"""Running the C kernel of an ensemble: from tensors to pointers, over the threads of torch."""

import ctypes
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ....dynamics import Dynamics, State
from ...field import Field
from ...noise.draws import Source
from ...noise.noise import Noise
from ...words.word import Word
from ..compiled import load, why
from ..errors import NoKernelError
from ..recording.trace import StepTrace
from ..threads import count as count_threads
from ..threads import side_by_side
from .advance import KernelAdvance, recorded
from .source import EnsembleText

PER_THREAD = 1024
"""Trajectories for which a thread is woken up."""

_REAL = {torch.float64: "double", torch.float32: "float"}
_BLOCK = 256  # trajectories: a whole number of blocks of any number of lanes


def run_in_c(
    dynamics: Dynamics,
    landscape: Field,
    s: State,
    step: float | Tensor,
    plan: Word | None,
    method: str,
    source: Source | None,
) -> "CAdvance":
    """A kernel for states like `s`; `NoKernelError` where there is none."""
    if s.x.device.type != "cpu":
        raise NoKernelError(f"the C kernel runs on the CPU; the state is on {s.x.device}")
    trace = recorded(dynamics, landscape, s, step, plan, method, source)
    text = EnsembleText(trace)
    code = text.text(_REAL[s.x.dtype])
    library = load(code)
    if library is None:
        raise NoKernelError(f"it cannot be compiled: {why(code)}")
    return CAdvance(library, trace, text, s.x.device, source and source.noise)


class _Task(ctypes.Structure):
    """As in `runs/source.py`."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("first", "steps", "every")),
        *((name, ctypes.c_uint64) for name in ("seed", "trajectory")),
        *(
            (name, ctypes.c_void_p)
            for name in ("uniform", "column", "element", "scalar", "saved_element",
                         "saved_scalar", "element_stride", "scalar_stride", "stopped")
        ),
    )  # fmt: skip


class CAdvance(KernelAdvance):
    """An `Advance` by a C kernel."""

    backend = "c"

    def __init__(
        self,
        library: Any,
        trace: StepTrace,
        text: EnsembleText,
        device: torch.device,
        noise: Noise | None,
    ) -> None:
        super().__init__(trace, text.uniform, text.column, device, noise)
        self._run = library.run
        self._run.argtypes = [ctypes.POINTER(_Task), ctypes.c_int64, ctypes.c_int64]
        self._run.restype = None
        before = trace.before
        self._scalar = {name for name in before if before[name].nodes[0].kind == "scalar"}

    def _call(
        self,
        variables: dict[str, Tensor],
        stopped: Tensor,
        steps: int,
        every: int,
        saved: dict[str, Tensor],
    ) -> None:
        n = stopped.numel()
        rows: dict[bool, list[int]] = {False: [], True: []}
        saves: dict[bool, list[int]] = {False: [], True: []}
        strides: dict[bool, list[int]] = {False: [], True: []}
        for name, value in variables.items():
            kind, size = name in self._scalar, value.element_size()
            count = value.numel() // max(1, n)
            rows[kind] += [value.data_ptr() + k * n * size for k in range(count)]
            if every:
                to = saved[name]
                start = to.data_ptr() + self.written * count * n * size
                saves[kind] += [start + k * n * size for k in range(count)]
                strides[kind] += [count * n] * count
        arrays = [
            np.array(a, dtype=np.int64)
            for a in (
                [column.data_ptr() for column in self._columns],
                rows[False], rows[True], saves[False], saves[True], strides[False], strides[True],
            )
        ]  # fmt: skip
        pointers = [a.ctypes.data for a in arrays]
        task = _Task(
            self.done, steps, every, self._seed, self._trajectory, self._uniform.data_ptr(),
            *pointers, stopped.data_ptr(),
        )  # fmt: skip
        blocks = -(-n // _BLOCK)

        def run(first: int, last: int) -> None:
            self._run(task, first * _BLOCK, min(n, last * _BLOCK))

        side_by_side(run, blocks, count_threads(n, PER_THREAD))
