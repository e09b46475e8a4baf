"""What a search draws, turned into hyperparameters, and back.

A draw has the same names and meaning in every method that has it:

    lr              of the torch optimizer with the same steps where the nonlinear friction is 0
    1 - momentum    what is forgotten of the momentum in a step; 1 - beta1 in the Adam family
    1 - beta2       the same of the second moment
    max_momentum    1/√(2ch), which no |p| exceeds after the cubic damping; in KFAD the norm of
                    all momenta
    alpha lr        αh, the part of ξ that a step forgets; with it IKFAD tends to CD (αh → ∞)
    adamw_lr        lr of AdamW, for what Muon leaves to it
    decay           the part of the weights that a step takes away where there is no gradient
    clip            largest norm of the gradient of all parameters

lr and what is forgotten become h, γ and α by the exact correspondences of `integrators.convert`.
"""

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

from ...dynamics import CADAM, CD, IKFAD, LDHD
from ...integrators import convert
from .methods import Hyperparameters

Draw: TypeAlias = Mapping[str, float]

LONGEST = 1e5  # steps; a memory beyond this is that of a run, whose end it does not see
NOT_FELT = 1.0  # of max_momentum: no |p| comes there while gradients are below (1 − momentum)/h


def to_hyperparameters(method: str, draw: Draw) -> Hyperparameters:
    """The hyperparameters of a draw."""
    forward, _ = _WAYS[method]
    return forward(draw)


def from_hyperparameters(method: str, values: Mapping[str, float]) -> dict[str, float]:
    """The draw that gives them, all but decay and clip; the inverse of `to_hyperparameters`.

    A memory of more than 100,000 steps counts as one of 100,000, a max_momentum above 1 as 1:
    they do the same in a run.
    """
    _, backward = _WAYS[method]
    return backward(values)


def to_weight_decay(method: str, draw: Draw, values: Mapping[str, float]) -> float:
    """The weight decay w with which a step takes the part `decay` of weights without gradients.

    e^{−wh} = 1 − decay in ours, lr w = decay in AdamW, NAdamW and Muon (of the matrices), and
    lr w/(1 − momentum) = decay in SGD and Nesterov, whose w goes through the momentum: the
    same in the long run.
    """
    if method in ("SGD", "Nesterov"):
        return draw["decay"] * draw["1 - momentum"] / values["lr"]
    if method in ("AdamW", "NAdamW", "Muon"):
        return draw["decay"] / values["lr"]
    return -math.log1p(-draw["decay"]) / values["lr"]


# --- forward --------------------------------------------------------------------------------------


def _sgd(v: Draw) -> Hyperparameters:
    return {"lr": v["lr"], "momentum": 1 - v["1 - momentum"]}


def _adam(v: Draw) -> Hyperparameters:
    return {"lr": v["lr"], "beta1": 1 - v["1 - beta1"], "beta2": 1 - v["1 - beta2"]}


def _muon(v: Draw) -> Hyperparameters:
    return {**_sgd(v), "adamw_lr": v["adamw_lr"]}


def _heavy_ball(v: Draw, word: str = "BAD") -> Hyperparameters:
    """h and γ with which a word of LDHD is torch's SGD; BACD is BAD where C does nothing."""
    sgd = _sgd(v)
    made = convert.from_sgd(sgd["lr"], sgd["momentum"], word=word)
    return {"lr": made.lr, **made.dynamics.hyperparameters}


def _cubic(h: float, max_momentum: float) -> float:
    """c at which a step of the cubic damping leaves |p| <= 1/√(2ch) = `max_momentum`."""
    return convert.max_step_to_c(h, h * max_momentum)


def _ldhd(v: Draw) -> Hyperparameters:
    return _heavy_ball(v, LDHD.word)


def _cd(v: Draw) -> Hyperparameters:
    found = _heavy_ball(v)
    return {**found, "c": _cubic(found["lr"], v["max_momentum"])}


def _ikfad(v: Draw) -> Hyperparameters:
    """The IKFAD that tends to `_cd`; αh is the part of ξ that a step forgets."""
    cd = _cd(v)
    made = convert.cd_to_ikfad(CD(cd["gamma"], cd["c"]), v["alpha lr"] / cd["lr"])
    return {"lr": cd["lr"], **made.hyperparameters}


