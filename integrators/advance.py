"""How a run advances: step by step in torch, or by a generated kernel."""

from __future__ import annotations

import math
from typing import Any, Literal, Protocol, get_args

import torch
from torch import Tensor

from ..dynamics import Dynamics, State
from .field import Field
from .kernels.errors import NoKernelError
from .kernels.runs.run_c import run_in_c
from .noise.draws import Source
from .noise.noise import Noise
from .schemes import refuse_scheme
from .steppers import SchemeStepper, Stepper, WordStepper
from .words.word import Word

Backend = Literal["auto", "torch", "c", "triton"]

_WORTH_COMPILING = 20_000
"""Steps times trajectories (in thousands, and one more) from which compiling pays off."""


class Advance(Protocol):
    """Takes a state through many steps.

    backend  "torch", "c" or "triton"
    done     how many steps are done, also after Ctrl-C (which may leave torch inside the next)
    written  how many states the present call has saved
    reason   why the first trajectory was lost, if it was not overflow
    """

    backend: str
    done: int
    written: int
    reason: str

    def advance(
        self,
        s: State,
        first: int,
        steps: int,
        stopped_at: Tensor,
        every: int = 0,
        saved: dict[str, Tensor] | None = None,
    ) -> int:
        """Take the steps number `first` … `first + steps − 1` in place; returns `written`.

        A trajectory that overflows is frozen in its last finite state, and its `stopped_at`
        [*batch] (−1 before) becomes the index of the step. The states after steps that are whole
        multiples of `every` are written to saved[name][0], [1], ...; NaN for lost trajectories.
        Overflow is looked for every so many steps, and then traced to the step where it began: a
        state that becomes finite again in between (by a part that bounds it) may go unnoticed.
        """
        ...


def advancing(
    dynamics: Dynamics,
    landscape: Field,
    s: State,
    step: float | Tensor,
    *,
    word: str | Word | None = None,
    method: str = "word",
    noise: Noise | None = None,
    backend: Backend = "auto",
    steps: int = 0,
    insist: bool = True,
) -> Advance:
    """What takes a state like `s` through the steps of a word, or of a scheme.

    step      h, a number or one per trajectory [*batch]
    backend   "torch" runs everything, anywhere; "c" and "triton" are generated kernels, on the CPU
              and on CUDA, which agree with it to a few units in the last place a step. "auto"
              takes a kernel where there is one and `steps` and trajectories make it worth
              compiling, and torch otherwise
    steps     how many are planned, for "auto"
    insist    whether it is an error if the kernel that was asked for cannot be had; else torch

    Raises ValueError for a word that does not fit, or a kernel that was asked for by name and
    cannot be had; it says why.
    """
    if backend not in get_args(Backend):
        raise ValueError(f"backend must be one of {', '.join(get_args(Backend))}; got {backend!r}")
    source = None if noise is None else Source(noise, dynamics, s, step)
    plan, stepper = None, None
    if method == "word":
        plan = Word(dynamics.word if word is None else word, dynamics)
        stepper = WordStepper(plan, step, landscape, source)
        if stepper.is_careful and backend in ("c", "triton"):
            raise ValueError(
                f"the word {plan.text!r} has negative fractions of flows that end, which kernels "
                'do not watch; use backend="torch"'
            )
    else:
        refuse_scheme(method, word)
        stepper = SchemeStepper(dynamics, method, step, landscape, source)
    careful = isinstance(stepper, WordStepper) and stepper.is_careful
    on = s.x.device.type
    if backend == "auto":
        size = steps * (1 + s.x.shape[s.rank :].numel() // 1000)
        if careful or size < _WORTH_COMPILING or on not in ("cpu", "cuda"):
            return TorchAdvance(stepper, dynamics.variables)
    wanted = {"auto": {"cpu": "c", "cuda": "triton"}.get(on, "torch")}.get(backend, backend)
    if wanted != "torch":
        try:
            make = run_in_c if wanted == "c" else _run_in_triton
            return make(dynamics, landscape, s, step, plan, method, source)
        except NoKernelError as error:
            if backend != "auto" and insist:
                raise ValueError(f"backend={backend!r} cannot run this: {error}") from error
    return TorchAdvance(stepper, dynamics.variables)


def _run_in_triton(*arguments: Any) -> Advance:
    from .kernels.runs.run_triton import run_in_triton  # Triton comes with torch for CUDA only

    return run_in_triton(*arguments)


class TorchAdvance:
    """Step by step, any landscape on any device."""

    backend = "torch"

    def __init__(self, stepper: Stepper, names: tuple[str, ...]) -> None:
        self._stepper, self._names = stepper, names
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
        if not bool((stopped_at >= 0).any()):
            before = s.copy()
            try:
                for _ in range(steps):
                    self._step(s, stopped_at, every, saved)
            finally:  # also after Ctrl-C: what is saved has been looked at
                overflowed = not bool(self._finite(s).all())
                if overflowed:
                    s.__dict__.update(before.__dict__)
                    self.done, self.written = first, 0
            if not overflowed:
                return self.written
        for _ in range(steps):  # once more, one by one, to see what is lost and when
            if bool((stopped_at >= 0).all()) and stopped_at.numel():
                self.done = first + steps
                break
            previous = s.copy()
            self._stepper(s, self.done)
            self._freeze(s, previous, stopped_at)
            self._count(s, stopped_at, every, saved)
        return self.written

    def _step(self, s: State, stopped_at: Tensor, every: int, saved: Any) -> None:
        self._stepper(s, self.done)
        self._count(s, stopped_at, every, saved)

    def _count(self, s: State, stopped_at: Tensor, every: int, saved: Any) -> None:
        """One step is done; save it if it is due."""
        self.done += 1
        if saved is None or not every or self.done % every:
            return
        gone = stopped_at >= 0
        lost = bool(gone.any())
        for name in self._names:
            value = getattr(s, name)
            saved[name][self.written] = torch.where(gone, math.nan, value) if lost else value
        self.written += 1

    def _freeze(self, s: State, previous: State, stopped_at: Tensor) -> None:
        lost_now = ~self._finite(s) & (stopped_at < 0)
        if bool(lost_now.any()):
            if not bool((stopped_at >= 0).any()):
                self.reason = self._stepper.explain(previous)
            stopped_at[lost_now] = self.done + 1
        frozen = stopped_at >= 0
        if bool(frozen.any()):
            for name in self._names:
                old, new = getattr(previous, name), getattr(s, name)
                setattr(s, name, torch.where(frozen, old, new))
            s.g = None

    def _finite(self, s: State) -> Tensor:
        batch = s.x.shape[s.rank :]
        finite = torch.ones(batch, dtype=torch.bool, device=s.x.device)
        for name in self._names:
            value = torch.isfinite(getattr(s, name))
            extra = value.ndim - len(batch)
            finite &= value.flatten(0, extra - 1).all(0) if extra else value
        return finite
