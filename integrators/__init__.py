"""How time advances: words, fixed-step and adaptive integration, ensembles, torch optimizers."""

from . import optim
from .ensembles import (
    Ensemble,
    FinalEnergy,
    FittedRate,
    LeastEnergy,
    Mean,
    Reduction,
    TimeToTarget,
    ensemble,
)
from .field import Field
from .noise.noise import Noise
from .simulate import simulate
from .solve import solve
from .trajectory import Trajectory
from .words.word import Word

__all__ = [
    "Ensemble",
    "Field",
    "FinalEnergy",
    "FittedRate",
    "LeastEnergy",
    "Mean",
    "Noise",
    "Reduction",
    "TimeToTarget",
    "Trajectory",
    "Word",
    "ensemble",
    "optim",
    "simulate",
    "solve",
]
