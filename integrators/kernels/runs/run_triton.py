"""The Triton kernel that moves many trajectories through many steps at once."""

import torch
from torch import Tensor

from ....dynamics import Dynamics, State
from ...field import Field
from ...noise.draws import Source
from ...noise.noise import Noise
from ...words.word import Word
from ..recording.trace import StepTrace
from ..triton_code import element_type, kernels
from ..triton_device import check_device
from .advance import KernelAdvance, recorded
from .triton_source import EnsembleText

_BLOCK = 128  # trajectories of a program
_FEW = 12  # numbers in the state of a trajectory of which a thread can hold four


def run_in_triton(
    dynamics: Dynamics,
    landscape: Field,
    s: State,
    step: float | Tensor,
    plan: Word | None,
    method: str,
    source: Source | None,
) -> "TritonAdvance":
    """A kernel for states like `s`; `NoKernelError` where there is none."""
    check_device(s.x.device, "the state")
    trace = recorded(dynamics, landscape, s, step, plan, method, source)
    return TritonAdvance(trace, s.x.device, source and source.noise)


class TritonAdvance(KernelAdvance):
    """An `Advance` by a Triton kernel."""

    backend = "triton"

    def __init__(self, trace: StepTrace, device: torch.device, noise: Noise | None) -> None:
        text = EnsembleText(trace)
        super().__init__(trace, text.uniform, text.column, device, noise)
        self._kernel = kernels(text.text())["ensemble"]
        # normal numbers come by four: a thread that has four trajectories uses them all
        self._warps = 1 if trace.draws and len(trace.state) <= _FEW else _BLOCK // 32

    def _call(
        self,
        variables: dict[str, Tensor],
        stopped: Tensor,
        steps: int,
        every: int,
        saved: dict[str, Tensor],
    ) -> None:
        n = stopped.numel()
        if not n:
            return
        seed, trajectory = self._seed, self._trajectory
        seed = seed - 2**64 if seed >= 2**63 else seed
        x = variables["x"]
        programs = -(-(n + trajectory % 4) // _BLOCK)
        until = every - self.done % every if every else 0  # steps to the next that is saved
        rows = [saved.get(name, value) for name, value in variables.items()]
        with torch.cuda.device(x.device if x.is_cuda else -1):
            self._kernel[(programs,)](
                *variables.values(), *rows, stopped, self._uniform, *self._columns,
                n, self.done, steps, every, until, self.written, seed, trajectory,
                E=element_type(x.dtype), BLOCK=_BLOCK, num_warps=self._warps,
            )  # fmt: skip
            if x.is_cuda:
                torch.cuda.synchronize()
