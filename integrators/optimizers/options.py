"""The settings of an optimizer and of its parameter groups, checked."""

from collections.abc import Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import Any, Literal, TypedDict

import numpy as np
import torch
from torch import Tensor

from ...dynamics import Dynamics
from ...dynamics.momentum.checks import is_finite
from ..noise.noise import Noise
from ..words.word import Word

MomentumInit = Literal["zero", "gradient"]


class Common(TypedDict, total=False):
    """Keywords that every optimizer takes; `WordOptimizer` says what they mean."""

    word: str | Word | None
    weight_decay: float | Tensor
    momentum_init: MomentumInit
    maximize: bool
    noise: int | None
    foreach: bool | None
    fused: bool | None
    capturable: bool
    differentiable: bool
    state_dtype: torch.dtype | str | None


IMPLEMENTATION: dict[str, Any] = {
    "foreach": None,
    "fused": None,
    "capturable": False,
    "differentiable": False,
    "state_dtype": None,
}
"""How, not what, is computed, unless it is said: a loaded state does not change it."""

_OF_ALL = ("differentiable", "state_dtype")  # the same for every group


def seed_of(dynamics: Dynamics, noise: int | None, state_dtype: str | None) -> Any:
    """The setting `noise` of a group, where it has one; ValueError where a seed is missing."""
    if not dynamics.is_noisy and state_dtype is None:
        if noise is not None:
            raise ValueError(f"{dynamics.name} has no noise; leave out noise={noise!r}")
        return {}
    if noise is None:
        if dynamics.is_noisy:
            raise ValueError(f"{dynamics.name} has noise: give a seed, such as noise=1")
        noise = 0
    return {"noise": Noise(noise).seed}


