"""What moves: state, parts, and the catalogue of dynamics with their energies."""

from .catalogue import CADAM, CD, IKFAD, KFAD, LDHD, RIKFAD
from .check import check
from .damping import CubicDamping, CubicLinearDamping, LinearDamping, WeightDecay
from .descent import Descent
from .drift import BiasCorrectedDrift, Clock, Drift, MassiveDrift, PreconditionedDrift
from .dynamics import Dynamics
from .elements import Scalar
from .fixed_momentum import FixedMomentum
from .friction import KineticFriction
from .high_resolution import HighResolutionHB, HighResolutionNAGC, HighResolutionNAGSC
from .kick import Kick
from .modified_momentum import ModifiedMomentum, UniformMomentum
from .moment import SecondMoment
from .momentum import NAG, AdamODE, GradientFlow, Nesterov
from .momentum_flow import MomentumFlow
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
    "AdamODE",
    "BiasCorrectedDrift",
    "Clock",
    "CubicDamping",
    "CubicLinearDamping",
    "Descent",
    "Drift",
    "Dynamics",
    "FixedMomentum",
    "GradientFlow",
    "HighResolutionHB",
    "HighResolutionNAGC",
    "HighResolutionNAGSC",
    "Kick",
    "KineticFriction",
    "LinearDamping",
    "MassiveDrift",
    "ModifiedMomentum",
    "MomentumFlow",
    "Nesterov",
    "NonNegative",
    "Part",
    "Positive",
    "PreconditionedDrift",
    "RankOneFriction",
    "RisingKick",
    "Scalar",
    "SecondMoment",
    "State",
    "UniformMomentum",
    "VanishingDamping",
    "WeightDecay",
    "check",
]
