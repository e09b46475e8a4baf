"""How often a search reaches its target, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

_NORMAL_95 = 1.959963984540054  # Φ⁻¹(0.975)


@dataclass(frozen=True)
class Success:
    """Successes in independent trials, and the gradients that all of them took together.

    rate                  successes / trials
    interval              of 95%, Wilson's, which holds for few trials and rates near 0 or 1 too
                          (E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209)
    gradients_per_success what one success costs; infinite without any
    """

    successes: int
    trials: int
    gradients: int

    def __post_init__(self) -> None:
        if not 0 <= self.successes <= self.trials or self.trials < 1:
            raise ValueError(
                f"a rate needs trials >= 1, of which 0 to all succeeded; got {self.successes} of "
                f"{self.trials}"
            )

    @classmethod
    def of(cls, reached: Iterable[bool], gradients: int) -> Success:
        outcomes = [bool(one) for one in reached]
        return cls(sum(outcomes), len(outcomes), int(gradients))

    @property
    def rate(self) -> float:
        return self.successes / self.trials

    @property
    def interval(self) -> tuple[float, float]:
        n, z2 = self.trials, _NORMAL_95**2
        middle = (self.successes + z2 / 2) / (n + z2)
        spread = self.successes * (n - self.successes) / n + z2 / 4
        half = math.sqrt(z2 * spread) / (n + z2)
        return max(0.0, middle - half), min(1.0, middle + half)

    @property
    def gradients_per_success(self) -> float:
        return self.gradients / self.successes if self.successes else math.inf
