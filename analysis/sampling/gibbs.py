"""The Gibbs law's probabilities by quadrature, in one or two dimensions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from ...landscapes import Landscape
from .autocorrelation import Array

Potential = Callable[[Array], Array]
"""Minus the logarithm of a density up to a constant, at points [n, k]: [n]."""

_DEEP = 35.0  # e^{−35} < 1e−15 of the peak: beyond it lies nothing that matters
_SIDE = 65  # points per side when the box is looked for
_LOOKED_AT = 100  # samples
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)
_PANELS = (16, 32, 64, 128, 256)
_CONVERGED = 1e-8


def potential_of(landscape: Landscape, temperature: float, order: Sequence[int]) -> Potential:
    """f/T of a landscape, at points whose coordinates stand in this order."""
    places = np.argsort(order)

    def potential(points: Array) -> Array:
        x = torch.from_numpy(np.ascontiguousarray(points[:, places]))
        return landscape(x.reshape(-1, *landscape.shape)).numpy() / temperature

    return potential


def minus_log(density: Callable[..., Array]) -> Potential:
    """The potential of a density of arrays [n], one for each coordinate."""

    def potential(points: Array) -> Array:
        with np.errstate(divide="ignore"):
            return -np.log(np.asarray(density(*points.T), dtype=float))

    return potential


def check_density(density: Callable[..., Array], samples: Array) -> None:
    """TypeError or ValueError, before any work, for a marginal density of another kind.

    It is looked at on some of the samples [T, k, M].
    """
    every = np.moveaxis(samples, 1, 2).reshape(-1, samples.shape[1])
    points = every[:: -(-len(every) // _LOOKED_AT)]
    wanted = (
        "marginal must be a function of numpy arrays [n], one for each coordinate, that returns "
        "the density at each point, [n], such as lambda x: np.exp(-x**2 / 2)"
    )
    try:
        found = np.asarray(density(*points.T), dtype=float)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{wanted}; it raised {type(error).__name__}: {error}") from error
    if found.shape != points.shape[:1]:
        raise ValueError(f"{wanted}; for {len(points)} points it returned shape {found.shape}")
    if (found < 0).any():
        raise ValueError(
            f"{wanted}; it returned {found.min():.3g}, and a density is not negative: if this is "
            "its logarithm, give np.exp of it"
        )
    if not np.isfinite(found).all() or not found.any():
        raise ValueError(f"{wanted}; at the samples it is {found[:3]}...")


def support(potential: Potential, low: Array, high: Array) -> tuple[Array, Array]:
    """A box around the box [low, high] outside of which e^{−potential} is nothing.

    The sides move outwards until the potential on all of them is 35 above the least that was seen.
    Raises ValueError if they do not get there: then the law cannot be normalised.
    """
    low, high = low.astype(float), high.astype(float)
    least = np.inf
    for _ in range(60):
        sides = [np.linspace(a, b, _SIDE) for a, b in zip(low, high, strict=True)]
        values = _values(potential, sides)
        least = min(least, float(np.nanmin(values)))
        open_sides = False
        width = high - low
        for axis in range(len(sides)):
            for end, corner, sign in ((0, low, -1), (-1, high, 1)):
                if not float(np.min(np.take(values, end, axis))) >= least + _DEEP:
                    corner[axis] += 0.25 * sign * width[axis]
                    open_sides = True
        if not open_sides:
            return low, high
    raise ValueError(
        "e^{−f/T} cannot be normalised: f does not grow by 35 T on all sides of the samples "
        f"(looked from {np.round(low, 3).tolist()} to {np.round(high, 3).tolist()})"
    )


def bin_probabilities(
    potential: Potential, low: Array, high: Array, edges: Sequence[Array]
) -> Array:
    """Probabilities of bins of the first coordinates, [n + 2] or [n₁ + 2, n₂ + 2].

    The first and the last bin of a coordinate hold what lies below and above its edges; the
    coordinates without edges are integrated out. Composite Gauss–Legendre quadrature over the box,
    in panels that end at the edges, halved until no probability changes by more than 1e-8.
    """
    before = None
    for panels in _PANELS:
        found = _probabilities(potential, low, high, edges, panels)
        if before is not None and np.abs(found - before).max() <= _CONVERGED:
            return found
        before = found
    raise ValueError(
        f"the Gibbs density has features narrower than 1/{_PANELS[-1]} of the box around the "
        "samples; leave outliers out, take a higher temperature, or give `marginal`"
    )


def _probabilities(
    potential: Potential, low: Array, high: Array, edges: Sequence[Array], panels: int
) -> Array:
    nodes, weights = [], []
    for axis, (a, b) in enumerate(zip(low, high, strict=True)):
        ends = np.linspace(a, b, panels + 1)
        if axis < len(edges):
            inner = edges[axis][(edges[axis] > a) & (edges[axis] < b)]
            ends = np.unique(np.concatenate((ends, inner)))
        half = np.diff(ends)[:, None] / 2
        nodes.append((ends[:-1, None] + half + half * _NODES).ravel())
        weights.append((half * _WEIGHTS).ravel())
    values = _values(potential, nodes)
    mass = np.exp(np.nanmin(values) - values)
    for axis, weight in enumerate(weights):
        mass = mass * weight.reshape([-1 if k == axis else 1 for k in range(len(weights))])
    mass = mass.sum(axis=tuple(range(len(edges), len(nodes))))
    for axis, edge in enumerate(edges):
        totals = np.zeros((len(edge) + 1, *np.delete(mass.shape, axis)))
        np.add.at(totals, np.searchsorted(edge, nodes[axis]), np.moveaxis(mass, axis, 0))
        mass = np.moveaxis(totals, 0, axis)
    return mass / mass.sum()


def _values(potential: Potential, sides: Sequence[Array]) -> Array:
    grid = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1)
    return np.asarray(potential(grid.reshape(-1, len(sides)))).reshape(grid.shape[:-1])
