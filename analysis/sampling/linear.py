"""Exact means and covariances of one step on one quadratic mode.

On f = ½kx² a step of a dynamics that is linear in (x, p) is y ← M y + noise of covariance Q, so
that mean and covariance obey m ← M m and S ← M S Mᵀ + Q. M and Q are read off the word's own flows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ...dynamics import Dynamics, State
from ...integrators import Word
from ...integrators.schemes import Method
from ...landscapes.checks import integer
from ..stability.linear import ROUNDING, broadcast
from .affine import affine, at_rest, kron, laws, names_of
from .one_step import OneStep


@dataclass(frozen=True, repr=False)
class MomentMap:
    """One step on f = ½kx²: m ← M m, S ← M S Mᵀ + Q, for one mode or many.

    variables   those of the rows: x, then p; "noise", the part of a gradient that is not ∇f, in
                units of its standard deviation, where a step uses the gradient of the one before
    matrix      M [..., n, n]
    covariance  Q [..., n, n]
    """

    word: str
    dynamics: str
    variables: tuple[str, ...]
    matrix: Tensor
    covariance: Tensor

    @property
    def radius(self) -> Tensor:
        """The spectral radius of M [...]."""
        return torch.linalg.eigvals(self.matrix).abs().amax(-1)

    @property
    def is_stable(self) -> Tensor:
        """Where the radius is below 1 beyond rounding, so that there is a stationary law."""
        return self.radius < 1 - ROUNDING

    @property
    def stationary(self) -> Tensor:
        """The stationary covariance S = M S Mᵀ + Q [..., n, n]; NaN where there is none."""
        moved = kron(self.matrix, self.matrix)
        change = moved - torch.eye(moved.shape[-1], dtype=torch.float64)
        return at_rest(change, self.covariance, self.is_stable)

    def propagate(
        self, mean: ArrayLike | Tensor, covariance: ArrayLike | Tensor, steps: int
    ) -> tuple[Tensor, Tensor]:
        """Mean [..., n] and covariance [..., n, n] after a number of steps, by doubling.

        Give them for x and p; the noise of the first gradient is drawn afresh. Raises ValueError
        for other shapes and for steps < 0, TypeError for `steps` that are no integer.
        """
        steps = integer(steps, "steps", 0)
        n = len(self.variables)
        mean, spread = laws(mean, covariance, n - self.variables.count("noise"))
        given = mean.shape[-1]
        if given < n:
            mean = torch.cat((mean, torch.zeros_like(mean[..., :1])), -1)
            grown = torch.zeros(*spread.shape[:-2], n, n, dtype=torch.float64)
            grown[..., :given, :given], grown[..., -1, -1] = spread, 1.0
            spread = grown
        power, noise = self.matrix, self.covariance
        for bit in reversed(f"{steps:b}"):
            if bit == "1":
                mean = (power @ mean[..., None])[..., 0]
                spread = power @ spread @ power.mT + noise
            power, noise = power @ power, power @ noise @ power.mT + noise
        return mean[..., :given], spread[..., :given, :given]

    def __repr__(self) -> str:
        return f"MomentMap({self})"

    def __str__(self) -> str:
        stable = float(self.is_stable.double().mean())
        return (
            f"{self.dynamics} {self.word}: moments of {', '.join(self.variables)}, "
            f"{self.radius.numel()} modes, {stable:.0%} with a stationary law"
        )


def moment_map(
    scheme: Word | Dynamics,
    h: ArrayLike | Tensor,
    curvature: ArrayLike | Tensor = 1.0,
    values: Mapping[str, Any] | None = None,
    gradient_noise: ArrayLike | Tensor = 0.0,
    method: Method = "word",
) -> MomentMap:
    """The moments of one step on f = ½kx², for arrays of h, k and hyperparameter `values` by name.

    scheme          a word with its dynamics; or a dynamics, with its default word or a `method`
    gradient_noise  s >= 0: every gradient that a step takes is k x + s ε with its own standard
                    normal ε; one that is kept keeps it. GradientFlow's word F is then SGD with
                    lr = h, LDHD's DBA momentum SGD with lr = h², NAG's BDFA Nesterov's
    method          "word", or a scheme of `simulate` such as "euler-maruyama"

    The arrays are broadcast against each other. Raises ValueError for a dynamics with other
    variables than x and p, for one that is not linear, and for unknown hyperparameters.
    """
    step = OneStep(scheme, method)
    names = names_of(step.dynamics)
    noise = torch.as_tensor(gradient_noise, dtype=torch.float64)
    if not bool((torch.isfinite(noise) & (noise >= 0)).all()):
        raise ValueError(f"gradient_noise must be finite numbers >= 0; got {gradient_noise}")
    times = torch.as_tensor(h, dtype=torch.float64)
    if not bool((torch.isfinite(times) & (times > 0)).all()):
        raise ValueError(f"h must be finite numbers > 0; got {h}")
    times, noise = torch.broadcast_tensors(times, noise)
    h, curvature, bound = broadcast(step.dynamics, times, curvature, values)
    shape, noise = h.shape, noise.broadcast_to(h.shape).flatten()
    h, curvature = h.flatten(), curvature.flatten()
    fresh, kept = _gradients(step) if bool((noise > 0).any()) else (0, False)
    size = len(names) + kept

    def advance(y: Sequence[Tensor]) -> list[Tensor]:
        z, shocks = y[size : size + step.normals], list(y[size + step.normals :])
        if kept:
            shocks.insert(0, y[size - 1])
        taken = -1

        def gradient(x: Tensor) -> Tensor:
            nonlocal taken
            taken += 1
            return curvature * x + (noise * shocks[taken] if shocks else 0.0)

        s = State(dict(zip(names, y, strict=False)))
        if kept:
            s.g = gradient(s.x)
        step(s, h, z, gradient, bound)
        moved = [getattr(s, name) for name in names]
        return [*moved, shocks[taken]] if kept else moved

    what = f"{step.dynamics.name} {step.name}: a step"
    total = size + step.normals + fresh
    matrix = affine(advance, total, h.numel(), what, homogeneous=True)[1]
    move, push = matrix[..., :size], matrix[..., size:]
    return MomentMap(
        step.name,
        step.dynamics.name,
        (*names, "noise")[:size],
        move.reshape(*shape, size, size),
        (push @ push.mT).reshape(*shape, size, size),
    )


def _gradients(step: OneStep) -> tuple[int, bool]:
    """How many gradients a step takes after another one, and whether it uses that one's last."""
    counts = [0, 0]
    zero = torch.zeros(1, dtype=torch.float64)
    s = State(dict.fromkeys(names_of(step.dynamics), zero))
    for turn in range(2):

        def gradient(x: Tensor, turn: int = turn) -> Tensor:
            counts[turn] += 1
            return x

        step(s, 1.0, zero.expand(step.normals, 1), gradient)
    return counts[1], counts[1] < counts[0]
