"""What an optimizer keeps for its parameters, and how it is saved and loaded."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from ...dynamics import Dynamics
from ..noise.parameters import ParameterNoise
from ..words.word import Substep, Word
from .options import IMPLEMENTATION, kept_type, number
from .state import check_numbers, check_origin, check_shapes, fresh, refilled, restored


class Places:
    """Where parameters stand among all of an optimizer; counted once, if anyone asks."""

    def __init__(self, groups: Iterable[Mapping[str, Any]]) -> None:
        self._groups = groups
        self._places: dict[Tensor, int] = {}

    def __call__(self, params: Iterable[Tensor]) -> list[int]:
        if not self._places:
            everyone = chain.from_iterable(group["params"] for group in self._groups)
            self._places = {param: place for place, param in enumerate(everyone)}
        return [self._places[param] for param in params]


class StateOptimizer(torch.optim.Optimizer):
    """An optimizer that keeps the variables of a dynamics, by parameter and by their names."""

    dynamics: Dynamics
    word: Word
    closing: Sequence[Substep]
    noise: ParameterNoise | None

    def _impulse(self, group: Mapping[str, Any]) -> Any:
        """p/∇f at a parameter's first step; None where it starts at rest."""
        return 1.0 if group["momentum_init"] == "gradient" else None

    def _prepare(self, group: Mapping[str, Any], params: Sequence[Tensor]) -> list[dict[str, Any]]:
        """The state of parameters; where it is new it is made, all of it, whatever lr is."""
        counted = self.noise is not None or group["state_dtype"] is not None
        sized = bool(self.closing) or self._impulse(group) is not None
        names = [*self.dynamics.variables[1:], *["h"] * sized, *["steps"] * counted]
        states = [self.state[param] for param in params]
        if sized:
            for state in states:
                if state and "h" not in state:  # saved when this word did not ask for it
                    state["h"] = number(group["lr"])
        for name in names:
            for param, state in zip(params, states, strict=True):
                if name not in state:
                    state[name] = self._fresh(name, param, group)
        return states

    def _fresh(self, name: str, param: Tensor, group: Mapping[str, Any]) -> Any:
        if name in ("h", "steps"):
            return 0.0 if name == "h" else 0
        if name in self.dynamics.scalars and name != "t":
            for other in group["params"]:  # a late parameter joins the friction of its group
                if name in self.state.get(other, {}):
                    return self.state[other][name].to(param.device, copy=True)
        return fresh(self.dynamics, name, param, kept_type(group))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As torch's, but state keeps the precision it was saved with (float32 at least).

        How is computed (`foreach`, `fused`, `capturable`, `differentiable`, `state_dtype`) stays
        as it is here; an lr or hyperparameter that is a tensor remains that tensor, with the loaded
        value. Raises ValueError, before anything is changed, for the state of another word, of
        another optimizer, or of parameters of other shapes.
        """
        before = [{**group} for group in self.param_groups]
        filled: dict[int, float] = {}
        loaded: dict[str, Any] = {}

        def look(_: Any, given: dict[str, Any]) -> None:  # after all hooks of the user's
            check_origin(given, self.word.text, self.dynamics.name)
            check_numbers(given, ("lr", *self.dynamics.hyperparameters))
            check_shapes(given, self.param_groups, self.dynamics)
            loaded.update(given)

        def restore(_: Any) -> None:  # before all hooks of the user's
            ids = chain.from_iterable(group["params"] for group in loaded["param_groups"])
            for group, own in zip(self.param_groups, before, strict=True):
                group.update({name: own[name] for name in IMPLEMENTATION})
                if "noise" not in own:
                    group.pop("noise", None)
                else:
                    group.setdefault("noise", own["noise"])
                for name in ("lr", "weight_decay", *self.dynamics.hyperparameters):
                    group[name] = refilled(own[name], group[name], filled)
                for param in group["params"]:
                    for name, value in loaded["state"].get(next(ids), {}).items():
                        kept = restored(value, name, param, self.dynamics, kept_type(own))
                        self.state[param][name] = kept

        hooks = (
            self.register_load_state_dict_pre_hook(look),
            self.register_load_state_dict_post_hook(restore, prepend=True),
        )
        try:
            super().load_state_dict(state_dict)
        finally:
            for hook in hooks:
                hook.remove()

    def _share(self, group: Mapping[str, Any], moved: Sequence[Tensor]) -> None:
        """Parameters without a gradient keep the friction of their group."""
        if len(moved) == len(group["params"]):
            return
        for name in self.dynamics.scalars:
            for param in group["params"] if name != "t" else ():
                if param.grad is None and name in self.state.get(param, {}):
                    self.state[param][name].copy_(self.state[moved[0]][name])
