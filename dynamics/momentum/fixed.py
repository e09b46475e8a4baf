"""Heavy ball and Nesterov with fixed momentum: the closed forms of their modified equations."""

import math
from dataclasses import dataclass
from typing import Any

from .checks import is_finite


@dataclass(frozen=True)
class FixedMomentum:
    """The discrete scheme of Kovachki and Stuart (JMLR 22(17), 2021), with λ = `momentum`:

        u_{n+1} = u_n + λ (u_n − u_{n−1}) − h ∇Φ(u_n + a (u_n − u_{n−1})),  t = n h,

    a = 0 (heavy ball, torch's SGD with lr = h) or a = λ (`nesterov`; torch stores the look-ahead
    point u_n + λ (u_n − u_{n−1})). d_n = (u_n − u_{n−1})/h; an empty buffer is d₀ = 0.
    Below, λ̄ = 1/(1 − λ), g = ∇Φ(u₀) and H = ∇²Φ(u₀). The constants of the uniform equation,
    the matched velocity and the shadow point are not published: they are derived here, by matching
    the scheme's own transient, d_n − (−λ̄g) ~ λⁿ, whose net displacement is −hλλ̄ (−λ̄g − d₀).

    h: step > 0 (a learning rate); momentum: 0 < λ < 1. Raises ValueError for others.
    """

    h: float
    momentum: float
    nesterov: bool = False

    def __post_init__(self) -> None:
        if not (is_finite(self.h) and self.h > 0):
            raise ValueError(f"h must be a finite number > 0; got {self.h!r}")
        if not (is_finite(self.momentum) and 0 < self.momentum < 1):
            raise ValueError(
                f"momentum must lie between 0 and 1 (exclusive); got {self.momentum!r}"
            )

    @property
    def lookahead(self) -> float:
        """a: how far beyond u_n the gradient is taken."""
        return self.momentum if self.nesterov else 0.0

    @property
    def gain(self) -> float:
        """λ̄ = 1/(1 − λ): the rate of the rescaled gradient flow u̇ = −λ̄ ∇Φ."""
        return 1 / (1 - self.momentum)

    @property
    def inertia(self) -> float:
        """α = ½ (1 + λ − 2a(1 − λ)) of the modified equation hα ü + (1 − λ) u̇ = −∇Φ."""
        return 0.5 * (1 + self.momentum - 2 * self.lookahead * (1 - self.momentum))

    @property
    def uniform_inertia(self) -> float:
        """α′ = (1 − λ)/ln(1/λ): with it the transient decays by λ a step, as the scheme's does."""
        return (1 - self.momentum) / -math.log(self.momentum)

    @property
    def hessian_damping(self) -> float:
        """δ = (α′ − α)/(1 − λ): the Hessian damping that α′ calls for; of either sign."""
        return (self.uniform_inertia - self.inertia) * self.gain

    @property
    def kappa(self) -> float:
        """κ = α/(1 − λ)² of the modified loss Φ_h = Φ + ½ h κ |∇Φ|², u̇ = −λ̄ ∇Φ_h.

        Heavy ball (1 + λ)/(2(1 − λ)²), Nesterov (1 − λ + 2λ²)/(2(1 − λ)²); at λ = 0.9 95 and 86.
        """
        return self.inertia * self.gain**2

    def slow(self, gradient: Any, hessian_gradient: Any) -> Any:
        """The invariant manifold, to O(h²): d = −λ̄ g + h λ̄² (a − λ̄) H g."""
        correction = self.h * self.gain**2 * (self.lookahead - self.gain)
        return -self.gain * gradient + correction * hessian_gradient

    def matched(self, gradient: Any, d0: Any = 0.0, *, uniform: bool = False) -> Any:
        """u̇(0) = −λ̄ g + (λ/α) (d₀ + λ̄ g), whose transient goes as far as the scheme's.

        With `uniform`, α′ in the place of α: the velocity of the uniform equation.
        """
        inertia = self.uniform_inertia if uniform else self.inertia
        terminal = -self.gain * gradient
        return terminal + self.momentum / inertia * (d0 - terminal)

    def published(self, gradient: Any) -> Any:
        """u̇(0) = −(1 − 2α)/(2α − λ + 1) g, the velocity quoted from the paper (second-hand)."""
        twice = 2 * self.inertia
        return -(1 - twice) / (twice - self.momentum + 1) * gradient

    def shadow(self, x0: Any, gradient: Any, d0: Any = 0.0) -> Any:
        """u₀ + h λ λ̄ (d₀ + λ̄ g): where the slow motion seems to come from after the transient."""
        return x0 + self.h * self.momentum * self.gain * (d0 + self.gain * gradient)

    def attraction(self, curvature: Any) -> Any:
        """Factor per step towards the manifold at curvature k: λ + h k (λ λ̄ − a) + O(h²)."""
        return self.momentum + self.h * curvature * (self.momentum * self.gain - self.lookahead)
