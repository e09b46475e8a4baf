"""Numbers from a device to a line of the log."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

_DIGITS = 6


def plain(found: Mapping[str, Any]) -> dict[str, Any]:
    """Tensors, in mappings of mappings, as (lists of) numbers with six digits.

    What is not finite is None. All leave the device at once: it is waited for one time only.
    """
    leaves = [*_leaves(found)]
    device = next((one.device for one in leaves if one.is_cuda), torch.device("cpu"))
    flat = [one.detach().flatten().to(device, torch.float64) for one in leaves]
    numbers = iter(torch.cat(flat).tolist() if flat else ())
    return _filled(found, numbers)


def _leaves(found: Mapping[str, Any]) -> Iterator[Tensor]:
    for value in found.values():
        if isinstance(value, Tensor):
            yield value
        else:
            yield from _leaves(value)


def _filled(found: Mapping[str, Any], numbers: Iterator[float]) -> dict[str, Any]:
    return {
        name: _shaped(value.shape, numbers)
        if isinstance(value, Tensor)
        else _filled(value, numbers)
        for name, value in found.items()
    }


def _shaped(shape: tuple[int, ...], numbers: Iterator[float]) -> Any:
    if shape:
        return [_shaped(shape[1:], numbers) for _ in range(shape[0])]
    value = next(numbers)
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
