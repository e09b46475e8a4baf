"""The element functions of a Triton kernel, for float32 and float64; it needs Triton.

The meaning is that of `dashpot.dynamics.elements`. Triton's own exponential, division and square
root of float32 are approximations, and its logarithm takes subnormal numbers for 0: here they are
accurate, written out, or taken in float64 where they are rare. No product is relied on to be
rounded before it is added: compilers fuse.
"""

# ruff: noqa: RET505 (Triton compiles what follows a branch that has returned)
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false, reportArgumentType=false
# pyright: reportOperatorIssue=false, reportGeneralTypeIssues=false, reportReturnType=false
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from triton.language.extra import libdevice  # pyright: ignore[reportMissingImports]


@triton.jit
def div(a, b):
    if a.dtype == tl.float32:
        return tl.div_rn(a, b)
    else:
        return a / b


@triton.jit
def sqrt(x):
    if x.dtype == tl.float32:
        return tl.sqrt_rn(x)
    else:
        return tl.sqrt(x)


@triton.jit
def _reduced(x):
    """(n, eʳ − 1) of x = n ln 2 + r, |r| <= ½ ln 2; ln 2 in two pieces, n times the first exact.

    The Taylor series ends where the next term is below a tenth of the last place.
    """
    n = tl.floor(x * 1.4426950408889634 + 0.5)
    if x.dtype == tl.float32:
        r = (x - n * 0.693359375) + n * 2.12194440e-4
        q = r * (1.0 / 40320) + 1.0 / 5040
        q = q * r + 1.0 / 720
    else:
        r = (x - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10
        q = r * (1.0 / 87178291200) + 1.0 / 6227020800
        q = q * r + 1.0 / 479001600
        q = q * r + 1.0 / 39916800
        q = q * r + 1.0 / 3628800
        q = q * r + 1.0 / 362880
        q = q * r + 1.0 / 40320
        q = q * r + 1.0 / 5040
        q = q * r + 1.0 / 720
    q = q * r + 1.0 / 120
    q = q * r + 1.0 / 24
    q = q * r + 1.0 / 6
    q = q * r + 0.5
    return n.to(tl.int32), r + r * r * q


@triton.jit
def _power_of_two(n, like):
    """2ⁿ where it is a normal number."""
    if like.dtype == tl.float32:
        return ((n + 127) << 23).to(tl.float32, bitcast=True)
    else:
        return ((n + 1023).to(tl.int64) << 52).to(tl.float64, bitcast=True)


@triton.jit
def _within(x, low, high):
    x = tl.where(x < low, low, x)  # keeps NaN
    return tl.where(x > high, high, x)


@triton.jit
def exp(x):
    if x.dtype == tl.float32:
        n, q = _reduced(_within(x, -105.0, 90.0))
        half = n >> 1  # 2ⁿ in two factors: subnormal results are rounded once, large ones overflow
        return (1.0 + q) * _power_of_two(half, x) * _power_of_two(n - half, x)
    else:
        return tl.exp(x)


@triton.jit
def expm1(x):
    if x.dtype == tl.float32:
        n, q = _reduced(_within(x, -20.0, 88.8))
    else:
        n, q = _reduced(_within(x, -40.0, 709.9))
    half = _power_of_two(n - 1, x)  # 2ⁿ itself may be too large
    return tl.where(n == 0, q, 2.0 * (half * q + (half - 0.5)))


@triton.jit
def log(x):
    return tl.log(x.to(tl.float64)).to(x.dtype)


@triton.jit
def log1p(x):
    z = x.to(tl.float64)
    u = 1.0 + z  # its error is that of u − 1 also
    return tl.where(u - 1.0 == z, tl.log(u), tl.where(u == 1.0, z, tl.log(u) * z / (u - 1.0))).to(
        x.dtype
    )


@triton.jit
def sin(x):
    return tl.sin(x)


@triton.jit
def cos(x):
    return tl.cos(x)


@triton.jit
def tanh(x):
    gap = expm1(-2.0 * tl.abs(x))
    size = div(-gap, 2.0 + gap)
    return tl.where(x < 0, -size, size)


@triton.jit
def pow(x, y):
    return libdevice.pow(x.to(tl.float64), y.to(tl.float64)).to(x.dtype)


@triton.jit
def sign(x):
    return (x > 0).to(x.dtype) - (x < 0).to(x.dtype)


@triton.jit
def less(a, b):
    return (a < b).to(a.dtype)


@triton.jit
def equal(a, b):
    return (a == b).to(a.dtype)


@triton.jit
def where(test, a, b):
    return tl.where(test != 0, a, b)


@triton.jit
def maximum(x, bound):
    return tl.maximum(x, bound, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def minimum(x, bound):
    return tl.minimum(x, bound, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def nonzero(x):
    if x.dtype == tl.float32:
        return tl.where(x < 1.1754943508222875e-38, 1.1754943508222875e-38, x)
    else:
        return tl.where(x < 2.2250738585072014e-308, 2.2250738585072014e-308, x)


@triton.jit
def soft_cap(a, x):
    if x.dtype == tl.float32:
        scale = tl.where(tl.abs(x) > 4294967296.0, 5.293955920339377e-23, 1.0).to(x.dtype)
    else:
        scale = tl.where(tl.abs(x) > 1.157920892373162e77, 4.445517498970155e-162, 1.0).to(x.dtype)
    q = x * scale
    return div(q, sqrt(scale * scale + a * (q * q)))


@triton.jit
def phi1(z):
    near = tl.abs(z) < 0.01
    s = 1.0 + z * (1.0 / 7)
    s = 1.0 + z * (1.0 / 6) * s
    s = 1.0 + z * (1.0 / 5) * s
    s = 1.0 + z * (1.0 / 4) * s
    s = 1.0 + z * (1.0 / 3) * s
    s = 1.0 + z * (1.0 / 2) * s
    away = tl.where(near, 1.0, z)
    return tl.where(near, s, div(expm1(away), away))


@triton.jit
def tanh_gap(v):
    near = tl.abs(v) < 1.0
    close = tl.where(near, v, 0.0)
    w = close * close
    tail = 21.0 + 0.0 * w
    for k in tl.static_range(9):
        tail = (19.0 - 2.0 * k) + div(w, tail)
    away = tl.where(near, 1.0, v)
    far = div(div(1.0 - div(tanh(away), away), away), away)
    return tl.where(near, div(1.0 + 0.0 * w, tail + w), far)
