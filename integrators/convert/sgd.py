"""torch.optim.SGD, with momentum, dampening or Nesterov's look-ahead, to words and back."""

import math

from ...dynamics import (
    CD,
    LDHD,
    NAG,
    CubicDamping,
    Descent,
    Drift,
    Dynamics,
    GradientFlow,
    Kick,
    LinearDamping,
)
from ..words.word import Word
from .checks import finite, number, parts_of, positive
from .equivalent import EULER, IDENTICAL, ROUNDING, Equivalent, TorchEquivalent
from .heavy_ball import heavy_ball, linear

_LATE = (
    "the same iterates as {} at a constant lr, one call late: the word drifts first, so the first "
    "call, with the momentum at rest, leaves the parameters where they are and its gradient is not "
    "used"
)
_KICKED = (
    "the same iterates as torch's SGD at a constant lr from the start p₀ = −{:.6g} h ∇f(x₀), which "
    ".optimizer() sets; from rest the first step is {:.6g} times as long"
)
_SHORT_FIRST_STEP = (
    "the same iterates as the word from rest, at a constant lr; the negative dampening makes the "
    "first step as short as the word's, which has only a part of its kick"
)


def from_sgd(
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    word: str | Word | None = None,
) -> Equivalent:
    """torch.optim.SGD as a word: of LDHD; with nesterov of NAG, without momentum of GradientFlow.

        lr (1 − τ) = ρ h²,   momentum β = e^{−γh}        τ the dampening, ρ the `kick_factor`

    word   one with one gradient a step; with a letter C or G it is a word of CD with c = 0, to
           be raised from there. None: BAD (ρ = 1). Fixed with nesterov (BDFA: h = √lr and
           η = h) and without momentum (F: h = lr)

    Torch's first step is undamped and unsplit: words that split their kick, and any τ ≠ 0, start
    from a momentum p₀ = −kick h ∇f(x₀) instead of rest. Words that drift first are one call
    late. Raises ValueError for settings torch refuses, weight_decay (a change of the loss, not a
    decay of x), words with several gradients a step, and τ ≠ 0 with a word that drifts first.
    """
    positive(lr=lr)
    finite(momentum=momentum, dampening=dampening, weight_decay=weight_decay)
    if not 0 <= momentum <= 1:
        raise ValueError(f"momentum must be a number from 0 to 1; got {momentum}")
    if dampening >= 1:
        raise ValueError(f"dampening must be a finite number < 1; got {dampening}")
    if weight_decay:
        raise ValueError(
            f"SGD's weight_decay={weight_decay} adds weight_decay·x to the gradient, which is a "
            "change of the loss, not a decay of x: add ½ weight_decay |x|² to the loss and "
            "convert without it"
        )
    if nesterov and (momentum == 0 or dampening):
        raise ValueError(
            "Nesterov's momentum needs momentum > 0 and dampening 0; got "
            f"momentum={momentum}, dampening={dampening}"
        )
    fixed = "BDFA" if nesterov else None if momentum else "F"
    if fixed is not None and word is not None and Word(word) != Word(fixed):
        which = "with nesterov" if nesterov else "without momentum"
        raise ValueError(f"SGD {which} is the word {fixed}; got {str(word)!r}")
    if momentum == 0:
        notes = (EULER.format("torch's SGD"), "Euler's steps along x' = −∇f")
        return Equivalent(GradientFlow(1.0), "F", lr, notes=notes)
    if nesterov:
        h = math.sqrt(lr)
        notes = (IDENTICAL.format("torch's SGD"), "x is torch's look-ahead point")
        return Equivalent(NAG(abs(math.log(momentum)) / h, h), "BDFA", h, notes=notes)
    return _from_heavy_ball(lr, momentum, dampening, linear("BAD" if word is None else word))


def _from_heavy_ball(lr: float, momentum: float, dampening: float, word: Word) -> Equivalent:
    made = heavy_ball(word, momentum)
    if made.rho <= 0:
        raise ValueError(
            f"the word {word.text} has the kick factor ρ = {made.rho:.6g} at momentum {momentum}; "
            "it must be > 0: try BAD"
        )
    if made.delay and dampening:
        raise ValueError(
            f"the word {word.text} drifts before its first kick, so it cannot repeat the undamped "
            f"first step of dampening={dampening}; try BAD or DBA"
        )
    kick = 0.0 if made.delay else (made.rho / (1 - dampening) - made.first) / made.carried
    h = math.sqrt(lr * (1 - dampening) / made.rho)
    gamma = abs(math.log(momentum)) / h
    note = (_LATE if made.delay else IDENTICAL).format("torch's SGD")
    if kick:
        shorter = made.first * (1 - dampening) / made.rho
        note = _KICKED.format(kick, shorter)
    assert word.dynamics is not None
    dynamics = CD(gamma, 0.0) if isinstance(word.dynamics, CD) else LDHD(gamma)
    return Equivalent(dynamics, word.text, h, kick=kick, delay=made.delay, notes=(note,))


