"""Stochastic rounding loses nothing on average, and its bits are independent."""

import math

import pytest
import torch

from dashpot.integrators.kernels.fused.rounding import key, random_bits, to_bfloat16

COUNT = 2**18
SIGMAS = 5.0  # of a statistic under the hypothesis that bits are fair and independent


def bits(number: int) -> torch.Tensor:
    return random_bits(number, 0, COUNT)


@pytest.mark.parametrize("share", [2**-16, 0.1, 0.5, 0.9])
def test_a_number_becomes_its_upper_neighbour_as_often_as_it_is_near(share: float) -> None:
    value = torch.full((COUNT,), 1.0 + share * 2.0**-7)
    rounded = to_bfloat16(value, key(1, 2, 3, 4)).double()
    assert set(rounded.unique().tolist()) <= {1.0, 1.0 + 2.0**-7}
    exact = round(share * 2**16) / 2**16  # the float32 has these 16 bits below those of bfloat16
    error = math.sqrt(exact * (1 - exact) / COUNT)
    assert abs((rounded - 1).mean().item() * 2**7 - exact) <= SIGMAS * error


def test_what_bfloat16_can_say_stays() -> None:
    values = torch.arange(2**16, dtype=torch.int32).to(torch.int16).view(torch.bfloat16)
    rounded = to_bfloat16(values.float(), key(0, 0, 0, 0))
    torch.testing.assert_close(rounded, values, rtol=0, atol=0, equal_nan=True)
    odd = torch.tensor([0x7F800001, 0x7FFFFFFF, -1], dtype=torch.int32).view(torch.float32)
    assert to_bfloat16(odd, key(0, 0, 0, 0)).isnan().all()


def test_bits_are_fair() -> None:
    drawn = bits(key(7, 0, 0, 1))
    for place in range(16):
        ones = (drawn >> place & 1).double().mean().item()
        assert abs(ones - 0.5) <= SIGMAS * 0.5 / math.sqrt(COUNT)
    for shift in (0, 8):  # χ² with 255 degrees of freedom: mean 255, standard deviation √510
        counts = torch.bincount(drawn >> shift & 255, minlength=256).double()
        chi2 = ((counts - COUNT / 256) ** 2 / (COUNT / 256)).sum().item()
        assert abs(chi2 - 255) <= SIGMAS * math.sqrt(510)


@pytest.mark.parametrize(
    "other",
    [(8, 0, 0, 1), (7, 1, 0, 1), (7, 0, 1, 1), (7, 0, 0, 2), (0, 7, 0, 1), (7, 0, 2**40, 1)],
)
def test_streams_are_independent(other: tuple[int, int, int, int]) -> None:
    a, b = bits(key(7, 0, 0, 1)).double(), bits(key(*other)).double()
    for lag in (0, 1, 2, 64):
        x, y = a[lag:], b[: COUNT - lag]
        assert abs(torch.corrcoef(torch.stack((x, y)))[0, 1].item()) <= SIGMAS / math.sqrt(len(x))


def test_neighbours_in_memory_are_independent() -> None:
    drawn = bits(key(7, 0, 0, 1)).double()
    for lag in (1, 2, 3, 16, 256, 4096):
        pair = torch.stack((drawn[lag:], drawn[:-lag]))
        assert abs(torch.corrcoef(pair)[0, 1].item()) <= SIGMAS / math.sqrt(COUNT - lag)


def test_bits_belong_to_elements_in_memory() -> None:
    number = key(1, 2, 3, 4)
    assert torch.equal(random_bits(number, 100, 50), random_bits(number, 0, 150)[100:])
    value = torch.randn(30, 40, generator=torch.Generator().manual_seed(0))
    turned = to_bfloat16(value.t(), number)  # the same memory
    assert torch.equal(turned.t(), to_bfloat16(value, number))
