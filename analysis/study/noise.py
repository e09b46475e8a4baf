"""The noise section: laws of words, paths, sampling, minibatches as noise, and cold clusters."""

import math
from functools import partial
from typing import Any

import torch

from ...dynamics import Langevin
from ...integrators import Word, simulate
from ...integrators.schemes import WEAK_ORDER, Method
from ...landscapes import DoubleWell, LennardJones, MuellerBrown, Quadratic
from ..clusters.anneal import anneal, cooling
from ..clusters.quench import Quench
from ..clusters.success import Success
from ..gradient_noise.study import LEARNING_RATES, QUICK, compare_with_sde
from ..gradient_noise.trainings import METHODS
from ..order import coupled_quartic
from ..sampling.histogram import compare_with_gibbs
from ..sampling.linear import moment_map
from ..sampling.observables import stationary
from ..sampling.strong import strong_order
from ..sampling.temperature import (
    configurational_temperature,
    kinetic_temperature,
    virial_temperature,
)
from .noise_figures import pictures
from .section import Finding, Job, Scope, finite_row, rows_by_kind

__all__ = ["jobs", "pictures", "rows"]

WORDS = ("BAOAB", "ABOBA", "OBABO", "OABAO", "UBU", "BUB", "BAO", "OBA")
SCHEMES: tuple[Method, ...] = ("euler-maruyama", "heun")
PATHS: tuple[tuple[str | None, Method], ...] = (
    (None, "euler-maruyama"), ("BAOAB", "word"), ("OBABO", "word"), ("UBU", "word"),
)  # fmt: skip
COARSE = 0.5  # h√k at which the laws differ visibly
TEMPERATURE = 15.0  # at which Müller and Brown's wells exchange
CLUSTER = 13


def jobs(scope: Scope) -> list[Job]:
    """The slow ones first: training beside its models, then clusters."""
    rates = LEARNING_RATES[:1] if scope.quick else LEARNING_RATES
    calls: list[tuple[Any, tuple[Any, ...]]] = [
        (minibatches, (method, lr, scope.quick)) for lr in rates for method in METHODS
    ]
    calls += [(clusters, (scope.quick,)), (laws, (scope.quick,)), (paths, (scope.quick,))]
    calls += [(wells, (scope.quick,)), (mueller_brown, (scope.quick,))]
    return [Job("noise", place, *call) for place, call in enumerate(calls)]


def laws(quick: bool) -> Finding:
    """Exact ⟨x²⟩ and ⟨p²⟩ of every word on a quadratic, beside a simulation of it."""
    langevin, bowl = Langevin(1.0, 1.0), Quadratic([1.0])
    found, curves = [], {}
    axis = torch.linspace(0.02, 1.0, 50, dtype=torch.float64)
    for name in (*WORDS, *SCHEMES):
        options: dict[str, Any] = {"method": name} if name in SCHEMES else {"word": name}
        scheme = langevin if name in SCHEMES else Word(name, langevin)
        method: Method = options.get("method", "word")
        exact = moment_map(scheme, COARSE, method=method).stationary
        curves[name] = axis, moment_map(scheme, axis, method=method).stationary
        run = simulate(
            langevin, bowl, torch.zeros(500, 1), step=COARSE, steps=400 if quick else 2000,
            save_every=2, noise=1, **options,
        )  # fmt: skip
        x2, p2 = stationary(run, "x2"), stationary(run, "p2")
        found.append({
            "word": name,
            "weak_order": WEAK_ORDER.get(name) or Word(name, langevin).order().order,
            "x2": exact[0, 0].item(), "p2": exact[1, 1].item(),
            "x2_measured": x2.mean, "x2_error": x2.standard_error,
            "p2_measured": p2.mean, "p2_error": p2.standard_error,
        })  # fmt: skip
    return Finding("laws", tuple(map(finite_row, found)), curves)


