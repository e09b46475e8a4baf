"""The figures, by subject. Every function draws into axes it is given, or new ones."""

from .energy import plot_audit, plot_certificate
from .maps import plot_map
from .momentum import plot_theorems
from .runs import colour, plot_energy, plot_orders, plot_path, plot_phase, plot_training
from .sampling import plot_autocorrelation, plot_histogram, plot_landscape_samples
from .stability import plot_boundedness, plot_ladder, plot_stability
from .training import plot_friction, plot_learning, plot_letters

__all__ = [
    "colour",
    "plot_audit",
    "plot_autocorrelation",
    "plot_boundedness",
    "plot_certificate",
    "plot_energy",
    "plot_friction",
    "plot_histogram",
    "plot_ladder",
    "plot_landscape_samples",
    "plot_learning",
    "plot_letters",
    "plot_map",
    "plot_orders",
    "plot_path",
    "plot_phase",
    "plot_stability",
    "plot_theorems",
    "plot_training",
]
