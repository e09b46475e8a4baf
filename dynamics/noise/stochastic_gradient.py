"""Stochastic gradient descent as a diffusion: the first stochastic modified equation."""

from dataclasses import dataclass
from typing import Any

from ..descent import Descent
from ..dynamics import Dynamics
from ..elements import Scalar, sqrt
from ..part import NonNegative
from ..state import State
from .diffusion import MultiplicativeNoise, PureNoise, Scale


@dataclass(frozen=True)
class DescentNoise(PureNoise):
    """dx = √lr s dW with s = `scale`, the standard deviation of a gradient's coordinates; exact."""

    writes = ("x",)
    noisy = "x"
    lr: NonNegative
    scale: NonNegative

    def amplitude(self, s: State) -> Any:
        return sqrt(self.lr) * self.scale


@dataclass(frozen=True, repr=False)
class MultiplicativeDescentNoise(MultiplicativeNoise):
    """dx = √lr s(x) dW (Itô) with s = `scale`, a function of x; a step of Euler–Maruyama."""

    lr: NonNegative

    def amplitude(self, s: State) -> Any:
        return sqrt(self.lr) * super().amplitude(s)


class SGDFlow(Dynamics):
    """The first stochastic modified equation of SGD:  dx = −∇f dt + √lr s(x) dW (Itô).

    x(k·lr) has the law of the k-th iterate of x ← x − lr (∇f(x) + s(x) z) up to O(lr) in
    expectations of smooth functions. On `landscapes.GradientPenalty(f, lr/2)`, that is
    f + (lr/4)|∇f|², it is the second equation, up to O(lr²). (Not so for the variance where s is
    constant: it is itself O(lr), and both are wrong by O(lr²).) SGD itself with Gaussian noise is
    a step of lr by `FN` if s is constant, else by method="euler-maruyama" (in `FN` the noise sees
    the x that F has moved); smaller steps approach the diffusion.

    lr: the learning rate of SGD, lr >= 0, in units of time; scale: the standard deviation of each
    coordinate of a stochastic gradient: a number >= 0, an array [d, 1] with one per coordinate,
    or a function of x with coordinates first (see `MultiplicativeNoise`).
    """

    word = "FN"
    citation = (
        "Li, Tai, E, Stochastic modified equations and adaptive stochastic gradient algorithms, "
        "2017"
    )

    def __init__(self, lr: Scalar, scale: Scalar | Scale) -> None:
        noise = (
            MultiplicativeDescentNoise(scale, lr) if callable(scale) else DescentNoise(lr, scale)
        )
        super().__init__(Descent(1.0), noise)
