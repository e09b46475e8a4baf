"""The published dynamics, each with its default word, energies and source."""

from typing import Any

from .damping import CubicLinearDamping, LinearDamping
from .drift import BiasCorrectedDrift, Clock, Drift, PreconditionedDrift
from .dynamics import Dynamics
from .elements import Scalar, sqrt
from .friction import KineticFriction, Scheme
from .kick import Kick
from .moment import SecondMoment
from .rank_one import RankOneFriction
from .state import State

_KRLS = (
    "Karoni, Rajpal, Leimkuhler, Stoltz, Adaptive Momentum and Nonlinear Damping for "
    "Neural Network Training, 2026, arXiv:2602.00334"
)
_KLS = (
    "Karoni, Leimkuhler, Stoltz, Friction-adaptive descent: a family of dynamics-based "
    "optimization methods, 2023, arXiv:2306.06738"
)
_RL = "Rajpal, Leimkuhler, Low-Rank Adaptive Friction for Memory-Efficient LLM Pretraining, 2026"


class LDHD(Dynamics):
    """Linearly damped Hamiltonian dynamics (heavy ball):  x' = p,  p' = −∇f − γ p.

    Energy H = f − f* + ½|p|², H' = −γ|p|².  Exponential decay for γ > 0 where f is strongly
    convex; γ = 0 conserves H. Every word with one gradient per step is heavy ball:
    torch.optim.SGD(lr=h², momentum=e^{−γh}) is `BAD`; `BDA` is the same with lr = e^{−γh} h².

    gamma: friction γ >= 0, in units of 1/time.
    """

    word = "BDA"
    citation = _KRLS

    def __init__(self, gamma: Scalar) -> None:
        super().__init__(Drift(), Kick(), LinearDamping(gamma))

    def energy_rate(self, s: State) -> Any:
        return -self.hyperparameters["gamma"] * s.total(s.p * s.p)


class KFAD(Dynamics):
    """Kinetic friction-adaptive descent:  x' = p,  p' = −∇f − (γ+ξ) p,  ξ' = |p|²/μ − α ξ.

    One friction ξ for the whole system. Energy H̃ = f − f* + ½|p|² + μ/2 ξ²,
    H̃' = −γ|p|² − αμξ².  `BACD` is the published word; prefer `BCDA` where steps are large
    (h√L near 1): there the friction always stands between a kick and the drift that follows.

    gamma: linear friction γ >= 0; alpha: decay rate of ξ, >= 0; mu: thermal mass μ > 0;
    scheme: how the friction flow is split, see `KineticFriction`.
    """

    word = "BACD"
    citation = _KLS
    _scalar = True

    def __init__(
        self, gamma: Scalar, alpha: Scalar, mu: Scalar, scheme: Scheme = "palindrome"
    ) -> None:
        friction = KineticFriction(alpha, mu, scalar=self._scalar, scheme=scheme)
        super().__init__(Drift(), Kick(), LinearDamping(gamma), friction)

    def energy_rate(self, s: State) -> Any:
        v = self.hyperparameters
        xi2 = s.xi * s.xi if self._scalar else s.total(s.xi * s.xi)
        return -v["gamma"] * s.total(s.p * s.p) - v["alpha"] * v["mu"] * xi2


class IKFAD(KFAD):
    """Individual KFAD:  x' = p,  p' = −∇f − (γ+ξ) p,  ξ' = p²/μ − α ξ, one ξ per coordinate.

    Energy H̃ = f − f* + ½|p|² + μ/2 |ξ|², H̃' = −γ|p|² − αμ|ξ|².  Tends to CD with
    c = 1/(αμ) as α → ∞ at order 1/α. `BACD` is the published word; prefer `BCDA` where steps
    are large (h√L near 1): there the friction stands between a kick and the drift.

    gamma: linear friction γ >= 0; alpha: decay rate of ξ, >= 0; mu: thermal mass μ > 0;
    scheme: how the friction flow is split, see `KineticFriction`.
    """

    citation = _KRLS
    _scalar = False


