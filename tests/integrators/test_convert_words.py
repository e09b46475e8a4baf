"""What converters say: the printed line makes the optimizer, refusals say what would be right."""

import math
from typing import Any

import pytest
import torch
from problems import CoupledQuartic, descend, parameter

from dashpot import dynamics
from dashpot.dynamics import CADAM, CD, IKFAD, LDHD, NAG
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


def run(optimizer_of: Any) -> torch.Tensor:
    param = parameter(X0)
    return descend(optimizer_of([param]), param, landscape, STEPS)


@pytest.mark.parametrize(
    "made",
    [
        from_sgd(0.02),
        from_sgd(0.02, 0.9),
        from_sgd(0.02, 0.9, word="BCDA"),
        from_sgd(0.02, 0.9, 0.4),
        from_sgd(0.02, 0.9, 0.4, word="BCDADCB"),
        from_sgd(0.02, 0.9, nesterov=True),
        from_adam(**ADAM),
        from_adam(**ADAM, weight_decay=0.5, decoupled=True),
        from_adam(**ADAM, bias_correction=False),
        to_sgd(LDHD(1.5), "BADAB", 0.1),
        to_sgd(NAG(1.5, 0.1), lr=0.1),
        to_adam(CADAM(4.0, 0.5, 0.0, 1e-3, True), lr=0.02, weight_decay=0.1),
    ],
    ids=lambda made: made.code().split("(params")[0],
)
def test_the_printed_line_makes_the_optimizer(made: Any) -> None:
    names = {"optim": optim, "dynamics": dynamics, "convert": convert, "torch": torch}
    printed = run(lambda params: eval(made.code(), {**names, "params": params}))
    assert torch.equal(printed, run(made.optimizer))


REFUSALS: list[tuple[Any, str]] = [
    (lambda: from_sgd(0.0), "lr must be a finite number > 0; got 0"),
    (lambda: from_sgd(0.1, -0.1), "momentum must be a number from 0 to 1; got -0.1"),
    (lambda: from_sgd(0.1, 0.9, 1.0), "dampening must be a finite number < 1; got 1"),
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
    (lambda: to_sgd(NAG(0.3, 0.2), "BDFA", 0.1), "rate = lr = h; got .* rate 0.2 and lr 0.1"),
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
    (lambda: to_adam(LDHD(0.3)), "LDHD is no torch.optim.Adam: only CADAM"),
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
