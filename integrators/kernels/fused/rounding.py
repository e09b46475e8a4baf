"""Stochastic rounding to bfloat16, by counter: what is lost on average is nothing.

A number between two neighbours in bfloat16 becomes the upper one with the probability of its
distance from the lower one, to 1/65536; a number of bfloat16 stays as it is. The random bits depend
on the seed, the place of the parameter in the optimizer, the tick (how many steps it had made), the
stream (the place of the variable among those of the dynamics) and the element's place in memory
only: neither on threads nor on the layout of other parameters.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

_WORD = 2**64 - 1


def key(seed: int, place: int, tick: int, stream: int) -> int:
    """64 bits that number one variable of one parameter in one step; as in rounding.c."""
    mixed = _mixed(seed & _WORD)
    for number in (place, tick, stream):
        mixed = _mixed(mixed ^ number)
    return mixed


def _mixed(z: int) -> int:
    """The finalizer of SplitMix64 (Steele, Lea, Flood 2014)."""
    z = (z + 0x9E3779B97F4A7C15) & _WORD
    z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & _WORD
    z = ((z ^ z >> 27) * 0x94D049BB133111EB) & _WORD
    return z ^ z >> 31


def random_bits(number: int, first: int, count: int, device: torch.device | None = None) -> Tensor:
    """[count] whole numbers 0 … 65535, those of the elements first, first + 1, ... under a key."""
    return _hashed(numbered((count,), (1,), first, device), number)


def numbered(
    shape: Sequence[int], strides: Sequence[int], first: int, device: torch.device | None = None
) -> Tensor:
    """first + Σ index·stride modulo 2³², as int32: the number of every element of a whole."""
    numbers = torch.full((), _signed(first), dtype=torch.int32, device=device)
    for size, stride in zip(shape, strides, strict=True):
        exact = torch.int32 if size < 2**31 else torch.int64
        along = torch.arange(size, dtype=exact, device=device).to(torch.int32)
        numbers = numbers.unsqueeze(-1) + along * _signed(stride)
    return numbers


def _hashed(element: Tensor, number: int) -> Tensor:
    """0 … 65535 for every element, whose tensor is overwritten; int32 wraps around as C's uint32.

    A multiply–xorshift hash of the element, with one half of the key put in before each of its two
    rounds (constants of Wellons 2018). Elements number 2³² and above repeat.
    """
    h = element.bitwise_xor_(_signed(number))
    h ^= (h >> 16).bitwise_and_(2**16 - 1)  # >> copies the sign
    h *= 0x7FEB352D
    h ^= (h >> 15).bitwise_and_(2**17 - 1)
    h += _signed(number >> 32)
    h *= _signed(0x846CA68B)
    h >>= 16
    h &= 2**16 - 1
    return h


def _signed(value: int) -> int:
    """The int32 with the lowest 32 bits of a whole number."""
    return (value + 2**31) % 2**32 - 2**31


def to_bfloat16(
    value: Tensor, number: int, strides: Sequence[int] | None = None, first: int = 0
) -> Tensor:
    """A float32 (or float64) tensor rounded stochastically under a key; NaN and ∞ remain.

    strides, first  where its elements lie in the whole it is a part of; else where they lie here
    """
    value = value.float()
    elements = numbered(
        value.shape, value.stride() if strides is None else strides, first, value.device
    )
    pattern = _hashed(elements, number).add_(value.view(torch.int32)).bitwise_and_(-0x10000)
    rounded = torch.where(value.isfinite(), pattern.view(torch.float32), value)
    return rounded.to(torch.bfloat16)  # exact
