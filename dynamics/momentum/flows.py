"""Gradient descent, Nesterov's method and Adam as flows."""

from typing import Any

import torch
from torch import Tensor

from ..damping import LinearDamping
from ..descent import Descent
from ..drift import BiasCorrectedDrift, Clock, Drift, PreconditionedDrift
from ..dynamics import Dynamics
from ..elements import Scalar
from ..kick import Kick
from ..moment import SecondMoment
from ..vanishing import VanishingDamping
from .second_order import MomentumFlow


class GradientFlow(Dynamics):
    """Gradient flow:  u̇ = −η ∇f.  Word F is gradient descent with lr = h·η.

    f falls at the rate η|∇f|². With η = 1/(1 − λ) it is the limit of momentum methods
    as their step goes to 0 (Kovachki, Stuart 2021): accurate to O(h) for learning
    rates h ≪ (1 − λ)²/L.

    eta: mobility η, in units of time.
    """

    word = "F"

    def __init__(self, eta: Scalar = 1.0) -> None:
        super().__init__(Descent(eta))


class NAG(MomentumFlow):
    """Nesterov's method with fixed momentum as a flow:

        x' = p − η ∇f,  p' = −∇f − γ p,   that is  ü + γ u̇ + η ∇²f u̇ + (1 + γη) ∇f = 0.

    torch.optim.SGD(lr, momentum=β, nesterov=True) is exactly the word `BDFA` with h = √lr,
    γ = −ln(β)/h and η = h, from p = 0: B and F use the gradient at x, torch's look-ahead
    point; the iterate behind it is u_n = x_n − h p_n. As a flow it is accurate to O(h).

    gamma: friction γ >= 0; eta: mobility η, in units of time. The velocity "published" is p = 0
    (an empty buffer), u̇(0) = −η ∇f.
    """

    word = "BDFA"
    citation = "Sutskever, Martens, Dahl, Hinton, On the importance of initialization, ICML 2013"

    def __init__(self, gamma: Scalar, eta: Scalar) -> None:
        super().__init__(Drift(), Kick(), LinearDamping(gamma), Descent(eta))

    def velocities(self, gradient: Tensor) -> dict[str, Tensor]:
        return {
            "published": -self.hyperparameters["eta"] * gradient,
            **super().velocities(gradient),
        }


class Nesterov(MomentumFlow):
    """Nesterov's 3/t equation:  ü + (r/t) u̇ + ∇f = 0,  as x' = p, p' = −∇f − (r/t) p, t' = 1.

    The limit s → 0 of his method for convex f with momentum (j − 1)/(j + 2) and step s, at
    t = j√s, accurate to O(√s). From rest f − f* <= 2|x₀ − x*|²/t² for convex f and r = 3. On
    f = k x²/2: x = 2 x₀ J₁(√k t)/(√k t). The clock starts at t = 0, where the flow is finite
    and p must be 0. The damping is singular there: from t = 0 no word exceeds order 2, whatever
    its composition, and symmetric words have errors of h² ln(1/h).

    r: strength of the damping, r >= 3 for the bound.
    """

    word = "BADAB"
    citation = (
        "Su, Boyd, Candès, A differential equation for modeling Nesterov's accelerated gradient "
        "method, JMLR 17(153), 2016"
    )

    def __init__(self, r: Scalar = 3.0) -> None:
        super().__init__(Drift(), Kick(), VanishingDamping(r))

    def velocities(self, gradient: Tensor) -> dict[str, Tensor]:
        return {"published": torch.zeros_like(gradient), **super().velocities(gradient)}

    def start(self, x0: Any, gradient_at_x0: Any, velocity: Any = None) -> dict[str, Tensor]:
        """The state at t = 0, at rest. Raises ValueError for another velocity, if r > 0."""
        state = super().start(x0, gradient_at_x0, velocity)
        if bool(((state["p"] != 0) & (torch.as_tensor(self.hyperparameters["r"]) > 0)).any()):
            raise ValueError(
                f"{self.name} starts at t = 0 at rest: its damping r/t leaves no other velocity. "
                "A start in motion needs t > 0: give the state {'x': x0, 'p': p0, 't': t0} itself"
            )
        return state


class AdamODE(Dynamics):
    """Adam's equation:  x' = p/(√ζ + ε),  p' = −∇f − γ p,  ζ' = (∇f)² − α ζ,

    element by element: CADAM without cubic damping. With `bias_correction` the drift is
    `BiasCorrectedDrift`, from t = 0, where it is singular but finite: x' → −√α/γ sign(∇f).
    Words `BEAD` (torch's Adam without bias correction, lr = h²√α/(1 − e^{−γh}), β₁ = e^{−γh},
    β₂ = e^{−αh}) and `BETAD` (torch.optim.Adam). H_C of CADAM decreases if γ >= α/4 (without
    bias correction); small oscillations grow if γ < α/8. Stop solutions that converge: they
    stiffen as ζ → 0.

    gamma: γ >= 0; alpha: α >= 0 (both > 0 with bias correction); eps: ε >= 0 in units of √ζ.
    """

    word = "BEAD"
    citation = "Barakat, Bianchi, Convergence and dynamical behavior of the ADAM algorithm, 2021"

    def __init__(
        self, gamma: Scalar, alpha: Scalar, eps: Scalar = 1e-8, bias_correction: bool = False
    ) -> None:
        common = (Kick(), LinearDamping(gamma), SecondMoment(alpha))
        if bias_correction:
            drift = BiasCorrectedDrift(eps, gamma, alpha)
            super().__init__(drift, *common, Clock(), word="BETAD")
        else:
            super().__init__(PreconditionedDrift(eps), *common)
