"""The call of an optimizer as one kernel: every tensor is read once and written once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ....dynamics import Dynamics
from ...words.word import Substep
from ..errors import NoKernelError
from .batch import Batch, Kernel, run_together
from .checks import addresses, addresses_of, check_shapes
from .layout import Layout, Tensors, facts, marks
from .recent import Recent
from .trace import LAST, SCALE, STEP, FusedTrace, trace_call

if TYPE_CHECKING:
    from .triton_step import TritonStep

_TYPES = {
    torch.float64: "float64",
    torch.float32: "float32",
    torch.bfloat16: "bfloat16",
    torch.float16: "float16",
}


class FusedStep:
    """What a call of `step()` does to the tensors of a group on one device, generated.

    dynamics          whose parts are applied
    closing, opening  the pieces of the word that belong to the last step and to this one

    Kernels are made when they are first needed, for the types of the tensors: hyperparameters and
    step sizes are run-time arguments. A result depends neither on the number of threads nor on
    what else is in the group (but for KFAD's one friction). No tensor is held after a call.
    """

    def __init__(
        self, dynamics: Dynamics, closing: Sequence[Substep], opening: Sequence[Substep]
    ) -> None:
        self._dynamics, self._closing, self._opening = dynamics, tuple(closing), tuple(opening)
        self._traces: dict[tuple[bool, bool], FusedTrace] = {}
        self._kernels: dict[tuple[Any, ...], Kernel] = {}
        self._plans: Recent[_Plan] = Recent()
        self._seen: _Seen | None = None
        self._triton: TritonStep | None = None

    def run(
        self,
        params: Sequence[Tensor],
        grads: Sequence[Tensor],
        state: Tensors,
        values: Mapping[str, Any],
        h: float | Tensor,
        last: Sequence[float] | Tensor,
        *,
        maximize: bool = False,
        inv_scale: Tensor | None = None,
        found_inf: Tensor | None = None,
        seed: int = 0,
        places: Sequence[int] = (),
        ticks: Sequence[int] = (),
    ) -> None:
        """One call: the closing pieces for the times `last`, the opening ones for the time h.

        params, grads   of any shapes and strides; float64, or float32, bfloat16 and float16, which
                        are computed with in float32. Gradients are not changed
        state           the other variables by name, one tensor for each parameter; those in
                        bfloat16 are rounded stochastically, see `rounding.py`
        values          the hyperparameters by name
        last            the last step size of each parameter; 0: it is new, nothing is to be closed
        inv_scale       the gradient is multiplied by it
        found_inf       if it is not 0, nothing is done
        seed, places, ticks  what stochastic rounding depends on: the place of each parameter in the
                        optimizer, and how many steps it has made

        Raises NoKernelError where this cannot be done, and ValueError where shapes do not fit or
        memory has been freed, before anything is changed.
        """
        if params and params[0].is_cuda:
            self._on_cuda().run(
                params, grads, state, values, h, last, maximize=maximize, inv_scale=inv_scale,
                found_inf=found_inf, seed=seed, places=places, ticks=ticks,
            )  # fmt: skip
            return
        if not params or (found_inf is not None and float(found_inf) != 0):
            return
        tensors = {"x": params, **{n: state[n] for n in self._dynamics.variables[1:]}, "g": grads}
        sizes = self._last(last, len(params))
        scale = (-1.0 if maximize else 1.0) * (1.0 if inv_scale is None else float(inv_scale))
        uniform = {SCALE: scale, STEP: float(h)}
        uniform |= {name: _number(name, values[name]) for name in self._dynamics.hyperparameters}
        pattern = _pattern(sizes)
        plan, pointers = self._plan_for(tensors, pattern)
        numbers = np.array(places, dtype=np.int64), np.array(ticks, dtype=np.int64)
        with torch.no_grad(), plan.layout.walked(tensors) as walked:
            copied = [name for name in tensors if walked[name] is not tensors[name]]
            pointers |= {name: addresses_of(walked[name]) for name in copied}
            for batch, member in plan.batches:
                batch.fill(pointers, {**uniform, LAST: sizes[member]}, seed, *numbers)
            run_together([batch for batch, _ in plan.batches])
        torch.autograd.graph.increment_version(params)

    def _plan_for(
        self, tensors: Tensors, pattern: Sequence["_Past"]
    ) -> tuple["_Plan", dict[str, np.ndarray]]:
        """What to do with tensors, and where they are."""
        seen = marks(tensors)
        if seen is not None and self._seen is not None and self._seen.marks == seen:
            pointers = addresses(tensors)
            if self._seen.pattern == pattern and self._seen.is_at(pointers):
                return self._seen.plan, pointers
        plan = self._plans.get((facts(tensors), pattern), lambda: self._planned(tensors, pattern))
        pointers = addresses(tensors)
        self._seen = None if seen is None else _Seen(seen, pattern, pointers, plan)
        return plan, pointers

    def _on_cuda(self) -> "TritonStep":
        if self._triton is None:
            from .triton_step import TritonStep

            self._triton = TritonStep(self._dynamics, self._closing, self._opening)
        return self._triton

    def _last(self, last: Sequence[float] | Tensor, count: int) -> list[float]:
        """One number if it is the same for all, or if it does not matter."""
        if not self._closing:
            return [0.0]
        sizes = last.tolist() if isinstance(last, Tensor) else last
        return [sizes[0]] if sizes.count(sizes[0]) == count else list(sizes)

    def _planned(self, tensors: Tensors, pattern: Sequence["_Past"]) -> "_Plan":
        """Which tensors go through which kernel."""
        check_shapes(self._dynamics, tensors)
        params, is_mixed = tensors["x"], len(pattern) > 1
        members: dict[tuple[Any, ...], list[int]] = {}
        for i, param in enumerate(params):
            past = pattern[i if is_mixed else 0]
            dtypes = tuple(_type(name, ts[i]) for name, ts in tensors.items())
            shape = self._trace(past.is_one, True).by_shape and param.ndim >= 2
            members.setdefault((past, shape, dtypes), []).append(i)
        batches = []
        for (past, shape, dtypes), places in members.items():
            kernel = self._kernel(past.is_one, shape, dtypes)
            if kernel.trace.is_shared and is_mixed:
                raise NoKernelError(
                    "parameters whose last steps had different sizes share a friction: "
                    "some are new, or had no gradient"
                )
            index = slice(None) if len(places) == len(params) else np.array(places)
            batches.append((Batch(kernel, [params[i] for i in places], index), past.member))
        in_rows = any(not batch.kernel.trace.is_flat for batch, _ in batches)
        return _Plan(batches, Layout(tensors, in_rows))

    def _trace(self, has_past: bool, is_matrix: bool) -> FusedTrace:
        key = has_past, is_matrix
        if key not in self._traces:
            closing = self._closing if has_past else ()
            self._traces[key] = trace_call(self._dynamics, closing, self._opening, is_matrix)
        return self._traces[key]

    def _kernel(self, has_past: bool, is_matrix: bool, dtypes: tuple[str, ...]) -> Kernel:
        key = has_past, is_matrix, dtypes
        if key not in self._kernels:
            trace = self._trace(has_past, is_matrix or not self._trace(has_past, True).by_shape)
            self._kernels[key] = Kernel(trace, dict(zip(trace.inputs, dtypes, strict=True)))
        return self._kernels[key]


@dataclass(frozen=True)
class _Plan:
    """Kernels for the tensors of a call, kept for the next call on tensors of that kind."""

    batches: list[tuple[Batch, int]]  # each with a tensor that has its last step size
    layout: Layout


@dataclass(frozen=True)
class _Seen:
    """The last call: most are made with the same tensors as the one before."""

    marks: list[list[Any]]
    pattern: Sequence["_Past"]
    pointers: Mapping[str, np.ndarray]
    plan: _Plan

    def is_at(self, pointers: Mapping[str, np.ndarray]) -> bool:
        """Whether x and the state are where they were."""
        names = (name for name in pointers if name != "g")
        return all(np.array_equal(pointers[name], self.pointers[name]) for name in names)


class _Past(NamedTuple):
    """The last step of a parameter: the first one that made a step of that size; if it made any."""

    member: int
    is_one: bool


def _pattern(sizes: Sequence[float]) -> list[_Past]:
    """Which of the last steps were equal, whatever their sizes."""
    first: dict[float, int] = {}
    return [_Past(first.setdefault(size, i), size != 0) for i, size in enumerate(sizes)]


def _type(name: str, t: Tensor) -> str:
    if t.device.type != "cpu":
        raise NoKernelError(f"{name} is on {t.device}; kernels in C are for the CPU")
    if t.dtype not in _TYPES or t.layout != torch.strided:
        raise NoKernelError(f"no kernel for {name} of type {t.dtype}")
    return _TYPES[t.dtype]


def _number(name: str, value: Any) -> float:
    if isinstance(value, Tensor) and value.numel() != 1:
        raise NoKernelError(
            f"{name} is not one number for the group; its shape is {tuple(value.shape)}"
        )
    return float(value)