def without_repeated(
    given: Mapping[str, Any], fixed: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """The settings of a group, but for those of the optimizer that it repeats, as wrappers do.

    fixed  what cannot be changed for a group, as it was given to the optimizer
    """
    group = dict(given)
    for name, own in fixed.items():
        if name in group and group[name] in (None, own, defaults.get(name, own)):
            del group[name]
        elif name == "word" and name in group:
            raise ValueError(
                f"all groups run the word {defaults[name]}; a group asks for {group[name]!r}"
            )
        elif name in group:
            raise ValueError(f"{name!r} is not per group; give it to the optimizer")
    if group.get("noise", 0) is None:
        del group["noise"]
    if "state_dtype" in group:
        group["state_dtype"] = name_of_type(group["state_dtype"])
    return group


def check_group(
    group: Mapping[str, Any],
    given: Mapping[str, Any],
    dynamics: Dynamics,
    defaults: Mapping[str, Any],
) -> None:
    """ValueError for settings of a group that are out of range or do not fit together.

    group     all of its settings
    given     those that were given for this group
    defaults  those of the optimizer
    """
    _check_lr(group["lr"])
    _check_start(group["momentum_init"], dynamics)
    _check_names(given, dynamics, defaults)
    _check_hyperparameters(group, dynamics)
    _check_implementation(group, dynamics)
    for name in _OF_ALL:
        if name in defaults and group[name] != defaults[name]:
            raise ValueError(
                f"{name} is the same for all groups: {defaults[name]}; a group has {group[name]}"
            )


def _check_lr(lr: float | Tensor) -> None:
    value = number(lr) if isinstance(lr, Tensor) else lr
    if not (is_finite(value) and value >= 0):
        raise ValueError(f"lr must be a finite number >= 0; got {lr!r}")


def _check_start(momentum_init: Any, dynamics: Dynamics) -> None:
    if momentum_init not in ("zero", "gradient"):
        raise ValueError(f"momentum_init must be 'zero' or 'gradient'; got {momentum_init!r}")
    if momentum_init == "gradient" and "p" not in dynamics.variables:
        raise ValueError(f"momentum_init='gradient' needs a momentum p; {dynamics.name} has none")


def _check_names(given: Mapping[str, Any], dynamics: Dynamics, defaults: Mapping[str, Any]) -> None:
    if "noise" in given and "noise" not in defaults:
        raise ValueError(f"{dynamics.name} has no noise; a group has {given['noise']!r}")
    for key in set(given) - {"params", *defaults}:
        close = get_close_matches(key, [*dynamics.hyperparameters, "weight_decay"], 1, 0.8)
        if close:
            raise ValueError(f"a parameter group has {key!r}; did you mean {close[0]!r}?")


def _check_hyperparameters(group: Mapping[str, Any], dynamics: Dynamics) -> None:
    for name in dynamics.hyperparameters:
        value = group[name]
        if isinstance(value, Tensor) and value.ndim:
            raise ValueError(
                f"{name} must be one number for the whole group; got a tensor of shape "
                f"{tuple(value.shape)}"
            )
    for part in dynamics.parts.values():
        names = {f.name for f in fields(part)} & set(group)
        replace(part, **{name: group[name] for name in names})  # checks the ranges


def _check_implementation(group: Mapping[str, Any], dynamics: Dynamics) -> None:
    for name in ("maximize", *IMPLEMENTATION):
        allowed = (True, False, IMPLEMENTATION.get(name, False))
        if name != "state_dtype" and not any(group[name] is value for value in allowed):
            words = "True, False or None" if None in allowed else "True or False"
            raise ValueError(f"{name} must be {words}; got {group[name]!r}")
    chosen = [name for name in ("foreach", "fused", "capturable", "differentiable") if group[name]]
    for one, other in (
        ("foreach", "fused"),
        ("foreach", "differentiable"),
        ("fused", "differentiable"),
    ):
        if one in chosen and other in chosen:
            raise ValueError(f"{one}=True and {other}=True exclude each other; leave out one")
    if dynamics.is_noisy and {"fused", "capturable"} & set(chosen):
        raise ValueError(
            f"{dynamics.name} has noise, whose numbers are made on the CPU: leave out "
            f"{'fused' if 'fused' in chosen else 'capturable'}"
        )
    kept = group["state_dtype"]
    if kept is not None and {"capturable", "differentiable"} & set(chosen):
        raise ValueError(
            f"state_dtype={kept} is rounded stochastically, by a count of steps on the CPU: leave "
            f"out {'capturable' if 'capturable' in chosen else 'differentiable'}"
        )


def check_params(params: list[Tensor], group: Mapping[str, Any]) -> None:
    """ValueError for parameters that the settings do not fit, or of numbers that cannot move."""
    for place, param in enumerate(params):
        if not (param.is_complex() or (param.is_floating_point() and param.element_size() > 1)):
            raise ValueError(
                f"parameter {place} of the group (shape {tuple(param.shape)}) is of {param.dtype}; "
                "parameters must be floating-point numbers of 16 bits or more, or complex"
            )
        if param.layout is torch.strided and _overlaps(param):
            raise ValueError(
                f"parameter {place} of the group (shape {tuple(param.shape)}) has elements that "
                "share their memory (as after expand); clone() it"
            )
    if group["state_dtype"] is not None and any(p.is_complex() for p in params):
        raise ValueError(f"state_dtype={group['state_dtype']} is for real parameters only")


def _overlaps(t: Tensor) -> bool:
    return any(size > 1 and not step for size, step in zip(t.shape, t.stride(), strict=True))


def check_word(group: Mapping[str, Any], letters: str, gradients: int, backward: bool) -> None:
    """ValueError for a way of computing that a word does not allow."""
    if group["fused"] and gradients > 1:
        raise ValueError(
            f"the word {letters} takes {gradients} gradients a step, between which a fused kernel "
            "would have to stop: leave out fused"
        )
    if backward and (group["fused"] or group["capturable"]):
        raise ValueError(
            f"flows of the word {letters} run backwards, which must be looked at while they run: "
            f"leave out {'fused' if group['fused'] else 'capturable'}"
        )


def waits(group: Mapping[str, Any]) -> bool:
    """Whether the host may look at the step size, and wait for the device to tell it."""
    on_device = group["capturable"] or group["differentiable"]
    return not (on_device and isinstance(group["lr"], Tensor))


def name_of_type(state_dtype: Any) -> str | None:
    """The setting `state_dtype` as a group has it: a name, which every checkpoint can hold."""
    if state_dtype in (torch.bfloat16, "bfloat16"):
        return "bfloat16"
    if state_dtype is not None:
        raise ValueError(
            f"state_dtype must be None (float32 or better) or torch.bfloat16; got {state_dtype!r}"
        )
    return None


def kept_type(group: Mapping[str, Any]) -> torch.dtype | None:
    """The type in which a group keeps what is shaped like a parameter; None: float32 or better."""
    return None if group["state_dtype"] is None else torch.bfloat16


def plain(value: Any) -> Any:
    """A setting as a group keeps it: numpy's numbers as Python's, tensors of one number as 0-dim.

    A checkpoint can then be loaded with weights_only. The tensor is a view of the one given.
    """
    if isinstance(value, np.generic | np.ndarray) and value.size == 1:
        return value.item()
    if isinstance(value, Tensor) and value.ndim and value.numel() == 1:
        return value.reshape(())
    return value


def number(value: Any) -> float:
    """A setting as a number, also where it is a tensor."""
    if isinstance(value, Tensor):
        if value.numel() != 1:
            raise ValueError(f"expected one number; got a tensor of shape {tuple(value.shape)}")
        value = value.detach()
    return float(value)
