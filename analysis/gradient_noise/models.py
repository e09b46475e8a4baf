"""Stochastic differential equations that model training with noisy gradients."""

from typing import Any

from ...dynamics import Dynamics, MomentumDiffusion, SGDFlow
from ...landscapes import GradientPenalty, Landscape
from ...landscapes.checks import positive


def stochastic_modified_equation(
    landscape: Landscape, lr: float, scale: Any, order: int = 1
) -> tuple[SGDFlow, Landscape]:
    """The dynamics and the landscape of SGD's first or second stochastic modified equation.

        order 1:  dx = −∇f dt + √lr σ dW
        order 2:  dx = −∇(f + ¼ lr |∇f|²) dt + √lr σ dW

    in the time n·lr of the n-th step (Itô); σ = `scale` is the standard deviation of a gradient's
    coordinate: a number, one per coordinate [*shape, 1], or a callable of x.

    Means of smooth functions have an error O(lr^order) at fixed times. With additive noise the
    variance is itself O(lr), and both equations leave an absolute error O(lr²) in it: on a
    quadratic of curvature k, SGD's stationary variance is lr σ²/(2k) (1 + ½ lr k + ...), that of
    order 1 lacks the bracket, and that of order 2, with 1 − ½ lr k in its place, has twice the
    error. Order 2 is for the mean.

    Source: Q. Li, C. Tai, W. E, Stochastic modified equations and adaptive stochastic gradient
    algorithms, ICML (2017); JMLR 20(40) (2019).
    """
    positive(lr, "lr")
    if order not in (1, 2):
        raise ValueError(f"order must be 1 or 2; got {order!r}")
    dynamics = SGDFlow(lr, scale)
    return dynamics, landscape if order == 1 else GradientPenalty(landscape, lr / 2)


def with_gradient_noise(dynamics: Dynamics, step: float, noise_std: Any) -> Dynamics:
    """A dynamics whose momentum also feels the noise of its gradients: dp = ... + √h s dW.

    dynamics   one with a kick, such as CD or IKFAD
    step       h of the word that is modelled; each of its kicks −h (∇f + s z) has noise h s z
    noise_std  s of a gradient's coordinate: a number, or one per coordinate [*shape, 1]

    Letter N; use it beside B, for example ACDBNDCA for CD: x stands still at both, so that they
    commute, and a palindrome has weak order 2. Raises ValueError if nothing kicks the momentum.
    """
    positive(step, "step")
    if not any("g" in part.reads and "p" in part.writes for part in dynamics.parts.values()):
        raise ValueError(
            f"{dynamics.name} has no kick through which gradients could move its momentum; for "
            "gradient descent see stochastic_modified_equation"
        )
    noise = MomentumDiffusion(step**0.5 * noise_std)
    parts = (*dynamics.parts.values(), noise)
    return Dynamics(*parts, name=f"{dynamics.name} with gradient noise")
