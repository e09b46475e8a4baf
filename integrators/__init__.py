"""How time advances: words, fixed-step and adaptive integration, torch optimizers."""

from . import optim
from .field import Field
from .noise.noise import Noise
from .simulate import simulate
from .solve import solve
from .trajectory import Trajectory
from .words.word import Word

__all__ = ["Field", "Noise", "Trajectory", "Word", "optim", "simulate", "solve"]
