"""Running the C kernel of an ensemble: from tensors to pointers, over the threads of torch."""

import ctypes
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ....dynamics import Dynamics, State
from ...field import Field
from ...interrupts import interrupts_wait
from ...noise.draws import Source
from ...words.word import Word
from ..compiled import load, why
from ..errors import NoKernelError
from ..recording.landscape import NotTraceableError
from ..recording.trace import StepTrace, trace_step
from ..threads import count as count_threads
from ..threads import side_by_side
from .source import EnsembleText

_REAL = {torch.float64: "double", torch.float32: "float"}
_FIRST = 64  # steps of a call when nobody knows yet how long they take
_CALL = 0.1  # seconds a call may take, so that Ctrl-C is heard
_LEAST = 1024  # trajectories for which a thread is woken up
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
    try:
        trace = trace_step(dynamics, landscape, s, step, plan, method, source)
    except NotTraceableError as error:
        raise NoKernelError(str(error)) from error
    except Exception as error:  # a part of the user's own that runs on tensors only
        raise NoKernelError(f"a part does not run on symbols: {error}") from error
    text = EnsembleText(trace)
    code = text.text(_REAL[s.x.dtype])
    library = load(code)
    if library is None:
        raise NoKernelError(f"it cannot be compiled: {why(code)}")
    seed = 0 if source is None else source.noise.seed
    first = 0 if source is None else source.noise.first
    return CAdvance(library, trace, text, dynamics.variables, seed, first)


class _Task(ctypes.Structure):
    """As in `ensemble_c`."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("first", "steps", "every")),
        *((name, ctypes.c_uint64) for name in ("seed", "trajectory")),
        *(
            (name, ctypes.c_void_p)
            for name in ("uniform", "column", "element", "scalar", "saved_element",
                         "saved_scalar", "element_stride", "scalar_stride", "stopped")
        ),
    )  # fmt: skip


class CAdvance:
    """An `Advance` by a C kernel; see `integrators.advance`."""

    backend = "c"

    def __init__(
        self,
        library: Any,
        trace: StepTrace,
        text: EnsembleText,
        names: tuple[str, ...],
        seed: int,
        first: int,
    ) -> None:
        self._run = library.run
        self._run.argtypes = [ctypes.POINTER(_Task), ctypes.c_int64, ctypes.c_int64]
        self._run.restype = None
        self._names = names
        self._scalar = {name for name in names if trace.before[name].nodes[0].kind == "scalar"}
        self._seed, self._trajectory = seed, first
        uniform = [trace.uniform[node.value] for node in text.uniform]
        self._uniform = np.array(uniform, dtype=np.float64)
        columns = [trace.columns[node.value] for node in text.column]
        self._columns = [column.reshape(-1).contiguous() for column in columns]
        self._pace = 0.0  # seconds a step takes
        self.done = self.written = 0
        self.reason = ""

    def advance(
        self,
        s: State,
        first: int,
        steps: int,
        stopped_at: Tensor,
        every: int = 0,
        saved: dict[str, Tensor] | None = None,
    ) -> int:
        """As `Advance.advance`."""
        self.done, self.written = first, 0
        # copies: what the kernel writes to may be the user's own x0
        variables = {name: _copy(getattr(s, name)) for name in self._names}
        stopped = _copy(stopped_at)
        every = every if saved is not None else 0
        try:
            with interrupts_wait() as pending:  # a call and the record of it belong together
                while self.done < first + steps and not pending.pressed:
                    left = first + steps - self.done
                    self._some(min(left, self._steps_per_call()), variables, stopped, every, saved)
        finally:
            for name, value in variables.items():
                setattr(s, name, value)
            s.g = None
            stopped_at.copy_(stopped)
        return self.written

    def _steps_per_call(self) -> int:
        return max(1, int(_CALL / self._pace)) if self._pace else _FIRST

    def _some(
        self,
        steps: int,
        variables: dict[str, Tensor],
        stopped: Tensor,
        every: int,
        saved: dict[str, Tensor] | None,
    ) -> None:
        begin = time.perf_counter()
        self._call(variables, stopped, steps, every, saved or {})
        self._pace = (time.perf_counter() - begin) / steps
        if every:
            self.written += (self.done + steps) // every - self.done // every
        self.done += steps

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
            self.done, steps, every, self._seed, self._trajectory, self._uniform.ctypes.data,
            *pointers, stopped.data_ptr(),
        )  # fmt: skip
        blocks = -(-n // _BLOCK)

        def run(first: int, last: int) -> None:
            self._run(task, first * _BLOCK, min(n, last * _BLOCK))

        side_by_side(run, blocks, count_threads(n, _LEAST))


def _copy(value: Tensor) -> Tensor:
    return value.clone(memory_format=torch.contiguous_format)
