"""A run's histogram beside the Gibbs density, with the errors that its correlations leave."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...integrators import Trajectory
from ...landscapes import Landscape
from .autocorrelation import Array
from .averages import Average, Series, array, average, kept
from .counts import ChiSquare, block_shares, chi_square
from .gibbs import (
    Potential,
    bin_probabilities,
    check_density,
    minus_log,
    potential_of,
    support,
)
from .observables import DISCARD, equally_spaced

_TAIL = 1e-4  # probability left outside the bins on each side
_BLOCK = 10.0  # autocorrelation times per block
_MOST_BLOCKS = 64  # per trajectory
_LEAST_BLOCKS = 10  # in all


@dataclass(frozen=True)
class GibbsComparison:
    """A histogram of one or two coordinates and what the Gibbs law gives for the same bins.

    edges              of the bins, one array for each of `coordinates`
    density            of the samples, per unit of length or area, [n] or [n, n]
    expected           the Gibbs density, averaged over each bin
    errors             standard errors of `density`, autocorrelation included
    outside            shares of the samples and of the Gibbs law beyond the bins
    chi_square         χ² of the shares, its degrees of freedom, effective size and p value
    total_variation    ½ Σ |share − expected|, what is outside counted as one bin
    noise              what sampling errors alone contribute to it on average
    enough             False if the samples do not support these errors; `message` says why
    """

    edges: tuple[Array, ...]
    density: Array
    expected: Array
    errors: Array
    outside: tuple[float, float]
    chi_square: ChiSquare
    total_variation: float
    noise: float
    coordinates: tuple[int, ...]
    temperature: float
    landscape: str
    enough: bool
    message: str

    def __str__(self) -> str:
        chi = self.chi_square
        text = (
            f"{self.landscape} at T = {self.temperature:g}: total variation "
            f"{self.total_variation:.2g} ({self.noise:.2g} from sampling alone), χ² = "
            f"{chi.value:.3g} for {chi.degrees} degrees of freedom, p = {chi.p_value:.2g}"
        )
        return text if self.enough else f"{text}; not to be relied on: {self.message}"


def compare_with_gibbs(
    samples: Trajectory | Series,
    landscape: Landscape,
    temperature: float,
    *,
    coordinates: int | Sequence[int] = (0,),
    bins: int = 24,
    span: Sequence[tuple[float, float]] | None = None,
    discard: float | None = None,
    marginal: Callable[..., Array] | None = None,
) -> GibbsComparison:
    """Compare the marginal law of one or two coordinates with that of e^{−f/T}.

    samples      a run, or positions in time order, [T, *shape] or [T, *batch, *shape]
    coordinates  which of the (flattened) coordinates, one or two
    bins         per coordinate, of equal width
    span         (low, high) per coordinate; None: all but 1e-4 of the Gibbs law on either side
    discard      fraction left out at the start; None: 0.1 of a run, nothing of samples
    marginal     the density of these coordinates up to a factor, for landscapes of more than two
                 dimensions; those of one or two are integrated by quadrature. A function
                 `marginal(x)` or `marginal(x, y)` of numpy arrays [n], with numpy's functions,
                 that returns the density (not its logarithm) at each point, [n]:

                     compare_with_gibbs(x, Funnel(10), 1.0, marginal=lambda v: np.exp(-v**2 / 18))

    The errors come from the spread of the shares over blocks of at least ten autocorrelation
    times, and are never smaller than those of independent samples. The p value comes from the same
    spread (see `counts.chi_square`): a hop between wells moves many bins at once, which plain χ²
    with an effective sample size would count as many deviations.

    Raises ValueError for arguments that do not fit, for a temperature that is not > 0, for fewer
    than ten samples, and if the Gibbs law cannot be normalised.
    """
    chosen = _checked(coordinates, landscape, bins, temperature, marginal)
    points, lost = _points(samples, landscape, discard)
    if marginal is not None:
        check_density(marginal, points[:, chosen])
    edges, expected = _law(points, landscape, temperature, chosen, bins, span, marginal)
    points = points[:, chosen]
    slowest = _slowest(points)
    size = points.shape[0] * points.shape[2]
    tau = slowest.tau if math.isfinite(slowest.tau) else float(size)
    shares = block_shares(points, edges, _blocks(points, tau))
    mean, inner = shares.mean(0), (slice(1, -1),) * len(edges)
    spread = shares.std(0, ddof=1) / math.sqrt(len(shares))
    errors = np.maximum(spread, np.sqrt(expected * (1 - expected) / size))
    volume = math.prod(np.ix_(*map(np.diff, edges)), start=np.ones(1))
    outside = (1 - float(mean[inner].sum()), 1 - float(expected[inner].sum()))
    deviation = float(np.abs(mean - expected)[inner].sum()) + abs(outside[0] - outside[1])
    messages = (f"{lost} trajectories were lost" if lost else "", slowest.message)
    return GibbsComparison(
        edges=tuple(edges),
        density=mean[inner] / volume,
        expected=expected[inner] / volume,
        errors=errors[inner] / volume,
        outside=outside,
        chi_square=chi_square(shares.reshape(len(shares), -1), expected.ravel(), size, size / tau),
        total_variation=0.5 * deviation,
        noise=0.5 * math.sqrt(2 / math.pi) * float(errors[inner].sum()),
        coordinates=tuple(chosen),
        temperature=float(temperature),
        landscape=landscape.name,
        enough=not any(messages),
        message="; ".join(filter(None, messages)),
    )


def _law(
    points: Array,
    landscape: Landscape,
    temperature: float,
    chosen: list[int],
    bins: int,
    span: Sequence[tuple[float, float]] | None,
    marginal: Callable[..., Array] | None,
) -> tuple[list[Array], Array]:
    """The bins' edges and the Gibbs law's share of every bin, around the samples [T, d, M]."""
    if marginal is None:
        order = [*chosen, *(k for k in range(landscape.dimension) if k not in chosen)]
        potential = potential_of(landscape, temperature, order)
    else:
        order, potential = chosen, minus_log(marginal)
    low, high = points[:, order].min((0, 2)), points[:, order].max((0, 2))
    room = 1e-6 * (1 + np.abs(low))
    low, high = support(potential, low - room, high + room)
    edges = _edges(potential, low, high, len(chosen), bins, span)
    return edges, bin_probabilities(potential, low, high, edges)


def _blocks(points: Array, tau: float) -> int:
    """Into how many blocks each trajectory is cut."""
    wanted = math.ceil(_LEAST_BLOCKS / points.shape[2])
    return int(np.clip(len(points) / (_BLOCK * tau), wanted, max(wanted, _MOST_BLOCKS)))


def _points(
    samples: Trajectory | Series, landscape: Landscape, discard: float | None
) -> tuple[Array, int]:
    """Positions [T, d, M] of the trajectories that stayed finite, and how many did not."""
    if isinstance(samples, Trajectory):
        count, _ = equally_spaced(samples)
        x, start = array(samples["x"])[:count], DISCARD
    else:
        x, start = array(samples), 0.0
    axes = len(landscape.shape)
    if x.ndim <= axes or x.shape[x.ndim - axes :] != landscape.shape:
        wanted = ", ".join(("T", "...", *map(str, landscape.shape)))
        raise ValueError(f"samples of {landscape!r} have shape [{wanted}]; got {list(x.shape)}")
    x = np.moveaxis(x.reshape(len(x), -1, landscape.dimension), 2, 1)
    x, lost = kept(x, start if discard is None else discard, groups=landscape.dimension)
    if x.size == 0:
        raise ValueError(f"none of the {lost} trajectories on {landscape!r} stayed finite")
    if x.size < _LEAST_BLOCKS * landscape.dimension:
        raise ValueError(f"a histogram needs at least {_LEAST_BLOCKS} samples")
    return x.reshape(len(x), landscape.dimension, -1), lost


def _checked(
    coordinates: int | Sequence[int],
    landscape: Landscape,
    bins: int,
    temperature: float,
    marginal: Callable[..., Array] | None,
) -> list[int]:
    chosen = [int(one) for one in np.atleast_1d(coordinates)]
    d = landscape.dimension
    if len(chosen) not in (1, 2) or len(set(chosen)) < len(chosen):
        raise ValueError(f"coordinates must be one or two different ones; got {tuple(chosen)}")
    if not all(0 <= k < d for k in chosen):
        raise ValueError(f"{landscape!r} has coordinates 0 to {d - 1}; got {tuple(chosen)}")
    if marginal is None and d > 2:
        raise ValueError(
            f"the marginal law of {landscape!r} is an integral over {d} dimensions; quadrature "
            "does one or two: give `marginal`, its density up to a factor"
        )
    if not (temperature > 0 and math.isfinite(temperature)):
        raise ValueError(f"temperature must be a finite number > 0; got {temperature!r}")
    if bins < 2:
        raise ValueError(f"bins must be at least 2; got {bins!r}")
    return chosen


def _edges(
    potential: Potential,
    low: Array,
    high: Array,
    count: int,
    bins: int,
    span: Sequence[tuple[float, float]] | None,
) -> list[Array]:
    if span is not None:
        if len(span) != count or not all(a < b for a, b in span):
            raise ValueError(f"span must be (low, high) for each coordinate; got {span!r}")
        return [np.linspace(a, b, bins + 1) for a, b in span]
    fine = [np.linspace(low[k], high[k], 65) for k in range(count)]
    masses = bin_probabilities(potential, low, high, fine)
    edges = []
    for axis, ends in enumerate(fine):
        mass = masses.sum(tuple(k for k in range(count) if k != axis))[1:-1]
        reached = np.concatenate(([0.0], np.cumsum(mass)))
        a, b = np.interp([_TAIL, 1 - _TAIL], reached, ends)
        edges.append(np.linspace(a, b, bins + 1))
    return edges


def _slowest(points: Array) -> Average:
    """The average with the longest memory among those of every coordinate and its distance."""
    found = []
    for values in points.swapaxes(0, 1):
        found += [average(values), average(np.abs(values - values.mean()))]
    return max(found, key=lambda one: one.tau if math.isfinite(one.tau) else math.inf)
