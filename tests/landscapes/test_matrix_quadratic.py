"""½ tr(XᵀAX): its values, derivatives and constants against A written out."""

import pytest
import torch

from dashpot.landscapes import Landscape, MatrixQuadratic

BOWL = MatrixQuadratic([1.0, 2.0, 5.0], 2, rotation=3)


def test_it_is_half_the_trace() -> None:
    q = BOWL.column.rotation
    assert q is not None
    a = q @ torch.diag(torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)) @ q.T
    x = torch.randn(4, 3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = torch.stack([torch.trace(y.T @ a @ y) / 2 for y in x])
    torch.testing.assert_close(BOWL(x), expected, rtol=1e-13, atol=0)
    torch.testing.assert_close(BOWL.gradient(x), a @ x, rtol=1e-13, atol=1e-13)
    first = x.movedim(0, -1)
    torch.testing.assert_close(Landscape.df(BOWL, first), BOWL.df(first), rtol=1e-13, atol=1e-13)
    hessian = torch.kron(a, torch.eye(2, dtype=torch.float64))
    torch.testing.assert_close(BOWL.hessian(x[0]), hessian, rtol=1e-13, atol=1e-13)


def test_facts() -> None:
    assert (BOWL.shape, BOWL.m, BOWL.L, BOWL.minimum) == ((3, 2), 1.0, 5.0, 0.0)
    assert BOWL.minimisers is not None and BOWL(BOWL.minimisers).tolist() == [0.0]
    # Q·1 and half of it: every mode has one unit in the first column, a half in the second
    assert BOWL(BOWL.start).item() == pytest.approx((1 + 1 / 4) * (1 + 2 + 5) / 2)
    assert MatrixQuadratic(2.0, 1)(torch.tensor([[3.0]])).item() == 9.0
    assert repr(BOWL) == "MatrixQuadratic(3 × 2, of Quadratic(d=3, m=1, L=5, rotated))"


def test_refusals() -> None:
    with pytest.raises(ValueError, match="columns must be an integer >= 1; got 0"):
        MatrixQuadratic([1.0], 0)
    with pytest.raises(ValueError, match="spectrum must be >= 0"):
        MatrixQuadratic([-1.0], 1)
