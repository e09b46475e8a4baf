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
from dashpot.landscapes import DoubleWell, Landscape, Quadratic

QUARTIC = CoupledQuartic()
X0 = QUARTIC.start
MOMENTA = (0.5, 0.9)
THEOREMS, METHODS = ("i", "ii", "iii"), ("heavy ball", "Nesterov")


@pytest.mark.parametrize(
    ("momentum", "until", "lost", "kappas", "published"),
    [(0.5, 0.25, 2, (3, 2), (1, 2)), (0.9, 0.5, 90, (95, 86), (1, 1))],
)
def test_every_theorem_holds(
    momentum: float,
    until: float,
    lost: int,
    kappas: tuple[int, int],
    published: tuple[int, int],
) -> None:
    """Slopes to 0.1; κ, constants and the attraction to 1 %; determinants to rounding.

    The attraction is compared with λ + hk(λλ̄ − a) at the largest curvature k, which is 1 % from
    λ itself here.
    """
    claims = kovachki_stuart(QUARTIC, momenta=(momentum,), until=until, quick=True)
    tolerances = {"slope": 0.1, "error/h": 0.01, "κ": 0.01, "attraction": 0.01, "determ": 1e-12}
    for claim in claims:
        tolerance = next(v for k, v in tolerances.items() if claim.quantity.startswith(k))
        scale = 1.0 if claim.quantity.startswith("slope") else claim.predicted
        assert abs(claim.measured - claim.predicted) <= tolerance * scale, claim
    assert len(claims) == 2 * 12
    size = QUARTIC.gradient(X0).norm().item()
    for place, method in enumerate(METHODS):
        assert _predicted(claims, method, "error/h") == pytest.approx([lost * size])
        assert _predicted(claims, method, "κ") == pytest.approx([kappas[place]])
        slopes = ["slope: gradient", "slope: published", "slope: matched", "slope: uniform"]
        orders = [_predicted(claims, method, text) for text in slopes]
        # the published velocity happens to be the matched one (zero) for Nesterov at λ = ½
        assert orders == [[1], [published[place]], [1, 2], [2]]
    assert _predicted(claims, "heavy ball", "determinant") == pytest.approx([momentum**2])


def _predicted(claims: list[Claim], method: str, beginning: str) -> list[float]:
    return [
        claim.predicted
        for claim in claims
        if claim.method == method and claim.quantity.startswith(beginning)
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


def test_a_stationary_start_is_told() -> None:
    """Maximum and minimum; at the latter ∇f is zero to rounding."""
    well = DoubleWell(2)
    assert well.minimisers is not None
    for x0 in (torch.zeros(2, dtype=torch.float64), well.minimisers[0]):
        with pytest.raises(ValueError, match=r"x0 = \[.*\] is a stationary point of DoubleWell"):
            kovachki_stuart(well, x0, quick=True)


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


@pytest.mark.usefixtures("closed_figures")
def test_the_figure_draws_the_theorems_only() -> None:
    steps = (2e-3, 1e-3)
    claim = Claim("ii", "heavy ball", 0.5, "slope: it", 1.0, 1.0, steps, steps)
    other = Claim("LDHD", "heavy ball", None, "slope: model", 1.0, 1.0, steps, steps)
    axes = plot_theorems([claim, other])
    assert all("λ = 0.5" in ax.get_title() for ax in axes)
    curves = [line for ax in axes for line in ax.lines if len(np.asarray(line.get_xdata()))]
    assert len(curves) == 2  # the claim and its guide
    with pytest.raises(ValueError, match=r"no theorem was measured at λ = 0\.9; .* λ = 0\.5"):
        plot_theorems([claim, other], momentum=0.9)
    for nothing in ([], [other]):
        with pytest.raises(ValueError, match="no claims of theorems i to iii"):
            plot_theorems(nothing)


@pytest.mark.usefixtures("closed_figures")
def test_the_slopes_are_named_beside_their_guides() -> None:
    """Inside the axes and to the right of every curve, whatever the number of steps."""
    for count in (2, 3, 4):
        steps = tuple(1e-3 * 2.0**-k for k in range(count))
        claims = [
            Claim(theorem, "heavy ball", 0.9, f"slope: {order}", order, order, steps,
                  tuple(h**order for h in steps))
            for theorem in THEOREMS for order in (1.0, 2.0)
        ]  # fmt: skip
        axes = plot_theorems(claims)
        figure = axes[0].figure
        figure.canvas.draw()
        for ax in axes:
            box = ax.get_window_extent()
            right = ax.transData.transform((steps[0], 1.0))[0]
            assert [text.get_text() for text in ax.texts] == ["slope 1", "slope 2"]
            for text in ax.texts:
                inside = text.get_window_extent()
                assert right < inside.x0 < inside.x1 < box.x1
                assert box.y0 < inside.y0 < inside.y1 < box.y1
