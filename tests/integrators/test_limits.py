"""Limits of the dynamics: iKFAD to cubic damping, terminal velocities, boundedness of words."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from problems import CoupledQuartic, Flat, slope

from dashpot.dynamics import CADAM, CD, IKFAD, KFAD, LDHD, Dynamics
from dashpot.integrators import simulate, solve
from dashpot.landscapes import Quadratic


def friction_of(dynamics: Dynamics, alpha: float, start: dict[str, Any]) -> torch.Tensor:
    return solve(
        dynamics, CoupledQuartic(), start, until=2.0, times=[2.0], method="LSODA",
        rtol=1e-11, atol=1e-13,
    )["x"][-1]  # fmt: skip


@pytest.mark.parametrize("on_manifold", [True, False])
def test_ikfad_tends_to_cubic_damping_at_order_one(on_manifold: bool) -> None:
    """α → ∞ with μ = 1/(c α): the error is of order 1/α, whether ξ starts at c p² or at 0."""
    gamma, c = 0.3, 0.8
    p = torch.tensor([0.3, 0.5], dtype=torch.float64)
    start: dict[str, Any] = {"x": [1.0, -0.6], "p": p}
    limit = solve(CD(gamma, c), CoupledQuartic(), start, until=2.0, times=[2.0], rtol=1e-12)["x"]
    alphas = (200.0, 400.0, 800.0)
    errors = []
    for alpha in alphas:
        made = IKFAD(gamma, alpha, 1 / (c * alpha))
        xi = {"xi": c * p * p} if on_manifold else {}
        x = friction_of(made, alpha, start | xi)
        errors.append((x - limit[-1]).abs().max().item())
    assert slope([1 / a for a in alphas], errors) == pytest.approx(1.0, abs=0.05)


FORCE = [0.5, -2.0]


def terminal(gamma: float, c: float, force: float) -> float:
    """The real root of c p³ + γ p + force = 0."""
    roots = np.roots([c, 0.0, gamma, force]).tolist() if c else [-force / gamma]
    return complex(min(roots, key=lambda r: abs(complex(r).imag))).real


@pytest.mark.parametrize(
    ("dynamics", "c"),
    [
        (LDHD(0.6), 0.0),
        (CD(0.6, 0.9), 0.9),
        (IKFAD(0.6, alpha=2.0, mu=0.5), 1.0),
        (IKFAD(0.6, alpha=2.0, mu=0.5, scheme="rotation"), 1.0),
    ],
)
def test_terminal_velocity_under_a_constant_force(dynamics: Dynamics, c: float) -> None:
    """CD and iKFAD agree exactly here, with c = 1/(αμ), whatever α is."""
    run = solve(dynamics, Flat(FORCE), until=60.0, times=[60.0], rtol=1e-13, atol=1e-14)
    expected = [terminal(0.6, c, g) for g in FORCE]
    assert run["p"][-1].tolist() == pytest.approx(expected, abs=1e-10)


def test_terminal_velocity_with_shared_friction() -> None:
    """KFAD: (γ + ξ) p = −g with ξ = |p|²/(αμ), so |p| solves the cubic and p is along −g."""
    run = solve(KFAD(0.6, 2.0, 0.5), Flat(FORCE), until=60.0, times=[60.0], rtol=1e-13, atol=1e-14)
    size = math.hypot(*FORCE)
    speed = terminal(0.6, 1.0, size)
    assert run["p"][-1].tolist() == pytest.approx([speed * g / size for g in FORCE], abs=1e-10)


def test_terminal_speed_of_adam_forgets_the_force() -> None:
    """c = ε = 0: ζ → g²/α and p → −g/γ, so x' → −sign(g) √α/γ."""
    gamma, alpha = 2.0, 0.5
    start = {"x": [0.0, 0.0], "zeta": [1.0, 1.0]}
    run = solve(CADAM(gamma, alpha, 0.0, eps=0.0), Flat(FORCE), start, until=80.0,
                times=[79.0, 80.0], rtol=1e-13, atol=1e-14)  # fmt: skip
    speed = (run["x"][1] - run["x"][0]).tolist()
    expected = [-math.copysign(math.sqrt(alpha) / gamma, g) for g in FORCE]
    assert speed == pytest.approx(expected, abs=1e-10)


def test_the_cap_between_kick_and_drift_bounds_the_motion() -> None:
    """CD at h√L = 10, far beyond every linear limit: BCDA moves at most √(h/(2c)) a step."""
    h, c = 0.1, 100.0
    bowl = Quadratic((10 / h) ** 2)
    run = simulate(CD(0.1, c), bowl, [1.0], step=h, steps=3000, word="BCDA")
    moves = run["x"].diff(dim=0).abs()
    assert run.status == "finished"
    assert moves.max() <= math.sqrt(h / (2 * c)) * (1 + 1e-14)
    assert run["x"][500:].abs().max() < 1


def test_the_published_word_can_diverge_where_linear_damping_converges() -> None:
    """h√L = 1.5, γ = 0.1, c = 100: BACD degenerates to gradient descent with h² L = 2.25.

    |x| then grows by 1.25 a step and overflows after ln(1e308)/ln(1.25) ≈ 3200 steps.
    """
    h = 0.1
    bowl = Quadratic((1.5 / h) ** 2)
    cubic = simulate(CD(0.1, 100.0), bowl, [1.0], step=h, steps=4000, word="BACD")
    linear = simulate(LDHD(0.1), bowl, [1.0], step=h, steps=3000, word="BAD")
    assert cubic.status == "diverged"
    assert linear.status == "finished"
    assert linear["x"][-1].abs() < 1e-5