def _cadam(v: Draw) -> Hyperparameters:
    """h, γ, α with which CADAM at c = 0 is torch's Adam; then c."""
    adam = _adam(v)
    made = convert.from_adam(adam["lr"], (adam["beta1"], adam["beta2"]))
    values = made.dynamics.hyperparameters
    found = {"lr": made.lr, "gamma": values["gamma"], "alpha": values["alpha"]}
    return {**found, "c": _cubic(made.lr, v["max_momentum"])}


# --- backward -------------------------------------------------------------------------------------


def _forgotten(rate: float, h: float) -> float:
    """1 − e^{−rate·h}, the part that a step forgets; at least one in LONGEST."""
    return max(-math.expm1(-rate * h), 1 / LONGEST)


def _to_sgd(v: Draw) -> dict[str, float]:
    return {"lr": v["lr"], "1 - momentum": 1 - v["momentum"]}


def _to_adam(v: Draw) -> dict[str, float]:
    return {"lr": v["lr"], "1 - beta1": 1 - v["beta1"], "1 - beta2": 1 - v["beta2"]}


def _to_muon(v: Draw) -> dict[str, float]:
    return {**_to_sgd(v), "adamw_lr": v["adamw_lr"]}


def _to_heavy_ball(v: Draw, word: str = "BAD") -> dict[str, float]:
    forgotten = _forgotten(v["gamma"], v["lr"])
    lr = convert.kick_factor(word, 1 - forgotten) * v["lr"] ** 2
    return {"lr": lr, "1 - momentum": forgotten}


def _to_max_momentum(h: float, c: float, most: float = NOT_FELT) -> dict[str, float]:
    return {"max_momentum": min(convert.c_to_max_step(h, c) / h, most)}


def _to_ldhd(v: Draw) -> dict[str, float]:
    return _to_heavy_ball(v, LDHD.word)


def _to_cd(v: Draw, most: float = NOT_FELT) -> dict[str, float]:
    return {**_to_heavy_ball(v), **_to_max_momentum(v["lr"], v["c"], most)}


def _to_ikfad(v: Draw, most: float = NOT_FELT) -> dict[str, float]:
    cd = convert.ikfad_to_cd(IKFAD(v["gamma"], v["alpha"], v["mu"]))
    values = {"lr": v["lr"], **cd.hyperparameters}
    return {**_to_cd(values, most), "alpha lr": v["alpha"] * v["lr"]}


def _to_kfad(v: Draw) -> dict[str, float]:
    return _to_ikfad(v, math.inf)  # the norm of many momenta


def _to_cadam(v: Draw) -> dict[str, float]:
    h = v["lr"]
    forgotten = [_forgotten(v[name], h) for name in ("gamma", "alpha")]
    gamma, alpha = (-math.log1p(-part) / h for part in forgotten)
    adam = convert.to_adam(CADAM(gamma, alpha, 0.0, bias_correction=True), lr=h)
    found = dict(zip(("1 - beta1", "1 - beta2"), forgotten, strict=True))
    return {"lr": adam.settings["lr"], **found, **_to_max_momentum(h, v["c"])}


_HEAVY_BALL, _ADAM = (_sgd, _to_sgd), (_adam, _to_adam)
_WAYS: dict[str, tuple[Callable[[Draw], Hyperparameters], Callable[[Draw], dict[str, float]]]] = {
    "LDHD": (_ldhd, _to_ldhd),
    "KFAD": (_ikfad, _to_kfad),
    "IKFAD": (_ikfad, _to_ikfad),
    "RIKFAD": (_ikfad, _to_ikfad),
    "CD": (_cd, _to_cd),
    "CADAM": (_cadam, _to_cadam),
    "SGD": _HEAVY_BALL,
    "Nesterov": _HEAVY_BALL,
    "Adam": _ADAM,
    "AdamW": _ADAM,
    "NAdamW": _ADAM,
    "Muon": (_muon, _to_muon),
}
