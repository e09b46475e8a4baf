"""What must hold of tensors before a kernel, which looks at nothing, may read and write them."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from ....dynamics import Dynamics
from .layout import Tensors


def check_shapes(dynamics: Dynamics, tensors: Tensors) -> None:
    """ValueError where a gradient or a state has not the shape that its parameter asks for."""
    for i, x in enumerate(tensors["x"]):
        shape = tuple(x.shape)
        for name, ts in tensors.items():
            expected = shape if name in ("x", "g") else _shape_of(dynamics, name, shape)
            if (found := tuple(ts[i].shape)) != expected:
                remedy = "load or make the state of this parameter" if name != "g" else (
                    "compute it for the parameter as it is now"
                )  # fmt: skip
                raise ValueError(
                    f"{_called(i, x)} has {_what(name)} of shape {found} where {expected} is "
                    f"needed; {remedy}"
                )


def addresses(tensors: Tensors) -> dict[str, np.ndarray]:
    """Where tensors are; ValueError for one whose memory has been given back."""
    found = {name: addresses_of(ts) for name, ts in tensors.items()}
    for name, places in found.items():
        if places.all():
            continue
        for i in np.flatnonzero(places == 0).tolist():
            if tensors[name][i].numel():
                raise ValueError(
                    f"{_called(i, tensors['x'][i])}: {_what(name)} has no memory, it was "
                    "freed (as untyped_storage().resize_(0) does); bring it back before step()"
                )
    return found


def addresses_of(tensors: Sequence[Tensor]) -> np.ndarray:
    return np.fromiter(map(Tensor.data_ptr, tensors), np.int64, len(tensors))


def _shape_of(dynamics: Dynamics, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    return () if name in dynamics.scalars else tuple(dynamics.shape_of(name, shape))


def _called(place: int, x: Tensor) -> str:
    return f"parameter {place} of those of its group with a gradient (shape {tuple(x.shape)})"


def _what(name: str) -> str:
    return {"x": "the parameter", "g": "a gradient"}.get(name, f"a state {name!r}")
