"""Landscapes for sampling: stationary points from the literature, moments known exactly."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from dashpot.analysis import average, compare_with_gibbs, stationary
from dashpot.dynamics import Langevin
from dashpot.integrators import simulate
from dashpot.landscapes import DoubleWell, Funnel, Landscape, MuellerBrown, Phi4Chain


def newton(landscape: Landscape, x: Tensor, steps: int) -> Tensor:
    """Newton's method for ∇f = 0 from points [n, d]; those that run away end anywhere or as NaN."""
    hessians = torch.func.vmap(torch.func.jacrev(landscape.gradient))
    for _ in range(steps):
        x = x - torch.linalg.solve_ex(hessians(x), landscape.gradient(x)[..., None])[0][..., 0]
    return x


def index(landscape: Landscape, x: Tensor) -> int:
    """The number of directions in which f falls at a stationary point."""
    return int((torch.linalg.eigvalsh(landscape.hessian(x)) < 0).sum())


def test_stationary_points_of_mueller_brown() -> None:
    surface = MuellerBrown()
    published = [
        (-0.558224, 1.441726, -146.699517),
        (0.623499, 0.028038, -108.166724),
        (-0.050011, 0.466694, -80.767818),
        (-0.822002, 0.624313, -40.664844),
        (0.212487, 0.292988, -72.248940),
    ]
    known = torch.cat((surface.minima, surface.saddles))
    table = torch.tensor(published, dtype=torch.float64)
    found = newton(surface, table[:, :2], 4)
    torch.testing.assert_close(found, known, rtol=0, atol=1e-14)
    torch.testing.assert_close(found, table[:, :2], rtol=0, atol=5.1e-7)
    torch.testing.assert_close(surface(found), table[:, 2], rtol=0, atol=5.1e-7)
    assert [index(surface, x) for x in found] == [0, 0, 0, 1, 1]
    assert surface.minimum == pytest.approx(surface(found[0]).item(), rel=1e-14)
    assert surface.minimisers is not None
    assert torch.equal(surface.minimisers[0], surface.minima[0])


def test_mueller_brown_has_no_others() -> None:
    surface = MuellerBrown()
    known = torch.cat((surface.minima, surface.saddles))
    starts = torch.cartesian_prod(
        torch.linspace(-1.4, 1.1, 11, dtype=torch.float64),
        torch.linspace(-0.3, 2.0, 11, dtype=torch.float64),
    )
    found = newton(surface, starts, 60)
    found = found[(found.abs() < 2).all(1) & (surface.gradient(found).abs() < 1e-8).all(1)]
    distances = (found[:, None] - known).norm(dim=2)
    assert distances.min(1).values.max() < 1e-9
    assert set(distances.argmin(1).tolist()) == {0, 1, 2, 3, 4}


def test_saddles_of_mueller_brown_join_neighbouring_minima() -> None:
    surface = MuellerBrown()
    for saddle, ends in zip(surface.saddles, ({0, 2}, {1, 2}), strict=True):
        downhill = torch.linalg.eigh(surface.hessian(saddle)).eigenvectors[:, 0]
        x = torch.stack((saddle + 1e-3 * downhill, saddle - 1e-3 * downhill))
        for _ in range(3000):  # 2e-4 times the largest curvature on the way is below 1
            x = x - 2e-4 * surface.gradient(x)
        reached = {int((surface.minima - y).norm(dim=1).argmin()) for y in x}
        assert reached == ends
        assert surface.gradient(x).abs().max() < 1e-6


def test_funnel_is_minus_the_logarithm_of_neals_density() -> None:
    funnel = Funnel(10, scale=3.0)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(50, 10, dtype=torch.float64, generator=generator)
    v, rest = x[:, 0], x[:, 1:]
    density = Normal(torch.zeros_like(v), torch.full_like(v, 3.0)).log_prob(v)
    density += Normal(torch.zeros_like(rest), torch.exp(v / 2)[:, None]).log_prob(rest).sum(1)
    constant = 0.5 * math.log(2 * math.pi * 9) + 4.5 * math.log(2 * math.pi)
    torch.testing.assert_close(funnel(x), -density - constant, rtol=1e-12, atol=1e-12)
    assert funnel(torch.zeros(10)).item() == 0.0
    assert funnel.minimum == -91.125
    assert funnel.minimisers is not None
    assert funnel.minimisers[0, 0].item() == -40.5
    # Along x = 0, f is ½ (v/3)² + 4.5 v, a parabola whose top curvature is 1/9.
    at = funnel.minimisers[0].clone()
    at[0] += 2.0
    assert funnel(at).item() == pytest.approx(-91.125 + 2 / 9, rel=1e-14)


