"""Gradient descent, Nesterov's method and Adam as flows."""

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
    """Gradient flow:  u̇ = −rate ∇f.  Word F is gradient descent with lr = h·rate.

    f falls at the rate `rate` |∇f|². With rate = 1/(1 − λ) it is the limit of momentum methods
    as their step goes to 0 (Kovachki, Stuart 2021): accurate to O(h) for learning
    rates h ≪ (1 − λ)²/L. Its hyperparameter is the part's `eta` = rate.
    """

    word = "F"

    def __init__(self, rate: Scalar = 1.0) -> None:
        super().__init__(Descent(rate))

    def __repr__(self) -> str:
        return f"{self.name}(rate={self.hyperparameters['eta']})"


class NAG(MomentumFlow):
    """Nesterov's method with fixed momentum as a flow:

        x' = p − rate ∇f,  p' = −∇f − γ p,   that is  ü + γ u̇ + rate ∇²f u̇ + (1 + γ rate) ∇f = 0.

    torch.optim.SGD(lr, momentum=β, nesterov=True) is exactly the word `BDFA` with h = √lr,
    γ = −ln(β)/h and rate = h, from p = 0: B and F use the gradient at x, torch's look-ahead
    point; the iterate behind it is u_n = x_n − h p_n. As a flow it is accurate to O(h).
    Its hyperparameters are `gamma` and the part F's `eta` = rate.

    "published" is p = 0 (an empty buffer), u̇(0) = −rate ∇f.
    """

    word = "BDFA"
    citation = "Sutskever, Martens, Dahl, Hinton, On the importance of initialization, ICML 2013"

    def __init__(self, gamma: Scalar, rate: Scalar) -> None:
        parts = (Drift(), Kick(), LinearDamping(gamma), Descent(rate))
        super().__init__(*parts, gamma=gamma, rate=rate)

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
    and p must be 0; symmetric words then have errors of h² ln(1/h).

    r: strength of the damping, r >= 3 for the bound.
    """

    word = "BADAB"
    citation = (
        "Su, Boyd, Candès, A differential equation for modeling Nesterov's accelerated gradient "
        "method, JMLR 17(153), 2016"
    )

    def __init__(self, r: Scalar = 3.0) -> None:
        super().__init__(Drift(), Kick(), VanishingDamping(r), r=r)

    def velocities(self, gradient: Tensor) -> dict[str, Tensor]:
        return {"published": torch.zeros_like(gradient), **super().velocities(gradient)}


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
