"""Strong orders: paths of different step sizes on the same Brownian motion."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...dynamics import Dynamics, NoisyPart
from ...integrators import Noise, Trajectory, Word, simulate
from ...integrators.schemes import Method, refuse_scheme
from ...integrators.start import not_a_dynamics
from ...landscapes import Landscape
from ...landscapes.checks import integer
from ..interrupts import uninterrupted
from ..noiseless import refuse_sampled
from ..order import UNLIKE, ConvergenceOrder, division_counts, fitted_slope


@dataclass(frozen=True)
class StrongOrder(ConvergenceOrder):
    """Root-mean-square distances to a reference path on the same Brownian motion.

    slope        least-squares slope of log error against log h: the strong order
    uncertainty  standard error of the slope over the trajectories (delta method)
    errors       √E|X_h − X|² at the final time, all variables together, at each h
    reference    what the paths were compared with
    """

    uncertainty: float
    trajectories: int
    reference: str

    def __str__(self) -> str:
        return (
            f"{self.dynamics} {self.word}: strong order {self.slope:.2f} ± {self.uncertainty:.2g} "
            f"over {self.trajectories} trajectories against {self.reference} "
            f"({self.measured})"
        )


def strong_order(
    dynamics: Dynamics,
    landscape: Landscape,
    x0: Any = None,
    *,
    word: str | Word | None = None,
    method: Method = "word",
    until: float = 1.0,
    divisions: Sequence[int] = (8, 16, 32, 64),
    refinement: int = 16,
    trajectories: int = 200,
    noise: int = 0,
    reference: str | Word | Trajectory | None = None,
) -> StrongOrder:
    """The strong order of a word or a method, by paths coupled through their Brownian motion.

    All paths of a trajectory are driven by the same `Noise(seed, finest)`, fine enough for every
    letter of the finest path; exact Ornstein–Uhlenbeck integrals are coupled exactly.

    divisions   numbers of steps to t = `until`; each must divide the largest × `refinement`,
                the number of steps of the reference
    x0          one start for all trajectories, as in `simulate`
    noise       the seed
    reference   a word of the same dynamics (one of higher order is best), or None for the same
                scheme, whose own error then raises the slope a little; or a run that ends at
                `until`, whose own noise is then taken (made with `finest`)

    Raises ValueError for a dynamics without noise, for sampled gradients, for numbers that do not
    fit, and for a run that does not reach `until`; TypeError for what is no dynamics; and
    KeyboardInterrupt after Ctrl-C, since a slope needs all step sizes.
    """
    if not isinstance(dynamics, Dynamics):
        raise TypeError(not_a_dynamics(dynamics))
    if not (isinstance(until, float | int) and math.isfinite(until) and until > 0):
        raise ValueError(f"until must be a finite time > 0; got {until!r}")
    trajectories = integer(trajectories, "trajectories", 2)
    if method != "word":
        refuse_scheme(method, word)
    if not dynamics.is_noisy:
        raise ValueError(f"{dynamics.name} has no noise: measure its order by convergence_order")
    refuse_sampled(landscape, UNLIKE)
    counts, whole = _counts(divisions, integer(refinement, "refinement", 2))
    words = [word] if method == "word" else []
    words += [_reference(reference, dynamics)] if isinstance(reference, str | Word) else []
    pieces = math.lcm(*(_cuts(Word(one or dynamics.word, dynamics)) for one in words))
    finest = Noise(noise, finest=until / whole / pieces)
    if isinstance(reference, Trajectory):
        finest = _noise_of(reference)

    def run(n: int, word: str | Word | None, method: Method) -> Trajectory:
        start = _repeated(landscape, x0, trajectories)
        return simulate(
            dynamics, landscape, start, step=until / n, steps=n, word=word, method=method,
            noise=finest, save_every=n, dtype=torch.float64,
        )  # fmt: skip

    text = f"the same at h = {until / whole:g}"
    if isinstance(reference, Trajectory):
        best, text = reference, f"{reference.settings['word'] or reference.settings['method']}"
    elif reference is None:
        best = run(whole, word, method)
    else:
        best, text = run(whole, reference, "word"), f"{reference} at h = {until / whole:g}"
    exact = _end(best, until)
    if len(exact["x"]) != trajectories:
        raise ValueError(
            f"trajectories = {trajectories}; the reference run has {len(exact['x'])}: give as many"
        )
    steps = np.array([until / n for n in counts])
    squares = np.stack([_squares(_end(run(n, word, method), until), exact) for n in counts])
    mean = squares.mean(1)
    slope = fitted_slope(steps, np.sqrt(mean))
    lever = np.log(steps) - np.log(steps).mean()
    influence = (lever / (lever @ lever)) @ (squares / (2 * mean[:, None]))
    uncertainty = influence.std(ddof=1) / np.sqrt(influence.size)
    name = method if method != "word" else Word(word or dynamics.word, dynamics).text
    return StrongOrder(
        slope, tuple(steps.tolist()), tuple(np.sqrt(mean).tolist()), name, dynamics.name,
        float(uncertainty), influence.size, text,
    )  # fmt: skip


def _counts(divisions: Sequence[int], refinement: int) -> tuple[list[int], int]:
    counts = division_counts(divisions)
    whole = refinement * counts[-1]
    if odd := [n for n in counts if whole % n]:
        raise ValueError(
            f"the finest step is that of {counts[-1]} × {refinement} = {whole} divisions, which "
            f"{odd[0]} does not divide; use powers of 2, such as (8, 16, 32)"
        )
    return counts, whole


def _noise_of(run: Trajectory) -> Noise:
    made = run.settings.get("noise")
    if not made or not made["finest"]:
        raise ValueError("the reference run needs noise of its own that says `finest`: "
                         "noise=Noise(seed, finest=...)")  # fmt: skip
    return Noise(**made)


def _reference(reference: str | Word, dynamics: Dynamics) -> Word:
    try:
        return Word(reference, dynamics)
    except ValueError as error:
        raise ValueError(
            f"reference={str(reference)!r} must be a word of {dynamics.name}, a run, or None for "
            f"the same scheme with smaller steps; {error}"
        ) from error


def _cuts(word: Word) -> int:
    """Into how many pieces the word's noisy letters cut a step."""
    noisy = (sub.fraction for sub in word.substeps if isinstance(sub.part, NoisyPart))
    return math.lcm(*(fraction.denominator for fraction in noisy))


