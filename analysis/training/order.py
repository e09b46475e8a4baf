"""Which examples make up a step's batch: a function of seed and step alone.

No position needs to be kept: a resumed run, or one on several processes, asks for the same step
and gets the same examples.
"""

import numpy as np
import torch
from torch import Tensor

_ORDER = 1 << 32  # the order of the examples is drawn apart from weights and dropout
_STEP = 1 << 33  # what else a step draws, such as crops


def mixed(seed: int, *numbers: int) -> int:
    """A seed of its own for each seed and numbers, from 0 to 2⁶⁴: in [0, 2³²).

    All their bits matter, whereas of a seed itself torch's generator on the CPU takes 32.
    """
    words = [len(numbers)]
    for number in (seed, *numbers):
        words += divmod(number, 1 << 32)
    return int(np.random.SeedSequence(words).generate_state(1)[0])


def generator(seed: int, *numbers: int) -> torch.Generator:
    """A generator of its own for each seed and numbers; torch's global one is left alone."""
    return torch.Generator().manual_seed(mixed(seed, *numbers))


def generator_of_step(seed: int, step: int) -> torch.Generator:
    """For what a step draws besides the examples."""
    return generator(seed, _STEP, step)


class Shuffled:
    """Epochs: every example once, in a new order each time; the last batch may be smaller.

    examples, size  how many there are, and how many make a batch
    """

    def __init__(self, examples: int, size: int, seed: int) -> None:
        self.examples, self.size, self.seed = examples, size, seed
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return -(-self.examples // self.size)

    def indices(self, step: int) -> Tensor:
        """The examples of the step number 0, 1, ...: [size], or fewer at the end of an epoch."""
        epoch, place = divmod(step, self.steps)
        if epoch != self._epoch:
            drawn = generator(self.seed, _ORDER, epoch)
            self._epoch, self._order = epoch, torch.randperm(self.examples, generator=drawn)
        return self._order[place * self.size : (place + 1) * self.size]


class Drawn:
    """Independent draws, with replacement, as language models take windows of a text."""

    def __init__(self, examples: int, size: int, seed: int) -> None:
        self.examples, self.size, self._seed = examples, size, seed

    def indices(self, step: int) -> Tensor:
        """The examples of the step number 0, 1, ...: [size]."""
        drawn = generator(self._seed, _ORDER, step)
        return torch.randint(self.examples, (self.size,), generator=drawn)