def test_moments_of_a_mild_funnel() -> None:
    funnel = Funnel(3, scale=0.7)
    start = funnel.start.expand(200, 3)
    run = simulate(Langevin(1.0, 1.0), funnel, start, step=0.1, steps=4000, noise=1, save_every=2)
    v, x = run["x"][200:, :, 0], run["x"][200:, :, 1]
    exact = [(v, 0.0), (v**2, 0.49), (x, 0.0), (x**2, math.exp(0.245))]
    for values, expected in exact:
        found = average(values)
        assert found.enough, found.message
        assert abs(found.deviation(expected)) < 4
    law = compare_with_gibbs(run, funnel, 1.0, marginal=lambda v: np.exp(-(v**2) / 0.98))
    assert law.chi_square.p_value > 6e-5


def test_one_site_of_phi4_is_the_double_well() -> None:
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    chain, well = Phi4Chain(1, coupling=3.0), DoubleWell()
    assert torch.equal(chain(x), well(x))
    torch.testing.assert_close(chain.gradient(x), well.gradient(x), rtol=1e-15, atol=1e-15)


@pytest.mark.parametrize(("n", "coupling"), [(2, 0.3), (5, 0.4), (8, 2.0), (3, 0.0)])
def test_phonons_of_phi4(n: int, coupling: float) -> None:
    chain = Phi4Chain(n, coupling)
    waves = coupling * (2 - 2 * np.cos(2 * math.pi * np.arange(n) / n))
    assert chain.minimisers is not None
    for x, well in (*((x, 2.0) for x in chain.minimisers), (torch.zeros(n).double(), -1.0)):
        found = torch.linalg.eigvalsh(chain.hessian(x)).numpy()
        np.testing.assert_allclose(found, np.sort(well + waves), atol=1e-13)
    assert chain(torch.zeros(n)).item() == n / 4


def test_strong_coupling_leaves_three_stationary_points() -> None:
    # 2 − 2 cos(2π/5) = 1.38: above κ = 0.724 only ±1 and the origin, its index 1; far below, more.
    generator = torch.Generator().manual_seed(2)
    starts = 2 * torch.randn(60, 5, dtype=torch.float64, generator=generator)
    for coupling, only_three in ((0.75, True), (0.05, False)):
        chain = Phi4Chain(5, coupling)
        found = newton(chain, starts, 200)
        assert chain.gradient(found).abs().max() < 1e-9
        seen = {tuple(x) for x in found.round(decimals=6).add(0.0).tolist()}
        uniform = {(s,) * 5 for s in (-1.0, 0.0, 1.0)}
        assert (seen <= uniform) == only_three
    assert index(Phi4Chain(5, 0.75), torch.zeros(5).double()) == 1
    assert index(Phi4Chain(5, 0.70), torch.zeros(5).double()) == 3


def transfer(n: int, coupling: float, temperature: float) -> tuple[float, float]:
    """⟨x²⟩ of a site and ⟨x_i x_{i+1}⟩ of the ring, by the transfer operator on a fine grid."""
    x = np.linspace(-4.0, 4.0, 401)
    half = (x**2 - 1) ** 2 / 8
    exponent = 0.5 * coupling * (x[:, None] - x) ** 2 + half[:, None] + half
    kernel = np.exp(-exponent / temperature)
    kernel /= np.linalg.norm(kernel, 2)
    rest = np.linalg.matrix_power(kernel, n - 1)
    total = np.sum(kernel * rest.T)
    one = np.sum((x**2)[:, None] * kernel * rest.T) / total
    return one, np.sum(x[:, None] * kernel * x * rest.T) / total


def test_moments_of_phi4_from_the_transfer_operator() -> None:
    chain = Phi4Chain(6, coupling=0.5)
    start = chain.start.expand(100, 6)
    run = simulate(Langevin(1.0, 0.6), chain, start, step=0.08, steps=4000, noise=3, save_every=2)
    x = run["x"][200:]
    site, bond = transfer(6, 0.5, 0.6)
    squares, products = average((x**2).mean(-1)), average((x * x.roll(1, -1)).mean(-1))
    for found, expected in ((squares, site), (products, bond)):
        assert found.enough, found.message
        assert found.standard_error < 0.01 * site
        assert abs(found.deviation(expected)) < 4
    single = simulate(
        Langevin(1.0, 0.3), Phi4Chain(1), torch.ones(100, 1).double(), step=0.1, steps=3000, noise=4
    )
    grid = np.linspace(-4, 4, 4001)
    weight = np.exp(-0.25 * (grid**2 - 1) ** 2 / 0.3)
    assert abs(stationary(single).deviation((grid**2 * weight).sum() / weight.sum())) < 4
    assert transfer(1, 0.5, 0.3)[0] == pytest.approx((grid**2 * weight).sum() / weight.sum())


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="dimension of Funnel must be an integer >= 2; got 1"):
        Funnel(1)
    with pytest.raises(ValueError, match="scale of Funnel must be a finite number > 0"):
        Funnel(3, scale=0.0)
    with pytest.raises(ValueError, match="n of Phi4Chain must be an integer >= 1"):
        Phi4Chain(0)
    with pytest.raises(ValueError, match="coupling of Phi4Chain must be >= 0"):
        Phi4Chain(3, coupling=-1.0)
    with pytest.raises(ValueError, match="coupling of Phi4Chain must be finite"):
        Phi4Chain(3, coupling=math.nan)
