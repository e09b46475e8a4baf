"""torch's Adam and AdamW and words of CADAM: round trips, and parity on a nonlinear problem."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from problems import ULP, CoupledQuartic, descend, parameter

from dashpot.dynamics import CADAM, AdamODE
from dashpot.integrators.convert import from_adam, to_adam

STEPS = 200
X0 = [1.0, -0.6]
landscape = CoupledQuartic()
CLOSE = STEPS * 4 * ULP  # a few ulp of x ~ 1 a step


def run(optimizer_of: Any) -> torch.Tensor:
    param = parameter(X0)
    return descend(optimizer_of([param]), param, landscape, STEPS)


betas = st.floats(0.01, 0.999)
ADAM: dict[str, Any] = {"lr": 2e-3, "betas": (0.9, 0.99), "eps": 1e-4}


@pytest.mark.parametrize("word", [None, "EBTACD", "BECTDA", "BTEGA", "BTEADAC", "EBTDADC"])
@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_words_of_cadam_are_adam(word: str | None, decay: float) -> None:
    made = from_adam(**ADAM, weight_decay=decay, decoupled=True, word=word)
    twin: type[torch.optim.Optimizer] = torch.optim.AdamW if decay else torch.optim.Adam
    settings = {**ADAM, "weight_decay": decay}
    points = run(lambda params: twin(params, **settings))
    assert (run(made.optimizer) - points).abs().max() < CLOSE
    back = to_adam(made.dynamics, made.word, made.lr, made.weight_decay)
    assert back.name == twin.__name__
    assert (run(back.optimizer) - points).abs().max() < CLOSE
    assert (points[-1] - points[0]).abs().min() > 0.1


def test_torchs_defaults() -> None:
    made = from_adam()
    values = made.dynamics.hyperparameters
    assert made.lr == pytest.approx(0.0215408, abs=5e-8)
    assert values["gamma"] == pytest.approx(4.891, abs=5e-4)
    assert values["alpha"] == pytest.approx(0.04645, abs=5e-6)
    assert values["gamma"] / values["alpha"] == pytest.approx(105.31, abs=5e-3)
    assert values["eps"] == pytest.approx(1e-8 / math.sqrt(values["alpha"]), rel=1e-15)


@given(
    st.floats(1e-6, 1.0), betas, betas, st.floats(0.0, 1.0), st.floats(0.0, 0.9),
    st.booleans(), st.sampled_from(["BEACD", "BECDA", "EBGA", "BDEADCA"]),
)  # fmt: skip
def test_adam_there_and_back(
    lr: float, beta1: float, beta2: float, eps: float, lr_decay: float, corrected: bool, word: str
) -> None:
    word = f"T{word}" if corrected else word
    made = from_adam(
        lr, (beta1, beta2), eps, lr_decay / lr, decoupled=True, bias_correction=corrected, word=word
    )
    found = to_adam(made.dynamics, made.word, made.lr, made.weight_decay).settings
    assert found["lr"] == pytest.approx(lr, rel=1e-12)
    assert found["betas"] == pytest.approx((beta1, beta2), rel=1e-12)
    assert found["eps"] == pytest.approx(eps, rel=1e-12)
    # 1 − lr·wd ≥ 0.1 is what the decay keeps: its rounding is what wd has left
    assert found.get("weight_decay", 0.0) * lr == pytest.approx(lr_decay, rel=1e-12, abs=1e-15)


def test_adam_ode_is_adam() -> None:
    made = from_adam(**ADAM)
    v = made.dynamics.hyperparameters
    flow = AdamODE(v["gamma"], v["alpha"], v["eps"], bias_correction=True)
    assert to_adam(flow, lr=made.lr) == to_adam(made.dynamics, lr=made.lr)


def test_without_bias_correction_the_difference_is_told() -> None:
    (note,) = to_adam(CADAM(4.0, 0.5, 0.0), lr=0.02).notes
    assert "bias_correction" in note and "100.5" in note  # 1/(1 − e^{−0.01})
