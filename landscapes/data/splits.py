"""Which examples are held out for validation: the same on every machine, by a seed of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SEED = 20260


def shuffled(count: int) -> NDArray[np.int64]:
    """0 … count − 1 in an order that depends on `count` alone.

    The raw numbers of PCG64 are fixed for good, which those of a generator's methods are not.
    """
    return np.argsort(np.random.PCG64(_SEED).random_raw(count), kind="stable")


def held_out(
    labels: NDArray[np.integer], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of those that stay and of `count` held out, each ascending.

    Every class has its share among those held out, up to one example.
    """
    order = shuffled(len(labels))
    place = np.empty(len(labels))  # of an example in its class, from 0 to 1
    for label in np.unique(labels):
        members = order[labels[order] == label]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    by_place = order[np.argsort(place[order], kind="stable")]
    return np.sort(by_place[count:]), np.sort(by_place[:count])
