"""Stochastic rounding in Triton: the bits of `rounding.py`; it needs Triton."""

# pyright: reportAttributeAccessIssue=false, reportCallIssue=false, reportArgumentType=false
# pyright: reportOperatorIssue=false, reportGeneralTypeIssues=false, reportReturnType=false
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]


@triton.jit
def _mixed(z):
    z += tl.full((), 0x9E3779B97F4A7C15, tl.uint64)
    z = (z ^ (z >> 30)) * tl.full((), 0xBF58476D1CE4E5B9, tl.uint64)
    z = (z ^ (z >> 27)) * tl.full((), 0x94D049BB133111EB, tl.uint64)
    return z ^ (z >> 31)


@triton.jit
def _word(number):
    return (tl.full((), 0, tl.int64) + number).to(tl.uint64, bitcast=True)


@triton.jit
def rounding_key(seed, place, tick, stream):
    """The key of one variable of one tensor in one step, as in `rounding.key`."""
    key = _mixed(_mixed(_word(seed)) ^ _word(place))
    return _mixed(_mixed(key ^ _word(tick)) ^ _word(stream))


@triton.jit
def rounding_bits(element, key):
    """0 … 65535 for each element, as in `rounding.random_bits`."""
    h = element.to(tl.uint32) ^ key.to(tl.uint32)
    h = (h ^ (h >> 16)) * tl.full((), 0x7FEB352D, tl.uint32)
    h = ((h ^ (h >> 15)) + (key >> 32).to(tl.uint32)) * tl.full((), 0x846CA68B, tl.uint32)
    return h >> 16


@triton.jit
def to_bfloat16(value, bits):
    """A number to one of its two neighbours in bfloat16; NaN and ∞ remain."""
    pattern = value.to(tl.float32).to(tl.uint32, bitcast=True)
    rounded = ((pattern + bits) >> 16).to(tl.uint16).to(tl.bfloat16, bitcast=True)
    is_finite = (pattern & 0x7F800000) != 0x7F800000
    return tl.where(is_finite, rounded, value.to(tl.bfloat16))
