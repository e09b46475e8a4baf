"""What moves: state, parts, and the catalogue of dynamics with their energies."""

from .adaptive_langevin import AdaptiveLangevin
from .catalogue import CADAM, CD, IKFAD, KFAD, LDHD, RIKFAD
from .check import check
from .damping import CubicDamping, CubicLinearDamping, LinearDamping, WeightDecay
from .descent import Descent
from .diffusion import (
    Diffusion,
    MomentumDiffusion,
    MultiplicativeMomentumNoise,
    MultiplicativeNoise,
    OverdampedNoise,
    PureNoise,
)
from .drift import BiasCorrectedDrift, Clock, Drift, MassiveDrift, PreconditionedDrift
from .dynamics import Dynamics
from .elements import Scalar
from .friction import KineticFriction, Thermostat
from .kick import Kick
from .langevin import CubicLangevin, Langevin, OverdampedLangevin
from .moment import SecondMoment
from .momentum.fixed import FixedMomentum
from .momentum.flows import NAG, AdamODE, GradientFlow, Nesterov
from .momentum.high_resolution import HighResolutionHB, HighResolutionNAGC, HighResolutionNAGSC
from .momentum.modified import ModifiedMomentum, UniformMomentum
from .momentum.second_order import MomentumFlow
from .noisy import SILENCE, NoisyPart
from .ornstein_uhlenbeck import DriftOrnsteinUhlenbeck, OrnsteinUhlenbeck
from .part import NonNegative, Part, Positive
from .rank_one import RankOneFriction
from .state import State
from .stochastic_gradient import DescentNoise, MultiplicativeDescentNoise, SGDFlow
from .thermostat import CubicNoise, FrictionNoise
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
