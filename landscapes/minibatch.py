"""Stochastic gradients of a network: of random minibatches, and Gaussian ones of the same law."""

from __future__ import annotations

import torch
from torch import Tensor

from . import checks
from .landscape import Landscape
from .network import Network


class Minibatch(Landscape):
    """A network's loss whose gradients can be taken on random minibatches.

        ∇f_B(θ) = (1/B) Σ_j ∇ℓ_{i_j}(θ),   i_1, ..., i_B independent and uniform

    The examples of a batch are drawn with replacement, as the theory of stochastic gradients
    assumes: the noise then has mean 0 and covariance Σ(θ)/B, with Σ that of the gradients of
    single examples, and is independent from step to step. (Without replacement its covariance is
    smaller by (n − B)/(n − 1), and epochs of a shuffled order correlate the steps.)

    f, its gradient, its start and everything else are those of the whole network; `df_sampled`
    is the gradient of a minibatch. `simulate` takes sampled gradients wherever they exist.

    Args:
        network: a `Network` whose loss is the mean of the losses of its examples.
        batch_size: B, at least 1.

    Attributes:
        uniforms: numbers in [0, 1) that one gradient takes.

    Raises:
        TypeError: if `network` is not a Network. ValueError: for a loss that is no such mean.
    """

    def __init__(self, network: Network, batch_size: int) -> None:
        if not isinstance(network, Network):
            raise TypeError(f"{type(self).__name__} takes a Network first; got {network!r}")
        self.batch_size = checks.integer(batch_size, "batch_size", 1)
        network.require_mean()
        self.network = network
        super().__init__(
            None,
            network.shape,
            name=f"{network.name}, minibatches of {self.batch_size}",
            start=network.start,
            source=network.source,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.network!r}, {self.batch_size})"

    @property
    def uniforms(self) -> int:
        return self.batch_size

    def f(self, x: Tensor) -> Tensor:
        return self.network.f(x)

    def df(self, x: Tensor) -> Tensor:
        return self.network.df(x)

    def df_sampled(self, x: Tensor, u: Tensor) -> Tensor:
        """Gradients at x [dimension, *batch] on the examples ⌊u n⌋, u [uniforms, *batch] in [0, 1).

        Every trajectory has its own minibatch. Detached; a tensor like x.
        """
        if u.shape != (self.uniforms, *x.shape[1:]):
            raise ValueError(
                f"u must have shape {(self.uniforms, *x.shape[1:])}; got {tuple(u.shape)}"
            )
        points, rows = (v.detach().reshape(len(v), -1).T.contiguous() for v in (x, u))
        slopes = self._slopes(points, rows.double())
        return slopes.T.reshape(x.shape).contiguous()

    def _slopes(self, points: Tensor, u: Tensor) -> Tensor:
        """The gradients [k, dimension] at points [k, dimension] with u [k, uniforms]."""
        chosen = (u * self.network.examples).long()
        return self.network.each(torch.func.grad(self.network.loss_of), points, chosen)


class GaussianMinibatch(Minibatch):
    """A minibatch's gradients with Gaussian noise of the same mean and covariance, at every θ.

        ∇f(θ) + √(m/B) Σ(θ)^{1/2} z = Σ_i w_i ∇ℓ_i(θ),   w_i = 1/n + √(m/(nB)) (z_i − z̄)

    with a normal number z_i for every example. With m = 1 it replaces the minibatches of a step
    h. With m > 1 a word of step h/m approaches, as m grows, the stochastic differential equation
    that models the minibatches of step h: noise √h (Σ(θ)/B)^{1/2} dW on p (on x for gradient
    descent), in the sense of Itô. One gradient costs as much as that of the whole loss.

    Args:
        network, batch_size: as for `Minibatch`.
        refinement: m, the steps of the simulation in one step of the training, at least 1.

    Source: Q. Li, C. Tai, W. E, Stochastic modified equations, ICML (2017).
    """

    def __init__(self, network: Network, batch_size: int, refinement: int = 1) -> None:
        super().__init__(network, batch_size)
        self.refinement = checks.integer(refinement, "refinement", 1)

    @property
    def uniforms(self) -> int:
        return self.network.examples

    def _slopes(self, points: Tensor, u: Tensor) -> Tensor:
        n = self.network.examples
        z = torch.special.ndtri(u.clamp(min=2.0**-54))  # u = 0 would be −∞
        spread = (self.refinement / (n * self.batch_size)) ** 0.5
        weights = (1 / n + spread * (z - z.mean(1, keepdim=True))).to(points.dtype)

        def weighed(point: Tensor, weight: Tensor) -> Tensor:
            return (weight * self.network.example_losses(point)).sum()

        return self.network.each(torch.func.grad(weighed), points, weights)
