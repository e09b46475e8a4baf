"""torch.optim.Adam and AdamW to words of CADAM with c = 0, and back."""

import math
from typing import Any

from ...dynamics import (
    CADAM,
    BiasCorrectedDrift,
    Clock,
    CubicDamping,
    Dynamics,
    Kick,
    LinearDamping,
    PreconditionedDrift,
    SecondMoment,
    WeightDecay,
)
from ..cut import gradient_cut
from ..words.word import Word
from .checks import finite, number, parts_of, positive
from .equivalent import IDENTICAL, Equivalent, TorchEquivalent
from .heavy_ball import heavy_ball

_NO_CORRECTION = (
    "torch's Adam divides its moments by 1 − β₁ⁿ and 1 − β₂ⁿ; without bias_correction=True the "
    "step of call n is as long as its step only once n is well beyond 1/(1 − β₂) = {:.6g}"
)


def from_adam(
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    *,
    decoupled: bool = False,
    bias_correction: bool = True,
    amsgrad: bool = False,
    word: str | Word | None = None,
) -> Equivalent:
    """torch.optim.Adam, or AdamW (`decoupled`), as a word of CADAM with c = 0.

        β₁ = e^{−γh},  β₂ = e^{−αh},  lr = ρ h² √α/(1 − β₁),  eps = ε √α,  lr wd = 1 − e^{−wh}

    so that h = (lr (1 − β₁)/(ρ √(−ln β₂)))^{2/3}, with ρ the `kick_factor` of the word's A, B, D.

    bias_correction  False: Adam without it, which torch does not have
    word             one in which B, E (and T) stand before A. None: CADAM's default, ρ = 1

    Raises ValueError for settings out of range, amsgrad, and a weight_decay that is not
    decoupled (it goes through the moments: a change of the loss).
    """
    positive(lr=lr)
    finite(eps=eps, weight_decay=weight_decay)
    if not (isinstance(betas, tuple | list) and len(betas) == 2):
        raise ValueError(f"betas must be two numbers, β₁ and β₂; got {betas!r}")
    for name, beta in zip(("beta1", "beta2"), betas, strict=True):
        finite(**{name: beta})
        if not 0 < beta < 1:
            raise ValueError(f"{name} must be a number between 0 and 1; got {beta}")
    if amsgrad:
        raise ValueError("amsgrad keeps the largest second moment, which no part here does")
    if weight_decay and not decoupled:
        raise ValueError(
            f"Adam's weight_decay={weight_decay} goes through the moments, which is a change of "
            "the loss: add ½ weight_decay |x|² to the loss and convert without it; AdamW's is a "
            "decay of x: decoupled=True"
        )
    if not 0 <= lr * weight_decay < 1:
        raise ValueError(f"weight_decay must be from 0 to 1/lr = {1 / lr:g}; got {weight_decay}")
    gamma_h, alpha_h = (-math.log(beta) for beta in betas)
    unit = CADAM(1.0, 1.0, 0.0, eps, bias_correction)
    plan = Word(unit.word if word is None else word, unit)
    h = (lr * (1 - betas[0]) / (_adam_factor(plan, betas[0]) * math.sqrt(alpha_h))) ** (2 / 3)
    alpha = alpha_h / h
    dynamics = CADAM(gamma_h / h, alpha, 0.0, eps / math.sqrt(alpha), bias_correction)
    theirs = "torch's AdamW" if weight_decay else "torch's Adam"
    note = IDENTICAL.format(theirs if bias_correction else "Adam without bias correction")
    decay = -math.log1p(-lr * weight_decay) / h
    return Equivalent(dynamics, plan.text, h, weight_decay=decay, notes=(note,))


def to_adam(
    dynamics: Dynamics,
    word: str | Word | None = None,
    lr: float = 0.0215,
    weight_decay: float = 0.0,
) -> TorchEquivalent:
    """A word of CADAM with c = 0 (or AdamODE) as torch.optim.Adam, with decay as AdamW.

    The inverse of `from_adam`; `weight_decay` is the rate w of x' = −w x, `lr` the step size h. A
    part W of the dynamics' own is AdamW as well, in words with W between the gradient and A.
    Without bias correction it is Adam up to the first steps only, and a note says so. Raises
    ValueError for other parts (c ≠ 0: naming the Adam it tends to), γ or α of 0, and words
    that move x before B, E and T are done.
    """
    positive(lr=lr)
    plan = Word(dynamics.word if word is None else word, dynamics)
    finite(weight_decay=weight_decay)
    if weight_decay < 0:
        raise ValueError(f"weight_decay must be a finite number >= 0; got {weight_decay}")
    if weight_decay and "W" in dynamics.parts:
        raise ValueError(
            f"{dynamics.name} has a part W of its own, {dynamics.parts['W']}: leave out the "
            f"argument weight_decay; got {weight_decay}"
        )
    kinds = {type(part) for part in dynamics.parts.values()} - {CubicDamping, WeightDecay}
    corrected = BiasCorrectedDrift in kinds
    drift = {BiasCorrectedDrift, Clock} if corrected else {PreconditionedDrift}
    if kinds != {*drift, Kick, LinearDamping, SecondMoment}:
        raise ValueError(
            f"{dynamics.name} is no torch.optim.Adam: only CADAM with c = 0 and AdamODE are, with "
            f"or without W; its parts are {parts_of(dynamics)}"
        )
    gamma, alpha, c, eps = (number(dynamics, name) for name in ("gamma", "alpha", "c", "eps"))
    if c:
        limit = to_adam(dynamics.bind({"c": 0.0}), plan, lr, weight_decay)
        raise ValueError(
            f"{dynamics.name} with c = {c:g} is no torch.optim.Adam, which has no cubic damping; "
            f"as c → 0 it tends to {limit.code()}"
        )
    positive(gamma=gamma, alpha=alpha)
    beta1, beta2 = math.exp(-gamma * lr), math.exp(-alpha * lr)
    their_lr = _adam_factor(plan, beta1) * lr**2 * math.sqrt(alpha) / -math.expm1(-gamma * lr)
    settings: dict[str, Any] = {"lr": their_lr, "betas": (beta1, beta2)}
    settings["eps"] = eps * math.sqrt(alpha)
    if decay := weight_decay or number(dynamics, "weight_decay"):
        settings["weight_decay"] = -math.expm1(-decay * lr) / their_lr
    note = IDENTICAL.format("the word")
    if not corrected:
        note = _NO_CORRECTION.format(-1 / math.expm1(-alpha * lr))
    return TorchEquivalent("AdamW" if decay else "Adam", settings, notes=(note,))


def _adam_factor(word: Word, beta1: float) -> float:
    """ρ of a word that updates moments and clock, and decays x, before it moves x, as Adam does."""
    first = word.letters.index("A")
    late = {"T", "W"} & set(word.letters[first:])
    if gradient_cut(word.substeps) < len(word) or late:
        raise ValueError(
            f"the word {word.text} moves x before its moments have the gradient, or before time or "
            "decay have done their step; Adam is a word with B, E and T before A, such as BETACD, "
            "or BEACD without bias correction, and AdamW has W before A, after B and E"
        )
    return heavy_ball(word, beta1).rho
