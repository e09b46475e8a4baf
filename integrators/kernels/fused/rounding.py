"""Stochastic rounding to bfloat16, by counter: what is lost on average is nothing.

A number between two neighbours in bfloat16 becomes the upper one with the probability of its
distance from the lower one, to 1/65536; a number of bfloat16 stays as it is. The random bits depend
on the seed, the place of the parameter in the optimizer, the tick (how many steps it had made), the
stream (the place of the variable among those of the dynamics) and the element's place in memory
only: neither on threads nor on the layout of other parameters.
"""

import torch
from torch import Tensor

_WORD = 2**64 - 1
_HALF = 2**32 - 1


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
    """[count] whole numbers 0 … 65535, those of the elements first, first + 1, ... under a key.

    A multiply–xorshift hash of the element, with one half of the key put in before each of its two
    rounds (constants of Wellons 2018). Elements number 2³² and above repeat.
    """
    element = torch.arange(first, first + count, device=device) & _HALF  # int64 throughout
    h = element ^ (number & _HALF)
    h = ((h ^ h >> 16) * 0x7FEB352D) & _HALF
    h = (((h ^ h >> 15) + (number >> 32)) & _HALF) * 0x846CA68B & _HALF
    return h >> 16


def to_bfloat16(value: Tensor, number: int, first: int = 0) -> Tensor:
    """A dense float32 (or float64) tensor rounded stochastically under a key; NaN and ∞ remain.

    first  the element of a whole with which a part of it begins
    """
    value = value.float()
    bits = random_bits(number, first, value.numel(), value.device).to(torch.int32)
    pattern = value.view(torch.int32) + torch.as_strided(bits, value.shape, value.stride())
    rounded = (pattern & -0x10000).view(torch.float32).to(torch.bfloat16)  # exact
    return torch.where(value.isfinite(), rounded, value.to(torch.bfloat16))
