"""High-resolution equations: what heavy ball and Nesterov's method follow to O(s)."""

import math

from torch import Tensor

from ..descent import Descent
from ..drift import Drift
from ..vanishing import RisingKick, VanishingDamping
from .checks import is_finite
from .second_order import MomentumFlow, second_order

_SDJS = (
    "Shi, Du, Jordan, Su, Understanding the acceleration phenomenon via high-resolution "
    "differential equations, 2018, arXiv:1810.08907"
)


class _HighResolution(MomentumFlow):
    """What the two equations for strongly convex f share: damping 2√μ, force 1 + √(μs)."""

    citation = _SDJS
    word = "BADAB"

    def __init__(self, mu: float, s: float, hessian_damping: float | None) -> None:
        if not (is_finite(mu) and is_finite(s) and mu > 0 and s > 0 and mu * s < 1):
            raise ValueError(
                f"{type(self).__name__} needs mu > 0, s > 0 and mu s < 1 (momentum "
                f"(1 − √(μs))/(1 + √(μs)) lies between 0 and 1); got mu={mu!r}, s={s!r}"
            )
        self.mu, self.s = mu, s
        force = 1 + math.sqrt(mu * s)
        parts = second_order(2 * math.sqrt(mu), force, hessian_damping)
        super().__init__(*parts)

    def velocities(self, gradient: Tensor) -> dict[str, Tensor]:
        root = math.sqrt(self.s)
        return {
            "matched": -1.5 * root * gradient,
            "published": -2 * root / (1 + math.sqrt(self.mu) * root) * gradient,
            **super().velocities(gradient),
        }


class HighResolutionHB(_HighResolution):
    """High-resolution equation of heavy ball:  ü + 2√μ u̇ + (1 + √(μs)) ∇f = 0,  t = n√s.

    For the method with step s, momentum (1 − √(μs))/(1 + √(μs)) and first step
    −2s/(1 + √(μs)) ∇f(x₀). From the "matched" velocity u̇(0) = −(3/2)√s ∇f(x₀), derived here by
    putting u(√s) on the first iterate to second order, trajectories differ by O(s); from the
    "published" −2√s/(1 + √(μs)) ∇f(x₀), or at "rest" without the √s terms, by O(√s).

    mu: strong convexity μ > 0; s: step > 0 with μ s < 1. p = m u̇ with mass m = 1/(1 + √(μs)).
    """

    def __init__(self, mu: float, s: float) -> None:
        super().__init__(mu, s, None)


class HighResolutionNAGSC(_HighResolution):
    """High-resolution equation of Nesterov's method for strongly convex f:

        ü + 2√μ u̇ + √s ∇²f u̇ + (1 + √(μs)) ∇f = 0,  t = n√s.

    Method, velocities and accuracy as for `HighResolutionHB`; the Hessian term is what sets the
    two methods apart. p = m (u̇ + √s ∇f) with mass m = 1/(1 − √(μs)), and a part F with η = √s.

    mu: strong convexity μ > 0; s: step > 0 with μ s < 1.
    """

    word = "BDFA"

    def __init__(self, mu: float, s: float) -> None:
        super().__init__(mu, s, math.sqrt(s))


class HighResolutionNAGC(MomentumFlow):
    """High-resolution equation of Nesterov's method for convex f:

        ü + 3/(t + t₀) u̇ + √s ∇²f u̇ + (1 + t₀/(t + t₀)) ∇f = 0,  t₀ = (3/2)√s,  t = n√s.

    The paper's time is t + t₀: here the clock starts at 0. For y_{n+1} = x_n − s ∇f(x_n),
    x_{n+1} = y_{n+1} + n/(n+3) (y_{n+1} − y_n). With p = u̇ + √s ∇f it is x' = p − √s ∇f,
    p' = −t/(t + t₀) ∇f − 3/(t + t₀) p: nothing is singular. Accurate to O(s) from
    the "published" u̇(0) = −√s ∇f(x₀) (p = 0), and from any other of O(√s): damping that strong
    forgets it within a few steps.

    s: step > 0.
    """

    word = "BDFA"
    citation = _SDJS

    def __init__(self, s: float) -> None:
        if not (is_finite(s) and s > 0):
            raise ValueError(f"s must be a finite number > 0; got {s!r} (in HighResolutionNAGC)")
        onset = 1.5 * math.sqrt(s)
        parts = (Drift(), RisingKick(onset), VanishingDamping(3.0, onset), Descent(math.sqrt(s)))
        super().__init__(*parts)

    def velocities(self, gradient: Tensor) -> dict[str, Tensor]:
        return {
            "published": -self.hyperparameters["eta"] * gradient,
            **super().velocities(gradient),
        }
