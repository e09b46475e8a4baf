"""The optimizers that are compared, and how each is made.

    METHODS["CD"].build(network.named_parameters(), {"lr": 0.5, "gamma": 0.004, "c": 2e5})

One of your own is added as `METHODS["Name"] = method_of(...)`.
Where their hyperparameters are sought: `search.py`; which ones are published: `published.py`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch.optim import Optimizer

from ...dynamics import Dynamics
from ...integrators import optim
from .muon import Muon
from .two_frictions import both

Hyperparameters: TypeAlias = dict[str, float]
Parameters: TypeAlias = Iterable[Any]
Build: TypeAlias = Callable[[Parameters, Mapping[str, Any]], Optimizer]


@dataclass(frozen=True)
class Method:
    """An optimizer of the studies, and how it is made.

    build    optimizer from (parameters, named or not; hyperparameters and other settings)
    names    the hyperparameters `build` wants
    defaults of those that may be left out
    others   what else it takes: `weight_decay`, and `word` where there are words

    Weight decay reaches all parameters, biases and norms among them. It acts on the weights, by
    e^{−wh} a step in ours, by 1 − lr w in AdamW, NAdamW and Muon; in SGD, Nesterov and Adam it
    adds w x to the gradient.
    """

    build: Build
    names: tuple[str, ...]
    others: tuple[str, ...] = ("weight_decay",)
    defaults: Mapping[str, float] = field(default_factory=dict)


def _word(cls: Callable[..., Optimizer], *names: str) -> Method:
    """One of ours, by its hyperparameters besides lr."""

    def build(params: Parameters, v: Mapping[str, Any]) -> Optimizer:
        return cls(params, **v)

    return Method(build, ("lr", *names), ("weight_decay", "word"))


def method_of(make: Callable[..., Dynamics], *names: str) -> Method:
    """The optimizer of any dynamics, by its hyperparameters besides lr.

        def quintic(gamma, k):
            return Dynamics(Drift(), Kick(), LinearDamping(gamma), Quintic(k), word="BQDA")

        METHODS["Quintic"] = method_of(quintic, "gamma", "k")

    make   dynamics from these hyperparameters, by name
    names  of the hyperparameters
    """

    def build(params: Parameters, v: Mapping[str, Any]) -> Optimizer:
        others = {name: value for name, value in v.items() if name not in names}
        return optim.optimizer(make(**{name: v[name] for name in names}), params, **others)

    return Method(build, ("lr", *names), ("weight_decay", "word"))


def _torch(
    cls: Callable[..., Optimizer], *names: str, way: str = "fused", **settings: Any
) -> Method:
    """One of torch's, β₁ and β₂ by themselves; it runs in this way unless told another."""

    def build(params: Parameters, v: Mapping[str, Any]) -> Optimizer:
        given = {**settings, **defaults, **v}
        if not {"fused", "foreach", "capturable", "differentiable"} & {*v}:
            given[way] = True
        if "beta1" in given:
            given["betas"] = (given.pop("beta1"), given.pop("beta2"))
        return cls(params, **given)

    defaults = {name: value for name, value in _DEFAULTS.items() if name in names}
    return Method(build, ("lr", *names), defaults=defaults)


_DEFAULTS = {"beta1": 0.9, "beta2": 0.999}  # torch's own
_FAD = ("gamma", "alpha", "mu")
_BETAS = (*_DEFAULTS,)

METHODS: dict[str, Method] = {
    "LDHD": _word(optim.LDHD, "gamma"),
    "KFAD": _word(optim.KFAD, *_FAD),
    "IKFAD": _word(optim.IKFAD, *_FAD),
    "RIKFAD": _word(optim.RIKFAD, *_FAD),
    "CD": _word(optim.CD, "gamma", "c"),
    "IKFAD+cubic": method_of(both, *_FAD, "c"),
    "CADAM": _word(optim.CADAM, "gamma", "alpha", "c"),
    "SGD": _torch(torch.optim.SGD, "momentum"),
    "Nesterov": _torch(torch.optim.SGD, "momentum", nesterov=True),
    "Adam": _torch(torch.optim.Adam, *_BETAS),
    "AdamW": _torch(torch.optim.AdamW, *_BETAS, weight_decay=0.0),
    "NAdamW": _torch(torch.optim.NAdam, *_BETAS, way="foreach", decoupled_weight_decay=True),
    "Muon": _torch(Muon, "momentum", "adamw_lr"),
}
"""The optimizers by name, ours with their default word (the published one).

Torch's run in one kernel (`fused`) on every device, as ours do from 100,000 elements or 16 tensors
on; NAdam, which has none, runs by one operation for all tensors (`foreach`). Muon's matrices go
one by one: torch has no other way.
"""