def ode_model_of_sgd(lr: float, momentum: float) -> Equivalent:
    """The flow that torch's SGD follows to second order: LDHD from p₀ = −(h/2) ∇f(x₀) with

        h = √(2 lr/(1 + β)),   γ = −ln β/h,   t_n = n h,   error O(h²).

    SGD is exactly the symmetric word BADAB from that start (ρ = (1 + β)/2), which is why. The
    usual reading h = √lr, p₀ = 0 is first order, and so is correcting only one of the two.
    `.dynamics`, `.lr` (h) and `.start(x0, gradient)` go to `solve`.
    """
    return from_sgd(lr, momentum, word="BADAB")


def effective_lr(lr: float, momentum: float, dampening: float = 0.0) -> float:
    """lr (1 − τ)/(1 − β): a constant gradient ends up moving x by this multiple of it a step.

    It is also the time of gradient flow x' = −∇f that a step covers (Kovachki, Stuart 2021); in
    the time of LDHD a step is h = √(lr (1 − τ)/ρ).
    """
    finite(lr=lr, momentum=momentum, dampening=dampening)
    return lr * (1 - dampening) / (1 - momentum) if momentum < 1 else math.inf


def to_sgd(
    dynamics: Dynamics, word: str | Word | None = None, lr: float = 0.1, kick: float = 0.0
) -> TorchEquivalent:
    """A word of LDHD, CD with c = 0, NAG or gradient flow as torch.optim.SGD.

        lr_SGD = ρ h²,   momentum = e^{−γh}                    ρ the `kick_factor`, h the `lr` here

    From rest, or from p₀ = −kick h ∇f(x₀) as in `Equivalent`. A word that splits its kick
    (BADAB) starts with a shorter step: torch's dampening, negative, makes it. A word that drifts
    first is one call late. Raises ValueError for other dynamics (c ≠ 0: naming the SGD it tends
    to as c → 0), and for words with several gradients a step.
    """
    positive(lr=lr)
    finite(kick=kick)
    plan = Word(dynamics.word if word is None else word, dynamics)
    kinds = {type(part) for part in dynamics.parts.values()}
    if kinds == {Descent}:
        settings = {"lr": number(dynamics, "eta") * lr}
        return TorchEquivalent("SGD", settings, notes=(EULER.format("the word"),))
    if kinds == {Drift, Kick, LinearDamping, Descent}:
        return _to_nesterov(dynamics, plan, lr)
    if kinds - {CubicDamping} != {Drift, Kick, LinearDamping}:
        raise ValueError(
            f"{dynamics.name} is no torch.optim.SGD: only LDHD, CD with c = 0, NAG and "
            f"GradientFlow are; its parts are {parts_of(dynamics)}"
        )
    if c := number(dynamics, "c"):
        limit = to_sgd(CD(number(dynamics, "gamma"), 0.0), plan.text, lr, kick)
        raise ValueError(
            f"{dynamics.name} with c = {c:g} is no torch.optim.SGD, which has no cubic damping; "
            f"as c → 0 it tends to {limit.code()}"
        )
    beta = math.exp(-number(dynamics, "gamma") * lr)
    made = heavy_ball(plan, beta)
    if made.delay and kick:
        raise ValueError(
            f"the word {plan.text} drifts before its first kick: from p₀ ≠ 0 no SGD takes its "
            "first steps; give kick=0, or a word such as BAD"
        )
    first = made.rho if made.delay else made.first + made.carried * kick
    if not (made.rho > 0 and first > 0):
        raise ValueError(
            f"the word {plan.text} steps uphill at e^{{−γh}} = {beta:.6g} (ρ = {made.rho:.6g}, "
            f"first step {first:.6g}); torch's lr cannot be negative"
        )
    settings = {"lr": first * lr**2, "momentum": beta}
    note = (_LATE if made.delay else IDENTICAL).format("SGD" if made.delay else "the word")
    if not math.isclose(first, made.rho, rel_tol=ROUNDING):
        settings["dampening"] = 1 - made.rho / first
        note = _SHORT_FIRST_STEP if first < made.rho else note
    return TorchEquivalent("SGD", settings, made.delay, (note,))


def _to_nesterov(dynamics: Dynamics, word: Word, lr: float) -> TorchEquivalent:
    eta = number(dynamics, "eta")
    if word not in (Word("BDFA"), Word("BFDA")) or not math.isclose(eta, lr, rel_tol=ROUNDING):
        raise ValueError(
            "NAG is torch.optim.SGD with nesterov=True for the word BDFA and eta = lr = h; got "
            f"the word {word.text}, eta {eta:g} and lr {lr:g}"
        )
    momentum = math.exp(-number(dynamics, "gamma") * lr)
    settings = {"lr": lr * eta, "momentum": momentum, "nesterov": True}
    return TorchEquivalent("SGD", settings, notes=(IDENTICAL.format("the word"),))
