"""The proved rates: V' <= −a V at random points, with V written out here for every theorem."""

import math

import pytest
import torch

from dashpot.analysis import fit_decay, provable_rate
from dashpot.dynamics import CD, IKFAD, KFAD, LDHD, Dynamics, State
from dashpot.integrators import solve
from dashpot.landscapes import Landscape, Quadratic

POINTS = 4000
M = 0.7
BOWL = Quadratic([M, 2.0, 9.0], rotation=3)


class Steep(Landscape):
    """f = m/2 |x|² + Σ |x|³/3 + x⁴/4: m-strongly convex, its gradient not Lipschitz."""

    def __init__(self) -> None:
        super().__init__(None, 3, m=M, minimum=0.0, minimisers=torch.zeros(1, 3))

    def f(self, x: torch.Tensor) -> torch.Tensor:
        return (M / 2 * x**2 + x.abs() ** 3 / 3 + x**4 / 4).sum(0)


def energy_and_rate(dynamics: Dynamics, landscape: Landscape, energy: float, seed: int):
    """Random states with Lyapunov energy at most `energy`: y, p, ξ, F, g and the vector field."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    scale = torch.exp(2 * draw(POINTS))
    s = State({"x": scale * draw(3, POINTS), "p": torch.exp(2 * draw(POINTS)) * draw(3, POINTS)})
    if "xi" in dynamics.variables:
        s.xi = draw(POINTS) if dynamics.scalars else draw(3, POINTS)
    potential = landscape.f(s.x)
    total = dynamics.energy(s, potential)
    keep = total <= energy
    s = State({n: v[..., keep] for n, v in s.__dict__.items() if isinstance(v, torch.Tensor)})
    s.g = landscape.df(s.x)
    assert keep.sum() > 100
    return s, potential[keep], dynamics.rate(s)


def worst(dynamics: Dynamics, landscape: Landscape, energy: float, rate: float, a: float, b: float):
    """Largest (V' + rate V)/(rate V) with V = F + ½|p + a y|² + b/2 |y|² + the stored energy."""
    s, potential, field = energy_and_rate(dynamics, landscape, energy, seed=1)
    q, dq = s.p + a * s.x, field["p"] + a * field["x"]
    stored = dynamics.energy(s, 0.0) - 0.5 * (s.p**2).sum(0)  # μ/2 |ξ|², or 0
    v = potential + 0.5 * (q**2).sum(0) + b / 2 * (s.x**2).sum(0) + stored
    slope = (s.g * field["x"]).sum(0) + (q * dq).sum(0) + b * (s.x * field["x"]).sum(0)
    if "xi" in field:
        product = s.xi * field["xi"] * dynamics.hyperparameters["mu"]
        slope = slope + (product if dynamics.scalars else product.sum(0))
    assert bool((v > 0).all())
    return float(((slope + rate * v) / (rate * v)).max())


@pytest.mark.parametrize("landscape", [BOWL, Steep()], ids=["quadratic", "quartic"])
@pytest.mark.parametrize(
    "dynamics",
    [
        LDHD(0.3),
        LDHD(1.7),
        CD(0.3, 0.5),
        CD(1.5, 20.0),
        KFAD(0.5, 0.4, 0.8),
        IKFAD(0.5, 0.4, 0.8),
        IKFAD(1.5, 2.0, 0.1),
    ],
    ids=repr,
)
def test_v_decreases_at_the_proved_rate(dynamics, landscape):
    energy = 3.0
    rate = provable_rate(dynamics, landscape, energy)
    gamma = dynamics.hyperparameters["gamma"]
    assert rate is not None and gamma <= 3 * math.sqrt(M / 2)
    assert worst(dynamics, landscape, energy, rate, rate, rate * (gamma - 2 * rate)) <= 1e-9


@pytest.mark.parametrize("gamma", [3 * math.sqrt(M / 2), 2.5, 6.0])
@pytest.mark.parametrize("landscape", [BOWL, Steep()], ids=["quadratic", "quartic"])
def test_strong_friction_has_the_rate_of_the_slow_root(landscape, gamma):
    """R2: V = F − m/2 |y|² + ½|p + r₊ y|² falls at 2 r₋, the rate of the quadratic itself."""
    rate = provable_rate(LDHD(gamma), landscape, 1.0)
    slow = (gamma - math.sqrt(gamma**2 - 4 * M)) / 2
    assert rate == pytest.approx(2 * slow)
    assert worst(LDHD(gamma), landscape, 1e300, 2 * slow, gamma - slow, -M) <= 1e-6  # V ~ rounding


def test_best_friction_reaches_the_root_of_2m():
    assert provable_rate(LDHD(3 * math.sqrt(M / 2)), BOWL, 1.0) == pytest.approx(math.sqrt(2 * M))


@pytest.mark.parametrize(("power", "kappa"), [(2, 3 / 2), (4, 16 / 7), (6, 27 / 10)])
def test_cubic_damping_alone_decays_like_1_over_t_on_every_power(power, kappa):
    """f = |x|ⁿ/n: κ = 12 c n²/((3n + 2)(n + 2)) by averaging over a period."""
    assert kappa == pytest.approx(12 * power**2 / ((3 * power + 2) * (power + 2)))
    well = Landscape(lambda x: (x**power).sum() / power, 1, minimum=0.0)
    run = solve(
        CD(0.0, 0.5), well, [1.0], until=1200.0, times=torch.arange(0, 1200, 0.1), rtol=1e-9
    )
    late = run.times >= 100
    fit = fit_decay(run.times[late], run.mechanical_energy[late])
    assert fit.model == "algebraic"
    assert fit.rate == pytest.approx(0.5 * kappa, rel=0.01)
