"""The decay section: energy of every dynamics on four landscapes, beside theory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...integrators import simulate, solve
from ...landscapes import Landscape
from ..energy.decay import decay_rate
from ..energy.prediction import predict, provable_rate
from .cases import KEPT, SAVED, Case, cases
from .decay_figures import pictures
from .section import Job, Scope, finite

__all__ = ["jobs", "pictures", "rows", "run_case"]


def jobs(scope: Scope) -> list[Job]:
    """One job for each case, the longest first."""
    found = cases(scope.quick)
    longest_first = sorted(range(len(found)), key=lambda i: -found[i].until / found[i].step)
    return [
        Job("decay", place, run_case, (found[place], str(scope.runs), scope.device))
        for place in longest_first
    ]


def rows(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of results.json are what the jobs return."""
    return list(results)


def run_case(case: Case, folder: str, device: str) -> dict[str, Any]:
    """Simulate, solve the reference, fit, and compare with theory; one row of results.json.

    Both runs are saved under `folder`, thinned.
    """
    dynamics, landscape = case.build()
    steps = round(case.until / case.step)
    every = max(1, steps // SAVED)
    run = simulate(
        dynamics, landscape, step=case.step, steps=steps, save_every=every, device=device
    )
    stop = 1e-10 if case.dynamics == "CADAM" else 1e-14
    reference = solve(
        dynamics,
        landscape,
        until=case.compared,
        times=np.linspace(0.0, case.compared, 1601),
        rtol=1e-8,
        atol=1e-11,
        stop_below=stop,
    )
    run.thinned(KEPT).save(Path(folder) / f"{case.stem}.npz")
    reference.save(Path(folder) / f"{case.stem}_reference.npz")
    fit = decay_rate(run)
    final = run["x"][-1]
    near = final if landscape.minimisers is None else _nearest(landscape, final)
    theory = predict(dynamics, landscape, near, step=case.step)
    bound = provable_rate(dynamics, landscape, float(reference.energy[0]))
    return {
        "dynamics": case.dynamics,
        "landscape": case.landscape,
        "word": run.settings["word"],
        "gamma": case.gamma,
        "model": fit.model,
        "rate": finite(fit.rate),
        "rate_low": finite(fit.rate_low),
        "rate_high": finite(fit.rate_high),
        "predicted": finite(theory.rate),
        "bound": bound,
        "reason": f"{fit.reason}; {theory.law}" if theory.model == "none" else fit.reason,
        "hyperparameters": run.settings["hyperparameters"],
        "step": case.step,
        "decided": fit.is_decided,
        "law": theory.law,
        "floor": finite(fit.floor),
        "window": [finite(t) for t in fit.window],
        "status": run.status,
        "reference": reference.status,
    }


def _nearest(landscape: Landscape, x: Any) -> Any:
    minimisers = landscape.minimisers
    assert minimisers is not None
    distances = (minimisers - x.to(minimisers)).flatten(1).norm(dim=1)
    return minimisers[int(distances.argmin())]