def paths(quick: bool) -> Finding:
    """Strong orders, on one Brownian motion, against a fine UBU path."""
    found = [
        strong_order(
            Langevin(1.0, 1.0), coupled_quartic(), word=word, method=method, reference="UBU",
            trajectories=100 if quick else 400, noise=3,
        )
        for word, method in PATHS
    ]  # fmt: skip
    rows = tuple(
        {"word": one.word, "order": one.slope, "uncertainty": one.uncertainty,
         "reference": one.reference} for one in found
    )  # fmt: skip
    return Finding("paths", rows, found)


def wells(quick: bool) -> Finding:
    """A double well beside its Gibbs density, at a small step and at a large one."""
    well, temperature = DoubleWell(1), 0.15
    drawn, found = [], []
    for step in (0.2, 0.8):
        run = simulate(
            Langevin(1.0, temperature), well, torch.ones(200, 1), step=step, noise=5,
            steps=round((400 if quick else 1500) / step), save_every=max(1, round(0.4 / step)),
        )  # fmt: skip
        compared = compare_with_gibbs(run, well, temperature)
        drawn.append((step, compared))
        kinetic, virial = kinetic_temperature(run), virial_temperature(run, well)
        configurational = configurational_temperature(run, well)
        found.append({
            "landscape": well.name, "step": step, "temperature": temperature,
            "kinetic": kinetic.mean, "kinetic_error": kinetic.standard_error,
            "virial": virial.mean, "virial_error": virial.standard_error,
            "configurational": configurational.mean,
            "configurational_error": configurational.standard_error,
            "total_variation": compared.total_variation, "noise": compared.noise,
            "p_value": compared.chi_square.p_value, "message": compared.message,
        })  # fmt: skip
    return Finding("temperatures", tuple(map(finite_row, found)), drawn)


def mueller_brown(quick: bool) -> Finding:
    """Paths between the wells of a surface that chemists know."""
    surface = MuellerBrown()
    run = simulate(
        Langevin(10.0, TEMPERATURE), surface, surface.minima, step=0.005, noise=2,
        steps=8_000 if quick else 30_000, save_every=20,
    )  # fmt: skip
    return Finding("surface", (), run)


def minibatches(method: str, lr: float, quick: bool) -> Finding:
    """A training with minibatches beside its stochastic models, over seeds."""
    options: dict[str, Any] = dict(QUICK) if quick else {}
    found = compare_with_sde(method, lr, **options)
    verdicts = tuple(
        {"method": method, "step": found.step_size, "model": model, "verdict": verdict}
        for model, verdict in found.verdicts().items()
    )
    return Finding("models", verdicts, found)


def clusters(quick: bool) -> Finding:
    """LJ₁₃ from random starts: quenched at once, and annealed first."""
    cluster = LennardJones(CLUSTER)
    assert cluster.minimum is not None
    starts = cluster.random_start(32 if quick else 128, seed=0)
    quenched = Quench()(cluster, starts)
    first = quenched.x[quenched.converged]
    annealed = anneal(
        partial(Langevin, 1.0), cluster, first, cooling(0.35, 0.05, 8 if quick else 16),
        step=0.03, steps=250, noise=1,
    ).rest  # fmt: skip
    found = []
    for name, rest in (("quench", quenched), ("annealing, then quench", annealed)):
        reached = rest.energy < cluster.minimum + 1e-4
        success = Success.of(reached.tolist(), int(rest.gradients.sum()))
        low, high = success.interval
        found.append({
            "cluster": cluster.name, "minimum": cluster.minimum, "search": name,
            "starts": len(rest.status), "found": int(reached.sum()), "rate": success.rate,
            "low": low, "high": high, "gradients_per_success": success.gradients_per_success,
            "best": rest.energy.nan_to_num(nan=math.inf).min().item(),
        })  # fmt: skip
    best = annealed.x[annealed.energy.nan_to_num(nan=math.inf).argmin()]
    return Finding("clusters", tuple(map(finite_row, found)), best)


rows = rows_by_kind
