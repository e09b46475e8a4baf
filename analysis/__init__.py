"""What it shows: decay, orders, stability, energy, theorems, plots, training, and the study."""

from .audit import EnergyAudit, audit_run, energy_audit
from .boundedness import Boundedness, boundedness
from .certificate import Certificate
from .decay import DecayRate, decay_rate, fit_decay
from .ladder import learning_rate_ladder
from .lyapunov import certificate
from .momentum import Claim, kovachki_stuart
from .order import ConvergenceOrder, convergence_order
from .plots import plot_energy, plot_orders, plot_path, plot_phase, plot_training
from .plots_energy import plot_audit, plot_certificate
from .plots_momentum import plot_theorems
from .plots_theory import plot_boundedness, plot_ladder, plot_stability
from .prediction import Prediction, predict, provable_rate
from .search import WordReport, search, table
from .stability import StabilityMap, optimal_parameters, stability_limit, stability_map
from .words import words

__all__ = [
    "Boundedness",
    "Certificate",
    "Claim",
    "ConvergenceOrder",
    "DecayRate",
    "EnergyAudit",
    "Prediction",
    "StabilityMap",
    "WordReport",
    "audit_run",
    "boundedness",
    "certificate",
    "convergence_order",
    "decay_rate",
    "energy_audit",
    "fit_decay",
    "kovachki_stuart",
    "learning_rate_ladder",
    "optimal_parameters",
    "plot_audit",
    "plot_boundedness",
    "plot_certificate",
    "plot_energy",
    "plot_ladder",
    "plot_orders",
    "plot_path",
    "plot_phase",
    "plot_stability",
    "plot_theorems",
    "plot_training",
    "predict",
    "provable_rate",
    "search",
    "stability_limit",
    "stability_map",
    "table",
    "words",
]
