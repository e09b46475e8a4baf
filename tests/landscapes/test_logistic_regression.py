import math

import pytest
import torch

from dashpot.landscapes import LogisticRegression


def test_breast_cancer_numbers(breast_cancer: LogisticRegression) -> None:
    assert breast_cancer.shape == (30,)
    assert breast_cancer.samples == 569
    assert breast_cancer.minimum == pytest.approx(0.102416565755704, abs=1e-12)
    assert (breast_cancer.m, breast_cancer.L) == pytest.approx((0.01, 3.330402), abs=1e-6)
    assert breast_cancer.minimisers is not None
    eigenvalues = torch.linalg.eigvalsh(breast_cancer.hessian(breast_cancer.minimisers[0]))
    assert eigenvalues[0].item() == pytest.approx(0.010002, abs=1e-6)
    assert eigenvalues[-1].item() == pytest.approx(0.220086, abs=1e-6)
    assert breast_cancer(breast_cancer.start).item() == pytest.approx(math.log(2), rel=1e-14)


def test_smoothness_is_attained_where_every_margin_is_zero(
    breast_cancer: LogisticRegression,
) -> None:
    eigenvalues = torch.linalg.eigvalsh(breast_cancer.hessian(torch.zeros(30).double()))
    assert eigenvalues[-1].item() == pytest.approx(breast_cancer.L, rel=1e-13)


def test_value_and_gradient_against_the_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(20, 3, dtype=torch.float64, generator=generator)
    y = torch.randn(20, dtype=torch.float64, generator=generator).sign()
    w = torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64, requires_grad=True)
    expected = torch.log(1 + torch.exp(-y * (X @ w))).mean() + 0.05 * (w @ w)
    regression = LogisticRegression(X, y, 0.1)
    assert regression(w).item() == pytest.approx(expected.item(), rel=1e-14)
    (gradient,) = torch.autograd.grad(expected, w)
    torch.testing.assert_close(regression.gradient(w.detach()), gradient, rtol=0, atol=1e-14)


def test_one_sample_has_a_solvable_minimum() -> None:
    # Stationarity: λ w = σ(−w); with λ = σ(−1) the minimiser is w = 1.
    regression = LogisticRegression([[1.0]], [1.0], 1 / (1 + math.e))
    assert regression.minimisers is not None
    assert regression.minimisers.item() == pytest.approx(1.0, rel=1e-15)
    constants = (1 / (1 + math.e), 0.25 + 1 / (1 + math.e))
    assert (regression.m, regression.L) == pytest.approx(constants, rel=1e-15)


def test_newton_converges_from_far() -> None:
    # Separable, badly scaled and hardly regularised: full Newton steps alone would overshoot.
    X = torch.tensor([[1.0, 100.0], [2.0, -1.0], [-1.0, -300.0]], dtype=torch.float64)
    regression = LogisticRegression(X, [1, 1, -1], 1e-6)
    assert regression.minimisers is not None
    slope = regression.gradient(regression.minimisers[0])
    assert slope.abs().max().item() <= 1e-15


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_large_margins(dtype: torch.dtype) -> None:
    regression = LogisticRegression([[1.0]], [1.0], 1e-9)
    for margin in (25.0, 1e4):
        right, wrong = torch.tensor([[margin], [-margin]], dtype=dtype)
        # log(1 + e^z) is e^z for z ≪ 0, and z + e^−z for z ≫ 0: the small part must survive.
        ridge = 0.5e-9 * margin**2
        assert regression(right).item() == pytest.approx(math.exp(-margin) + ridge, rel=1e-6)
        exact = margin + math.exp(-margin) + ridge
        assert regression(wrong).item() == pytest.approx(exact, rel=2 * torch.finfo(dtype).eps)
        assert regression.gradient(wrong).item() == pytest.approx(-1.0, rel=1e-4)


def test_wrong_arguments() -> None:
    X = [[1.0, 2.0], [3.0, 4.0]]
    with pytest.raises(ValueError, match=r"labels must be -1 or \+1; got \[0.0, 1.0\]"):
        LogisticRegression(X, [0, 1], 0.1)
    with pytest.raises(ValueError, match=r"labels must have shape \(2,\)"):
        LogisticRegression(X, [1, -1, 1], 0.1)
    with pytest.raises(ValueError, match="features must be a matrix"):
        LogisticRegression([1.0, 2.0], [1, -1], 0.1)
    with pytest.raises(ValueError, match="regularisation must be a finite number > 0; got 0"):
        LogisticRegression(X, [1, -1], 0)
