"""How parameters and their state are computed with: as real tensors of what is here."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from ..bundle import Sums
from ..kernels.fused.layout import order_of


def computable(tensor: Tensor) -> Tensor:
    """The part of a DTensor that is here, and complex numbers as pairs of real ones: a view."""
    if is_sharded(tensor):
        tensor = cast(Any, tensor).to_local()
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def as_found(value: Tensor, like: Tensor) -> Tensor:
    """The inverse of `computable`, for a new value of the tensor `like`."""
    if like.is_complex():
        value = torch.view_as_complex(value.contiguous())
    if is_sharded(like):
        dtensor, layout = cast(Any, type(like)), cast(Any, like)
        return dtensor.from_local(
            value, layout.device_mesh, layout.placements, shape=like.shape, stride=like.stride()
        )
    return value


def gradient_of(param: Tensor) -> Tensor:
    """The gradient of a parameter, laid out as the parameter is."""
    grad = cast(Tensor, param.grad)
    if is_sharded(param) and is_sharded(grad):
        mine, theirs = cast(Any, param), cast(Any, grad)
        if theirs.placements != mine.placements:
            grad = theirs.redistribute(mine.device_mesh, mine.placements)
    return computable(grad)


def real_shape(param: Tensor) -> tuple[int, ...]:
    """The shape in which a whole parameter is computed with."""
    return (*param.shape, 2) if param.is_complex() else tuple(param.shape)


def at_least_single(dtype: torch.dtype) -> torch.dtype:
    """The type itself, but float32 (complex64) at least."""
    return torch.promote_types(dtype, torch.float32)


def is_sharded(tensor: Tensor) -> bool:
    """Whether it is a DTensor; asked in this way, torch.distributed need not be there."""
    return hasattr(tensor, "placements")


def sharded_among(tensors: Iterable[Tensor]) -> list[Tensor]:
    """The DTensors; what is of the same plain type is asked once."""
    tensors = list(tensors)
    plain = {kind for kind in set(map(type, tensors)) if not hasattr(kind, "placements")}
    return [t for t in tensors if type(t) not in plain]


def sums_of(params: Sequence[Tensor]) -> Sums | None:
    """How sums over DTensors are taken; None if there are none."""
    return _ShardedSums(params) if any(map(is_sharded, params)) else None


class _ShardedSums(Sums):
    """Sums over the shards of DTensors: added up over the ranks that have different ones."""

    def __init__(self, params: Sequence[Tensor]) -> None:
        self._params = params

    def totals(self, sums: list[Tensor]) -> list[Tensor]:
        meshes: dict[Any, list[int]] = {}  # one message for all tensors that are cut alike
        for place, param in enumerate(self._params):
            meshes.setdefault(_cuts(param), []).append(place)
        whole = []
        for cuts, places in meshes.items():
            here = torch.stack([sums[place] for place in places]).sum()
            whole.append(_added(here, [cut for cut, _ in cuts]))
        return whole

    def mean(self, tensor: Tensor, place: int, axes: tuple[int, ...]) -> Tensor:
        if not axes:
            return tensor
        if not self._params[place].numel():
            return torch.zeros_like(tensor.sum(dim=axes, keepdim=True))
        cuts = [cut for cut in _cuts(self._params[place]) if cut[1] in axes]
        whole, cut_axes = real_shape(self._params[place]), {axis for _, axis in cuts}
        sizes = [whole[axis] if axis in cut_axes else tensor.shape[axis] for axis in axes]
        here = tensor.sum(dim=axes, keepdim=True)
        return _added(here, [group for group, _ in cuts]) / math.prod(sizes)


def _cuts(param: Tensor) -> tuple[tuple[Any, int], ...]:
    """(group of ranks, axis) for every dimension of the mesh along which a parameter is cut."""
    if not is_sharded(param):
        return ()
    layout = cast(Any, param)
    placed = enumerate(layout.placements)
    return tuple(
        (layout.device_mesh.get_group(dim), placement.dim)
        for dim, placement in placed
        if not placement.is_replicate()
    )


def _added(here: Tensor, groups: Sequence[Any]) -> Tensor:
    for group in groups:
        torch.distributed.all_reduce(here, group=group)
    return here


def numbering(
    param: Tensor, kept: Mapping[str, Tensor], in_rows: bool
) -> tuple[tuple[int, ...], int]:
    """How the elements of the whole parameter are counted: strides, and the first one here.

    kept     its variables, if they are here as wholes
    in_rows  whether a kernel has to walk along rows
    """
    if not is_sharded(param):
        return order_of(kept, in_rows), 0
    strides = order_of({"x": param}, in_rows)
    return strides, sum(o * s for o, s in zip(_window(param)[1], strides, strict=True))


def shard_of(param: Tensor) -> Callable[[Tensor], Tensor]:
    """What cuts from a tensor shaped like the whole parameter the part that is here."""
    if not is_sharded(param):
        return lambda whole: whole
    shape, offset = _window(param)
    window = tuple(slice(o, o + n) for o, n in zip(offset, shape, strict=True))
    return lambda whole: whole[window]


def _window(param: Tensor) -> tuple[Sequence[int], Sequence[int]]:
    """The shape of what is here, and where it begins in the whole."""
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    layout = cast(Any, param)
    return compute_local_shape_and_global_offset(
        layout.shape, layout.device_mesh, layout.placements
    )
