"""Adaptive Langevin dynamics: a thermostat that absorbs noise of unknown size."""

from typing import Any

from ..dynamics import Dynamics
from ..elements import Scalar
from ..friction import Thermostat
from ..kick import Kick
from ..state import State
from .diffusion import MomentumDiffusion
from .friction_noise import FrictionNoise
from .ornstein_uhlenbeck import DriftOrnsteinUhlenbeck


class AdaptiveLangevin(Dynamics):
    """Adaptive Langevin dynamics (stochastic gradient Nosé–Hoover thermostat):

        dx = p dt,
        dp = −∇f dt − ξ p dt + σ dW_A − γ p dt + √(2γT) dW,
        dξ = (|p|² − dT)/μ dt − α (ξ − ξ̄) dt + √(2αT/μ) dW_ξ,   ξ̄ = σ²/(2T),

    or, with `scalar=False`, one ξ per coordinate and (p² − T)/μ in its rate. Whatever the σ, the
    invariant law is ∝ e^{−(f + ½|p|²)/T} e^{−μ|ξ − ξ̄|²/(2T)}: the friction settles around what
    the noise asks for, so σ need not be known (α = 0; α > 0 needs it for ξ̄). This holds for a
    noise of constant size: the same in all coordinates with one ξ, of any size in each
    (σ shaped [d, 1]) with a ξ per coordinate; not for noise that depends on x.

    At T = 0 and σ = 0 it is KFAD, and iKFAD with `scalar=False`. For T > 0 they differ in ξ̄ and
    in the noise of ξ: with KFAD's bare −αξ the law above is not invariant. The word is symmetric,
    of weak order 2; sample p where the thermostat acts, not after the last kick.

    gamma: γ >= 0; temperature: T >= 0, in units of energy; mu: thermal mass μ > 0; alpha: α >= 0;
    sigma: σ >= 0, in units of momentum/√time. ValueError for α, σ > 0 at T = 0.
    """

    word = "BANCOVOCNAB"
    citation = (
        "Jones, Leimkuhler, Adaptive stochastic methods for sampling driven molecular systems, "
        "2011; Ding et al., Bayesian sampling using stochastic gradient thermostats, 2014; "
        "Leimkuhler, Shang, Adaptive thermostats for noisy gradient systems, 2016"
    )

    def __init__(
        self,
        gamma: Scalar,
        temperature: Scalar,
        mu: Scalar,
        alpha: Scalar = 0.0,
        sigma: Scalar = 0.0,
        scalar: bool = True,
    ) -> None:
        super().__init__(
            Kick(),
            DriftOrnsteinUhlenbeck(gamma, temperature),
            Thermostat(mu, temperature, scalar),
            MomentumDiffusion(sigma),
            FrictionNoise(alpha, mu, temperature, sigma, scalar),
        )

    def energy_rate(self, s: State) -> Any:
        """Expected rate of f + ½|p|² + ½μ|ξ|², −γ Σ(p² − T) + ½σ²d − Σ(Tξ + αμξ(ξ − ξ̄) − αT).

        The last sum is over the frictions; with one of them its first term is dTξ.
        """
        v = self.hyperparameters
        noise = self.parts["V"]
        per_friction = v["mu"] * s.xi * noise.rate(s)["xi"] + v["alpha"] * v["temperature"]
        stored = per_friction if "xi" in self.scalars else s.total(per_friction)
        # 0·p: the sums run over the coordinates of p, whatever the shape of the constants
        bath = v["gamma"] * (v["temperature"] - s.p * s.p) + 0.5 * v["sigma"] * v["sigma"]
        return s.total(bath - v["temperature"] * s.xi + 0.0 * s.p) + stored
