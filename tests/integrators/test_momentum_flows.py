"""Momentum flows under `simulate`, `solve` and as optimizers, against torch and recurrences."""

import math
from collections.abc import Callable

import pytest
import torch
from problems import (
    MOMENTUM_FLOWS,
    CoupledQuartic,
    descend,
    heavy_ball,
    measured_order,
    parameter,
    slope,
)
from scipy.special import j1
from torch import Tensor

from dashpot.dynamics import (
    LDHD,
    NAG,
    AdamODE,
    Dynamics,
    GradientFlow,
    HighResolutionHB,
    HighResolutionNAGC,
    HighResolutionNAGSC,
    Nesterov,
)
from dashpot.integrators import Word, optim, simulate, solve
from dashpot.landscapes import Quadratic

QUARTIC = CoupledQuartic()
X0 = QUARTIC.start
G0 = QUARTIC.gradient(X0)
UNTIL = 2.0
ROUNDING = 1e-14  # of 200 contracting steps on numbers of size 1


def nesterov(x0: Tensor, lr: float, beta: float, steps: int) -> Tensor:
    """The K–S scheme with a = λ: iterates u_n, from u_{−1} = u_0."""
    points, before = [x0], x0
    for _ in range(steps):
        u = points[-1]
        ahead = u + beta * (u - before)
        points.append(ahead - lr * QUARTIC.gradient(ahead))
        before = u
    return torch.stack(points)


@pytest.mark.parametrize(("lr", "beta"), [(0.05, 0.9), (0.1, 0.5), (0.01, 0.99)])
def test_nag_is_torchs_nesterov_and_the_scheme_behind_it(lr: float, beta: float) -> None:
    h = math.sqrt(lr)
    flow = NAG(-math.log(beta) / h, h)
    run = simulate(flow, QUARTIC, X0, step=h, steps=200)
    param = parameter(X0)
    torchs = torch.optim.SGD([param], lr=lr, momentum=beta, nesterov=True)
    expected = descend(torchs, param, QUARTIC, 200)
    torch.testing.assert_close(run["x"], expected, rtol=0, atol=ROUNDING)
    behind = run["x"] - h * run["p"]
    torch.testing.assert_close(behind, nesterov(X0, lr, beta, 200), rtol=0, atol=ROUNDING)
    param = parameter(X0)
    ours = optim.optimizer(flow, [param], lr=h)
    points = descend(ours, param, QUARTIC, 200)
    torch.testing.assert_close(points, expected, rtol=0, atol=ROUNDING)


