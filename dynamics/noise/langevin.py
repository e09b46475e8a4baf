"""Dynamics at a temperature: kinetic and overdamped Langevin dynamics, and with cubic damping."""

from typing import Any

from ..damping import CubicDamping
from ..descent import Descent
from ..dynamics import Dynamics
from ..elements import Scalar
from ..kick import Kick
from ..state import State
from .diffusion import OverdampedNoise
from .friction_noise import CubicNoise
from .ornstein_uhlenbeck import DriftOrnsteinUhlenbeck


class Langevin(Dynamics):
    """Kinetic Langevin dynamics:  dx = p dt,  dp = −∇f dt − γ p dt + √(2γT) dW.

    Invariant law ∝ e^{−(f + ½|p|²)/T}. At T = 0 it is LDHD. `BAOAB` samples positions best, `UBU`
    has strong order 2 with one gradient; the letter U is A and O in one exact flow.

    gamma: friction γ >= 0, in units of 1/time; temperature: T >= 0, in units of energy.
    """

    word = "BAOAB"
    citation = "Leimkuhler, Matthews, Rational construction of stochastic numerical methods, 2013"

    def __init__(self, gamma: Scalar, temperature: Scalar) -> None:
        super().__init__(Kick(), DriftOrnsteinUhlenbeck(gamma, temperature))

    def energy_rate(self, s: State) -> Any:
        """The expected rate −γ|p|² + γ T d, with d the number of coordinates (Itô)."""
        v = self.hyperparameters
        return v["gamma"] * s.total(v["temperature"] - s.p * s.p)


class OverdampedLangevin(Dynamics):
    """Overdamped Langevin dynamics:  dx = −∇f dt + √(2T) dW.

    Invariant law ∝ e^{−f/T}; the limit of `Langevin` for γ → ∞ in the time γ·t. At T = 0 it is
    gradient flow. `FN` is Euler–Maruyama, of weak order 1 (in sampling: the unadjusted Langevin
    algorithm). The scheme of Leimkuhler and Matthews, x − h∇f + √(2hT) (z + z')/2 with each z
    used in two steps, samples better at the same cost: it is `BAOAB` of `Langevin` in the limit
    γ → ∞ with the step √(2h); γ = 746/h is enough, where e^{−γh} = 0 in double precision.

    temperature: T >= 0, in units of energy (time has the units of length²/energy).
    """

    word = "FN"
    citation = "Roberts, Tweedie, Exponential convergence of Langevin distributions, 1996"

    def __init__(self, temperature: Scalar) -> None:
        super().__init__(Descent(1.0), OverdampedNoise(temperature))


class CubicLangevin(Dynamics):
    """Langevin dynamics with cubic damping, element by element (Itô):

        dx = p dt,  dp = −∇f dt − γ p dt + √(2γT) dW − c p³ dt + 2cT p dt + √(2cT) p dW'.

    The last two terms balance the cubic damping: the invariant law is Gibbs's,
    ∝ e^{−(f + ½|p|²)/T}, as for `Langevin`, also at γ = 0. With `balanced=False` they are left
    out: CD in a bath of the linear friction alone, whose invariant law is *not* Gibbs's (it is
    colder, and not known in closed form). At T = 0 both are CD.

    The words are symmetric, of weak order 2: `BACMCOCMCAB`, unbalanced `BACOCAB`. What C and M do
    to each other makes most of the error of averages, more of it in the shorter `BACMOMCAB`: keep
    cTh well below 1.

    gamma: linear friction γ >= 0; c: cubic friction >= 0, in units of 1/(time · momentum²);
    temperature: T >= 0, in units of energy.
    """

    citation = "Klimontovich, Nonlinear Brownian motion, 1994"

    def __init__(
        self, gamma: Scalar, c: Scalar, temperature: Scalar, balanced: bool = True
    ) -> None:
        linear = Kick(), DriftOrnsteinUhlenbeck(gamma, temperature), CubicDamping(c)
        if balanced:
            super().__init__(*linear, CubicNoise(c, temperature), word="BACMCOCMCAB")
        else:
            super().__init__(*linear, word="BACOCAB")

    def energy_rate(self, s: State) -> Any:
        """The expected rate −γ Σ(p² − T) − c Σ p²(p² − 3T); unbalanced −γ Σ(p² − T) − c Σ p⁴."""
        v = self.hyperparameters
        p2 = s.p * s.p
        rest = 3 * v["temperature"] if "M" in self.parts else 0.0
        return v["gamma"] * s.total(v["temperature"] - p2) + v["c"] * s.total(p2 * (rest - p2))
