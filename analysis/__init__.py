"""What it shows: decay, orders, stability, energy, theorems, plots, training, and the study."""

from .energy.audit import EnergyAudit, audit_run, energy_audit
from .energy.certificate import Certificate
from .energy.decay import DecayRate, decay_rate, fit_decay
from .energy.lyapunov import certificate
from .energy.prediction import Prediction, predict, provable_rate
from .ladder import learning_rate_ladder
from .momentum.equations import momentum_equations
from .momentum.theorems import Claim, kovachki_stuart
from .order import ConvergenceOrder, convergence_order
from .plots.energy import plot_audit, plot_certificate
from .plots.momentum import plot_theorems
from .plots.runs import plot_energy, plot_orders, plot_path, plot_phase, plot_training
from .plots.stability import plot_boundedness, plot_ladder, plot_stability
from .stability.large_steps import Boundedness, boundedness
from .stability.maps import StabilityMap, optimal_parameters, stability_limit, stability_map
from .words.bracelets import inequivalent_words
from .words.search import WordReport, search, table

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
    "inequivalent_words",
    "kovachki_stuart",
    "learning_rate_ladder",
    "momentum_equations",
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
]
