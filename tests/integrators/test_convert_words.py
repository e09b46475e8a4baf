"""What converters refuse, and that they say what would be right."""

import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from problems import CoupledQuartic, descend, parameter

from dashpot.dynamics import (
    CADAM,
    CD,
    IKFAD,
    LDHD,
    NAG,
    BiasCorrectedDrift,
    Clock,
    Dynamics,
    Kick,
    LinearDamping,
    Part,
    PreconditionedDrift,
    RisingKick,
    SecondMoment,
    State,
    WeightDecay,
)
from dashpot.integrators import convert, optim
from dashpot.integrators.convert import (
    cd_to_ikfad,
    from_adam,
    from_sgd,
    ikfad_to_cd,
    to_adam,
    to_sgd,
)

STEPS = 20
X0 = [1.0, -0.6]
landscape = CoupledQuartic()

ADAM: dict[str, Any] = {"lr": 2e-3, "betas": (0.9, 0.99), "eps": 1e-4}


def wrong(value: Any) -> Any:
    """A value of a wrong type, on purpose."""
    return value


def run(optimizer_of: Any) -> torch.Tensor:
    param = parameter(X0)
    return descend(optimizer_of([param]), param, landscape, STEPS)


@dataclass(frozen=True)
class Cubed(Part):
    """p' = −k p³ by an Euler step: a part of a user's own."""

    letter, reads, writes, kind = "Q", ("p",), ("p",), "consistent"
    k: float

    def rate(self, s: State) -> dict[str, Any]:
        return {"p": -self.k * s.p**3}

    def flow(self, s: State, h: Any) -> None:
        s.p = s.p - h * self.k * s.p**3


def adam_of(*parts: Part, drift: Part | None = None) -> Dynamics:
    """Adam's equation with another kick, or with a clock that nothing reads."""
    made = (drift or PreconditionedDrift(0.1), LinearDamping(1.0), SecondMoment(2.0), *parts)
    return Dynamics(*made, word="BETAD" if len(made) == 5 else "BEAD")


DECAYING = CADAM(1.0, 2.0, 0.0, 1e-3).with_part(WeightDecay(0.1))


@pytest.mark.parametrize(("word", "plain"), [("EBWTAG", "EBTAG"), ("BEW:1/4TW:3/4ADC", "BETADC")])
def test_a_part_w_between_kick_and_drift_is_adamw(word: str, plain: str) -> None:
    bare = CADAM(4.0, 0.5, 0.0, 1e-3, bias_correction=True)
    made = bare.with_part(WeightDecay(0.2))
    back = to_adam(made, word, 0.02)
    assert back == to_adam(bare, plain, 0.02, 0.2)
    points = run(lambda params: optim.optimizer(made, params, 0.02, word=word))
    # 20 steps, a few ulp of x ~ 1 each
    assert (points - run(back.optimizer)).abs().max() < 1e-14


