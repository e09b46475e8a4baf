"""Words with one force are heavy ball: their recursion, contraction and stability limits."""

import math

import pytest
import torch
from problems import CoupledQuartic, Recording, growth, step_matrix

from dashpot.dynamics import LDHD
from dashpot.integrators import simulate
from dashpot.landscapes import Quadratic

GAMMA, H = 0.9, 0.1
BETA = math.exp(-GAMMA * H)

# ρ = Σ over kicks and drifts of w_B w_A β^θ, θ the damping between that kick and that drift
RHO = {
    "BAD": 1.0,
    "DBA": 1.0,
    "ADB": 1.0,
    "BDA": BETA,
    "ABD": BETA,
    "DAB": BETA,
    "BDADB": math.sqrt(BETA),
    "ADBDA": math.sqrt(BETA),
    "BADAB": (1 + BETA) / 2,
    "DBABD": (1 + BETA) / 2,
    "ABDBA": (1 + BETA) / 2,
    "DABAD": (1 + BETA) / 2,
}


@pytest.mark.parametrize(("word", "rho"), RHO.items())
def test_recursion_at_the_points_where_forces_are_taken(word: str, rho: float) -> None:
    """x_{n+1} − x_n = β (x_n − x_{n−1}) − ρ h² ∇f(x_n) on a nonlinear f."""
    seen = Recording()
    start = {"x": [1.0, -0.6], "p": [0.3, 0.5]}
    simulate(LDHD(GAMMA), seen, start, step=H, steps=40, word=word)
    x = torch.stack(seen.points)
    force = torch.stack([CoupledQuartic().df(point) for point in x[1:-1]])
    residual = x[2:] - x[1:-1] - BETA * (x[1:-1] - x[:-2]) + rho * H * H * force
    assert residual.abs().max() < 1e-14
    assert (rho * H * H * force).abs().max() > 1e-3


@pytest.mark.parametrize("word", RHO)
@pytest.mark.parametrize("curvature", [1.0, 30.0])
def test_complex_multipliers_have_modulus_of_the_ode(word: str, curvature: float) -> None:
    """det = β for every word, so an underdamped mode contracts by e^{−γh/2} exactly."""
    values = torch.linalg.eigvals(step_matrix(LDHD(GAMMA), word, curvature, H))
    assert values.imag.abs().min() > 1e-3
    assert values.abs().tolist() == pytest.approx([math.exp(-GAMMA * H / 2)] * 2, rel=1e-14)


@pytest.mark.parametrize("word", ["BAD", "BDA", "BDADB", "BADAB"])
def test_underdamped_runs_decay_at_the_rate_of_the_ode(word: str) -> None:
    """|aᵀ(x, p)_n| = C e^{−γhn/2} with a the left eigenvector: no oscillation is left in it."""
    run = simulate(LDHD(GAMMA), Quadratic(4.0), step=H, steps=300, word=word)
    matrix = step_matrix(LDHD(GAMMA), word, 4.0, H)
    left = torch.linalg.eig(matrix.T)[1][:, 0]
    z = torch.stack((run["x"][:, 0], run["p"][:, 0]), -1).to(left.dtype) @ left
    rate = -(z[-1].abs() / z[0].abs()).log().item() / 300
    assert rate == pytest.approx(GAMMA * H / 2, rel=1e-12)


LIMITS = {  # of h√L, by γh = g: from h² L < 2 (1 + β)/ρ
    "BAD": lambda g: math.sqrt(2 * (1 + math.exp(-g))),
    "BDA": lambda g: math.sqrt(2 * (1 + math.exp(-g)) / math.exp(-g)),
    "BDADB": lambda g: 2 * math.sqrt(math.cosh(g / 2)),
    "BADAB": lambda g: 2.0,
}


@pytest.mark.parametrize("word", LIMITS)
@pytest.mark.parametrize("damping", [0.5, 2.0, 6.0])
def test_stability_limits(word: str, damping: float) -> None:
    limit = LIMITS[word](damping)
    dynamics = LDHD(damping)  # with h = 1: γh = damping, h√L = √L
    below = growth(step_matrix(dynamics, word, (limit - 1e-4) ** 2, 1.0))
    above = growth(step_matrix(dynamics, word, (limit + 1e-4) ** 2, 1.0))
    assert below < 1 < above


@pytest.mark.parametrize(
    ("word", "damping", "limit"),
    [("BAD", 0.5, 1.7925), ("BDA", 6.0, 28.44), ("BDADB", 2.0, 2.4844), ("BADAB", 6.0, 2.0)],
)
def test_stability_table(word: str, damping: float, limit: float) -> None:
    assert LIMITS[word](damping) == pytest.approx(limit, abs=5e-3 if limit > 20 else 5e-5)


def test_no_friction_preserves_area() -> None:
    for word in RHO:
        assert torch.linalg.det(step_matrix(LDHD(0.0), word, 2.0, 0.3)).item() == pytest.approx(
            1.0, rel=1e-14
        )
