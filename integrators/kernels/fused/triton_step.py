"""The call of an optimizer on CUDA: one launch for all tensors, and nothing that waits for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ....dynamics import Dynamics
from ...words.word import Substep
from ..errors import NoKernelError
from ..triton_device import check_device
from .checks import addresses, check_shapes
from .layout import Layout, Tensors, facts
from .recent import Recent
from .trace import SCALE, STEP, trace_call
from .triton_batch import Batch
from .triton_source import FusedText

_TYPES = {
    torch.float64: "float64",
    torch.float32: "float32",
    torch.bfloat16: "bfloat16",
    torch.float16: "float16",
}


class TritonStep:
    """`FusedStep` on CUDA, for variables that are shaped like x or a number of their tensor.

    Numbers that are tensors there (`h`, hyperparameters, `last`, `inv_scale`, `found_inf`) are
    read there: a call never waits, and can be captured in a CUDA graph, which then follows them;
    what is a Python number is a constant of the graph. With h = 0 nothing is changed. A call that
    is captured must come after one that was not, with the same parameters.
    """

    def __init__(
        self, dynamics: Dynamics, closing: Sequence[Substep], opening: Sequence[Substep]
    ) -> None:
        self._dynamics = dynamics
        pieces = [(closing, opening), ((), opening)] if closing else [((), opening)]
        self._traces = [trace_call(dynamics, *both, is_matrix=True) for both in pieces]
        self._plans: Recent[_Plan] = Recent()
        self._captured: set[_Plan] = set()  # whose tables CUDA graphs read

    def run(
        self,
        params: Sequence[Tensor],
        grads: Sequence[Tensor],
        state: Tensors,
        values: Mapping[str, Any],
        h: float | Tensor,
        last: Sequence[float | Tensor] | Tensor,
        *,
        maximize: bool = False,
        inv_scale: Tensor | None = None,
        found_inf: Tensor | None = None,
        seed: int = 0,
        places: Sequence[int] = (),
        ticks: Sequence[int] = (),
    ) -> None:
        """As `FusedStep.run`; `last` may be a tensor [n], or tensors [], on the device too."""
        if not params:
            return
        tensors = {"x": params, **{n: state[n] for n in self._dynamics.variables[1:]}, "g": grads}
        plan = self._plans.get(facts(tensors), lambda: self._planned(tensors))
        addresses(tensors)
        if params[0].is_cuda and torch.cuda.is_current_stream_capturing():
            self._captured.add(plan)
        sign = -1.0 if maximize else 1.0
        scale = sign if inv_scale is None else inv_scale.double() * sign
        given = {SCALE: scale, STEP: h, **{n: values[n] for n in self._dynamics.hyperparameters}}
        with torch.no_grad(), plan.layout.walked(tensors) as walked:
            if not isinstance(last, Tensor) and any(isinstance(one, Tensor) for one in last):
                last = torch.stack([torch.as_tensor(one, device=params[0].device) for one in last])
            for batch in plan.batches:
                batch.launch(walked, given, last, found_inf, seed, places, ticks)
        torch.autograd.graph.increment_version(params)

    def _planned(self, tensors: Tensors) -> "_Plan":
        """Which tensors go through which kernel."""
        if torch.cuda.is_available() and torch.cuda.is_current_stream_capturing():
            raise RuntimeError(
                "a step with tensors of this kind is captured in a CUDA graph before any was made: "
                "take one step outside the graph first"
            )
        check_shapes(self._dynamics, tensors)
        params = tensors["x"]
        members: dict[tuple[str, ...], list[int]] = {}
        for i, param in enumerate(params):
            check_device(param.device, "a parameter")
            for name, ts in tensors.items():
                if ts[i].device != params[0].device:
                    raise NoKernelError(
                        f"{name} is on {ts[i].device}, a parameter of the group on "
                        f"{params[0].device}"
                    )
            dtypes = tuple(_type(name, ts[i]) for name, ts in tensors.items())
            members.setdefault(dtypes, []).append(i)
        batches = [
            Batch(FusedText(self._traces, dict(zip(tensors, dtypes, strict=True))), params, mine)
            for dtypes, mine in members.items()
        ]
        return _Plan(batches, Layout(tensors, in_rows=False))


@dataclass(frozen=True, eq=False)
class _Plan:
    """Kernels for the tensors of a call, kept for the next call on tensors of that kind."""

    batches: list[Batch]
    layout: Layout


def _type(name: str, t: Tensor) -> str:
    if t.dtype not in _TYPES or t.is_sparse:
        raise NoKernelError(f"no kernel for {name} of type {t.dtype}")
    return _TYPES[t.dtype]
