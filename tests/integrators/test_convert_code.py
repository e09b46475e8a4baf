"""The line that a converter prints makes the optimizer, for any dynamics."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from problems import CATALOGUE, MOMENTUM_FLOWS, CoupledMatrix, descend, parameter

from dashpot import dynamics
from dashpot.dynamics import (
    CADAM,
    IKFAD,
    LDHD,
    NAG,
    RIKFAD,
    AdamODE,
    CubicLinearDamping,
    Drift,
    Dynamics,
    HighResolutionHB,
    Kick,
    ModifiedMomentum,
    WeightDecay,
)
from dashpot.integrators import convert, optim
from dashpot.integrators.convert import Equivalent, from_adam, from_sgd, to_adam, to_sgd

STEPS = 10
landscape = CoupledMatrix()
ADAM: dict[str, Any] = {"lr": 2e-3, "betas": (0.9, 0.99), "eps": 1e-4}
NAMES = {"optim": optim, "dynamics": dynamics, "convert": convert, "torch": torch}
OTHERS: list[Dynamics] = [
    IKFAD(0.3, 0.7, 0.9, "rotation"),
    RIKFAD(0.3, 0.7, 0.9, 0.1),
    CADAM(0.3, 0.6, 0.5, 0.1, bias_correction=True),
    AdamODE(0.3, 0.6, 0.1, bias_correction=True),
    ModifiedMomentum(0.4, 0.6, nesterov=True),
    LDHD(gamma=0.3).bind({"gamma": 0.5}),
    HighResolutionHB(0.5, 0.04).bind({"gamma": 0.5}),
    Dynamics(Drift(), Kick(), CubicLinearDamping(0.2, 0.3), word="BGA", name="mine"),
]


def run(optimizer: torch.optim.Optimizer, param: torch.nn.Parameter) -> torch.Tensor:
    return descend(optimizer, param, landscape, STEPS)


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
        Equivalent(LDHD(0.3).with_part(WeightDecay(0.2)), "BWDA", 0.1),
        to_sgd(LDHD(1.5), "BADAB", 0.1),
        to_sgd(NAG(1.5, 0.1), lr=0.1),
        to_adam(CADAM(4.0, 0.5, 0.0, 1e-3, True), lr=0.02, weight_decay=0.1),
    ],
    ids=lambda made: made.code().split("(params")[0],
)
def test_the_printed_line_makes_the_optimizer(made: Any) -> None:
    one, two = parameter(landscape.start), parameter(landscape.start)
    printed = run(eval(made.code(), {**NAMES, "params": [one]}), one)
    assert torch.equal(printed, run(made.optimizer([two]), two))


@given(
    st.sampled_from([*CATALOGUE, *MOMENTUM_FLOWS, *OTHERS]),
    st.sampled_from([0.0, 0.3]),
    st.sampled_from([0.0, 0.25]),
)
def test_the_line_of_any_dynamics_makes_it_again(made: Dynamics, decay: float, kick: float) -> None:
    """Hyperparameters by name, options, weight decay; with a kick where there is a momentum."""
    line = Equivalent(made, made.word, 0.05, decay, kick if "p" in made.variables else 0.0)
    one, two = parameter(landscape.start), parameter(landscape.start)
    again, expected = eval(line.code(), {**NAMES, "params": [one]}), line.optimizer([two])
    assert repr(again.dynamics.parts) == repr(expected.dynamics.parts)
    settings = [{k: v for k, v in o.param_groups[0].items() if k != "params"}
                for o in (again, expected)]  # fmt: skip
    assert settings[0] == settings[1]
    assert torch.equal(run(again, one), run(expected, two))


def test_arguments_are_named_in_the_constructor_s_order() -> None:
    line = Equivalent(AdamODE(1.0, 2.0, 3.0), "BEAD", 0.1).code()
    assert line == (
        "optim.optimizer(dynamics.AdamODE(gamma=1.0, alpha=2.0, eps=3.0), params, lr=0.1, "
        'word="BEAD")'
    )
    line = Equivalent(IKFAD(1.0, 2.0, 3.0, "rotation"), "BACD", 0.1, kick=0.5).code()
    assert line == (
        "convert.Equivalent(dynamics.IKFAD(gamma=1.0, alpha=2.0, mu=3.0, scheme='rotation'), "
        'word="BACD", lr=0.1, kick=0.5).optimizer(params)'
    )


def test_a_value_that_is_no_single_number_cannot_be_printed() -> None:
    made = Equivalent(LDHD(torch.tensor([0.1, 0.2])), "BAD", 0.1)
    with pytest.raises(ValueError, match="gamma must be one number"):
        made.code()
