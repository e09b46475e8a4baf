"""What moves: state, parts, and the catalogue of dynamics with their energies."""

from .catalogue import CADAM, CD, IKFAD, KFAD, LDHD, RIKFAD
from .check import check
from .damping import CubicDamping, CubicLinearDamping, LinearDamping, WeightDecay
from .descent import Descent
from .drift import BiasCorrectedDrift, Clock, Drift, MassiveDrift, PreconditionedDrift
from .dynamics import Dynamics
from .elements import Scalar
from .friction import KineticFriction
from .kick import Kick
from .moment import SecondMoment
from .momentum.fixed import FixedMomentum
from .momentum.flows import NAG, AdamODE, GradientFlow, Nesterov
from .momentum.high_resolution import HighResolutionHB, HighResolutionNAGC, HighResolutionNAGSC
from .momentum.modified import ModifiedMomentum, UniformMomentum
from .momentum.second_order import MomentumFlow
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
