"""The call of an optimizer as one kernel: every tensor is read once and written once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ....dynamics import Dynamics
from ...words.word import Substep
from ..errors import NoKernelError
from .batch import Batch, Kernel, run_together
from .layout import Layout, Tensors
from .trace import FusedTrace, trace_call

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
    what else is in the group (but for KFAD's one friction).
    """

    def __init__(
        self, dynamics: Dynamics, closing: Sequence[Substep], opening: Sequence[Substep]
    ) -> None:
        self._dynamics, self._closing, self._opening = dynamics, tuple(closing), tuple(opening)
        self._traces: dict[tuple[bool, bool], FusedTrace] = {}
        self._kernels: dict[tuple[Any, ...], Kernel] = {}
        self._plan: _Plan | None = None
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

        Raises NoKernelError where this cannot be done, before anything is changed.
        """
        if params and params[0].is_cuda:
            self._on_cuda().run(
                params, grads, state, values, h, last, maximize=maximize, inv_scale=inv_scale,
                found_inf=found_inf, seed=seed, places=places, ticks=ticks,
            )  # fmt: skip
            return
        if not params or (found_inf is not None and float(found_inf) != 0):
            return
        sizes = self._last(last, len(params))
        variables = {"x": params, **{n: state[n] for n in self._dynamics.variables[1:]}}
        scale = (-1.0 if maximize else 1.0) * (1.0 if inv_scale is None else float(inv_scale))
        uniform = {"scale": scale, "h": float(h)}
        uniform |= {name: _number(name, values[name]) for name in self._dynamics.hyperparameters}
        here = {name: _addresses(tensors) for name, tensors in variables.items()}
        plan = self._plan
        if plan is None or not plan.fits(variables, grads, sizes, here):
            plan = self._plan = self._planned(variables, grads, sizes)
        plan.here = here
        numbers = np.array(places, dtype=np.int64), np.array(ticks, dtype=np.int64)
        with torch.no_grad(), plan.layout.walked(variables, grads) as tensors:
            is_copied = tensors["x"] is not params
            new = tensors if is_copied else {"g": tensors["g"]}
            pointers = here | {name: _addresses(ts) for name, ts in new.items()}
            for batch, member in plan.batches:
                batch.fill(pointers, {**uniform, "last": sizes[member]}, seed, *numbers)
            run_together([batch for batch, _ in plan.batches])
        torch.autograd.graph.increment_version(params)

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

    def _planned(
        self, variables: Tensors, grads: Sequence[Tensor], last: Sequence[float]
    ) -> "_Plan":
        """Which tensors go through which kernel."""
        lists = {**variables, "g": grads}
        members: dict[tuple[Any, ...], list[int]] = {}
        for i, param in enumerate(variables["x"]):
            size = last[i if len(last) > 1 else 0]
            dtypes = tuple(_type(name, tensors[i]) for name, tensors in lists.items())
            shape = self._trace(size != 0, True).by_shape and param.ndim >= 2
            members.setdefault((size, shape, dtypes), []).append(i)
        batches = []
        for (size, shape, dtypes), places in members.items():
            kernel = self._kernel(size != 0, shape, dtypes)
            if kernel.trace.is_shared and len(last) > 1:
                raise NoKernelError(
                    "parameters whose last steps had different sizes share a friction: "
                    "some are new, or had no gradient"
                )
            is_whole = len(places) == len(variables["x"])
            index = slice(None) if is_whole else np.array(places)
            batch = Batch(kernel, [variables["x"][i] for i in places], index)
            batches.append((batch, places[0] if len(last) > 1 else 0))
        in_rows = any(not batch.kernel.trace.is_flat for batch, _ in batches)
        return _Plan(batches, Layout(variables, in_rows), list(last), [g.dtype for g in grads])

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


@dataclass
class _Plan:
    """Kernels for the tensors of a call, kept for the next call on the same tensors."""

    batches: list[tuple[Batch, int]]  # each with a tensor that has its last step size
    layout: Layout
    last: list[float]
    grad_types: list[torch.dtype]
    here: dict[str, np.ndarray] = field(default_factory=dict)  # where the variables were

    def fits(
        self,
        variables: Tensors,
        grads: Sequence[Tensor],
        last: Sequence[float],
        here: Mapping[str, np.ndarray],
    ) -> bool:
        if len(last) == len(self.last) == 1:
            is_same = (last[0] != 0) == (self.last[0] != 0)
        else:
            is_same = last == self.last
        return (
            is_same
            and self.layout.holds(variables)
            and [g.dtype for g in grads] == self.grad_types
            and (self._are(here) or self.layout.fits(variables))
        )

    def _are(self, here: Mapping[str, np.ndarray]) -> bool:
        """Whether all variables are where they were; tensors can be given other memory."""
        return all(np.array_equal(here[name], known) for name, known in self.here.items())


def _addresses(tensors: Sequence[Tensor]) -> np.ndarray:
    return np.fromiter(map(Tensor.data_ptr, tensors), np.int64, len(tensors))


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
