"""What it shows: decay rates, orders, predictions, plots, training, and the study."""

from .decay import DecayRate, decay_rate, fit_decay
from .order import ConvergenceOrder, convergence_order
from .plots import plot_energy, plot_orders, plot_path, plot_phase, plot_training
from .prediction import Prediction, predict, provable_rate

__all__ = [
    "ConvergenceOrder",
    "DecayRate",
    "Prediction",
    "convergence_order",
    "decay_rate",
    "fit_decay",
    "plot_energy",
    "plot_orders",
    "plot_path",
    "plot_phase",
    "plot_training",
    "predict",
    "provable_rate",
]
