"""Linear regression with one parameter: minibatches whose moments follow a linear recursion."""

import itertools
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn.functional import mse_loss

from dashpot.landscapes import Network

X, Y = np.array([0.5, -1.0, 1.5, 0.8]), np.array([1.0, -1.2, 1.0, 0.1])
BATCH, START = 2, 3.0


def line() -> Network:
    """f(w) = mean (x w − y)², one parameter."""
    module = nn.Linear(1, 1, bias=False).double()
    with torch.no_grad():
        module.weight.fill_(START)
    data = torch.from_numpy(X)[:, None], torch.from_numpy(Y)[:, None]
    return Network(module, mse_loss, data)


def moments(
    step: Callable[[float, float], np.ndarray], state: np.ndarray, steps: int, refinement: int = 1
) -> np.ndarray:
    """E v vᵀ, v = (..., 1), after v ← step(a, b) v with a gradient a w − b of a random minibatch.

    `step` is affine in (a, b), so that its covariance is that of a minibatch, or m times that
    for the Gaussian one of refinement m; every batch of two examples is enumerated.
    """
    pairs = [list(pair) for pair in itertools.product(range(len(X)), repeat=BATCH)]
    slopes = [(float(2 * np.mean(X[i] ** 2)), float(2 * np.mean(X[i] * Y[i]))) for i in pairs]
    made = [step(a, b) for a, b in slopes]
    mean = np.mean(made, axis=0)
    second = np.outer(state, state)
    for _ in range(steps):
        spread = np.mean([(m - mean) @ second @ (m - mean).T for m in made], axis=0)
        second = mean @ second @ mean.T + refinement * spread
    return second


def descent(lr: float) -> Callable[[float, float], np.ndarray]:
    return lambda a, b: np.array([[1 - lr * a, lr * b], [0.0, 1.0]])


def heavy_ball(h: float, beta: float) -> Callable[[float, float], np.ndarray]:
    """B, A, D in (w, p, 1)."""
    after = np.array([[1, h, 0], [0, beta, 0], [0, 0, 1.0]])
    return lambda a, b: after @ np.array([[1, 0, 0], [-h * a, 1, h * b], [0, 0, 1.0]])


def loss_of(second: np.ndarray) -> float:
    """E f from the moments of w."""
    squared, mean = second[0, 0], second[0, -1]
    return float(np.mean(X**2) * squared - 2 * np.mean(X * Y) * mean + np.mean(Y**2))
