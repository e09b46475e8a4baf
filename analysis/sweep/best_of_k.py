"""What k trials would have found."""

from collections.abc import Sequence
from math import comb


def best_of_k(costs: Sequence[float]) -> list[float]:
    """The expected least cost among k of n trials drawn without replacement, for k = 1 ... n.

    With the costs in order, c₁ ≤ … ≤ cₙ, the least of the k is cᵢ when i is drawn and the other
    k − 1 come from the n − i behind it:

        E = Σᵢ cᵢ C(n − i, k − 1) / C(n, k),

    exact over all orders in which the trials might have been made. It falls to c₁ at k = n.
    (J. Dodge et al., Show Your Work, EMNLP 2019, have the version with replacement.)
    """
    ordered = sorted(costs)
    n = len(ordered)
    return [
        sum(c * (comb(n - i, k - 1) / comb(n, k)) for i, c in enumerate(ordered, 1))
        for k in range(1, n + 1)
    ]
