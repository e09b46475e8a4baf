"""The element functions every flow is written with.

The same line of a flow runs on Python floats (scalars of a step), numpy arrays (scipy's right-hand
sides), torch tensors, and on any other object that offers the operation as a method (lists of
tensors in an optimizer, traced symbols in a kernel). No function branches on a value.
"""

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

Scalar = float | Tensor | np.ndarray
"""A hyperparameter or a time: a number, a 0-dim tensor, or one value per trajectory."""

Value = Any
"""Anything an element function takes: float, numpy array, tensor, list of tensors, symbol."""

_ARRAY = (np.ndarray, np.generic)  # torch's compiler cannot form their union
_TANH_RADIUS = 1.0  # below it the continued fraction of tanh is exact to 2e-16
_SERIES_RADIUS = 1e-2  # below it the Taylor series of phi1 is exact to 3e-16, and so is its slope


def _elementwise(name: str, of_float: Callable[[float], float]) -> Callable[[Value], Value]:
    of_array, of_tensor = getattr(np, name), getattr(torch, name)

    def apply(x: Value) -> Value:
        if isinstance(x, Tensor):
            return of_tensor(x)
        if isinstance(x, float | int):
            return of_float(x)
        if isinstance(x, _ARRAY):
            return of_array(x)
        return getattr(x, name)()

    apply.__name__ = name
    apply.__doc__ = f"{name}(x), element by element."
    return apply


def _float_exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:  # overflow is a value here, as it is for tensors
        return math.inf


exp = _elementwise("exp", _float_exp)
sqrt = _elementwise("sqrt", lambda x: math.sqrt(x) if x >= 0 else math.nan)
abs = _elementwise("abs", math.fabs)
log1p = _elementwise("log1p", lambda x: math.log1p(x) if x > -1 else math.nan)
sin = _elementwise("sin", math.sin)
cos = _elementwise("cos", math.cos)
tanh = _elementwise("tanh", math.tanh)


def maximum(x: Value, bound: float) -> Value:
    """max(x, bound), element by element; `bound` is a number."""
    if isinstance(x, Tensor):
        return torch.clamp(x, min=bound)
    if isinstance(x, float | int):
        return bound if x < bound else x  # keeps a NaN, as the array versions do
    if isinstance(x, _ARRAY):
        return np.maximum(x, bound)
    return x.maximum(bound)


def nonzero(x: Value) -> Value:
    """max(x, the smallest normal number of its type) for x >= 0: a divisor with 0/0 = 0.

    A number other than 0 divided by it still overflows in the next few operations, as it should.
    """
    if isinstance(x, Tensor):
        return torch.clamp(x, min=torch.finfo(x.dtype).tiny)
    if isinstance(x, float | int):
        return maximum(x, sys.float_info.min)
    if isinstance(x, _ARRAY):
        return np.maximum(x, np.finfo(np.float64).tiny)
    return x.nonzero()


def phi1(z: Value) -> Value:
    """φ₁(z) = (eᶻ − 1)/z, with φ₁(0) = 1 and φ₁′(0) = 1/2.

    The one function through which the limits γ → 0 and α → 0 are taken: it has no cancellation
    (relative error below 4e-16 for every z) and its derivative is right at 0.
    """
    if isinstance(z, Tensor):
        near = z.abs() < _SERIES_RADIUS
        away = torch.where(near, torch.ones_like(z), z)  # both branches stay finite: no NaN slope
        return torch.where(near, _phi1_series(z), torch.expm1(away) / away)
    if isinstance(z, float | int):
        if math.fabs(z) < _SERIES_RADIUS:
            return _phi1_series(z)
        try:
            return math.expm1(z) / z
        except OverflowError:
            return math.inf
    if isinstance(z, _ARRAY):
        near = np.abs(z) < _SERIES_RADIUS
        away = np.where(near, 1.0, z)
        return np.where(near, _phi1_series(z), np.expm1(away) / away)
    return z.phi1()


def _phi1_series(z: Value) -> Value:
    return 1 + z / 2 * (1 + z / 3 * (1 + z / 4 * (1 + z / 5 * (1 + z / 6 * (1 + z / 7)))))


