"""Where it moves: functions with their gradients, known minima and constants."""

from .cluster_tables import ClusterTables, cluster_tables
from .clusters import Cluster, LennardJones, Morse
from .digits import Digits, Split, classifier, digits
from .double_well import DoubleWell
from .funnel import Funnel
from .gradient_penalty import GradientPenalty
from .himmelblau import Himmelblau
from .landscape import Landscape
from .logistic_regression import LogisticRegression
from .matrix_quadratic import MatrixQuadratic
from .minibatch import GaussianMinibatch, Minibatch
from .mueller_brown import MuellerBrown
from .network import Network
from .phi4 import Phi4Chain
from .quadratic import Quadratic
from .rosenbrock import Rosenbrock
from .styblinski_tang import StyblinskiTang

__all__ = [
    "Cluster",
    "ClusterTables",
    "Digits",
    "DoubleWell",
    "Funnel",
    "GaussianMinibatch",
    "GradientPenalty",
    "Himmelblau",
    "Landscape",
    "LennardJones",
    "LogisticRegression",
    "MatrixQuadratic",
    "Minibatch",
    "Morse",
    "MuellerBrown",
    "Network",
    "Phi4Chain",
    "Quadratic",
    "Rosenbrock",
    "Split",
    "StyblinskiTang",
    "classifier",
    "cluster_tables",
    "digits",
]
