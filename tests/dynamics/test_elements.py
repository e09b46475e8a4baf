"""The element functions: accuracy against mpmath, limits, and the same numbers everywhere."""

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from problems import ULP

from dashpot.dynamics import elements
from dashpot.dynamics.elements import phi1, soft_cap, total
from dashpot.integrators.bundle import Bundle

mpmath.mp.dps = 60

PHI1_ARGUMENTS = [
    *(0.0, 1e-300, 1e-14, -1e-14, 1e-6, -1e-6, 0.00999, 0.01, -0.01, 0.0101),
    *(-0.5, 0.5, 2.0, -30.0, 30.0, -745.0, 690.0, 705.0),
]


def evaluate(f: Callable[..., Any], *arguments: float) -> dict[str, float]:
    """f on a Python float, a numpy array, a tensor and a Bundle."""
    as_array = [np.array([a]) for a in arguments]
    as_tensor = [torch.tensor([a], dtype=torch.float64) for a in arguments]
    return {
        "float": float(f(*arguments)),
        "numpy": f(*as_array).item(),
        "tensor": f(*as_tensor).item(),
        "bundle": f(*(Bundle([t]) for t in as_tensor)).tensors[0].item(),
    }


def exact_phi1(z: float) -> float:
    return float(mpmath.expm1(z) / mpmath.mpf(z)) if z else 1.0


def exact_cap(a: float, p: float) -> float:
    a_, p_ = mpmath.mpf(a), mpmath.mpf(p)
    return float(p_ / mpmath.sqrt(1 + a_ * p_ * p_))


@pytest.mark.parametrize("z", PHI1_ARGUMENTS)
def test_phi1_has_no_cancellation(z: float) -> None:
    expected = exact_phi1(z)
    for backend, value in evaluate(phi1, z).items():
        assert value == pytest.approx(expected, rel=4e-16, abs=0), backend


def test_phi1_slope_at_zero_is_one_half() -> None:
    z = torch.zeros((), dtype=torch.float64, requires_grad=True)
    value = phi1(z)
    assert value.item() == 1.0
    assert torch.autograd.grad(value, z)[0].item() == 0.5


@pytest.mark.parametrize("z", [-3.0, -0.011, -0.009, 1e-8, 0.009, 0.011, 3.0])
def test_phi1_slope_on_both_sides_of_the_series(z: float) -> None:
    # φ₁′ = (e^z (z − 1) + 1)/z²
    exact = float((mpmath.exp(z) * (mpmath.mpf(z) - 1) + 1) / mpmath.mpf(z) ** 2)
    leaf = torch.tensor(z, dtype=torch.float64, requires_grad=True)
    # away from 0 autograd subtracts terms of size 1/|z|: at |z| = 0.011 it loses two digits
    assert torch.autograd.grad(phi1(leaf), leaf)[0].item() == pytest.approx(exact, rel=1e-13)


@pytest.mark.parametrize("name", ["exp", "sqrt", "abs", "sin", "cos", "tanh"])
@pytest.mark.parametrize("value", [0.0, 1e-3, 0.7, 3.0, 250.0])
def test_functions_agree_on_all_backends(name: str, value: float) -> None:
    expected = float(getattr(mpmath, {"abs": "fabs"}.get(name, name))(value))
    for backend, got in evaluate(getattr(elements, name), value).items():
        assert got == pytest.approx(expected, rel=2 * ULP, abs=0), backend


@pytest.mark.parametrize(("value", "expected"), [(-2.0, 1.0), (1.0, 1.0), (3.5, 3.5)])
def test_maximum(value: float, expected: float) -> None:
    got = evaluate(lambda x: elements.maximum(x, 1.0), value)
    assert set(got.values()) == {expected}


def test_overflow_and_roots_of_negatives_are_values_not_exceptions() -> None:
    assert elements.exp(1e4) == math.inf
    assert math.isnan(elements.sqrt(-1.0))
    assert math.isnan(elements.maximum(math.nan, 1.0))


@pytest.mark.parametrize("p", [0.0, 1e-200, 0.3, -1.0, 1.0, -7.0, 1e150, -1e200])
@pytest.mark.parametrize("a", [1e-12, 0.4, 6.5e5])
def test_soft_cap_against_mpmath(a: float, p: float) -> None:
    for backend, value in evaluate(soft_cap, a, p).items():
        assert value == pytest.approx(exact_cap(a, p), rel=2 * ULP, abs=0), backend


@pytest.mark.parametrize("p", [1.0, -300.0, 4e3, 6e4])
@pytest.mark.parametrize("a", [2**-8, 0.5, 30.0])
def test_soft_cap_in_half_precision(a: float, p: float) -> None:
    """p² overflows float16 at |p| > 255; the cap does not."""
    a_, p_ = torch.tensor(a, dtype=torch.float16), torch.tensor(p, dtype=torch.float16)
    got = soft_cap(a_, p_).item()
    # six roundings of half an ulp (2^-11 each)
    assert got == pytest.approx(exact_cap(a_.item(), p_.item()), rel=6 * 2**-11)


