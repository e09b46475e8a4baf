"""Values known from the literature or worked out by hand."""

import math

import pytest
import torch

from dashpot.landscapes import DoubleWell, Himmelblau, Rosenbrock, StyblinskiTang


def test_rosenbrock() -> None:
    valley = Rosenbrock()
    assert valley(valley.start).item() == pytest.approx(24.2, rel=1e-14)
    assert valley.gradient(valley.start).tolist() == pytest.approx([-215.6, -88.0], rel=1e-14)
    # With d = 4 the start adds 100 (−1.2 − 1)² + 0 and 24.2 once more.
    assert Rosenbrock(4)(Rosenbrock(4).start).item() == pytest.approx(48.4 + 484, rel=1e-14)
    hessian = valley.hessian([1.0, 1.0])
    assert hessian.tolist() == [[802.0, -400.0], [-400.0, 200.0]]


def test_double_well() -> None:
    well = DoubleWell(3)
    assert well([0.0, 0.0, 0.0]).item() == 0.25
    assert well(well.start).item() == 9 / 4 + 1
    assert well.minimisers is not None
    for x in well.minimisers:
        assert torch.equal(well.hessian(x), torch.diag(torch.tensor([2.0, 1.0, 1.0]).double()))
    assert DoubleWell()([[-1.0], [1.0]]).tolist() == [0.0, 0.0]


def test_himmelblau() -> None:
    surface = Himmelblau()
    assert surface(surface.start).item() == 11**2 + 7**2
    assert surface.minimisers is not None
    published = [[3, 2], [-2.805118, 3.131312], [-3.779310, -3.283186], [3.584428, -1.848126]]
    expected = torch.tensor(published, dtype=torch.float64)
    torch.testing.assert_close(surface.minimisers, expected, rtol=0, atol=6e-7)
    # One more Newton step moves them by no more than an ulp or two.
    for x in surface.minimisers:
        step = torch.linalg.solve(surface.hessian(x), surface.gradient(x))
        assert step.abs().max().item() <= 1e-15


def test_styblinski_tang() -> None:
    for d in (1, 2, 5):
        surface = StyblinskiTang(d)
        assert surface.minimum == pytest.approx(-39.16616570377142 * d, rel=1e-15)
        assert surface.minimisers is not None
        root = surface.minimisers[0, 0].item()
        assert root == pytest.approx(-2.903534, abs=5e-7)
        # The cubic's slope there is 12 x² − 32, so an ulp of x makes 69 ulp of the residual.
        assert abs(4 * root**3 - 32 * root + 5) <= 70 * math.ulp(root)


def test_dimensions_are_checked() -> None:
    with pytest.raises(ValueError, match="d of Rosenbrock must be an integer >= 2; got 1"):
        Rosenbrock(1)
    with pytest.raises(TypeError, match=r"d of Rosenbrock must be an integer >= 2; got 2\.5"):
        Rosenbrock(2.5)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="d of DoubleWell"):
        DoubleWell(0)
    with pytest.raises(ValueError, match="d of StyblinskiTang"):
        StyblinskiTang(-3)
    with pytest.raises(ValueError) as caught:
        Rosenbrock()(torch.zeros(3, 5))
    assert str(caught.value) == "Rosenbrock(d=2) takes points of shape (..., 2); got (3, 5)"