class RIKFAD(Dynamics):
    """Rank-one individual KFAD, for matrices X [m, n], with m + n frictions instead of m·n:

        X' = P,  P' = −∇f − γ P − Ξ⊙P,  Ξ = r sᵀ/(mean(r) + ε),
        r' = rowmean(P²)/μ − α r,  s' = colmean(P²)/μ − α s;  Ξ = 0 where mean(r) + ε = 0.

    Energy H = f − f* + ½|P|², H' = −γ|P|² − Σ ΞP²; the friction stores none. The state has r as
    `rows` [m, 1] and s as `cols` [1, n]; vectors have iKFAD's friction, see `RankOneFriction`.
    At γ = 0 the energy decays like 1/t for ε = 0 and like 1/√t for ε > 0. `BACD` is the
    published word; prefer `BCDA` where steps are large (h√L near 1): there the friction stands
    between a kick and the drift.

    gamma: linear friction γ >= 0; alpha: decay rate of r and s, >= 0; mu: thermal mass μ > 0;
    eps_stab: ε >= 0, in the units of a friction.
    """

    word = "BACD"
    citation = _RL

    def __init__(self, gamma: Scalar, alpha: Scalar, mu: Scalar, eps_stab: Scalar = 0.0) -> None:
        friction = RankOneFriction(alpha, mu, eps_stab)
        super().__init__(Drift(), Kick(), LinearDamping(gamma), friction)

    def energy_rate(self, s: State) -> Any:
        friction = self.parts["C"]
        assert isinstance(friction, RankOneFriction)
        return -s.total((self.hyperparameters["gamma"] + friction.friction(s)) * (s.p * s.p))


class CD(Dynamics):
    """Cubic damping:  x' = p,  p' = −∇f − γ p − c p³, element by element.

    Energy H = f − f* + ½|p|², H' = −γ|p|² − c Σ p⁴.  `BACD` is the published word and the one
    published hyperparameters belong to. It can diverge where h√L is above √2; `BCDA` (or `BGA`,
    with C and D in one exact flow) cannot: the cap |p| <= 1/√(2ch) then stands between every
    kick and the drift that follows, so that no coordinate moves by more than √(h/(2c)) a step.

    gamma: linear friction γ >= 0; c: cubic friction >= 0, in units of 1/(time · momentum²).
    """

    word = "BACD"
    citation = _KRLS

    def __init__(self, gamma: Scalar, c: Scalar) -> None:
        super().__init__(Drift(), Kick(), CubicLinearDamping(gamma, c))

    def energy_rate(self, s: State) -> Any:
        v = self.hyperparameters
        p2 = s.p * s.p
        return -v["gamma"] * s.total(p2) - v["c"] * s.total(p2 * p2)


class CADAM(Dynamics):
    """Cubically damped Adam:

        x' = p/(√ζ + ε),  p' = −∇f − γ p − c p³,  ζ' = (∇f)² − α ζ, element by element.

    Energy H_C = f − f* + ½ Σ p²/(√ζ + ε); it decreases if γ >= α/4, and at γ = 0 the dynamics
    ends on a limit cycle. With c = 0 it is the ODE of Adam. Default word `BEACD` (the published
    BCADE, whose C, D, E are our E, C, D); prefer `BECDA` where steps are large: the cap then
    stands between every kick and the drift. `bias_correction=True` adds the time-dependent
    drift of torch's Adam and a clock; the default word is then `BETACD`, which at c = 0 is
    torch.optim.Adam, and with W (`EBWTAD`) AdamW.

    gamma: linear friction γ >= 0; alpha: decay rate of ζ, >= 0; c: cubic friction >= 0;
    eps: ε >= 0 in the units of √ζ (bias correction needs gamma, alpha > 0).
    """

    word = "BEACD"
    citation = _KRLS

    def __init__(
        self,
        gamma: Scalar,
        alpha: Scalar,
        c: Scalar,
        eps: Scalar = 1e-8,
        bias_correction: bool = False,
    ) -> None:
        common = (Kick(), CubicLinearDamping(gamma, c), SecondMoment(alpha))
        if bias_correction:
            drift = BiasCorrectedDrift(eps, gamma, alpha)
            super().__init__(drift, *common, Clock(), word="BETACD")
        else:
            super().__init__(PreconditionedDrift(eps), *common)

    def energy_rate(self, s: State) -> Any:
        if "t" in self.variables:
            return super().energy_rate(s)
        v = self.hyperparameters
        root = sqrt(s.zeta)
        metric = root + v["eps"]
        p2 = s.p * s.p
        damping = (v["gamma"] * p2 + v["c"] * p2 * p2) / metric
        # d/dt of 1/(√ζ + ε): the metric stiffens with the gradient and relaxes with α
        pump = p2 * (s.g * s.g - v["alpha"] * s.zeta) / (4 * root * metric * metric)
        return -s.total(damping + pump)