def tanh_gap(v: Value) -> Value:
    """(v − tanh v)/v³, which is 1/3 at v = 0, without cancellation (relative error below 2e-15)."""
    if isinstance(v, Tensor):
        near = v.abs() < _TANH_RADIUS
        close, away = torch.where(near, v, 0.0), torch.where(near, 1.0, v)
        return torch.where(near, _tanh_fraction(close), (1 - torch.tanh(away) / away) / away / away)
    if isinstance(v, float | int):
        near = math.fabs(v) < _TANH_RADIUS
        return _tanh_fraction(v) if near else (1 - math.tanh(v) / v) / v / v
    if isinstance(v, _ARRAY):
        near = np.abs(v) < _TANH_RADIUS
        close, away = np.where(near, v, 0.0), np.where(near, 1.0, v)
        return np.where(near, _tanh_fraction(close), (1 - np.tanh(away) / away) / away / away)
    return v.tanh_gap()


def _tanh_fraction(v: Value) -> Value:
    """K/(1 + v²K) from Lambert's fraction tanh v = v/(1 + v²K), K = 1/(3 + v²/(5 + …))."""
    w = v * v
    tail = 21 + 0.0 * w
    for odd in range(19, 1, -2):
        tail = odd + w / tail
    return 1 / (tail + w)


def soft_cap(a: Value, p: Value) -> Value:
    """p / √(1 + a p²), element by element: |result| <= 1/√a for a > 0.

    Written with m = max(1, |p|) as (p/m) / √(m⁻² + a (p/m)²): p² never overflows, the derivative
    at a = 0 exists, and a < 0 (backward time) is right while 1 + a p² > 0 and NaN beyond. (At
    a = 0 exactly it returns p while p² is finite.)
    """
    if hasattr(p, "soft_cap"):  # symbols: kernels have a way with one division
        return p.soft_cap(a)
    r = 1.0 / maximum(abs(p), 1.0)
    q = p * r
    return q / sqrt(r * r + a * (q * q))


def total(x: Value, rank: int) -> Value:
    """Σ x over the coordinates: the first `rank` axes of an array, everything in a list.

    One half of the coordinates is added to the other until one is left. The last bit of a library's
    own sum depends on the layout of memory: on the number of trajectories beside this one.
    """
    if isinstance(x, Tensor | np.ndarray):
        return folded(x.reshape(math.prod(x.shape[:rank]), *x.shape[rank:])) if rank else x
    return x if isinstance(x, float | int | np.generic) else x.total()


def folded(x: Value) -> Value:
    """The sum over the first axis, in an order that depends on its length only."""
    if not len(x):
        return x.sum(0)
    carried = []  # the last one of each odd length
    while len(x) > 1:
        half = len(x) // 2
        if len(x) % 2:
            carried.append(x[-1])
        x = x[:half] + x[half : 2 * half]
    return sum(carried, x[0])


def rowmean(x: Value, rank: int) -> Value:
    """The mean of each row, [m, 1, ..., 1] of [m, n, ...]: rows are along the first axis.

    The first `rank` axes are coordinates. With fewer than two of them a row is one number.
    """
    return _mean(x, tuple(range(1, rank))) if _is_plain(x) else x.rowmean()


def colmean(x: Value, rank: int) -> Value:
    """The mean over the rows, [1, n, ...] of [m, n, ...] and [1] of [n]."""
    return _mean(x, (0,) if rank else ()) if _is_plain(x) else x.colmean()


def where_matrix(value: Value, otherwise: Value, rank: int) -> Value:
    """`value` for a matrix (two coordinate axes or more), `otherwise` for a vector or a number."""
    if _is_plain(value):
        return value if rank >= 2 else otherwise
    return value.where_matrix(otherwise)


def _is_plain(x: Value) -> bool:
    return isinstance(x, Tensor | np.ndarray | np.generic | float | int)


def _mean(x: Value, axes: tuple[int, ...]) -> Value:
    if not axes or isinstance(x, float | int):
        return x
    if isinstance(x, Tensor):
        return x.mean(dim=axes, keepdim=True)
    return x.mean(axis=axes, keepdims=True)