REFUSALS: list[tuple[Any, str]] = [
    (lambda: from_sgd(0.0), "lr must be a finite number > 0; got 0"),
    (lambda: from_sgd(0.1, -0.1), "momentum must be a number from 0 to 1; got -0.1"),
    (lambda: from_sgd(0.1, 0.9, 1.0), "dampening must be a finite number < 1; got 1"),
    (lambda: from_sgd(wrong("0.1"), 0.9), "lr must be a finite number > 0; got '0.1'"),
    (lambda: from_sgd(0.1, wrong(None)), "momentum must be a finite number; got None"),
    (lambda: from_sgd(0.1, 0.9, wrong("x")), "dampening must be a finite number; got 'x'"),
    (lambda: from_sgd(0.1, 0.9, 0.0, wrong("x")), "weight_decay must be a finite number; got 'x'"),
    (lambda: from_adam(betas=wrong((0.9,))), r"betas must be two numbers.*; got \(0.9,\)"),
    (lambda: from_adam(betas=wrong(0.9)), "betas must be two numbers.*; got 0.9"),
    (lambda: from_adam(betas=wrong((0.9, "x"))), "beta2 must be a finite number; got 'x'"),
    (lambda: from_adam(weight_decay=wrong("x")), "weight_decay must be a finite number; got 'x'"),
    (lambda: from_adam(eps=wrong("x")), "eps must be a finite number; got 'x'"),
    (lambda: to_sgd(LDHD(0.3), "BAD", 0.1, wrong("x")), "kick must be a finite number; got 'x'"),
    (lambda: convert.kick_factor("BAD", wrong("x")), "beta must be a finite number; got 'x'"),
    (lambda: convert.effective_lr(wrong("x"), 0.9), "lr must be a finite number; got 'x'"),
    (lambda: from_sgd(0.1, 0.9, 0.5, word="ADB"), "ADB drifts before .* try BAD or DBA"),
    (lambda: from_sgd(0.1, 0.9, weight_decay=0.1), "add ½ weight_decay .* to the loss"),
    (lambda: from_sgd(0.1, nesterov=True), "momentum > 0 and dampening 0"),
    (lambda: from_sgd(0.1, 0.9, nesterov=True, word="BAD"), "with nesterov is the word BDFA"),
    (lambda: from_sgd(0.1, word="BAD"), "without momentum is the word F; got 'BAD'"),
    (lambda: from_sgd(0.1, 0.9, word="BABAD"), "BABAD takes 2 gradients a step"),
    (lambda: from_sgd(0.1, 0.9, word="BAX"), "unknown letter 'X'"),
    (lambda: from_sgd(0.1, 0.5, word="BA:-2DA:3"), "ρ = -0.5 .* try BAD"),
    (lambda: to_sgd(CD(0.3, 2.0), "BCDA", 0.1), r"c = 2 is no .*c → 0 it tends to torch.*\.SGD\("),
    (lambda: to_sgd(IKFAD(0.3, 1.0, 1.0)), "IKFAD is no torch.optim.SGD: only LDHD"),
    (lambda: to_sgd(CADAM(0.3, 1.0, 0.0)), "CADAM is no torch.optim.SGD"),
    (lambda: to_sgd(LDHD(0.3), "ADB", 0.1, kick=0.5), "give kick=0"),
    (lambda: to_sgd(LDHD(0.3), "BAD", 0.1, kick=-4.0), "uphill .* cannot be negative"),
    (lambda: to_sgd(NAG(0.3, 0.2), "BDFA", 0.1), "eta = lr = h; got .* eta 0.2 and lr 0.1"),
    (lambda: to_sgd(NAG(0.3, 0.1), "BFDA", math.nan), "lr must be"),
    (lambda: to_sgd(LDHD(torch.ones(2)), "BAD", 0.1), "gamma must be one number"),
    (lambda: from_adam(betas=(0.0, 0.9)), "beta1 must be a number between 0 and 1; got 0"),
    (lambda: from_adam(betas=(0.9, 1.0)), "beta2 must be a number between 0 and 1; got 1"),
    (lambda: from_adam(amsgrad=True), "amsgrad"),
    (lambda: from_adam(weight_decay=0.1), "AdamW's is a decay of x: decoupled=True"),
    (lambda: from_adam(1.0, weight_decay=2.0, decoupled=True), "from 0 to 1/lr = 1; got 2"),
    (lambda: from_adam(word="ABETCD"), "ABETCD moves x before .* BETACD"),
    (lambda: from_adam(word="BEATCD"), "BEATCD moves x before"),
    (lambda: from_adam(eps=-1.0), "eps must be"),
    (lambda: from_adam(weight_decay=-1.0, decoupled=True), "from 0 to 1/lr = 1000; got -1"),
    (lambda: to_adam(CADAM(0.3, 1.0, 0.0), weight_decay=-1.0), "weight_decay must be .* >= 0"),
    (lambda: to_adam(LDHD(0.3)), "LDHD is no torch.optim.Adam: only CADAM"),
    (lambda: to_adam(CADAM(1.0, 2.0, 0.0).with_part(Cubed(0.1)), "BEACDQ"), r"parts are .*Cubed\("),
    (lambda: to_adam(adam_of(RisingKick(0.3), Clock())), r"parts are .*RisingKick\("),
    (lambda: to_adam(adam_of(Kick(), Clock())), r"parts are .*Clock\("),
    (lambda: to_adam(adam_of(Kick(), drift=BiasCorrectedDrift(0.1, 1.0, 2.0))), "no torch.opt"),
    (lambda: to_sgd(CD(1.0, 0.0).with_part(WeightDecay(0.1)), "BCDAW"), "parts are .*WeightDecay"),
    (lambda: to_adam(DECAYING, "BECDAW"), "BECDAW moves x before .* W before A"),
    (lambda: to_adam(DECAYING, "WBEACD"), "WBEACD moves x before .* W before A"),
    (lambda: to_adam(DECAYING, "BEWACD", weight_decay=0.1), "part W of its own"),
    (
        lambda: to_adam(CADAM(1.0, 2.0, 3.0).with_part(WeightDecay(0.1)), "BEWACD"),
        r"c = 3 is no .*c → 0 it tends to torch.*\.AdamW\(",
    ),
    (lambda: to_adam(CADAM(0.3, 1.0, 2.0)), r"c = 2 is no .*c → 0 it tends to torch.*\.Adam\("),
    (lambda: to_adam(CADAM(0.0, 1.0, 0.0)), "gamma must be a finite number > 0; got 0"),
    (lambda: ikfad_to_cd(IKFAD(0.1, 0.0, 1.0)), "alpha must be a finite number > 0"),
    (lambda: cd_to_ikfad(CD(0.1, 0.0), 1.0), "c must be a finite number > 0"),
    (lambda: convert.max_step_to_c(0.1, -1.0), "max_step must be .* > 0 to give c; got -1"),
    (lambda: convert.c_to_max_step(0.1, 0.0), "c must be .* > 0 to give a cap; got 0"),
]


@pytest.mark.parametrize(("call", "message"), REFUSALS)
def test_refusals_say_what_would_be_right(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
