"""A dynamics and a word as a torch optimizer."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from difflib import get_close_matches
from functools import partial
from itertools import chain
from typing import Any, Literal, TypedDict, Unpack

import torch
from torch import Tensor

from ..dynamics import Dynamics, NoisyPart, Part, State, WeightDecay
from .backward import REMEDY, may_lack_a_past, missing
from .bundle import Bundle, is_zero
from .cut import gradient_cut, insert_decay, is_idle, letters_of
from .group import ActiveGroup, state_dtype, write
from .noise.noise import Noise
from .noise.parameters import ParameterNoise
from .start import not_a_dynamics
from .step import apply, provide
from .words.word import Word, count_gradients

MomentumInit = Literal["zero", "gradient"]


class Common(TypedDict, total=False):
    """Keywords that every optimizer takes; `WordOptimizer` says what they mean."""

    word: str | Word | None
    weight_decay: float
    momentum_init: MomentumInit
    maximize: bool
    noise: int | None


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
    weight_decay   w >= 0 in x' = −w x, applied exactly before the first drift, in a symmetric
                   word by halves before the first and after the last one, unless the word
                   places W itself. In a composed word it stands in the innermost word
    momentum_init  "zero"; or "gradient" for p = +∇f at the first step, as the code published
                   with the paper does although its drift adds +h p: its first step climbs.
                   Only for reproducing that code
    maximize       climb instead of descend
    noise          a seed, for a dynamics with noise such as Langevin (a sampler of e^{−loss/T});
                   the numbers depend on it, the parameter's place, its steps and the element. A
                   σ(x) must be written with `dynamics.elements`, which take lists of tensors

    State, by parameter, under the variables' names (`p`, `xi`, `zeta`, `t`; and `h`, the last
    step size, where the word has a closing piece; `steps`, where it has noise). It is float32 or
    better whatever the parameters are, also after `load_state_dict`. KFAD's xi is one number per
    parameter group, kept as equal copies. Gradients are never modified.

    Raises ValueError for hyperparameters out of range and words that do not fit, RuntimeError
    at a sparse gradient, a missing closure, or a flow that does not exist backwards for as long
    as a negative fraction asks (parameters and state are then as before the call).
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
        noise: int | None = None,
    ) -> None:
        if not isinstance(dynamics, Dynamics):
            raise TypeError(not_a_dynamics(dynamics))
        if isinstance(params, torch.nn.Module):
            raise TypeError("params must be parameters, not the module; pass model.parameters()")
        text = Word(dynamics.word if word is None else word)
        if "W" not in text.letters:
            Word(text, dynamics)  # complains about the word as it was written
        if "W" in dynamics.parts:
            if weight_decay:
                raise ValueError(
                    f"{dynamics.name} has a part W of its own, {dynamics.parts['W']}; give "
                    f"weight_decay there, not as an argument (got {weight_decay})"
                )
            weight_decay = dynamics.hyperparameters.get("weight_decay", 0.0)
        else:
            dynamics = dynamics.with_part(WeightDecay(weight_decay))
            if "W" not in text.letters:
                text = insert_decay(text, dynamics)
        self._plan(dynamics, text.text)
        defaults = {
            "lr": lr,
            **dynamics.hyperparameters,
            "weight_decay": weight_decay,
            "momentum_init": momentum_init,
            "maximize": maximize,
            "word": self.word.text,
            "dynamics": self.dynamics.name,
            **_seed(dynamics, noise),
        }
        super().__init__(params, defaults)

    def _plan(self, dynamics: Dynamics, word: str) -> None:
        self.dynamics = dynamics
        self.word = Word(word, dynamics)
        substeps = self.word.substeps
        cut = gradient_cut(substeps)
        self.opening, self.closing = substeps[:cut], substeps[cut:]
        self.gradients = 1 + count_gradients((*self.closing, *self.opening), fresh=True)
        self.backward = may_lack_a_past(substeps)
        self.noise = ParameterNoise(substeps) if dynamics.is_noisy else None

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        return {**state, "plan": (self.dynamics, self.word.text)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        plan = state.pop("plan", None)  # load_state_dict comes here too, without one
        super().__setstate__(state)
        if plan is not None:
            self._plan(*plan)

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
        if group["momentum_init"] == "gradient" and "p" not in self.dynamics.variables:
            raise ValueError(
                f"momentum_init='gradient' needs a momentum p; {self.dynamics.name} has none"
            )
        if group["word"] != self.word.text:
            raise ValueError(
                f"all groups run the word {self.word.text}; a group asks for {group['word']!r}"
            )
        if self.noise is not None:
            param_group["noise"] = Noise(group["noise"]).seed
        elif "noise" in group:
            raise ValueError(f"{self.dynamics.name} has no noise; a group has {group['noise']!r}")
        for key in set(param_group) - set(self.defaults):
            if key in ("max_step", "scheme", "bias_correction"):
                raise ValueError(f"{key!r} is not per group; give it to the optimizer")
            close = get_close_matches(key, [*self.dynamics.hyperparameters, "weight_decay"], 1, 0.8)
            if close:
                raise ValueError(f"a parameter group has {key!r}; did you mean {close[0]!r}?")
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
        if closure is None and self.gradients > 1:
            letters = letters_of(self.word.substeps, self.param_groups)
            raise RuntimeError(
                f"the word {letters} takes {self.gradients} gradients a step; call step(closure) "
                "with a closure that clears the gradients, computes the loss, calls backward() and "
                "returns the loss"
            )
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        undo = self._undo() if self.backward else None
        active = [self._gather(group) for group in self.param_groups]
        active = [one for one in active if one is not None and float(one.group["lr"]) != 0]

        def gradient(asking: ActiveGroup, _: Bundle) -> Bundle:
            """The gradient at a point inside the step, where all groups have arrived by now."""
            assert closure is not None
            for one in active:
                write(one.params, one.state.x)
            with torch.enable_grad():
                closure()
            for one in active:
                one.state.g = self._gradients(one.group, one.params)
            return asking.state.g

        everyone = chain(*(group["params"] for group in self.param_groups))
        order = {p: i for i, p in enumerate(everyone)} if self.noise is not None else {}
        for place, substep in enumerate((*self.closing, *self.opening)):
            closing = place < len(self.closing)
            for one in active:
                h = one.last if closing else float(one.group["lr"])
                part = one.dynamics.letters[substep.part.letter]
                if not (is_idle(part) or is_zero(h)):
                    here = partial(gradient, one)
                    if undo is not None and substep.fraction < 0:
                        provide(part, one.state, here)
                        time = h * -float(substep.fraction)
                        if reason := missing(substep, part.backward_limit(one.state) / time, h):
                            undo()
                            raise RuntimeError(f"nothing was changed: {reason}; {REMEDY}")
                    time = h * float(substep.fraction)
                    draw = partial(self._draw, one, part, time, place, order)
                    apply([(part, time)], one.state, here, draw=lambda _, draw=draw: draw())
            if place + 1 == len(self.closing):
                for one in active:
                    one.share_friction()
        for one in active:
            self._scatter(one)
        return loss

    def _draw(
        self, one: ActiveGroup, part: Part, time: Any, place: int, order: Mapping[Tensor, int]
    ) -> list[tuple[Any, list[Bundle]]]:
        """The normal numbers for a letter; `place` counts from the closing piece on."""
        assert self.noise is not None and isinstance(part, NoisyPart)
        # a closing piece belongs to the step before, of which a new parameter has none
        before = place < len(self.closing)
        place += len(self.opening) if before else -len(self.closing)
        counts = [self.state[param]["steps"] for param in one.params]
        trajectories = [order[param] for param in one.params]
        if part.noisy in self.dynamics.scalars:  # one number for the group
            counts = [max(self.state.get(p, {}).get("steps", 0) for p in one.group["params"])]
            counts, trajectories = (
                [value] * len(one.params) for value in (*counts, order[one.group["params"][0]])
            )
        steps = [max(0, count - before) for count in counts]
        values = getattr(one.state, part.noisy).tensors
        owners = list(zip(trajectories, values, strict=True))
        return [(time, self.noise.draw(one.group["noise"], place, part, steps, owners))]

    def _undo(self) -> Callable[[], None]:
        """How to put back parameters that were moved to where a gradient was asked for."""
        params = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        points = [p.clone() for p in params]
        fresh = [p for p in params if p not in self.state]

        def undo() -> None:
            for param, point in zip(params, points, strict=True):
                param.copy_(point)
            for param in fresh:
                self.state.pop(param, None)

        return undo

    def _gradients(self, group: Mapping[str, Any], params: Sequence[Tensor]) -> Bundle:
        grads = []
        for param in params:
            grad = param.grad
            if grad is None:
                raise RuntimeError("a gradient disappeared between two calls of the closure")
            grads.append(grad.to(state_dtype(param)))
        bundle = Bundle(grads)
        return -bundle if group["maximize"] else bundle

    def _gather(self, group: dict[str, Any]) -> "ActiveGroup | None":
        """The parameters of a group that have gradients, with their state, made where it is new."""
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
        names = self.dynamics.variables[1:]
        needed = {*names, *(("steps",) if self.noise is not None else ())}
        for param, grad in zip(params, gradients.tensors, strict=True):
            if not self.state[param].keys() >= needed:
                self._start(param, grad, group)
        variables = {name: Bundle([self.state[param][name] for param in params]) for name in names}
        state = State({"x": Bundle(params), **variables, "g": gradients})
        sizes = [self.state[param].get("h", 0.0) for param in params]
        return ActiveGroup(group, params, state, self.dynamics.bind(group), sizes)

    def _start(self, param: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state = self.state[param]
        for name in self.dynamics.variables[1:]:
            if name in self.dynamics.scalars:
                state[name] = self._scalar_start(name, param, group)
                continue
            zeros = torch.zeros_like(
                param, dtype=state_dtype(param), memory_format=torch.preserve_format
            )
            shape = self.dynamics.shape_of(name, tuple(param.shape))
            state[name] = zeros if shape == zeros.shape else zeros.new_zeros(shape)
        if self.noise is not None:
            state["steps"] = 0
        if group["momentum_init"] == "gradient":
            state["p"] = grad.clone(memory_format=torch.preserve_format)

    def _scalar_start(self, name: str, param: Tensor, group: dict[str, Any]) -> Tensor:
        """A late parameter joins the friction of its group; its clock starts at zero."""
        for other in group["params"] if name != "t" else ():
            if name in self.state.get(other, {}):
                return self.state[other][name].to(param.device, copy=True)
        return torch.zeros((), dtype=torch.float64, device=param.device)

    def _scatter(self, one: "ActiveGroup") -> None:
        write(one.params, one.state.x)
        for name in self.dynamics.variables[1:]:
            values = getattr(one.state, name).tensors
            for param, value in zip(one.params, values, strict=True):
                self.state[param][name] = value
        for name in one.shared:
            for param in one.group["params"]:  # those without a gradient keep the same friction
                if name in self.state.get(param, {}):
                    value = getattr(one.state, name).tensors[0]
                    self.state[param][name] = value.to(param.device, copy=True)
        for param in one.params:
            if self.closing:
                self.state[param]["h"] = float(one.group["lr"])
            if self.noise is not None:
                self.state[param]["steps"] += 1

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As torch's, but state keeps the precision it was saved with (float32 at least).

        Raises ValueError for the state of another word or of another optimizer.
        """
        ours = f"the word {self.word.text} of {self.dynamics.name}"
        for group in state_dict["param_groups"]:
            theirs = "another optimizer"
            if "word" in group:
                theirs = f"the word {group['word']} of {group.get('dynamics')}"
            if theirs != ours:
                raise ValueError(f"this state is of {theirs}; this optimizer runs {ours}")
        super().load_state_dict(state_dict)
        ids = chain.from_iterable(g["params"] for g in state_dict["param_groups"])
        params = chain.from_iterable(g["params"] for g in self.param_groups)
        for key, param in zip(ids, params, strict=True):
            for name, value in state_dict["state"].get(key, {}).items():
                if isinstance(value, Tensor):
                    dtype = torch.promote_types(value.dtype, torch.float32)
                    self.state[param][name] = value.to(param.device, dtype, copy=True)

    def __repr__(self) -> str:
        opening = letters_of(self.opening, self.param_groups)
        runs = f"a call runs {opening}"
        if self.closing:
            closing = letters_of(self.closing, self.param_groups)
            runs = f"a call runs {closing} | {opening}, the first call {opening}"
        if self.gradients > 1:
            runs += f", with {self.gradients} gradients from a closure"
        return f"{super().__repr__()}\nof {self.dynamics.name}: {runs}"


def _seed(dynamics: Dynamics, noise: int | None) -> dict[str, int]:
    """The setting of a group for a dynamics with noise; ValueError where a seed is missing."""
    if not dynamics.is_noisy:
        if noise is not None:
            raise ValueError(f"{dynamics.name} has no noise; leave out noise={noise!r}")
        return {}
    if noise is None:
        raise ValueError(f"{dynamics.name} has noise: give a seed, such as noise=1")
    return {"noise": Noise(noise).seed}


def optimizer(
    dynamics: Dynamics, params: Any, lr: float | Tensor, **common: Unpack[Common]
) -> WordOptimizer:
    """The torch optimizer of any dynamics and word: see `WordOptimizer`.

    optimizer(CD(gamma=0.002, c=6.5e5), model.parameters(), lr=0.1, word="BCDA")
    """
    return WordOptimizer(dynamics, params, lr, **common)
