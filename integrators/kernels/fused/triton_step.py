"""The call of an optimizer on CUDA: one launch for all tensors, and nothing that waits for it."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ....dynamics import Dynamics
from ...words.word import Substep
from ..errors import NoKernelError
from ..triton_code import has_triton, is_interpreted
from .layout import Layout, Tensors
from .trace import trace_call
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
        self._batches: list[Batch] = []
        self._layout: Layout | None = None
        self._grad_types: list[torch.dtype] = []

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
        variables = {"x": params, **{n: state[n] for n in self._dynamics.variables[1:]}}
        layout = self._planned(variables, grads)
        sign = -1.0 if maximize else 1.0
        scale = sign if inv_scale is None else inv_scale.double() * sign
        given = {"scale": scale, "h": h, **{n: values[n] for n in self._dynamics.hyperparameters}}
        with torch.no_grad(), layout.walked(variables, grads) as tensors:
            if not isinstance(last, Tensor) and any(isinstance(one, Tensor) for one in last):
                last = torch.stack([torch.as_tensor(one, device=params[0].device) for one in last])
            for batch in self._batches:
                batch.launch(tensors, given, last, found_inf, seed, places, ticks)
        torch.autograd.graph.increment_version(params)

    def _planned(self, variables: Tensors, grads: Sequence[Tensor]) -> Layout:
        """Finds which tensors go through which kernel, anew when they are others."""
        types, layout = [g.dtype for g in grads], self._layout
        same_tensors = layout is not None and layout.holds(variables) and layout.fits(variables)
        if layout is not None and same_tensors and types == self._grad_types:
            return layout
        lists = {**variables, "g": grads}
        members: dict[tuple[str, ...], list[int]] = {}
        for i, param in enumerate(variables["x"]):
            _refuse_device(param.device)
            for name, tensors in lists.items():
                if tensors[i].device != param.device:
                    raise NoKernelError(f"{name} of a parameter on {param.device} is elsewhere")
            dtypes = tuple(_type(name, tensors[i]) for name, tensors in lists.items())
            members.setdefault(dtypes, []).append(i)
        self._batches = [
            Batch(FusedText(self._traces, dict(zip(lists, dtypes, strict=True))), variables["x"], m)
            for dtypes, m in members.items()
        ]
        self._layout, self._grad_types = Layout(variables, in_rows=False), types
        return self._layout


def _refuse_device(device: torch.device) -> None:
    if device.type != "cuda" and not is_interpreted():
        raise NoKernelError(f"a parameter is on {device}; these kernels are for CUDA")
    if not has_triton():
        raise NoKernelError("triton is not installed; it comes with torch for CUDA on Linux")


def _type(name: str, t: Tensor) -> str:
    if t.dtype not in _TYPES or t.is_sparse:
        raise NoKernelError(f"no kernel for {name} of type {t.dtype}")
    return _TYPES[t.dtype]
