"""What an optimizer keeps for its parameters, and how it is saved and loaded."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from ...dynamics import Dynamics
from ..noise.parameters import ParameterNoise
from ..words.word import Substep, Word
from .options import IMPLEMENTATION, kept_type
from .state import check_origin, fresh, refuse_sparse, restored


class StateOptimizer(torch.optim.Optimizer):
    """An optimizer that keeps the variables of a dynamics, by parameter and by their names."""

    dynamics: Dynamics
    word: Word
    closing: Sequence[Substep]
    noise: ParameterNoise | None

    def _impulse(self, group: Mapping[str, Any]) -> Any:
        """p/∇f at a parameter's first step; None where it starts at rest."""
        return 1.0 if group["momentum_init"] == "gradient" else None

    def _prepare(self, group: Mapping[str, Any], params: Iterable[Tensor]) -> None:
        """Make the state of parameters where it is new, all of it, whatever lr is."""
        counted = self.noise is not None or group["state_dtype"] is not None
        sized = bool(self.closing) or self._impulse(group) is not None
        names = [*self.dynamics.variables[1:], *["h"] * sized, *["steps"] * counted]
        for param in params:
            refuse_sparse(param, group)
            state = self.state[param]
            for name in names:
                if name not in state:
                    state[name] = self._fresh(name, param, group)

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
        as it is here. Raises ValueError for the state of another word or of another optimizer.
        """
        ways = [{name: group[name] for name in IMPLEMENTATION} for group in self.param_groups]
        seeds = [group.get("noise") for group in self.param_groups]
        loaded: dict[str, Any] = {}

        def look(_: Any, given: dict[str, Any]) -> None:  # after all hooks of the user's
            check_origin(given, self.word.text, self.dynamics.name)
            loaded.update(given)

        def restore(_: Any) -> None:  # before all hooks of the user's
            ids = chain.from_iterable(group["params"] for group in loaded["param_groups"])
            for group, way, seed in zip(self.param_groups, ways, seeds, strict=True):
                group.update(way)
                if seed is None:
                    group.pop("noise", None)
                else:
                    group.setdefault("noise", seed)
                for param in group["params"]:
                    for name, value in loaded["state"].get(next(ids), {}).items():
                        kept = restored(value, name, param, self.dynamics, kept_type(way))
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

    def _places(self, params: Sequence[Tensor]) -> list[int]:
        """Where parameters stand among all of the optimizer."""
        everyone = chain.from_iterable(group["params"] for group in self.param_groups)
        places = {param: place for place, param in enumerate(everyone)}
        return [places[param] for param in params]

    def _share(self, group: Mapping[str, Any], moved: Sequence[Tensor]) -> None:
        """Parameters without a gradient keep the friction of their group."""
        if len(moved) == len(group["params"]):
            return
        for name in self.dynamics.scalars:
            for param in group["params"] if name != "t" else ():
                if param.grad is None and name in self.state.get(param, {}):
                    self.state[param][name].copy_(self.state[moved[0]][name])
