"""What moves: state, parts, and the catalogue of dynamics with their energies."""

from .catalogue import CADAM, CD, IKFAD, KFAD, LDHD
from .check import check
from .damping import CubicDamping, CubicLinearDamping, LinearDamping, WeightDecay
from .drift import BiasCorrectedDrift, Clock, Drift, PreconditionedDrift
from .dynamics import Dynamics
from .elements import Scalar
from .friction import KineticFriction
from .kick import Kick
from .moment import SecondMoment
from .part import NonNegative, Part, Positive
from .state import State

__all__ = [
    "CADAM",
    "CD",
    "IKFAD",
    "KFAD",
    "LDHD",
    "BiasCorrectedDrift",
    "Clock",
    "CubicDamping",
    "CubicLinearDamping",
    "Drift",
    "Dynamics",
    "Kick",
    "KineticFriction",
    "LinearDamping",
    "NonNegative",
    "Part",
    "Positive",
    "PreconditionedDrift",
    "Scalar",
    "SecondMoment",
    "State",
    "WeightDecay",
    "check",
]
