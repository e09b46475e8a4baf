"""What all kernels for runs share: recording a step, and going through steps call by call."""

import copy
import time
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from ....dynamics import Dynamics, State
from ...field import Field
from ...interrupts import interrupts_wait
from ...noise.draws import Source
from ...noise.noise import Noise
from ...words.word import Word
from ..errors import NoKernelError
from ..recording.expression import Node
from ..recording.landscape import NotTraceableError
from ..recording.trace import StepTrace, trace_step

_FIRST = 64  # steps of a call when nobody knows yet how long they take
_CALL = 0.1  # seconds a call may take, so that Ctrl-C is heard


def recorded(
    dynamics: Dynamics,
    landscape: Field,
    s: State,
    step: float | Tensor,
    plan: Word | None,
    method: str,
    source: Source | None,
) -> StepTrace:
    """`trace_step`, with every reason why there is none as a `NoKernelError`."""
    try:
        return trace_step(dynamics, landscape, s, step, plan, method, source)
    except NotTraceableError as error:
        raise NoKernelError(str(error)) from error
    except Exception as error:  # a part of the user's own that runs on tensors only
        raise NoKernelError(f"a part does not run on symbols: {error}") from error


class KernelAdvance:
    """An `Advance` (see `integrators.advance`) by a kernel, many steps in every call.

    uniform, column   the inputs that it is given, in order: numbers, and one for each trajectory
    """

    backend: str

    def __init__(
        self,
        trace: StepTrace,
        uniform: Sequence[Node],
        column: Sequence[Node],
        device: torch.device,
        noise: Noise | None,
    ) -> None:
        self._names = tuple(trace.before)
        self._inputs = uniform, column
        self._start(trace, device, noise)

    def again(
        self, dynamics: Dynamics, s: State, step: float | Tensor, noise: Noise | None
    ) -> Self | None:
        """The same kernel for other trajectories: states like those it was made for, in any number.

        Hyperparameters, h and the first trajectory of the noise may differ; None where that takes
        another kernel.
        """
        trace = self._trace.with_numbers(dynamics, s, step)
        # how many of the finest increments a step has is part of the kernel
        cut = noise is not None and noise.finest is not None
        if trace is None or (cut and trace.uniform["step"] != self._trace.uniform["step"]):
            return None
        made = copy.copy(self)
        made._start(trace, s.x.device, noise)
        return made

    def _start(self, trace: StepTrace, device: torch.device, noise: Noise | None) -> None:
        self._trace = trace
        self._seed, self._trajectory = (noise.seed, noise.first) if noise else (0, 0)
        uniform, column = self._inputs
        numbers = [trace.uniform[node.value] for node in uniform]
        self._uniform = torch.tensor(numbers or [0.0], dtype=torch.float64, device=device)
        columns = [trace.columns[node.value] for node in column]
        self._columns = [one.reshape(-1).contiguous().to(device) for one in columns]
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
        # what is never due is no matter of the kernel, whose numbers have 64 bits
        every = every if saved is not None and every <= first + steps else 0
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
        """Some steps from number `done` on, in place; rows of `saved` from `written` on."""
        raise NotImplementedError


def _copy(value: Tensor) -> Tensor:
    return value.clone(memory_format=torch.contiguous_format)
