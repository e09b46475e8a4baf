"""What every built-in landscape keeps: derivatives, minima, constants, shapes, types, devices."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dashpot.landscapes import Landscape

seeds = st.integers(0, 2**32 - 1)
EPS = torch.finfo(torch.float64).eps


def points(landscape: Landscape, *batch: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (*batch, *landscape.shape)
    return 2 * torch.randn(shape, dtype=torch.float64, generator=generator)


def close(a: Tensor, b: Tensor, rtol: float = 1e-13) -> None:
    """Equal up to rtol of the largest entry."""
    torch.testing.assert_close(a, b, rtol=0, atol=rtol * (1 + b.abs().max().item()))


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_gradient_is_the_derivative_of_f(landscape: Landscape, seed: int) -> None:
    x = points(landscape, 4, seed=seed).requires_grad_()
    (expected,) = torch.autograd.grad(landscape(x).sum(), x)
    close(landscape.gradient(x.detach()), expected)
    close(Landscape.df(landscape, x.detach().T), expected.T)


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_gradient_agrees_with_differences(polynomial: Landscape, seed: int) -> None:
    # The five-point stencil is exact for polynomials of degree four: only rounding is left.
    x, h = points(polynomial, seed=seed), 0.25
    steps = h * torch.eye(polynomial.dimension, dtype=torch.float64)
    values = torch.stack([polynomial(x + k * steps) for k in (-2, -1, 1, 2)])
    weights = torch.tensor([1.0, -8.0, 8.0, -1.0], dtype=torch.float64) / (12 * h)
    rounding = 1e-12 * (100 + values.abs().max().item())
    torch.testing.assert_close(weights @ values, polynomial.gradient(x), rtol=0, atol=rounding)


def test_hessian_is_the_derivative_of_the_gradient(landscape: Landscape) -> None:
    x = points(landscape)
    expected = torch.autograd.functional.hessian(landscape.f, x)
    assert isinstance(expected, Tensor)
    hessian = landscape.hessian(x)
    close(hessian, expected)
    close(hessian, hessian.T)
    v = points(landscape, 3, seed=1)
    close(landscape.hvp(x, v), v @ hessian)


def test_df_can_be_differentiated_again(landscape: Landscape) -> None:
    x = points(landscape, 2).T.contiguous().requires_grad_()
    assert torch.autograd.gradcheck(landscape.df, x)
    assert torch.autograd.gradcheck(lambda y: Landscape.df(landscape, y), x)


def test_df_is_detached_unless_asked(landscape: Landscape) -> None:
    x = points(landscape, 3).T.contiguous()
    for df in (landscape.df, lambda y: Landscape.df(landscape, y)):
        assert not df(x).requires_grad
        with torch.no_grad():
            assert not df(x.clone().requires_grad_()).requires_grad
        assert df((2 * x.clone().requires_grad_()).sin()).requires_grad
    assert not x.requires_grad


def test_declared_minima(landscape: Landscape) -> None:
    assert landscape.minimisers is not None
    assert landscape.minimum is not None
    assert landscape.minimisers.shape[1:] == landscape.shape
    for x in landscape.minimisers:
        hessian = landscape.hessian(x)
        largest = hessian.abs().max().item()
        # The minimiser is known to half an ulp, so the gradient to that times the curvature.
        allowed = 4 * landscape.dimension * EPS * largest * (1 + x.abs().max().item())
        assert landscape.gradient(x).abs().max().item() <= allowed
        assert torch.linalg.eigvalsh(hessian).min().item() >= -1e-13 * largest
        assert landscape(x).item() == pytest.approx(landscape.minimum, rel=1e-14, abs=1e-26)


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_minimum_and_constants_bound_f(landscape: Landscape, seed: int) -> None:
    x = points(landscape, seed=seed)
    assert landscape.minimum is not None
    assert landscape(x).item() >= landscape.minimum
    eigenvalues = torch.linalg.eigvalsh(landscape.hessian(x))
    slack = 1e-13 * eigenvalues.abs().max().item()
    if landscape.m is not None:
        assert eigenvalues.min().item() >= landscape.m - slack
    if landscape.L is not None:
        assert eigenvalues.max().item() <= landscape.L + slack


def test_batches_equal_single_points_first_and_last(landscape: Landscape) -> None:
    x = points(landscape, 2, 3)
    first = x.movedim(-1, 0).contiguous()
    values, gradients = landscape(x), landscape.gradient(x)
    assert values.shape == (2, 3)
    assert gradients.shape == x.shape
    assert torch.equal(values, landscape.f(first))
    assert torch.equal(gradients, landscape.df(first).movedim(0, -1))
    for i in range(2):
        for j in range(3):
            close(values[i, j], landscape(x[i, j]))
            close(gradients[i, j], landscape.gradient(x[i, j]))


def test_float32(landscape: Landscape) -> None:
    x = points(landscape, 50)
    single = x.float()
    assert landscape(single).dtype == torch.float32
    assert landscape.gradient(single).dtype == torch.float32
    assert landscape.hvp(single, x).dtype == torch.float32
    # 1e-5 is a hundred roundings of the largest term.
    close(landscape(single).double(), landscape(single.double()), rtol=1e-5)
    close(landscape.gradient(single).double(), landscape.gradient(single.double()), rtol=1e-5)


def test_other_devices(landscape: Landscape) -> None:
    x = points(landscape, 5).to("meta", torch.float32)
    for y in (landscape(x), landscape.gradient(x), landscape.hvp(x, x)):
        assert y.device.type == "meta"
        assert y.dtype == torch.float32


def test_x_is_never_changed(landscape: Landscape) -> None:
    x = points(landscape, 3).T.contiguous()
    before = x.clone()
    landscape.f(x)
    landscape.df(x)
    Landscape.df(landscape, x)
    assert torch.equal(x, before)


def test_torch_func(landscape: Landscape) -> None:
    x = points(landscape, 3)
    close(torch.func.vmap(landscape)(x), landscape(x))
    close(torch.func.vmap(landscape.gradient)(x), landscape.gradient(x))
    close(torch.func.vmap(torch.func.grad(landscape))(x), landscape.gradient(x))
    close(torch.func.jacrev(landscape.gradient)(x[0]), landscape.hessian(x[0]))
    base = torch.func.vmap(lambda y: Landscape.df(landscape, y))
    close(base(x), landscape.gradient(x))
    close(base(x.clone().requires_grad_()).detach(), landscape.gradient(x))


def test_constants_made_inside_a_transform_stay_good(landscape: Landscape) -> None:
    x = points(landscape).bfloat16()  # a type no other test has asked for
    inside = torch.func.grad(landscape)(x)
    assert torch.equal(torch.func.grad(landscape)(x), inside)
    assert landscape(x.requires_grad_()).requires_grad


def test_inference_mode(landscape: Landscape) -> None:
    x = points(landscape, 3)
    with torch.inference_mode():
        close(landscape.gradient(x.clone()), landscape.gradient(x))
        base = Landscape.df(landscape, x.T.clone())
        product = landscape.hvp(x.clone(), x)
    close(base, landscape.gradient(x).T)
    close(product, landscape.hvp(x, x))


def test_f_is_written_with_plain_operators(polynomial: Landscape) -> None:
    # An array of objects knows operators, slices and sums only, as a traced symbol does.
    x = points(polynomial)
    symbols: Any = np.array(x.tolist(), dtype=object)
    value: Any = polynomial.f(symbols)
    assert float(value) == pytest.approx(polynomial.f(x).item(), rel=1e-13)


def test_start_and_repr(landscape: Landscape) -> None:
    assert landscape.minimum is not None
    assert landscape.start.dtype == torch.float64
    assert landscape.start.shape == landscape.shape
    assert landscape(landscape.start).item() > landscape.minimum
    assert repr(landscape).startswith(type(landscape).__name__ + "(")


def test_wrong_points_are_named(landscape: Landscape) -> None:
    d = landscape.dimension
    with pytest.raises(ValueError, match=rf"takes points of shape \(..., {d}\); got \(3, {d + 1}"):
        landscape(torch.zeros(3, d + 1))
    with pytest.raises(ValueError, match=r"takes points of shape .*; got \(\)"):
        landscape.gradient(1.0)
    with pytest.raises(ValueError, match="hessian takes one point"):
        landscape.hessian(torch.zeros(2, d))
    with pytest.raises(TypeError, match="real points"):
        landscape(torch.zeros(d, dtype=torch.complex64))
