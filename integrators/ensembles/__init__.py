"""Many runs at once: grids over starts and hyperparameters, in bounded memory."""

from .ensemble import ensemble
from .rate import FittedRate
from .reductions import FinalEnergy, LeastEnergy, Mean, Reduction, TimeToTarget
from .result import Ensemble
from .saved import Saved

__all__ = [
    "Ensemble",
    "FinalEnergy",
    "FittedRate",
    "LeastEnergy",
    "Mean",
    "Reduction",
    "Saved",
    "TimeToTarget",
    "ensemble",
]
