"""Kovachki and Stuart's theorems, measured on a coupled quartic, and the figure of them."""

import itertools
from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from problems import CoupledQuartic
from torch import Tensor

from dashpot.analysis.momentum.scheme import contraction, iterates
from dashpot.analysis.momentum.theorems import Claim, kovachki_stuart
from dashpot.analysis.plots.momentum import plot_theorems
from dashpot.dynamics import FixedMomentum
from dashpot.landscapes import Landscape, Quadratic

QUARTIC = CoupledQuartic()
X0 = QUARTIC.start
MOMENTA = (0.5, 0.9)
THEOREMS, METHODS = ("i", "ii", "iii"), ("heavy ball", "Nesterov")


def test_every_theorem_holds() -> None:
    """Slopes to 0.1; κ, constants and the attraction to 1 %; determinants to rounding."""
    claims = kovachki_stuart(QUARTIC, momenta=MOMENTA, quick=True)
    tolerances = {"slope": 0.1, "error/h": 0.01, "κ": 0.01, "attraction": 0.01, "determ": 1e-12}
    for claim in claims:
        tolerance = next(v for k, v in tolerances.items() if claim.quantity.startswith(k))
        scale = 1.0 if claim.quantity.startswith("slope") else claim.predicted
        assert abs(claim.measured - claim.predicted) <= tolerance * scale, claim
    assert len(claims) == 4 * 12
    size = QUARTIC.gradient(X0).norm().item()
    ball, ahead = "heavy ball", "Nesterov"
    assert _predicted(claims, ball, 0.9, "error/h") == pytest.approx([90 * size])
    assert _predicted(claims, ahead, 0.5, "error/h") == pytest.approx([2 * size])
    kappas = [_predicted(claims, m, lam, "κ")[0] for lam in MOMENTA for m in (ball, ahead)]
    assert kappas == pytest.approx([3, 2, 95, 86])
    slopes = ["slope: gradient", "slope: published", "slope: matched", "slope: uniform"]
    orders = [_predicted(claims, ball, 0.9, text) for text in slopes]
    assert orders == [[1], [1], [1, 2], [2]]
    # the published velocity happens to be the matched one (zero) for Nesterov at λ = ½
    assert _predicted(claims, ahead, 0.5, "slope: published") == [2]
    assert _predicted(claims, ahead, 0.9, "slope: published") == [1]
    assert _predicted(claims, ball, 0.9, "determinant") == pytest.approx([0.81])


def _predicted(claims: list[Claim], method: str, momentum: float, beginning: str) -> list[float]:
    return [
        claim.predicted
        for claim in claims
        if (claim.method, claim.momentum) == (method, momentum)
        and claim.quantity.startswith(beginning)
    ]


def recurrence(scheme: FixedMomentum, u: Tensor, d: Tensor, steps: int) -> Tensor:
    """d ← λ d − ∇Φ(u + h a d), u ← u + h d."""
    points = [u]
    for _ in range(steps):
        ahead = u + scheme.h * scheme.lookahead * d
        d = scheme.momentum * d - QUARTIC.gradient(ahead)
        u = u + scheme.h * d
        points.append(u)
    return torch.stack(points)


@pytest.mark.parametrize("nesterov", [False, True])
def test_iterates_are_those_of_the_scheme(nesterov: bool) -> None:
    scheme = FixedMomentum(0.03, 0.8, nesterov)
    u = torch.stack((X0, 0.5 * X0, -X0))
    d = torch.stack((0 * X0, X0, torch.tensor([0.4, 3.0], dtype=torch.float64)))
    measured = iterates(scheme, QUARTIC, u, d, steps=150)
    # 150 contracting steps of numbers of size 1
    torch.testing.assert_close(measured, recurrence(scheme, u, d, 150), rtol=0, atol=1e-14)


@pytest.mark.parametrize("landscape", [QUARTIC, Quadratic([0.5, 3.0, 9.0], rotation=1)])
def test_phase_space_contracts_by_the_momentum(landscape: Landscape) -> None:
    """Heavy ball λ^d, Nesterov det(λ − λh∇²Φ) where its gradient is taken."""
    x, p = landscape.start, torch.linspace(-1, 2, landscape.dimension, dtype=torch.float64)
    unit = torch.eye(landscape.dimension, dtype=torch.float64)
    ball, ahead = FixedMomentum(0.05, 0.8), FixedMomentum(0.05, 0.8, nesterov=True)
    assert contraction(ball, landscape, x, p) == pytest.approx(0.8**landscape.dimension, rel=1e-9)
    expected = torch.linalg.det(0.8 * unit - 0.04 * landscape.hessian(x)).item()
    assert contraction(ahead, landscape, x, p) == pytest.approx(expected, rel=1e-9)


def test_a_diverging_scheme_is_told() -> None:
    with pytest.raises(ValueError, match=r"the scheme with h = 0\.001 did not finish: overflow"):
        kovachki_stuart(Quadratic([1e8]), [1.0], momenta=(0.5,), quick=True)


@pytest.fixture
def closed_figures() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.mark.usefixtures("closed_figures")
def test_the_figure_shows_every_series_of_one_momentum() -> None:
    steps = (2e-3, 1e-3)
    series = [
        Claim(theorem, method, lam, f"slope: {theorem}", 1.0, 1.0, steps, (lam * k, lam * k / 2))
        for lam in MOMENTA
        for k, (theorem, method) in enumerate(itertools.product(THEOREMS, METHODS), start=1)
    ]
    constant = Claim("i", "heavy ball", 0.9, "error/h of it", 7.0, 7.1)
    axes = plot_theorems([*series, constant])
    curves = [np.asarray(line.get_ydata()) for ax in axes for line in ax.lines]
    for claim in series:
        drawn = sum(np.array_equal(curve, claim.errors) for curve in curves)
        assert drawn == (claim.momentum == 0.9), claim
    assert all("λ = 0.9" in ax.get_title() for ax in axes)
    assert sum(np.allclose(curve, [14e-3, 7e-3]) for curve in curves if curve.size) == 1
    (shown,) = {len(ax.lines) for ax in plot_theorems(series, momentum=0.5)}
    # two curves and their legend entry, a guide, two entries for the methods
    assert shown == 6
