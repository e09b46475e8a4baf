"""Handwritten digits, and a small network to read them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from . import checks


class Split(NamedTuple):
    """A set of samples: inputs [n, ...] and targets [n], int64."""

    inputs: Tensor
    targets: Tensor


@dataclass(frozen=True)
class Digits:
    """Three disjoint sets of handwritten digits, of 1000, 350 and 447 samples.

    Inputs are [n, 64], float32 in [0, 1]; targets are 0 … 9.
    """

    train: Split
    validation: Split
    test: Split


def digits(seed: int = 0) -> Digits:
    """The 1797 handwritten digits of 8 × 8 pixels that come with scikit-learn.

    Every digit has the same share in each set, up to one sample; `seed` decides which go where.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine
    Learning Repository (1998), its test set.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, classes = load_digits(return_X_y=True)
    rest, train = train_test_split(
        np.arange(len(classes)), test_size=1000, stratify=classes, random_state=seed
    )
    test, validation = train_test_split(
        rest, test_size=350, stratify=classes[rest], random_state=seed
    )
    inputs = torch.from_numpy(pixels / 16).to(torch.float32)  # a pixel counts 0 to 16 dots
    targets = torch.from_numpy(classes).to(torch.int64)
    train, validation, test = (
        Split(inputs[chosen], targets[chosen]) for chosen in (train, validation, test)
    )
    return Digits(train, validation, test)


def classifier(hidden: int = 64, seed: int = 0) -> nn.Sequential:
    """A network 64 – hidden – 10 from pixels to the scores of the ten digits.

    Its hidden layer is tanh, which keeps the loss smooth, so that orders and energies can be
    measured on it. Weights and biases are uniform in ±1/√(inputs of the layer), torch's default,
    drawn with `seed` and without touching torch's global generator.
    """
    hidden = checks.integer(hidden, "hidden of classifier", 1)
    generator = torch.Generator().manual_seed(seed)
    return nn.Sequential(_linear(64, hidden, generator), nn.Tanh(), _linear(hidden, 10, generator))


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs)
    bound = 1 / math.sqrt(inputs)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-bound, bound, generator=generator)
    assert isinstance(layer, nn.Linear)
    return layer
