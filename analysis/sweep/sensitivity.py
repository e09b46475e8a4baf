"""How wide the range of good learning rates is."""

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Width:
    """The range around the best lr in which the cost is within a tolerance of the best.

    lr          with the least cost
    low, high   ends of the range
    low_is_open, high_is_open   the scan ends, or the next run diverged: it may be wider
    """

    lr: float
    low: float
    high: float
    low_is_open: bool
    high_is_open: bool

    @property
    def decades(self) -> float:
        return math.log10(self.high / self.low)


def sensitivity(costs: Mapping[float, float | None], tolerance: float) -> Width | None:
    """The range of lr, everything else fixed, with cost ≤ best + tolerance |best|.

    costs  by lr; None where the run diverged

    Between two lr of the scan the cost is taken as linear in log lr. The range is the connected
    one around the best; it stops at the last good lr before one that diverged. None where fewer
    than two runs have a cost.
    """
    known = {lr: cost for lr, cost in costs.items() if cost is not None}
    if len(known) < 2:
        return None
    best = min(known, key=lambda lr: known[lr])
    limit = known[best] + tolerance * abs(known[best])
    above = sorted(lr for lr in costs if lr >= best)
    below = sorted((lr for lr in costs if lr <= best), reverse=True)
    high, high_is_open = _end(above, costs, limit)
    low, low_is_open = _end(below, costs, limit)
    return Width(best, low, high, low_is_open, high_is_open)


def _end(lrs: list[float], costs: Mapping[float, float | None], limit: float) -> tuple[float, bool]:
    """Where the cost passes the limit, going away from the best; whether that was not seen."""
    inside, inside_cost = lrs[0], costs[lrs[0]]
    for lr in lrs[1:]:
        cost = costs[lr]
        if cost is None or inside_cost is None:
            return inside, True
        if cost > limit:
            share = (limit - inside_cost) / (cost - inside_cost)
            return inside * (lr / inside) ** share, False
        inside, inside_cost = lr, cost
    return inside, True
