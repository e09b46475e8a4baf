"""What is asked of ODEs only is refused for noise, and says what to ask instead."""

from collections.abc import Callable
from typing import Any

import pytest
from minibatch_line import BATCH, line

from dashpot.analysis import (
    audit_run,
    boundedness,
    convergence_order,
    energy_audit,
    search,
    strong_order,
)
from dashpot.dynamics import LDHD, Langevin
from dashpot.integrators import Word, simulate
from dashpot.landscapes import Minibatch, Quadratic

BATH, BOWL = Langevin(1.0, 0.5), Quadratic([1.0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: convergence_order(BATH, BOWL),
            r"Langevin has noise, and this is the order of an ODE's word; Word\.order\(\) proves "
            r"its weak order, weak_order_linear, local_weak_order and strong_order measure",
        ),
        (
            lambda: energy_audit(BATH, BOWL, step=0.1, steps=3),
            r"Langevin has noise, and an audit .*; its expected rate is dynamics\.energy_rate",
        ),
        (
            lambda: boundedness(Word("BAOAB", BATH)),
            r"no run of it stays below a bound for ever; stability_limit\(word\) tells",
        ),
        (lambda: search(BATH), r"the reports are of ODEs; sampling_words reports on those of"),
    ],
)
def test_a_dynamics_with_noise(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_what_is_no_dynamics() -> None:
    wrong: Any = "CD"
    with pytest.raises(TypeError, match=r"a dynamics such as CD\("):
        convergence_order(wrong, BOWL)
    with pytest.raises(TypeError, match=r"a dynamics such as CD\("):
        energy_audit(wrong, BOWL, step=0.1, steps=3)


def audited_run() -> None:
    sampled = Minibatch(line(), BATCH)
    run = simulate(LDHD(1.0), sampled, step=0.1, steps=3, noise=0)
    audit_run(LDHD(1.0), sampled, run)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: convergence_order(LDHD(1.0), Minibatch(line(), BATCH)),
            "runs of different h see different samples; give the landscape that is sampled",
        ),
        (
            lambda: strong_order(BATH, Minibatch(line(), BATCH)),
            "runs of different h see different samples; give the landscape that is sampled",
        ),
        (
            lambda: energy_audit(LDHD(1.0), Minibatch(line(), BATCH), step=0.1, steps=3),
            "an audit is of the energy that an ODE's letters take; give the landscape that is",
        ),
        (audited_run, "an audit is of the energy that an ODE's letters take; give the landscape"),
    ],
)
def test_a_landscape_with_sampled_gradients(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"minibatches of 2 samples its gradients, and {message}"):
        call()
