"""Whether Triton runs kernels on a device, found out before anything depends on it."""

import warnings
from functools import cache

import torch

from .errors import NoKernelError
from .triton_code import function, has_triton, is_interpreted, kernels


def check_device(device: torch.device, what: str) -> None:
    """NoKernelError where Triton cannot launch a kernel on the device that `what` is on.

    Triton compiles what launches a kernel: it needs a C compiler and Python's headers, which a
    machine that only runs things may not have. A warning says so once.
    """
    if device.type != "cuda" and not is_interpreted():
        raise NoKernelError(f"{what} is on {device}; Triton's kernels run on CUDA")
    if not has_triton():
        raise NoKernelError("triton is not installed; it comes with torch for CUDA on Linux")
    if reason := _why_not():
        raise NoKernelError(reason)


@cache
def _why_not() -> str:
    """Why no kernel can be launched, by launching one that does nothing; empty if it can."""
    try:
        kernels(function("nothing", ["n"], ["    pass"], ["n"]))["nothing"][(1,)](0)
    except Exception as error:  # of the compiler, the linker or the driver
        last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        reason = f"Triton cannot launch a kernel: {last}"
        warnings.warn(f"dashpot computes more slowly: {reason}", RuntimeWarning, stacklevel=2)
        return reason
    return ""
