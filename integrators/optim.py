"""The catalogue as torch optimizers: `optim.CD(model.parameters(), lr=0.1)`.

Besides their own hyperparameters they take the keywords of `Common`: word, weight_decay,
momentum_init, maximize, noise; foreach, fused, capturable, differentiable, state_dtype. lr is a
time step: the momentum kept from step to step is e^{−γ·lr}, so a schedule on lr also moves the
momentum.
Defaults suit small networks; c, μ and lr are worth tuning.
"""

from difflib import get_close_matches
from typing import Any, Self, Unpack

from torch import Tensor

from .. import dynamics
from ..dynamics.call import signature
from ..dynamics.friction import Scheme
from .convert import max_step_to_c
from .optimizer import WordOptimizer, optimizer
from .optimizers.options import Common, number

__all__ = [
    "CADAM",
    "CD",
    "IKFAD",
    "KFAD",
    "LDHD",
    "RIKFAD",
    "WordOptimizer",
    "max_step_to_c",
    "optimizer",
]


Number = float | Tensor

_TORCH_TYPES = {name: f"convert.from_{name[:4].lower()}" for name in ("SGD", "Adam", "AdamW")}


def __getattr__(name: str) -> Any:
    """What there is in place of a name that is not here."""
    lower = {known.lower(): known for known in __all__}
    close = get_close_matches(name.lower(), lower, 1)
    hint = f"did you mean {lower[close[0]]}? " if close else ""
    made = getattr(dynamics, name, None)
    if isinstance(made, type) and issubclass(made, dynamics.Dynamics):
        hint = f"optimizer({name}(...), params, lr) makes one of the dynamics; "
    elif name in _TORCH_TYPES:
        hint = f"{_TORCH_TYPES[name]} makes its equivalent; "
    raise AttributeError(f"dashpot.optim has no {name}; {hint}there are {', '.join(__all__)}")


_TORCH_WORDS = {
    "momentum": "give gamma = −ln(momentum)/lr",
    "betas": "convert.from_adam converts them, by gamma = −ln(β₁)/lr and alpha = −ln(β₂)/lr",
    "nesterov": "it is NAG with word BDFA: convert.from_sgd(lr, momentum, nesterov=True)",
}


