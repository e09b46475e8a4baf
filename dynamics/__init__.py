"""What moves: state, parts, and the catalogue of dynamics with their energies."""

from .catalogue import CADAM, CD, IKFAD, KFAD, LDHD, RIKFAD
from .checking.check import check
from .damping import CubicDamping, CubicLinearDamping, LinearDamping, WeightDecay
from .descent import Descent
from .drift import BiasCorrectedDrift, Clock, Drift, MassiveDrift, PreconditionedDrift
from .dynamics import Dynamics
from .elements import Scalar
from .friction import KineticFriction, Thermostat
from .kick import Kick
from .moment import SecondMoment
from .momentum.fixed import FixedMomentum
from .momentum.flows import NAG, AdamODE, GradientFlow, Nesterov
from .momentum.high_resolution import HighResolutionHB, HighResolutionNAGC, HighResolutionNAGSC
from .momentum.modified import ModifiedMomentum, UniformMomentum
from .momentum.second_order import MomentumFlow
from .noise.adaptive_langevin import AdaptiveLangevin
from .noise.diffusion import (
    Diffusion,
    MomentumDiffusion,
    MultiplicativeMomentumNoise,
    MultiplicativeNoise,
    OverdampedNoise,
    PureNoise,
)
from .noise.friction_noise import CubicNoise, FrictionNoise
from .noise.langevin import CubicLangevin, Langevin, OverdampedLangevin
from .noise.noisy import SILENCE, NoisyPart
from .noise.ornstein_uhlenbeck import DriftOrnsteinUhlenbeck, OrnsteinUhlenbeck
from .noise.stochastic_gradient import DescentNoise, MultiplicativeDescentNoise, SGDFlow
from .part import NonNegative, Part, Positive
from .rank_one import RankOneFriction
from .state import State
from .vanishing import RisingKick, VanishingDamping

__all__ = [
    "CADAM",
    "CD",
    "IKFAD",
    "KFAD",
    "LDHD",
    "NAG",
    "RIKFAD",
    "SILENCE",
    "AdamODE",
    "AdaptiveLangevin",
    "BiasCorrectedDrift",
    "Clock",
    "CubicDamping",
    "CubicLangevin",
    "CubicLinearDamping",
    "CubicNoise",
    "Descent",
    "DescentNoise",
    "Diffusion",
    "Drift",
    "DriftOrnsteinUhlenbeck",
    "Dynamics",
    "FixedMomentum",
    "FrictionNoise",
    "GradientFlow",
    "HighResolutionHB",
    "HighResolutionNAGC",
    "HighResolutionNAGSC",
    "Kick",
    "KineticFriction",
    "Langevin",
    "LinearDamping",
    "MassiveDrift",
    "ModifiedMomentum",
    "MomentumDiffusion",
    "MomentumFlow",
    "MultiplicativeDescentNoise",
    "MultiplicativeMomentumNoise",
    "MultiplicativeNoise",
    "Nesterov",
    "NoisyPart",
    "NonNegative",
    "OrnsteinUhlenbeck",
    "OverdampedLangevin",
    "OverdampedNoise",
    "Part",
    "Positive",
    "PreconditionedDrift",
    "PureNoise",
    "RankOneFriction",
    "RisingKick",
    "SGDFlow",
    "Scalar",
    "SecondMoment",
    "State",
    "Thermostat",
    "UniformMomentum",
    "VanishingDamping",
    "WeightDecay",
    "check",
]