def _repeated(landscape: Landscape, x0: Any, trajectories: int) -> dict[str, Any]:
    given = dict(x0) if isinstance(x0, Mapping) else {} if x0 is None else {"x": x0}
    x = torch.as_tensor(given.get("x", landscape.start), dtype=torch.float64)
    if x.shape != landscape.shape:
        raise ValueError(
            f"x0 must be one start of shape {landscape.shape}, the same for all trajectories; got "
            f"{tuple(x.shape)}"
        )
    return {**given, "x": x.expand(trajectories, *x.shape)}


def _end(run: Trajectory, until: float) -> dict[str, Tensor]:
    run = uninterrupted(run)
    if run.status != "finished" or abs(float(run.times[-1]) - until) > 1e-9 * until:
        raise ValueError(f"a run with h = {run.settings['step']:g} did not reach t = {until:g}: "
                         f"{run.message}")  # fmt: skip
    return {name: values[-1] for name, values in run.states.items()}


def _squares(found: Mapping[str, Tensor], exact: Mapping[str, Tensor]) -> np.ndarray:
    """|X_h − X|² of every trajectory, [N]."""
    apart = [found[name] - exact[name] for name in found]
    parts = [d.reshape(len(d), -1).square().sum(1) for d in apart]
    return torch.stack(parts).sum(0).numpy()
