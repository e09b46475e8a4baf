"""The theory section: which word to use, where it is stable, where the energy goes."""

from dataclasses import asdict
from typing import Any

import numpy as np

from ...dynamics import CADAM, CD, IKFAD, KFAD, LDHD, Dynamics
from ...integrators import Word, solve
from ...landscapes import DoubleWell, Landscape, MatrixQuadratic, Quadratic
from ..energy.audit import energy_audit
from ..energy.lyapunov import certificate
from ..energy.rank_one import rank_one_decay
from ..ladder import learning_rate_ladder
from ..stability.large_steps import boundedness
from ..stability.maps import stability_map
from ..words.search import search
from .section import Finding, Job, Scope, finite_row, rows_by_kind
from .theory_figures import pictures

__all__ = ["jobs", "pictures", "rows"]

SEARCHED: tuple[Dynamics, ...] = (CD(0.1, c=100.0), LDHD(1.0), IKFAD(0.1, alpha=1.0, mu=0.01))
MAPPED = ("BAD", "BDA", "BADAB", "BDADB", "yoshida(BADAB)", "suzuki(BADAB)")
LARGE_STEPS: tuple[tuple[Dynamics, tuple[str, ...]], ...] = (
    (CD(0.1, c=100.0), ("BACD", "BCDA", "BACDCAB", "BCDADCB")),
    (IKFAD(0.1, alpha=1.0, mu=0.01), ("BACD", "BCDA", "BACDCAB", "BCDADCB")),
    (LDHD(0.1), ("BAD", "BADAB")),
)
AUDITED: tuple[tuple[Dynamics, str], ...] = (
    (CD(0.2, c=1.0), "BACD"),
    (CD(0.2, c=1.0), "BCDADCB"),
    (IKFAD(0.2, alpha=1.0, mu=1.0), "BCDADCB"),
    (CADAM(0.3, alpha=0.4, c=1.0, eps=0.1), "EBCDADCBE"),
)
CERTIFIED: tuple[tuple[Dynamics, Landscape], ...] = (
    (LDHD(0.3), Quadratic([1.0, 2.0, 4.0])),
    (LDHD(3.0), Quadratic([1.0, 2.0, 4.0])),
    (CD(0.3, c=1.0), Quadratic([1.0, 2.0, 4.0])),
    (KFAD(0.3, alpha=1.0, mu=1.0), Quadratic([1.0, 2.0, 4.0])),
    (IKFAD(0.3, alpha=1.0, mu=1.0), Quadratic([1.0, 2.0, 4.0])),
    (CADAM(0.3, alpha=0.4, c=1.0, eps=0.1), Quadratic([1.0, 2.0, 4.0])),
    (CADAM(0.05, alpha=0.4, c=0.0, eps=0.1), Quadratic([1.0, 2.0, 4.0])),
    (CD(0.3, c=1.0), DoubleWell(1)),
)
MATRICES = (
    MatrixQuadratic(1.0, 1),
    MatrixQuadratic([1.0, 1.7, 2.6, 3.9], 3, rotation=0),
)
LADDER_SEEDS = 2


def jobs(scope: Scope) -> list[Job]:
    """One job for each table row or group; the long ones first."""
    calls: list[tuple[Any, ...]] = []
    for seed in range(scope.seed, scope.seed + (1 if scope.quick else LADDER_SEEDS)):
        calls.append((train_ladder, seed, 4 if scope.quick else 12))
    for index in range(1 if scope.quick else len(SEARCHED)):
        calls.append((search_words, index))
    for index, (_, words) in enumerate(LARGE_STEPS):
        calls += [(take_large_steps, index, word) for word in words]
    until = 300.0 if scope.quick else 1000.0
    calls += [(rank_one, index, until) for index in range(1 if scope.quick else len(MATRICES))]
    calls += [(draw_map, word) for word in MAPPED]
    calls += [(audit, index) for index in range(len(AUDITED))]
    calls += [(certify, index) for index in range(len(CERTIFIED))]
    return [Job("theory", i, call, tuple(rest)) for i, (call, *rest) in enumerate(calls)]


rows = rows_by_kind


# --- jobs -----------------------------------------------------------------------------------------


def search_words(index: int) -> Finding:
    """Every inequivalent word of a dynamics with one gradient a step."""
    made = SEARCHED[index]
    found = [{"dynamics": repr(made), **asdict(one)} for one in search(made)]
    return Finding("words", tuple(finite_row(row) for row in found))


def train_ladder(seed: int, epochs: int) -> Finding:
    """A network at multiples of the tuned learning rate, with BACD and BCDA."""
    found = learning_rate_ladder(seeds=(seed,), epochs=epochs)
    return Finding("ladder", tuple(asdict(row) for row in found), found)


def take_large_steps(index: int, word: str) -> Finding:
    """One quadratic mode at steps far above the stability limit."""
    made = LARGE_STEPS[index][0]
    found = boundedness(Word(word, made))
    row = {"dynamics": made.name, "word": word, "bounded": found.limit}
    return Finding("bounded", (row,), found)


def draw_map(word: str) -> Finding:
    """The spectral radius over (h√k, γh)."""
    plan = Word(word, LDHD(1.0))
    found = stability_map(plan, np.linspace(0.02, 4.0, 320), np.linspace(0.0, 6.0, 240))
    return Finding("map", (), found)


def rank_one(index: int, until: float) -> Finding:
    """How R-iKFAD decays at γ = 0, without and with ε."""
    found = rank_one_decay(MATRICES[index], until=until)
    return Finding("rank_one", tuple(finite_row(asdict(one)) for one in found))


def audit(index: int) -> Finding:
    """Where the energy of a run went."""
    made, word = AUDITED[index]
    start: dict[str, Any] = {"x": [1.0, 1.0, 1.0]}
    if "zeta" in made.variables:
        start["zeta"] = [1.0, 1.0, 1.0]
    found = energy_audit(made, Quadratic([1.0, 2.0, 4.0]), start, step=0.1, steps=400, word=word)
    total = {letter: float(change.sum()) for letter, change in found.change.items()}
    exact = {letter: float(change.sum()) for letter, change in found.exact.items()}
    row = {
        "dynamics": repr(made), "word": word, "removed": total, "exact": exact,
        "shadow": float(found.shadow.sum()), "total": sum(total.values()),
    }  # fmt: skip
    return Finding("audit", (row,), found)


def certify(index: int) -> Finding:
    """A Lyapunov function along a reference solution."""
    made, landscape = CERTIFIED[index]
    start: dict[str, Any] = {"x": landscape.start}
    if "zeta" in made.variables:
        start["zeta"] = landscape.start**2
    run = solve(made, landscape, start, until=20.0)
    found = certificate(made, landscape, run)
    failed = [one.text for one in found.assumptions if not one.holds]
    row = {
        "dynamics": repr(made), "landscape": landscape.name, "theorem": found.theorem,
        "rate": float(found.rate.min()), "violation": found.violation.value,
        "at": found.violation.time, "overshoot": found.overshoot.value, "failed": failed,
        "holds": found.holds,
    }  # fmt: skip
    return Finding("certificate", (finite_row(row),), found)
