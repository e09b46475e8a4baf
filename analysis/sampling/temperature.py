"""The temperature of a run, read off its momenta, its positions, or the landscape's curvature.

In the Gibbs law ∝ e^{−(f + ½|p|²)/T} integration by parts gives, d being the number of coordinates,

    T = ⟨|p|²⟩/d                    kinetic
    T = ⟨(x − c)·∇f⟩/d              virial, for any fixed point c
    T = ⟨|∇f|²⟩/⟨Δf⟩                configurational (Rugh, Physical Review Letters 78 (1997) 772;
                                    Butler, Ayton, Jepps, Evans, J. Chem. Phys. 109 (1998) 6519)

The last two see positions only. A step that is too large, a run that is not in equilibrium and a
thermostat that fails show as temperatures that differ from the one asked for, or among each other.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...integrators import Trajectory
from ...integrators.trajectory import in_pieces
from ...landscapes import Landscape
from .averages import Average, average, average_ratio, first_kept
from .observables import DISCARD, equally_spaced, observe


def kinetic_temperature(run: Trajectory, *, discard: float = DISCARD) -> Average:
    """⟨|p|²⟩/d of a run with momentum p and unit mass; ValueError for a run without momentum."""
    if "p" not in run.states:
        raise ValueError(
            f"{run!r} has no momentum p; virial_temperature and configurational_temperature "
            "need positions only"
        )
    squares, spacing = observe(run, "p2")
    coordinates = run["p"].shape[run.energy.ndim :].numel()
    return average(squares / coordinates, discard=discard, spacing=spacing)


def virial_temperature(
    run: Trajectory, landscape: Landscape, *, discard: float = DISCARD
) -> Average:
    """⟨(x − c)·∇f⟩/d with c the mean position of the run.

    Every fixed c gives the same mean, since ⟨∇f⟩ = 0, and this one a small error. That it is taken
    from the run moves the result by about T τ/N, far less than its error of about T √(τ/(N d)).
    """
    x, spacing = _positions(run, landscape)
    times_and_batch = tuple(range(run.energy.ndim))
    centre = x[first_kept(discard, len(x)) :].nanmean(times_and_batch)

    def virial(y: Tensor) -> Tensor:
        return _dot(landscape, y - centre, landscape.gradient(y))

    values = in_pieces(virial, x, 0, 0)
    return average(values / landscape.dimension, discard=discard, spacing=spacing)


def configurational_temperature(
    run: Trajectory,
    landscape: Landscape,
    *,
    discard: float = DISCARD,
    probes: int | None = None,
    seed: int = 0,
) -> Average:
    """⟨|∇f|²⟩/⟨Δf⟩, the error that of the ratio.

    Δf, the trace of the Hessian, takes d Hessian-vector products for every saved state; with
    `probes` = n it is Hutchinson's estimate from n random signs vᵀ∇²f v, drawn with `seed` for
    every state anew, whose noise averages out like that of the run.
    """
    if probes is not None and probes < 1:
        raise ValueError(f"probes must be a number >= 1, or None for the exact trace; got {probes}")
    x, spacing = _positions(run, landscape)
    generator = torch.Generator().manual_seed(seed)

    def squares(y: Tensor) -> Tensor:
        slope = landscape.gradient(y)
        return _dot(landscape, slope, slope)

    def laplacian(y: Tensor) -> Tensor:
        if probes is None:
            units = torch.eye(landscape.dimension, dtype=y.dtype).reshape(-1, *landscape.shape)
            return sum((_dot(landscape, v, landscape.hvp(y, v)) for v in units), torch.tensor(0.0))
        total = torch.tensor(0.0)
        for _ in range(probes):
            v = 2.0 * torch.randint(0, 2, y.shape, generator=generator).to(y) - 1
            total = total + _dot(landscape, v, landscape.hvp(y, v))
        return total / probes

    return average_ratio(
        in_pieces(squares, x, 0, 0), in_pieces(laplacian, x, 0, 0),
        discard=discard, spacing=spacing,
    )  # fmt: skip


def _positions(run: Trajectory, landscape: Landscape) -> tuple[Tensor, float]:
    """x at equally spaced times, [T, *batch, *shape], and their spacing."""
    x = run["x"]
    if tuple(x.shape[run.energy.ndim :]) != landscape.shape:
        raise ValueError(
            f"the positions of {run!r} have shape {tuple(x.shape[run.energy.ndim :])}; "
            f"{landscape!r} takes {landscape.shape}"
        )
    count, spacing = equally_spaced(run)
    return x[:count], spacing


def _dot(landscape: Landscape, a: Tensor, b: Tensor) -> Tensor:
    """a·b over the coordinates, which come last."""
    axes = tuple(range(-len(landscape.shape), 0))
    return (a * b).sum(axes) if axes else a * b
