"""Words that are known optimizers: torch's SGD with momentum, Adam, AdamW, step for step."""

import math
from typing import Any

import pytest
import torch
from problems import ULP, CoupledQuartic, adam, descend, heavy_ball, parameter

from dashpot.dynamics import CADAM, CD, LDHD, Dynamics
from dashpot.integrators import optim

STEPS = 200
X0 = [1.0, -0.6]
GAMMA, H = 0.9, 0.1
BETA = math.exp(-GAMMA * H)
landscape = CoupledQuartic()


def run_torch(make: Any, **settings: Any) -> torch.Tensor:
    param = parameter(X0)
    return descend(make([param], **settings), param, landscape, STEPS)


def run_word(dynamics: Dynamics, word: str, lr: float = H, **settings: Any) -> torch.Tensor:
    param = parameter(X0)
    optimizer = optim.optimizer(dynamics, [param], lr=lr, word=word, **settings)
    return descend(optimizer, param, landscape, STEPS)


@pytest.mark.parametrize(
    ("dynamics", "word", "lr"),
    [
        (LDHD(GAMMA), "BAD", H**2),
        (LDHD(GAMMA), "DBA", H**2),
        (CD(GAMMA, 0.0), "BACD", H**2),
        (CD(GAMMA, 0.0), "CDBA", H**2),
        (LDHD(GAMMA), "BDA", BETA * H**2),
        (CD(GAMMA, 0.0), "BCDA", BETA * H**2),
        (CD(GAMMA, 0.0), "BGA", BETA * H**2),
    ],
)
def test_sgd_with_momentum(dynamics: Dynamics, word: str, lr: float) -> None:
    points = run_word(dynamics, word)
    sgd = run_torch(torch.optim.SGD, lr=lr, momentum=BETA)
    assert (points - sgd).abs().max() < 1e-14
    ours = heavy_ball(landscape.df, torch.tensor(X0, dtype=torch.float64), lr, BETA, STEPS)
    assert (points - ours).abs().max() < 1e-14
    assert points[-1].norm() < 1e-3 < points[0].norm()


@pytest.mark.parametrize(("word", "factor"), [("ADB", 1.0), ("ABD", BETA), ("DAB", BETA)])
def test_words_that_drift_first_are_sgd_one_step_late(word: str, factor: float) -> None:
    points = run_word(LDHD(GAMMA), word)
    sgd = run_torch(torch.optim.SGD, lr=factor * H**2, momentum=BETA)
    assert torch.equal(points[1], points[0])
    assert (points[1:] - sgd[:-1]).abs().max() < 1e-14


def test_documented_map_of_sgd() -> None:
    """LDHD's default word with lr = √(η/β), γ = −ln(β)/lr is SGD(lr=η, momentum=β)."""
    eta, beta = 0.01, 0.9
    h = math.sqrt(eta / beta)
    param = parameter(X0)
    points = descend(optim.LDHD([param], lr=h, gamma=-math.log(beta) / h), param, landscape, STEPS)
    assert (points - run_torch(torch.optim.SGD, lr=eta, momentum=beta)).abs().max() < 1e-14


BETAS, LR, EPS = (0.9, 0.99), 2e-3, 1e-4
STEP = (LR * (1 - BETAS[0]) / math.sqrt(-math.log(BETAS[1]))) ** (2 / 3)
ADAM: dict[str, Any] = {
    "gamma": -math.log(BETAS[0]) / STEP,
    "alpha": -math.log(BETAS[1]) / STEP,
    "c": 0.0,
}
ADAM["eps"] = EPS / math.sqrt(ADAM["alpha"])
# a few ulp of x ~ 1 a step
TOLERANCE = STEPS * 4 * ULP


def test_adam() -> None:
    param = parameter(X0)
    optimizer = optim.CADAM([param], lr=STEP, **ADAM, bias_correction=True)
    points = descend(optimizer, param, landscape, STEPS)
    expected = run_torch(torch.optim.Adam, lr=LR, betas=BETAS, eps=EPS)
    assert (points - expected).abs().max() < TOLERANCE
    assert (points[-1] - points[0]).abs().min() > 0.1


@pytest.mark.parametrize("decay", [0.01, 0.5])
def test_adamw(decay: float) -> None:
    param = parameter(X0)
    optimizer = optim.CADAM(
        [param], lr=STEP, **ADAM, bias_correction=True, weight_decay=-math.log1p(-LR * decay) / STEP
    )
    points = descend(optimizer, param, landscape, STEPS)
    expected = run_torch(torch.optim.AdamW, lr=LR, betas=BETAS, eps=EPS, weight_decay=decay)
    assert (points - expected).abs().max() < TOLERANCE


def test_adamw_by_a_written_word() -> None:
    w = -math.log1p(-LR * 0.3) / STEP
    points = run_word(CADAM(**ADAM, bias_correction=True), "EBWTACD", STEP, weight_decay=w)
    expected = run_torch(torch.optim.AdamW, lr=LR, betas=BETAS, eps=EPS, weight_decay=0.3)
    assert (points - expected).abs().max() < TOLERANCE


@pytest.mark.parametrize("word", ["EBACD", "BEACD", None])
def test_adam_without_bias_correction(word: str | None) -> None:
    points = run_word(CADAM(**ADAM), word or CADAM.word, STEP)
    expected = adam(landscape.df, torch.tensor(X0, dtype=torch.float64), LR, BETAS, EPS, STEPS)
    assert (points - expected).abs().max() < TOLERANCE


def test_default_hyperparameters_are_those_of_torchs_adam() -> None:
    """h = (lr (1−β₁)/√(−ln β₂))^{2/3}, γ = −ln β₁/h, α = −ln β₂/h at (1e-3, 0.9, 0.999)."""
    h = (1e-3 * 0.1 / math.sqrt(-math.log(0.999))) ** (2 / 3)
    assert h == pytest.approx(0.02154, abs=5e-6)
    group = optim.CADAM([parameter(X0)]).param_groups[0]
    assert group["lr"] == pytest.approx(h, rel=0.005)
    assert group["gamma"] == pytest.approx(-math.log(0.9) / h, rel=0.005)
    assert group["alpha"] == pytest.approx(-math.log(0.999) / h, rel=0.005)
    assert math.log(0.9) / math.log(0.999) == pytest.approx(105.31, abs=0.005)


def test_sgd_in_many_tensors_of_many_shapes() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)
    ).double()
    twin = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)
    ).double()
    twin.load_state_dict(net.state_dict())
    x, y = torch.randn(8, 3, dtype=torch.float64), torch.randn(8, 1, dtype=torch.float64)
    ours = optim.LDHD(net.parameters(), lr=H, gamma=GAMMA, word="BAD")
    sgd = torch.optim.SGD(twin.parameters(), lr=H**2, momentum=BETA)
    for _ in range(50):
        for model, optimizer in ((net, ours), (twin, sgd)):
            optimizer.zero_grad()
            ((model(x) - y) ** 2).mean().backward()
            optimizer.step()
    for a, b in zip(net.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-13)
