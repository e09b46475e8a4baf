"""What is held out for validation."""

import numpy as np
import pytest

from dashpot.landscapes.data.splits import held_out, shuffled


def test_the_order_never_changes() -> None:
    # PCG64's first ten numbers in order of size: others would be other validation sets, and
    # results from before and after could not be compared.
    assert shuffled(10).tolist() == [6, 0, 7, 1, 3, 9, 8, 5, 4, 2]
    assert sorted(shuffled(1000)) == list(range(1000))


def test_the_order_has_no_trend() -> None:
    places = shuffled(100_000)
    # The correlation of two independent orders has standard deviation 1/√n.
    assert abs(np.corrcoef(places, np.arange(100_000))[0, 1]) < 4 / 100_000**0.5


@pytest.mark.parametrize("count", [1, 7, 100, 999])
def test_every_class_has_its_share(count: int) -> None:
    labels = np.random.default_rng(1).choice(4, 1000, p=[0.6, 0.3, 0.09, 0.01])
    stay, out = held_out(labels, count)
    assert len(out) == count
    assert sorted([*stay, *out]) == list(range(1000))
    shares = np.bincount(labels) * (count / 1000)
    assert (np.abs(np.bincount(labels[out], minlength=4) - shares) <= 1).all()
