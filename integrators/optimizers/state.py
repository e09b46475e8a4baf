"""The state of a parameter: how it is made, kept, and loaded."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from ...dynamics import Dynamics
from .tensors import at_least_single, is_sharded, real_shape


def fresh(dynamics: Dynamics, name: str, param: Tensor, kept: torch.dtype | None) -> Tensor:
    """A variable of a parameter at its start, 0; those shaped like it are kept in the type `kept`.

    What is shaped like the parameter is laid out as it is, whether strided, complex or sharded.
    """
    if name in dynamics.scalars:
        return torch.zeros((), dtype=torch.float64, device=param.device)
    whole = real_shape(param)
    shape = dynamics.shape_of(name, whole)
    if shape == whole:
        dtype = kept or at_least_single(param.dtype)
        return torch.zeros_like(param, dtype=dtype, memory_format=torch.preserve_format)
    dtype = at_least_single(param.dtype).to_real()
    if is_sharded(param):
        return _sharded_zeros(param, shape, dtype)
    return torch.zeros(shape, dtype=dtype, device=param.device)


def _sharded_zeros(param: Tensor, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Cut as the parameter is along the axes that it has in common with it."""
    from torch.distributed.tensor import Replicate, zeros

    layout = cast(Any, param)
    whole = real_shape(param)
    placements = [
        Replicate() if placed.is_shard() and shape[placed.dim] != whole[placed.dim] else placed
        for placed in layout.placements
    ]
    return zeros(*shape, dtype=dtype, device_mesh=layout.device_mesh, placements=placements)


def restored(
    value: Any, name: str, param: Tensor, dynamics: Dynamics, kept: torch.dtype | None
) -> Any:
    """A saved value as this parameter keeps it: float32 or better, or in the type `kept`."""
    if not isinstance(value, Tensor):
        return value
    dtype = torch.promote_types(value.dtype, torch.float32)
    if name in dynamics.scalars:
        dtype = torch.float64
    elif kept is not None and name in dynamics.variables and value.shape == param.shape:
        dtype = kept
    return value.to(param.device, dtype, copy=True)


def shape_kept(dynamics: Dynamics, name: str, param: Tensor) -> tuple[int, ...]:
    """The shape of a variable in the state of a parameter; a complex one has complex momenta."""
    if name in dynamics.scalars:
        return ()
    whole = real_shape(param)
    shape = dynamics.shape_of(name, whole)
    return tuple(param.shape) if shape == whole else shape


def check_shapes(
    state_dict: Mapping[str, Any], groups: Iterable[Mapping[str, Any]], dynamics: Dynamics
) -> None:
    """ValueError for the state of parameters of other shapes."""
    for theirs, group in zip(state_dict["param_groups"], groups, strict=False):
        for place, (number, param) in enumerate(
            zip(theirs["params"], group["params"], strict=False)
        ):
            kept = state_dict["state"].get(number, {})
            for name in (name for name in dynamics.variables[1:] if name in kept):
                shape, found = shape_kept(dynamics, name, param), tuple(kept[name].shape)
                if found != shape:
                    names = group.get("param_names")
                    who = names[place] if names else f"parameter {place} of its group"
                    raise ValueError(
                        f"the loaded {name} of {who} has the shape {found}; a parameter of shape "
                        f"{tuple(param.shape)} has a {name} of shape {shape}"
                    )


def refilled(own: Any, value: Any, filled: dict[int, float]) -> Any:
    """A loaded setting; a tensor remains the same one, since a captured graph looks there.

    filled  what tensors hold by now, by id: two groups may share one and no longer agree
    """
    if not isinstance(own, Tensor):
        return value
    value = float(value)
    if filled.setdefault(id(own), value) != value:
        return torch.full_like(own, value, requires_grad=False)
    with torch.no_grad():
        return own.fill_(value)


def last_size(state: Mapping[str, Any]) -> float:
    """The last step size of a parameter, 0 where it is new."""
    return float(state.get("h", 0.0))


def check_origin(state_dict: Mapping[str, Any], word: str, dynamics: str) -> None:
    """ValueError for the state of another word or of another optimizer."""
    ours = f"the word {word} of {dynamics}"
    for group in state_dict["param_groups"]:
        theirs = "another optimizer"
        if "word" in group:
            theirs = f"the word {group['word']} of {group.get('dynamics')}"
        if theirs != ours:
            raise ValueError(f"this state is of {theirs}; this optimizer runs {ours}")


def check_numbers(state_dict: Mapping[str, Any], names: Sequence[str]) -> None:
    """ValueError where a group lacks its step size or a hyperparameter."""
    for place, group in enumerate(state_dict["param_groups"]):
        if lacking := [name for name in names if name not in group]:
            raise ValueError(f"group {place} of the loaded state has no {', '.join(lacking)}")


def refuse_sparse(group: Mapping[str, Any], grads: Sequence[Tensor | None]) -> None:
    """RuntimeError at a gradient that does not have every element."""
    layouts = {grad.layout for grad in grads if grad is not None}
    if not layouts - {torch.strided}:
        return
    for place, (param, grad) in enumerate(zip(group["params"], grads, strict=True)):
        if grad is not None and grad.layout is not torch.strided:
            raise RuntimeError(
                f"parameter {place} of the group (shape {tuple(param.shape)}) has a sparse "
                "gradient, which damped dynamics cannot use: momentum moves every coordinate. "
                "Make the layer with sparse=False"
            )
