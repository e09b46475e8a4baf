"""Where it moves: functions with their gradients, known minima and constants."""

from .digits import Digits, Split, classifier, digits
from .double_well import DoubleWell
from .gradient_penalty import GradientPenalty
from .himmelblau import Himmelblau
from .landscape import Landscape
from .logistic_regression import LogisticRegression
from .matrix_quadratic import MatrixQuadratic
from .network import Network
from .quadratic import Quadratic
from .rosenbrock import Rosenbrock
from .styblinski_tang import StyblinskiTang

__all__ = [
    "Digits",
    "DoubleWell",
    "GradientPenalty",
    "Himmelblau",
    "Landscape",
    "LogisticRegression",
    "MatrixQuadratic",
    "Network",
    "Quadratic",
    "Rosenbrock",
    "Split",
    "StyblinskiTang",
    "classifier",
    "digits",
]