@pytest.mark.parametrize(
    ("dtype", "p"),
    [(torch.float64, 1e150), (torch.float64, 3.0), (torch.float32, 1e18), (torch.float16, 200.0)],
)
def test_soft_cap_without_cap_is_the_identity_while_p_squared_is_finite(
    dtype: torch.dtype, p: float
) -> None:
    value = torch.tensor(p, dtype=dtype)
    got = soft_cap(torch.zeros((), dtype=dtype), value).item()
    assert got == pytest.approx(value.item(), rel=2 * torch.finfo(dtype).eps, abs=0)


def test_soft_cap_slope_in_a_at_zero() -> None:
    # d/da p (1 + a p²)^{−1/2} = −p³/2 at a = 0
    a = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    p = torch.tensor([-3.0, 0.0, 0.5, 2.0], dtype=torch.float64)
    (grad,) = torch.autograd.grad(soft_cap(a, p).sum(), a)
    torch.testing.assert_close(grad, -(p**3) / 2, rtol=1e-15, atol=0)


def test_soft_cap_backward_is_right_until_it_is_nan() -> None:
    # exists while 1 + a p² > 0
    for backend, value in evaluate(soft_cap, -0.2499999, 2.0).items():
        # condition number 1/(1 + a p²) = 2.5e6 of the subtraction
        assert value == pytest.approx(exact_cap(-0.2499999, 2.0), rel=2.5e6 * 4 * ULP), backend
    assert all(math.isnan(v) for v in evaluate(soft_cap, -0.2500001, 2.0).values())


def test_total_sums_the_coordinate_axes_only() -> None:
    x = torch.arange(24.0, dtype=torch.float64).reshape(2, 3, 4)
    torch.testing.assert_close(total(x, 2), x.sum((0, 1)), rtol=0, atol=0)
    np.testing.assert_array_equal(total(x.numpy(), 1), x.numpy().sum(0))
    assert total(x, 0) is x
    assert total(2.5, 1) == 2.5
    assert total(Bundle([x, x[0, 0]]), 1).item() == x.sum().item() + x[0, 0].sum().item()


@pytest.mark.parametrize("n", [1, 2, 3, 7, 50, 64, 1001])
def test_total_does_not_depend_on_the_batch(n: int) -> None:
    """Bit for bit the same alone, in any batch, in any layout of memory, and as a numpy array."""
    x = torch.randn(n, 33, dtype=torch.float64, generator=torch.Generator().manual_seed(n))
    whole = total(x, 1)
    exact = [math.fsum(column) for column in x.T.tolist()]
    # each of the ⌈log₂ n⌉ + 1 levels rounds numbers whose sizes add up to no more than Σ|x|
    levels = math.ceil(math.log2(n)) + 1
    assert (
        (whole - torch.tensor(exact, dtype=x.dtype)).abs().le(levels * ULP * x.abs().sum(0)).all()
    )
    for k in range(33):
        assert total(x[:, k], 1).item() == total(x[:, k : k + 1], 1).item() == whole[k].item()
    for width in (2, 3, 8, 9):
        assert torch.equal(total(x[:, :width], 1), whole[:width])
    assert torch.equal(total(x.reshape(n, 3, 11), 1), whole.reshape(3, 11))
    assert torch.equal(total(x.T.contiguous().T, 1), whole)
    np.testing.assert_array_equal(total(x.numpy(), 1), whole.numpy())
    assert torch.equal(total(x[:, None], 2), whole)


def test_total_can_be_differentiated() -> None:
    x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def squares(y: torch.Tensor) -> torch.Tensor:
        return total(y * y, 1)

    (slope,) = torch.autograd.grad(squares(x.requires_grad_()).sum(), x)
    assert torch.equal(slope, 2 * x)
    x = x.detach()
    value, along = torch.func.jvp(squares, (x,), (torch.ones_like(x),))[:2]
    torch.testing.assert_close(along, 2 * x.sum(0), rtol=1e-14, atol=1e-14)
    assert torch.equal(torch.func.vmap(squares, in_dims=1)(x), value)
    assert torch.autograd.gradcheck(squares, x.requires_grad_())


def test_total_of_no_coordinates_is_zero() -> None:
    assert torch.equal(total(torch.ones(0, 3), 1), torch.zeros(3))
    assert total(torch.ones(4, 0), 1).shape == (0,)  # nor of no trajectories


def test_total_of_a_bundle_is_summed_in_double_precision() -> None:
    """A friction that a million float32 parameters share must not lose their small squares."""
    n = 2**20
    whole = Bundle([torch.full((n,), 0.1), torch.full((3,), 1e4)]).total()
    assert whole.dtype == torch.float64
    tenth = torch.tensor(0.1).item()  # 0.1 rounded to float32
    assert whole.item() == pytest.approx(n * tenth + 3e4, rel=1e-12)
