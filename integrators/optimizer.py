"""A dynamics and a word as a torch optimizer."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Unpack

import torch
from torch import Tensor
from torch._compile import _disable_dynamo as not_traced

from ..dynamics import Dynamics, WeightDecay
from .backward import REMEDY, may_lack_a_past, missing
from .bundle import Bundle
from .cut import gradient_cut, insert_decay, letters_of
from .noise.parameters import ParameterNoise
from .optimizers.fused import FusedGroup, is_fusable
from .optimizers.group import ActiveGroup, flow
from .optimizers.keeping import StateOptimizer
from .optimizers.noise import StepNoise
from .optimizers.options import (
    Common,
    MomentumInit,
    check_group,
    check_params,
    check_word,
    name_of_type,
    number,
    seed_of,
    waits,
    without_repeated,
)
from .start import not_a_dynamics
from .step import provide
from .words.word import Word, count_gradients


class WordOptimizer(StateOptimizer):
    """Runs a word of a dynamics on parameters, with the loss gradient as −force.

    The step size h is called `lr`. A call of `step()` has the gradient at the present point, so
    the word is cut where the gradient is first needed: the call does the closing piece of the
    last step (with the last h) and then the opening piece of the next one; the first call does
    the opening piece only, which keeps symmetric words at order 2. `BCDADCB` thus runs as
    `B | BCDADC`. A word that starts with its kick and has one kick has no closing piece. For a
    word with the kick in the middle the parameters sit at the points where gradients are taken.
    A word that needs several gradients a step takes a closure.

    dynamics       the dynamics whose parts are applied
    params         parameters, named or not, or parameter groups; a group may have its own lr,
                   weight_decay, momentum_init, maximize and hyperparameters of the dynamics. All
                   numbers may be 0-dim tensors. A complex parameter moves as real and imaginary
                   part (for RIKFAD a last axis of two columns), a DTensor as the whole it is of
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
    foreach        one torch operation for all tensors of a group; False: tensor by tensor
    fused          one generated kernel, which reads and writes every number once (RuntimeError
                   where there is none); None: where there is one and the group has 100,000
                   elements. Works with the unscaled gradients of a GradScaler
    capturable     a tensor lr is never waited for: steps can be captured in a CUDA graph
    differentiable steps are recorded, for derivatives by starts, hyperparameters and lr
    state_dtype    torch.bfloat16 keeps what is shaped like a parameter in half the memory, rounded
                   stochastically with the seed `noise` (0); None: float32 or better

    State, by parameter, under the variables' names (`p`, `xi`, `zeta`, `t`; and `h`, the last
    step size, where the word has a closing piece or the momentum a start; `steps`, where there is
    noise or stochastic rounding). It is float32 or better whatever the parameters are (unless
    `state_dtype` says otherwise), also after `load_state_dict`. KFAD's xi is one number per
    parameter group, kept as equal copies. Gradients are never modified.

    Raises ValueError for hyperparameters out of range and words that do not fit, RuntimeError
    at a sparse gradient, a missing closure, or a flow that does not exist backwards for as long
    as a negative fraction asks (parameters and state are then as before the call).
    """

    fixed: Mapping[str, Any] = {}
    """Settings that are the same for all groups, as they were given."""

    def __init__(
        self,
        dynamics: Dynamics,
        params: Any,
        lr: float | Tensor,
        *,
        word: str | Word | None = None,
        weight_decay: float | Tensor = 0.0,
        momentum_init: MomentumInit = "zero",
        maximize: bool = False,
        noise: int | None = None,
        foreach: bool | None = None,
        fused: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        state_dtype: torch.dtype | str | None = None,
    ) -> None:
        if not isinstance(dynamics, Dynamics):
            raise TypeError(not_a_dynamics(dynamics))
        if isinstance(params, torch.nn.Module):
            raise TypeError("params must be parameters, not the module; pass model.parameters()")
        text = Word(dynamics.word if word is None else word)
        self.fixed = {**self.fixed, "word": text.text}
        if "W" not in text.letters:
            Word(text, dynamics)  # complains about the word as it was written
        if "W" in dynamics.parts:
            if number(weight_decay):
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
            "foreach": foreach,
            "fused": fused,
            "capturable": capturable,
            "differentiable": differentiable,
            "state_dtype": name_of_type(state_dtype),
            "word": self.word.text,
            "dynamics": self.dynamics.name,
            **seed_of(dynamics, noise, name_of_type(state_dtype)),
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
        self._fused: dict[int, FusedGroup] = {}

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        return {**state, "plan": (self.dynamics, self.word.text, self.fixed)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        plan = state.pop("plan", None)  # load_state_dict comes here too, without one
        super().__setstate__(state)
        if plan is not None:
            *words, self.fixed = plan
            self._plan(*words)

    @property
    def _step_supports_amp_scaling(self) -> bool:
        """Whether a GradScaler leaves it to `step` to unscale; it then sets the two tensors."""
        return bool(self.defaults.get("fused"))

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group after checking its step size and hyperparameters (ValueError)."""
        param_group = without_repeated(param_group, self.fixed, self.defaults)
        group = {**self.defaults, **param_group}
        check_group(group, param_group, self.dynamics, self.defaults)
        check_word(group, letters_of(self.word.substeps, (group,)), self.gradients, self.backward)
        param_group |= seed_of(self.dynamics, group.get("noise"), group["state_dtype"])
        super().add_param_group(param_group)
        try:
            check_params(self.param_groups[-1]["params"], group)
        except ValueError:
            self.param_groups.pop()
            raise

    # --- a step ------------------------------------------------------------------------------

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
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            if self._is_simple:
                self._move()
            else:
                self._move_carefully(closure)
        return loss

    @property
    def _is_simple(self) -> bool:
        """Whether a call is one flow of numbers, without anything that happens in between."""
        several = self.gradients > 1 or self.backward
        return not (several or self.noise or self.defaults["state_dtype"])

    def _move(self) -> None:
        """What torch's compiler records is the flow; what goes before and after it, Python does."""
        active = self._gather(torch.compiler.is_compiling())
        flow(active, len(self.closing))
        for one in active:
            one.store()
        self._count(active)

    @not_traced
    def _move_carefully(self, closure: Callable[[], Any] | None) -> None:
        undo = self._undo() if self.backward else None
        active = self._gather(False)

        def gradient(asking: ActiveGroup, _: Bundle) -> Bundle:
            """The gradient at a point inside the step, where all groups have arrived by now."""
            assert closure is not None
            for one in active:
                one.write()
            with torch.enable_grad():
                closure()
            for one in active:
                one.state.g = one.gradients()
            return asking.state.g

        def look(one: ActiveGroup, place: int) -> None:
            substep, piece = (*self.closing, *self.opening)[place], one.pieces[place]
            if undo is None or piece is None or substep.fraction >= 0:
                return
            part, time = piece
            provide(part, one.state, lambda x: gradient(one, x))
            h = one.last if place < len(self.closing) else one.h
            if reason := missing(substep, part.backward_limit(one.state) / -time, h):
                undo()
                raise RuntimeError(f"nothing was changed: {reason}; {REMEDY}")

        draw = None
        if self.noise is not None:
            draw = StepNoise(self.noise, self.closing, self.opening, self.state, self._places)
        flow(active, len(self.closing), gradient, look, draw)
        for one in active:
            one.store()
        self._count(active)

    @not_traced
    def _gather(self, tracing: bool) -> list[ActiveGroup]:
        """The groups that move, after those were moved for which there is a kernel."""
        active = []
        for index, group in enumerate(self.param_groups):
            grads = [param.grad for param in group["params"]]
            params = [p for p, g in zip(group["params"], grads, strict=True) if g is not None]
            if not params:
                continue
            present = [grad for grad in grads if grad is not None]
            if not tracing and self._fused_step(index, group, params, present):
                continue
            self._prepare(group, params)
            if (waits(group) and number(group["lr"]) == 0) or self._overflowed():
                continue
            one = ActiveGroup(
                self.dynamics,
                self.closing,
                self.opening,
                group,
                params,
                [self.state[param] for param in params],
                self._places(params),
                self._impulse(group),
                self._from_scaler("grad_scale"),
                tracing,
            )
            active.append(one)
        return active

    def _fused_step(
        self,
        index: int,
        group: dict[str, Any],
        params: list[Tensor],
        grads: list[Tensor],
    ) -> bool:
        """The call for one group by its kernel; False where there is none."""
        if self.noise or self.gradients > 1 or self.backward or not is_fusable(group):
            return False
        fast = self._fused.get(index)
        if fast is None:
            fast = self._fused[index] = FusedGroup(self.dynamics, self.closing, self.opening)
        if not fast.finds(params, self.state):
            self._prepare(group, params)
            fast.look_up(params, self.state, self._places(params))
        starts = self._impulse(group) is not None
        scaled = self._from_scaler("grad_scale"), self._from_scaler("found_inf")
        if not fast.step(group, grads, starts, *scaled):
            return False
        self._share(group, params)
        return True

    def _from_scaler(self, name: str) -> Tensor | None:
        """What a GradScaler hands over by an attribute, while it steps."""
        return getattr(self, name, None)

    def _overflowed(self) -> bool:
        """Whether a GradScaler has found a gradient that is not finite."""
        found = self._from_scaler("found_inf")
        return found is not None and bool(found.item())

    @not_traced
    def _count(self, active: Iterable[ActiveGroup]) -> None:
        for one in active:
            one.count()
            self._share(one.group, one.params)

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

    def __repr__(self) -> str:
        opening = letters_of(self.opening, self.param_groups)
        runs = f"a call runs {opening}"
        if self.closing:
            closing = letters_of(self.closing, self.param_groups)
            runs = f"a call runs {closing} | {opening}, the first call {opening}"
        if self.gradients > 1:
            runs += f", with {self.gradients} gradients from a closure"
        return f"{super().__repr__()}\nof {self.dynamics.name}: {runs}"


def optimizer(
    dynamics: Dynamics, params: Any, lr: float | Tensor, **common: Unpack[Common]
) -> WordOptimizer:
    """The torch optimizer of any dynamics and word: see `WordOptimizer`.

    optimizer(CD(gamma=0.002, c=6.5e5), model.parameters(), lr=0.1, word="BCDA")
    """
    return WordOptimizer(dynamics, params, lr, **common)
