"""Philox4x64-10 and Box–Muller in Triton: the numbers of `noise/philox.c`; it needs Triton."""

# pyright: reportAttributeAccessIssue=false, reportCallIssue=false, reportArgumentType=false
# pyright: reportOperatorIssue=false, reportGeneralTypeIssues=false, reportReturnType=false
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]


@triton.jit
def normals(seed, block, coordinate, tick, place):
    """Standard normal numbers of the trajectories 4·block, ..., 4·block + 3 of each block.

    All are uint64; the key and the counters are those of philox.c, `place` is 256 channel + k.
    """
    zero = block * 0
    w0, w1, w2, w3 = _philox(seed, block, zero + coordinate, zero + tick, zero + place)
    z0, z1 = _box_muller(w0, w1)
    z2, z3 = _box_muller(w2, w3)
    return tl.interleave(tl.interleave(z0, z2), tl.interleave(z1, z3))


@triton.jit
def _philox(seed, c0, c1, c2, c3):
    k0 = seed
    k1 = seed * 0
    m0 = tl.full((), 0xD2E7470EE14C6C93, tl.uint64)
    m1 = tl.full((), 0xCA5A826395121157, tl.uint64)
    for _ in tl.static_range(10):
        high0 = tl.umulhi(c0, m0)
        high1 = tl.umulhi(c2, m1)
        low0 = c0 * m0
        low1 = c2 * m1
        c0 = high1 ^ c1 ^ k0
        c1 = low1
        c2 = high0 ^ c3 ^ k1
        c3 = low0
        k0 += tl.full((), 0x9E3779B97F4A7C15, tl.uint64)
        k1 += tl.full((), 0xBB67AE8584CAA73B, tl.uint64)
    return c0, c1, c2, c3


@triton.jit
def _box_muller(radius, angle):
    y = (9007199254740992.0 - (radius >> 11).to(tl.float64)) * (1.0 / 9007199254740992)
    r = tl.sqrt(-2.0 * tl.log(y))
    octant = (angle >> 61).to(tl.int32)
    within = ((angle >> 11) & 0x3FFFFFFFFFFFF).to(tl.int64)
    odd = (octant & 1) == 1
    steps = tl.where(odd, (1 << 50) - within, within)
    t = steps.to(tl.float64) * (0.7853981633974483 / 1125899906842624)
    c = _cosine(t)
    s = _sine(t)
    s = tl.where(odd, -s, s)
    quarters = (octant + 1) >> 1
    swap = (quarters & 1) == 1
    x = tl.where(swap, s, c)
    z = tl.where(swap, c, s)
    x = tl.where(((quarters + 1) & 2) != 0, -x, x)
    z = tl.where((quarters & 2) != 0, -z, z)
    return r * x, r * z


@triton.jit
def _sine(t):
    """sin t for 0 <= t <= π/4, by its Taylor series."""
    w = t * t
    r = w * (1.0 / 355687428096000) - 1.0 / 1307674368000
    r = r * w + 1.0 / 6227020800
    r = r * w - 1.0 / 39916800
    r = r * w + 1.0 / 362880
    r = r * w - 1.0 / 5040
    r = r * w + 1.0 / 120
    r = r * w - 1.0 / 6
    return t + t * (w * r)


@triton.jit
def _cosine(t):
    """cos t for 0 <= t <= π/4, by its Taylor series."""
    w = t * t
    r = w * (1.0 / 20922789888000) - 1.0 / 87178291200
    r = r * w + 1.0 / 479001600
    r = r * w - 1.0 / 3628800
    r = r * w + 1.0 / 40320
    r = r * w - 1.0 / 720
    r = r * w + 1.0 / 24
    half = 0.5 * w
    c = 1.0 - half
    return c + ((1.0 - c - half) + w * w * r)
