"""Two ways to write one optimizer: as a word of a dynamics, and as a class of torch.optim."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from ...dynamics import CADAM, CD, LDHD, Dynamics
from ..optimizer import WordOptimizer, optimizer

IDENTICAL = "the same iterates as {}, from the first step on"
ROUNDING = 1e-12  # relative; numbers that went through a conversion differ by less

_BY_NAME = (LDHD, CD, CADAM)  # `optim` has an optimizer of the same name
_ORDER = ("gamma", "alpha", "c", "eps")


@dataclass(frozen=True, eq=False)
class Equivalent:
    """How to run an optimizer of torch here.

    dynamics      what moves, for example LDHD(gamma)
    word          order of the letters in a step
    lr            step size h: the time that one step covers in the flow
    weight_decay  w of x' = −w x (decoupled, exact)
    kick          the run starts with p₀ = −kick h ∇f(x₀), not at rest; see `start`
    delay         calls by which the parameters lag behind those of torch's optimizer
    notes         what is identical, late, or approximate
    """

    dynamics: Dynamics
    word: str
    lr: float
    weight_decay: float = 0.0
    kick: float = 0.0
    delay: int = 0
    notes: tuple[str, ...] = ()

    def optimizer(self, params: Any) -> WordOptimizer:
        """The torch optimizer of dashpot, started at `kick`."""
        if self.kick:
            return KickedOptimizer(self, params)
        return optimizer(
            self.dynamics, params, self.lr, word=self.word, weight_decay=self.weight_decay
        )

    def start(self, x0: Any, gradient: Any) -> dict[str, Any]:
        """The first state for `simulate` and `solve`, given ∇f(x₀)."""
        return {"x": x0, "p": -self.kick * self.lr * gradient} if self.kick else {"x": x0}

    def code(self) -> str:
        """The line that makes the optimizer, every number to its last digit."""
        values = self.dynamics.hyperparameters
        plain = f"dynamics.{self.dynamics.name}({', '.join(_show(v) for v in values.values())})"
        if self.kick:
            made = {"word": self.word, "lr": self.lr, "kick": self.kick}
            return f"convert.Equivalent({plain}, {_arguments(made)}).optimizer(params)"
        common: dict[str, Any] = {"word": self.word}
        if self.weight_decay:
            common["weight_decay"] = self.weight_decay
        if not isinstance(self.dynamics, _BY_NAME):
            return f"optim.optimizer({plain}, params, {_arguments({'lr': self.lr, **common})})"
        named: dict[str, Any] = {name: values[name] for name in _ORDER if name in values}
        if "t" in self.dynamics.variables:
            named["bias_correction"] = True
        arguments = _arguments({"lr": self.lr, **named, **common})
        return f"optim.{self.dynamics.name}(params, {arguments})"


@dataclass(frozen=True)
class TorchEquivalent:
    """How to run a word of dashpot with torch's own class.

    name      of the class in torch.optim
    settings  its arguments
    delay     calls by which the word's parameters lag behind those of torch's optimizer
    notes     what is identical, late, or approximate
    """

    name: str
    settings: dict[str, Any]
    delay: int = 0
    notes: tuple[str, ...] = field(default=(), compare=False)

    def optimizer(self, params: Any) -> torch.optim.Optimizer:
        return getattr(torch.optim, self.name)(params, **self.settings)

    def code(self) -> str:
        """The line that makes the optimizer, every number to its last digit."""
        return f"torch.optim.{self.name}(params, {_arguments(self.settings)})"


class KickedOptimizer(WordOptimizer):
    """A word optimizer whose momentum starts at p₀ = −kick h ∇f(x₀), parameter by parameter.

    For words with one gradient a step. `kick` is an entry of every parameter group.
    """

    def __init__(self, made: Equivalent, params: Any) -> None:
        super().__init__(
            made.dynamics, params, made.lr, word=made.word, weight_decay=made.weight_decay
        )
        self.defaults["kick"] = made.kick
        for group in self.param_groups:
            group.setdefault("kick", made.kick)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            reach = float(group["lr"]) * group["kick"] * (1 if group["maximize"] else -1)
            for param in group["params"]:
                if param.grad is not None and "p" not in self.state.get(param, {}):
                    grad = param.grad.to(torch.promote_types(param.dtype, torch.float32))
                    self.state[param]["p"] = reach * grad
        super().step()
        return loss


def _arguments(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={_show(value)}" for name, value in values.items())


def _show(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_show, value))})"
    if isinstance(value, str):
        return f'"{value}"'
    return repr(value) if isinstance(value, bool) else repr(float(value))