def test_gradient_flow_is_gradient_descent() -> None:
    param, ours = parameter(X0), parameter(X0)
    expected = descend(torch.optim.SGD([param], lr=0.06), param, QUARTIC, 200)
    points = descend(optim.optimizer(GradientFlow(0.3), [ours], lr=0.2), ours, QUARTIC, 200)
    torch.testing.assert_close(points, expected, rtol=0, atol=ROUNDING)
    run = simulate(GradientFlow(0.3), QUARTIC, X0, step=0.2, steps=200)
    torch.testing.assert_close(run["x"], expected, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize(
    "flow",
    [Nesterov(), HighResolutionHB(0.5, 0.01), HighResolutionNAGC(0.01), AdamODE(2.0, 0.5, 1e-3)],
    ids=lambda flow: flow.name,
)
def test_as_an_optimizer_a_flow_takes_the_steps_of_its_word(flow: Dynamics) -> None:
    """Words that open with their gradient; a closing kick waits for the next gradient."""
    word = "".join(dict.fromkeys(flow.word))
    run = simulate(flow, QUARTIC, X0, step=0.1, steps=50, word=word)
    param = parameter(X0)
    points = descend(optim.optimizer(flow, [param], lr=0.1, word=word), param, QUARTIC, 50)
    torch.testing.assert_close(points, run["x"], rtol=0, atol=ROUNDING)
    assert torch.isfinite(points).all() and QUARTIC(points[-1]) < QUARTIC(points[0])


@pytest.mark.parametrize("flow", MOMENTUM_FLOWS, ids=lambda flow: flow.name)
def test_default_words_reach_the_solution_at_their_order(flow: Dynamics) -> None:
    expected = 2 if flow.word == "BADAB" else 1
    assert Word(flow.word, flow).order().order == expected
    assert measured_order(flow, flow.word) == pytest.approx(expected, abs=0.1)


# --- Nesterov's 3/t equation ----------------------------------------------------------------------


def test_nesterovs_equation_on_a_quadratic_is_a_bessel_function() -> None:
    expected = 2 * float(j1(5.0)) / 5
    assert expected == pytest.approx(-0.13103165503658612, rel=1e-14)
    run = solve(Nesterov(), Quadratic(1.0), [1.0], until=5.0, times=[5.0])
    # rtol 1e-10 over an oscillation of size 1
    assert float(run["x"][-1]) == pytest.approx(expected, abs=1e-9)
    coarse, fine = (
        abs(
            float(simulate(Nesterov(), Quadratic(1.0), [1.0], step=5 / n, steps=n)["x"][-1])
            - expected
        )
        for n in (400, 800)
    )
    # h² ln(1/h) from t = 0: the ratio is 4 ln(80)/ln(160) = 3.45 at least
    assert 3.3 < coarse / fine < 4.0


def test_from_time_zero_no_word_of_nesterovs_equation_exceeds_order_two() -> None:
    """The damping 3/t is singular at t = 0, so composing brings no order, only the log away."""
    expected, sizes, errors = 2 * float(j1(5.0)) / 5, [], []
    for n in (100, 200, 400):
        run = simulate(Nesterov(), Quadratic(1.0), [1.0], step=5 / n, steps=n, word="suzuki(BADAB)")
        sizes.append(5 / n)
        errors.append(abs(float(run["x"][-1]) - expected))
    assert slope(sizes, errors) == pytest.approx(2.0, abs=0.1)


def test_nesterovs_equation_keeps_its_bound() -> None:
    times = torch.linspace(0, 20, 201, dtype=torch.float64)
    run = solve(Nesterov(), QUARTIC, X0, until=20.0, times=times)
    value = QUARTIC(run["x"])[1:]
    assert bool((value <= 2 * (X0 @ X0) / times[1:] ** 2).all())


# --- trajectories of discrete schemes against their equations -------------------------------------

ROOTS = (1 / 40, 1 / 80, 1 / 160)


def order(
    scheme: Callable[[float], Tensor], flow: Callable[[float], tuple[Dynamics, dict]]
) -> float:
    """Slope in √s of the largest distance between the iterates and the flow at t = n√s."""
    errors = []
    for root in ROOTS:
        points = scheme(root)
        dynamics, start = flow(root)
        times = root * torch.arange(len(points), dtype=torch.float64)
        run = solve(dynamics, QUARTIC, start, until=float(times[-1]), times=times)
        errors.append(float((run["x"] - points).norm(dim=-1).max()))
    return slope(ROOTS, errors)


MU = 1.0


def strongly_convex(root: float, accelerated: bool) -> Tensor:
    """Shi, Du, Jordan and Su's heavy ball and NAG-SC, with their first step."""
    s, r = root**2, math.sqrt(MU) * root
    beta = (1 - r) / (1 + r)
    points = [X0, X0 - 2 * s / (1 + r) * G0]
    correction = G0
    for _ in range(round(UNTIL / root) - 1):
        before, x = points[-2:]
        g = QUARTIC.gradient(x)
        step = beta * (x - before) - s * g
        if accelerated:
            step = step - beta * s * (g - correction)
        points.append(x + step)
        correction = g
    return torch.stack(points)


@pytest.mark.parametrize("kind", [HighResolutionHB, HighResolutionNAGSC])
@pytest.mark.parametrize(
    ("velocity", "expected"), [("matched", 2.0), ("published", 1.0), ("rest", 1.0)]
)
def test_high_resolution_equations(kind: type, velocity: str, expected: float) -> None:
    def flow(root: float) -> tuple[Dynamics, dict]:
        made = kind(MU, root**2)
        return made, made.start(X0, G0, velocity)

    measured = order(lambda root: strongly_convex(root, kind is HighResolutionNAGSC), flow)
    assert measured == pytest.approx(expected, abs=0.1)


def convex(root: float) -> Tensor:
    """NAG-C with momentum n/(n + 3)."""
    x = y = X0
    points = [x]
    for n in range(round(UNTIL / root)):
        ahead = x - root**2 * QUARTIC.gradient(x)
        x, y = ahead + n / (n + 3) * (ahead - y), ahead
        points.append(x)
    return torch.stack(points)


@pytest.mark.parametrize(("velocity", "expected"), [("published", 2.0), ("rest", 2.0)])
def test_high_resolution_equation_of_nag_c(velocity: str, expected: float) -> None:
    """Any velocity of O(√s) will do: damping 3/t at t ~ √s forgets it within O(s)."""

    def flow(root: float) -> tuple[Dynamics, dict]:
        made = HighResolutionNAGC(root**2)
        return made, made.start(X0, G0, velocity)

    assert order(convex, flow) == pytest.approx(expected, abs=0.1)


def test_the_low_resolution_equation_of_nag_c_is_first_order() -> None:
    measured = order(convex, lambda _: (Nesterov(), {"x": X0}))
    assert measured == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(("kick", "expected"), [(0.5, 2.0), (0.0, 1.0)])
def test_ldhd_is_the_model_of_torchs_momentum(kick: float, expected: float) -> None:
    """h = √(2 lr/(1 + β)), p(0) = −(h/2) ∇f(x₀): second order; from rest: first."""

    def scheme(h: float) -> Tensor:
        beta = math.exp(-0.7 * h)
        lr = h**2 * (1 + beta) / 2
        return heavy_ball(QUARTIC.gradient, X0, lr, beta, round(UNTIL / h))

    measured = order(scheme, lambda h: (LDHD(0.7), {"x": X0, "p": -kick * h * G0}))
    assert measured == pytest.approx(expected, abs=0.1)


# --- Adam -----------------------------------------------------------------------------------------


def test_adam_with_bias_correction_runs_from_time_zero() -> None:
    """At first every coordinate moves at √α/γ; words reach the solution at first order."""
    gamma, alpha = 4.0, 0.5
    flow = AdamODE(gamma, alpha, 1e-3, bias_correction=True)
    run = solve(flow, QUARTIC, X0, until=1.0, times=[0.0, 1e-3, 1.0])
    speed = (run["x"][1] - X0) / 1e-3
    # ε s₂/√ζ = ε√α/|g| and the changes of order γt, αt, t are each some thousandths of it
    expected = -math.sqrt(alpha) / gamma * G0.sign()
    torch.testing.assert_close(speed, expected, rtol=1e-2, atol=0)
    errors = []
    for n in (200, 400):
        words = simulate(flow, QUARTIC, X0, step=1 / n, steps=n, save_every=n)
        errors.append(float((words["x"][-1] - run["x"][-1]).abs().max()))
    assert slope((1 / 200, 1 / 400), errors) == pytest.approx(1.0, abs=0.1)


def test_adam_ode_as_an_optimizer_is_torchs_adam() -> None:
    beta1, beta2, eps, lr = 0.9, 0.99, 1e-8, 0.01
    alpha_h, gamma_h = -math.log(beta2), -math.log(beta1)
    # lr = h²√α/(1 − β₁), v = αζ, and α = alpha_h/h: h^{3/2} = lr (1 − β₁)/√alpha_h
    h = (lr * (1 - beta1) / math.sqrt(alpha_h)) ** (2 / 3)
    gamma, alpha = gamma_h / h, alpha_h / h
    param, ours = parameter(X0), parameter(X0)
    adam = torch.optim.Adam([param], lr=lr, betas=(beta1, beta2), eps=eps)
    flow = AdamODE(gamma, alpha, eps / math.sqrt(alpha), bias_correction=True)
    expected = descend(adam, param, QUARTIC, 100)
    points = descend(optim.optimizer(flow, [ours], lr=h), ours, QUARTIC, 100)
    torch.testing.assert_close(points, expected, rtol=0, atol=1e-13)
