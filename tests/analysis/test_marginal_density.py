"""The marginal density that a user gives is looked at before anything is computed."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from dashpot.analysis import compare_with_gibbs
from dashpot.dynamics import Langevin
from dashpot.integrators import simulate
from dashpot.landscapes import Quadratic

BOWL = Quadratic([1.0, 1.0, 1.0])
NORMAL = np.random.default_rng(0).normal(size=(2000, 3))


def compared(marginal: Any, coordinates: Any = (0,)) -> Any:
    return compare_with_gibbs(NORMAL, BOWL, 1.0, marginal=marginal, coordinates=coordinates)


@pytest.mark.parametrize(
    ("marginal", "error", "message"),
    [
        (lambda x: -(x**2) / 2, ValueError, "a density is not negative: if this is its logarithm"),
        (lambda x: math.exp(-(x**2) / 2), TypeError, "numpy arrays .* it raised TypeError: only"),
        (lambda x: torch.exp(-(x**2) / 2), TypeError, "it raised TypeError: exp"),
        (lambda x: 1.0, ValueError, r"for 100 points it returned shape \(\)"),
        (lambda x, y: np.exp(-(x**2) - y**2), TypeError, "missing 1 required positional argument"),
        (lambda x: np.nan * x, ValueError, "at the samples it is"),
        (lambda x: 0 * x, ValueError, "at the samples it is"),
        (0.3, TypeError, "marginal must be a function of numpy arrays"),
    ],
)
def test_what_is_no_density_is_named(marginal: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        compared(marginal)


def test_densities_of_one_and_two_coordinates() -> None:
    assert compared(lambda x: np.exp(-(x**2) / 2)).chi_square.p_value > 1e-4
    both = compared(lambda x, y: np.exp(-(x**2 + y**2) / 2), (2, 0))
    assert both.coordinates == (2, 0) and both.chi_square.p_value > 1e-4
    # a density that vanishes on one side is one
    assert compared(lambda x: np.where(x > 0, np.exp(-(x**2) / 2), 0.0)).chi_square.p_value < 1e-9


@pytest.mark.parametrize("place", [1, np.int64(1)])
def test_one_coordinate_may_be_a_number(place: Any) -> None:
    one = compared(lambda x: np.exp(-(x**2) / 2), place)
    assert one.coordinates == (1,)
    assert str(one) == str(compared(lambda x: np.exp(-(x**2) / 2), (1,)))


def test_uneven_times_of_joined_runs_are_explained() -> None:
    bowl, dynamics = Quadratic([1.0]), Langevin(1.0, 1.0)
    first = simulate(dynamics, bowl, torch.ones(2, 1), step=0.1, steps=25, save_every=10, noise=1)
    later = simulate(dynamics, bowl, first, step=0.1, steps=25, save_every=10, noise=1)
    with pytest.raises(ValueError, match="need steps that are a multiple of save_every"):
        compare_with_gibbs(first.joined(later), bowl, 1.0)
