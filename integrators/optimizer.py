"""A dynamics and a word as a torch optimizer."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from itertools import chain
from typing import Any, Literal

import torch
from torch import Tensor

from ..dynamics import Dynamics, Part, State, WeightDecay
from .bundle import Bundle, is_zero, step_sizes
from .step import apply
from .word import Substep, Word

MomentumInit = Literal["zero", "gradient"]


class WordOptimizer(torch.optim.Optimizer):
    """Runs a word of a dynamics on parameters, with the loss gradient as −force.

    The step size h is called `lr`. A call of `step()` has the gradient at the present point, so
    the word is cut where the gradient is first needed: the call does the closing piece of the
    last step (with the last h) and then the opening piece of the next one; the first call does
    the opening piece only, which keeps symmetric words at order 2. `BCDADCB` thus runs as
    `B | BCDADC`. A word that starts with its kick and has one kick has no closing piece. For a
    word with the kick in the middle the parameters sit at the points where gradients are taken.
    A word that needs several gradients a step takes a closure.

    dynamics       the dynamics whose parts are applied
    params         parameters or parameter groups; a group may have its own lr, weight_decay,
                   momentum_init, maximize and hyperparameters of the dynamics
    lr             step size h >= 0. With lr = 0 a step changes nothing
    word           order of the letters; None: the dynamics' default word
    weight_decay   w >= 0 in x' = −w x, applied exactly before the first drift, unless the word
                   places W itself
    momentum_init  "zero"; or "gradient" for p = +∇f at the first step, as the code published
                   with the paper does although its drift adds +h p: its first step climbs.
                   Only for reproducing that code
    maximize       climb instead of descend

    State, by parameter, under the variables' names (`p`, `xi`, `zeta`, `t`; and `h`, the last
    step size, where the word has a closing piece). It is float32 or better whatever the
    parameters are, also after `load_state_dict`. KFAD's xi is one number per parameter group,
    kept as equal copies. Gradients are never modified.

    Raises ValueError for hyperparameters out of range and words that do not fit, RuntimeError
    at a sparse gradient or a missing closure.
    """

    def __init__(
        self,
        dynamics: Dynamics,
        params: Any,
        lr: float | Tensor,
        *,
        word: str | Word | None = None,
        weight_decay: float = 0.0,
        momentum_init: MomentumInit = "zero",
        maximize: bool = False,
    ) -> None:
        if not isinstance(dynamics, Dynamics):
            raise TypeError(_not_a_dynamics(dynamics))
        text = Word(dynamics.word if word is None else word)
        if "W" not in text.letters:
            Word(text, dynamics)  # complains about the word as it was written
        if "W" not in dynamics.parts:
            dynamics = dynamics.with_part(WeightDecay(weight_decay))
            if "W" not in text.letters:
                text = _insert_decay(text, dynamics)
        self.dynamics = dynamics
        self.word = Word(text, dynamics)
        self.needs_closure = self.word.gradients_per_step > 1
        substeps = self.word.substeps
        cut = len(substeps) if self.needs_closure else first_gradient_cut(substeps)
        self.opening, self.closing = substeps[:cut], substeps[cut:]
        defaults = {
            "lr": lr,
            **dynamics.hyperparameters,
            "weight_decay": weight_decay,
            "momentum_init": momentum_init,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group after checking its step size and hyperparameters (ValueError)."""
        group = {**self.defaults, **param_group}
        lr = float(group["lr"])
        if not (math.isfinite(lr) and lr >= 0):
            raise ValueError(f"lr must be a finite number >= 0; got {group['lr']}")
        if group["momentum_init"] not in ("zero", "gradient"):
            raise ValueError(
                f"momentum_init must be 'zero' or 'gradient'; got {group['momentum_init']!r}"
            )
        for part in self.dynamics.parts.values():
            names = {f.name for f in fields(part)} & set(group)
            replace(part, **{name: group[name] for name in names})  # checks the ranges
        super().add_param_group(param_group)
        for param in self.param_groups[-1]["params"]:
            if param.is_complex():
                raise ValueError("complex parameters are not supported; use torch.view_as_real")

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """One step of size lr. With a closure, it is called for the gradient and returned."""
        if self.needs_closure:
            return self._step_with_closure(closure)
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            bundle = self._gather(group)
            if bundle is None or float(group["lr"]) == 0:
                continue
            s, params = bundle
            h = float(group["lr"])
            dynamics = self.dynamics.bind(group)
            if self.closing:
                last = step_sizes([self.state[p].get("h", 0.0) for p in params], params)
                if not is_zero(last):
                    apply(_pieces(self.closing, dynamics, last), s, _no_gradient)
            apply(_pieces(self.opening, dynamics, h), s, _no_gradient)
            self._scatter(s, group, params, h)
        return loss

    def _step_with_closure(self, closure: Callable[[], Any] | None) -> Any:
        if closure is None:
            raise RuntimeError(
                f"the word {self.word.text} takes {self.word.gradients_per_step} gradients a "
                "step; call step(closure) with a closure that clears the gradients, computes "
                "the loss, calls backward() and returns the loss"
            )
        with torch.enable_grad():
            loss = closure()
        active = []
        for group in self.param_groups:
            bundle = self._gather(group)
            if bundle is not None and float(group["lr"]) != 0:
                active.append((group, *bundle, self.dynamics.bind(group)))

        def evaluate(_: Any) -> None:
            for _group, s, params, _dynamics in active:
                _write(params, s.x)
            with torch.enable_grad():
                closure()
            for group, s, params, _dynamics in active:
                s.g = self._gradients(group, params)

        for substep in self.opening:
            if substep.reads_gradient and any(s.g is None for _, s, _, _ in active):
                evaluate(None)
            for group, s, _params, dynamics in active:
                apply(_pieces([substep], dynamics, float(group["lr"])), s, _no_gradient)
        for group, s, params, _dynamics in active:
            self._scatter(s, group, params, float(group["lr"]))
        return loss

    def _gradients(self, group: Mapping[str, Any], params: Sequence[Tensor]) -> Bundle:
        grads = []
        for param in params:
            grad = param.grad
            if grad is None:
                raise RuntimeError("a gradient disappeared between two calls of the closure")
            grads.append(grad.to(_state_dtype(param)))
        bundle = Bundle(grads)
        return -bundle if group["maximize"] else bundle

    def _gather(self, group: dict[str, Any]) -> tuple[State, list[Tensor]] | None:
        """The state of a group's parameters that have gradients, made where it is new."""
        params = [p for p in group["params"] if p.grad is not None]
        if not params:
            return None
        for index, param in enumerate(group["params"]):
            if param.grad is not None and param.grad.is_sparse:
                raise RuntimeError(
                    f"parameter {index} of the group (shape {tuple(param.shape)}) has a sparse "
                    "gradient, which damped dynamics cannot use: momentum moves every coordinate. "
                    "Make the layer with sparse=False"
                )
        gradients = self._gradients(group, params)
        for param, grad in zip(params, gradients.tensors, strict=True):
            if "p" not in self.state[param]:
                self._start(param, grad, group)
        variables = {
            name: Bundle([self.state[param][name] for param in params])
            for name in self.dynamics.variables
            if name != "x"
        }
        return State({"x": Bundle(params), **variables, "g": gradients}), params

    def _start(self, param: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state = self.state[param]
        for name in self.dynamics.variables[1:]:
            if name in self.dynamics.scalars:
                state[name] = self._scalar_start(name, param, group)
            else:
                state[name] = torch.zeros_like(
                    param, dtype=_state_dtype(param), memory_format=torch.preserve_format
                )
        if group["momentum_init"] == "gradient":
            state["p"] = grad.clone(memory_format=torch.preserve_format)

    def _scalar_start(self, name: str, param: Tensor, group: dict[str, Any]) -> Tensor:
        """A late parameter joins the friction of its group; its clock starts at zero."""
        for other in group["params"] if name != "t" else ():
            if name in self.state.get(other, {}):
                return self.state[other][name].to(param.device, copy=True)
        return torch.zeros((), dtype=torch.float64, device=param.device)

    def _scatter(self, s: State, group: dict[str, Any], params: Sequence[Tensor], h: float) -> None:
        _write(params, s.x)
        for name in self.dynamics.variables[1:]:
            for param, value in zip(params, getattr(s, name).tensors, strict=True):
                self.state[param][name] = value
            if name in self.dynamics.scalars and name != "t":
                shared = getattr(s, name).tensors[0]
                for param in group["params"]:
                    if name in self.state.get(param, {}):
                        self.state[param][name] = shared.to(param.device, copy=True)
        if self.closing:
            for param in params:
                self.state[param]["h"] = h

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As torch's, but state keeps the precision it was saved with (float32 at least)."""
        super().load_state_dict(state_dict)
        ids = chain.from_iterable(g["params"] for g in state_dict["param_groups"])
        params = chain.from_iterable(g["params"] for g in self.param_groups)
        for key, param in zip(ids, params, strict=True):
            for name, value in state_dict["state"].get(key, {}).items():
                if isinstance(value, Tensor):
                    dtype = torch.promote_types(value.dtype, torch.float32)
                    self.state[param][name] = value.to(param.device, dtype, copy=True)

    def __repr__(self) -> str:
        decays = any(group["weight_decay"] for group in self.param_groups)
        opening, closing = (
            "".join(u.part.letter for u in piece if decays or not isinstance(u.part, WeightDecay))
            for piece in (self.opening, self.closing)
        )
        if self.needs_closure:
            runs = f"{self.word.gradients_per_step} gradients a step, from a closure"
        elif closing:
            runs = f"a call runs {closing} | {opening}, the first call {opening}"
        else:
            runs = f"a call runs {opening}"
        return f"{super().__repr__()}\nof {self.dynamics.name}: {runs}"


def optimizer(
    dynamics: Dynamics,
    params: Any,
    lr: float | Tensor,
    *,
    word: str | Word | None = None,
    weight_decay: float = 0.0,
    momentum_init: MomentumInit = "zero",
    maximize: bool = False,
) -> WordOptimizer:
    """The torch optimizer of any dynamics and word: see `WordOptimizer`.

    optimizer(CD(gamma=0.002, c=6.5e5), model.parameters(), lr=0.1, word="BCDA")
    """
    return WordOptimizer(
        dynamics,
        params,
        lr,
        word=word,
        weight_decay=weight_decay,
        momentum_init=momentum_init,
        maximize=maximize,
    )


def first_gradient_cut(substeps: Sequence[Substep]) -> int:
    """Where to cut a word with one gradient per step into opening and closing piece.

    In closing + opening every letter that reads the gradient must come before any letter that
    moves x; the opening piece is as long as that allows.
    """
    for cut in range(len(substeps), -1, -1):
        moved = valid = False
        for substep in (*substeps[cut:], *substeps[:cut]):
            if substep.reads_gradient and moved:
                break
            moved = moved or substep.moves_x
        else:
            valid = True
        if valid:
            return cut
    raise ValueError("the word needs more than one gradient a step")  # callers asked first


def _pieces(
    substeps: Iterable[Substep], dynamics: Dynamics, h: float | Bundle
) -> list[tuple[Part, Any]]:
    letters = dynamics.letters
    return [
        (letters[substep.part.letter], h * float(substep.fraction))
        for substep in substeps
        if not _is_idle(letters[substep.part.letter])
    ]


def _is_idle(part: Part) -> bool:
    """No weight decay: the one part that is there by default and usually does nothing."""
    return isinstance(part, WeightDecay) and float(part.weight_decay) == 0


def _insert_decay(word: Word, dynamics: Dynamics) -> Word:
    """W before the first letter that moves x."""
    movers = {letter for letter, part in dynamics.letters.items() if "x" in part.writes}
    places = [word.text.index(letter) for letter in movers if letter in word.letters]
    place = min(places, default=0)
    return Word(f"{word.text[:place]}W{word.text[place:]}")


def _write(params: Sequence[Tensor], x: Bundle) -> None:
    for param, value in zip(params, x.tensors, strict=True):
        param.copy_(value)


def _no_gradient(_: Any) -> Any:
    raise AssertionError("a word with one gradient a step asked for a second one")


def _state_dtype(param: Tensor) -> torch.dtype:
    return torch.promote_types(param.dtype, torch.float32)


def _not_a_dynamics(value: Any) -> str:
    name = value.__name__ if isinstance(value, type) else type(value).__name__
    if isinstance(value, torch.optim.Optimizer) or (
        isinstance(value, type) and issubclass(value, torch.optim.Optimizer)
    ):
        return (
            f"optim.{name} is an optimizer already: call optim.{name}(params, lr=...), or pass "
            f"the dynamics of that name, from dashpot.dynamics import {name}"
        )
    if isinstance(value, type):
        return f"pass a dynamics such as {name}(...), not the class {name}"
    return f"pass a dynamics such as CD(gamma=0.5, c=2.0) first, then the parameters; got {name}"