class _Named(WordOptimizer):
    """An optimizer that shares its name with a dynamics; keeps the two from being mixed up."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        for word, hint in _TORCH_WORDS.items():
            if word in kwargs:
                raise TypeError(f"optim.{cls.__name__} has no {word}; {hint}")
        called_as_dynamics = not args and kwargs and "params" not in kwargs
        if called_as_dynamics or (args and isinstance(args[0], float | int)):
            raise TypeError(
                f"optim.{cls.__name__} is the optimizer and takes the parameters first: "
                f"optim.{cls.__name__}(model.parameters(), lr=...); the dynamics is "
                f"dashpot.dynamics.{cls.__name__}"
            )
        known = _keywords(cls)
        for name in kwargs:
            if name not in ("params", *known):
                close = get_close_matches(name, known, 1)
                hint = f"did you mean {close[0]}? It" if close else "it"
                raise TypeError(
                    f"optim.{cls.__name__} has no {name}; {hint} takes {', '.join(known)}"
                )
        return super().__new__(cls)


def _keywords(cls: type) -> list[str]:
    """What its constructor takes besides params; with **rest also what it passes on."""
    names: dict[str, None] = {}
    for each in cls.__mro__:
        if each is _Named:
            return [*names, *Common.__annotations__]
        if "__init__" in vars(each):
            parameters = signature(each).parameters.values()
            names |= dict.fromkeys(
                p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
            )
            names.pop("params", None)
            if all(p.kind is not p.VAR_KEYWORD for p in parameters):
                break
    return [*names]


class LDHD(_Named):
    """Heavy ball: x' = p, p' = −∇f − γ p; see `dashpot.dynamics.LDHD` and `WordOptimizer`.

    torch.optim.SGD(lr=η, momentum=β) is word "BAD" with lr = √η, gamma = −ln(β)/lr, and the
    default word "BDA" with lr = √(η/β), gamma = −ln(β)/lr; `convert.from_sgd` does it for any.
    """

    def __init__(
        self,
        params: Any,
        lr: Number = 0.1,
        gamma: Number = 1.0,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(dynamics.LDHD(gamma), params, lr, **common)


class KFAD(_Named):
    """Friction from the kinetic energy, one ξ per parameter group; see `dashpot.dynamics.KFAD`.

    mu is in units of |p|² summed over the whole group: larger groups want a larger mu.
    """

    _dynamics: type[dynamics.KFAD] = dynamics.KFAD

    def __init__(
        self,
        params: Any,
        lr: Number = 0.1,
        gamma: Number = 0.1,
        alpha: Number = 0.1,
        mu: Number = 1.0,
        *,
        scheme: Scheme = "palindrome",
        **common: Unpack[Common],
    ) -> None:
        self.fixed = {"scheme": scheme}
        super().__init__(self._dynamics(gamma, alpha, mu, scheme), params, lr, **common)


class IKFAD(KFAD):
    """Friction from each coordinate's own p²; see `dashpot.dynamics.IKFAD` and `WordOptimizer`.

    Published values lie at lr 0.03–0.5, gamma 1e-8–0.4, alpha 0.03–3, mu 7e-9–2e-4 (and 1.9).
    1/(alpha mu) acts as the c of CD.
    """

    _dynamics = dynamics.IKFAD

    def __init__(
        self,
        params: Any,
        lr: Number = 0.1,
        gamma: Number = 0.1,
        alpha: Number = 0.1,
        mu: Number = 2e-4,
        *,
        scheme: Scheme = "palindrome",
        **common: Unpack[Common],
    ) -> None:
        super().__init__(
            params,
            lr,
            gamma,
            alpha,
            mu,
            scheme=scheme,
            **common,
        )


class RIKFAD(_Named):
    """iKFAD for matrices with m + n frictions instead of m·n; see `dashpot.dynamics.RIKFAD`.

    A matrix parameter keeps its momentum, `rows` [m, 1] and `cols` [1, n]; a tensor with more
    axes counts all but the first as columns; a vector has the friction of IKFAD. The defaults are
    IKFAD's. eps_stab = 0 is safe: where a matrix is at rest its friction is 0.
    """

    def __init__(
        self,
        params: Any,
        lr: Number = 0.1,
        gamma: Number = 0.1,
        alpha: Number = 0.1,
        mu: Number = 2e-4,
        eps_stab: Number = 0.0,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(dynamics.RIKFAD(gamma, alpha, mu, eps_stab), params, lr, **common)


class CD(_Named):
    """Cubic damping: p' = −∇f − γ p − c p³; see `dashpot.dynamics.CD` and `WordOptimizer`.

    max_step is a readable way to give c: the most a coordinate may move in one step, with
    c = lr/(2 max_step²) from the lr given here. The bound needs the cap between kick and drift, so
    the word is then BCDA unless you give one. Without c and max_step, c is that of max_step 1e-3.
    Published values lie at lr 0.04–0.5, gamma 0.001–2.8, c 6e4–1e8 with word BACD.
    """

    def __init__(
        self,
        params: Any,
        lr: Number = 0.1,
        gamma: Number = 0.1,
        c: Number | None = None,
        *,
        max_step: float | None = None,
        **common: Unpack[Common],
    ) -> None:
        if c is not None and max_step is not None:
            raise ValueError(f"give c or max_step, not both; got c={c} and max_step={max_step}")
        if max_step is not None and common.get("word") is None:
            common["word"] = "BCDA"
        if c is None:
            h = number(lr) if isinstance(lr, Tensor) else lr
            c = max_step_to_c(h, 1e-3 if max_step is None else max_step)
        self.fixed = {"max_step": max_step}
        super().__init__(dynamics.CD(gamma, c), params, lr, **common)


class CADAM(_Named):
    """Cubically damped Adam; see `dashpot.dynamics.CADAM` and `WordOptimizer`.

    The defaults are torch's Adam(lr=1e-3, betas=(0.9, 0.999)) seen as a flow
    (β₁ = e^{−γh}, β₂ = e^{−αh}, lr_Adam = h²√α/(1−β₁)), plus a cubic damping that keeps
    |p| <= 1/√(2ch). Momenta are of the size of gradient/γ: tune c until a coordinate in a hundred
    feels the cap (published values lie at 0.02–2e7). With c = 0 and bias_correction=True it is
    Adam, with weight_decay AdamW: `convert.from_adam` gives the arguments for any settings.
    """

    def __init__(
        self,
        params: Any,
        lr: Number = 0.0215,
        gamma: Number = 4.9,
        alpha: Number = 0.0465,
        c: Number = 1e5,
        eps: Number = 1e-8,
        *,
        bias_correction: bool = False,
        **common: Unpack[Common],
    ) -> None:
        self.fixed = {"bias_correction": bias_correction}
        super().__init__(
            dynamics.CADAM(gamma, alpha, c, eps, bias_correction),
            params,
            lr,
            **common,
        )
