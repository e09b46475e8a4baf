"""A dynamics and a word as a torch optimizer."""

from collections.abc import Mapping
from typing import Any, Unpack

import torch
from torch import Tensor

from ..dynamics import Dynamics, WeightDecay
from .backward import may_lack_a_past
from .cut import gradient_cut, insert_decay, letters_of
from .noise.parameters import ParameterNoise
from .optimizers.options import (
    IMPLEMENTATION,
    Common,
    MomentumInit,
    check_group,
    check_params,
    check_word,
    name_of_type,
    number,
    plain,
    seed_of,
    without_repeated,
)
from .optimizers.stepping import SteppingOptimizer
from .start import not_a_dynamics
from .words.word import Word, count_gradients


class WordOptimizer(SteppingOptimizer):
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
                   elements or 16 tensors. Works with the unscaled gradients of a GradScaler
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
            "lr": plain(lr),
            **{name: plain(value) for name, value in dynamics.hyperparameters.items()},
            "weight_decay": plain(weight_decay),
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
        self._fused, self._reaches = {}, {}

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        return {**state, "plan": (self.dynamics, self.word.text, self.fixed)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        plan = state.pop("plan", None)  # load_state_dict comes here too, without one
        super().__setstate__(state)
        if plan is not None:
            for settings in (self.defaults, *self.param_groups):
                for name, value in IMPLEMENTATION.items():  # pickled before there was such a way
                    settings.setdefault(name, value)
            dynamics, word, *fixed = plan
            self.fixed = fixed[0] if fixed else {"word": word}
            self._plan(dynamics, word)

    @property
    def _step_supports_amp_scaling(self) -> bool:
        """Whether a GradScaler leaves it to `step` to unscale; it then sets the two tensors."""
        return bool(self.defaults.get("fused"))

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group after checking its step size and hyperparameters (ValueError)."""
        if not isinstance(param_group, dict):
            raise TypeError(f'a parameter group is a dict with "params"; got {param_group!r}')
        param_group = without_repeated(param_group, self.fixed, self.defaults)
        for name in {"lr", "weight_decay", *self.dynamics.hyperparameters} & {*param_group}:
            param_group[name] = plain(param_group[name])
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

    def __repr__(self) -> str:
        opening = letters_of(self.opening, self.param_groups)
        runs = f"a call runs {opening}"
        if self.closing:
            closing = letters_of(self.closing, self.param_groups)
            runs = f"a call runs {closing} | {opening}, the first call {opening}"
        if self.gradients > 1:
            runs += f", with {self.gradients} gradients from a closure"
        if "W" in self.word.letters and "W" not in runs:
            runs += "; W rests, weight_decay is 0"
        return f"{super().__repr__()}\nof {self.dynamics.name}: {runs}"


def optimizer(
    dynamics: Dynamics, params: Any, lr: float | Tensor, **common: Unpack[Common]
) -> WordOptimizer:
    """The torch optimizer of any dynamics and word: see `WordOptimizer`.

    optimizer(CD(gamma=0.002, c=6.5e5), model.parameters(), lr=0.1, word="BCDA")
    """
    return WordOptimizer(dynamics, params, lr, **common)
