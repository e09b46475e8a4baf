"""All that `dashpot.analysis` offers, by name."""

from .clusters.anneal import Annealed, anneal, cooling
from .clusters.basin_hopping import BasinHopping, basin_hopping
from .clusters.picture import draw_cluster
from .clusters.quench import KINETIC_QUENCH, Quench, Quenched
from .clusters.success import Success
from .energy.audit import EnergyAudit, audit_run, energy_audit
from .energy.certificate import Certificate
from .energy.decay import DecayRate, decay_rate, fit_decay
from .energy.lyapunov import certificate
from .energy.prediction import Prediction, predict, provable_rate
from .gradient_noise.covariance import (
    GradientNoise,
    gradient_noise,
    matching_temperature,
    noise_along,
)
from .gradient_noise.models import stochastic_modified_equation, with_gradient_noise
from .gradient_noise.study import compare_with_sde, digits_network
from .ladder import learning_rate_ladder
from .momentum.equations import momentum_equations
from .momentum.theorems import Claim, kovachki_stuart
from .order import ConvergenceOrder, convergence_order
from .plots.energy import plot_audit, plot_certificate
from .plots.gradient_noise import plot_sde_comparison
from .plots.maps import plot_map
from .plots.momentum import plot_theorems
from .plots.runs import plot_energy, plot_orders, plot_path, plot_phase, plot_training
from .plots.sampling import plot_autocorrelation, plot_histogram, plot_landscape_samples
from .plots.stability import plot_boundedness, plot_ladder, plot_stability
from .sampling.averages import Average, average, average_ratio
from .sampling.equation import exact_moments, sgd_interpolation, stationary_exact
from .sampling.histogram import GibbsComparison, compare_with_gibbs
from .sampling.linear import MomentMap, moment_map
from .sampling.observables import stationary
from .sampling.strong import StrongOrder, strong_order
from .sampling.temperature import (
    configurational_temperature,
    kinetic_temperature,
    virial_temperature,
)
from .sampling.weak import WeakOrder, local_weak_order, weak_order_linear
from .sampling.words import SamplingReport, sampling_table, sampling_words
from .stability.large_steps import Boundedness, boundedness
from .stability.maps import StabilityMap, optimal_parameters, stability_limit, stability_map
from .words.bracelets import inequivalent_words
from .words.search import WordReport, search, table

__all__ = [
    "KINETIC_QUENCH",
    "Annealed",
    "Average",
    "BasinHopping",
    "Boundedness",
    "Certificate",
    "Claim",
    "ConvergenceOrder",
    "DecayRate",
    "EnergyAudit",
    "GibbsComparison",
    "GradientNoise",
    "MomentMap",
    "Prediction",
    "Quench",
    "Quenched",
    "SamplingReport",
    "StabilityMap",
    "StrongOrder",
    "Success",
    "WeakOrder",
    "WordReport",
    "anneal",
    "audit_run",
    "average",
    "average_ratio",
    "basin_hopping",
    "boundedness",
    "certificate",
    "compare_with_gibbs",
    "compare_with_sde",
    "configurational_temperature",
    "convergence_order",
    "cooling",
    "decay_rate",
    "digits_network",
    "draw_cluster",
    "energy_audit",
    "exact_moments",
    "fit_decay",
    "gradient_noise",
    "inequivalent_words",
    "kinetic_temperature",
    "kovachki_stuart",
    "learning_rate_ladder",
    "local_weak_order",
    "matching_temperature",
    "moment_map",
    "momentum_equations",
    "noise_along",
    "optimal_parameters",
    "plot_audit",
    "plot_autocorrelation",
    "plot_boundedness",
    "plot_certificate",
    "plot_energy",
    "plot_histogram",
    "plot_ladder",
    "plot_landscape_samples",
    "plot_map",
    "plot_orders",
    "plot_path",
    "plot_phase",
    "plot_sde_comparison",
    "plot_stability",
    "plot_theorems",
    "plot_training",
    "predict",
    "provable_rate",
    "sampling_table",
    "sampling_words",
    "search",
    "sgd_interpolation",
    "stability_limit",
    "stability_map",
    "stationary",
    "stationary_exact",
    "stochastic_modified_equation",
    "strong_order",
    "table",
    "virial_temperature",
    "weak_order_linear",
    "with_gradient_noise",
]
