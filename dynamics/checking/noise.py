"""Does a part with noise keep its word? Moments of its flow, by quadrature over the noise."""

from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..noise.noisy import NoisyPart
from ..state import State

# of Gauss and Hermite per normal number, by how many there are: for polynomials of degree 63, 23
_NODES = {1: 32, 2: 12}
_SHORT = 1e-5  # time over which moments begin to grow, extrapolated to 0 with a third order error
_EXTRAPOLATION = ((1.0, 1 / 3), (0.5, -2.0), (0.25, 8 / 3))  # part of _SHORT, weight: h, h² cancel
_LONG = (0.03, 0.05)

MEANING = {
    "drift": "the mean of flow(h, z) does not begin to change at its rate",
    "amplitude": "the variance of flow(h, z) does not begin to grow at the square of its amplitude "
    "(and of no other variable than `noisy`)",
    "increment": "its increment(h, z) is not the Brownian motion W(h) of its flow, which has mean "
    "0, variance h, and a covariance with the flow that begins to grow at its amplitude",
    "law": "its flow is declared exact, but flow(a) then flow(b) has not the mean and covariance "
    "of flow(a + b), or not those together with W",
}
ALLOWED = {"drift": 1e-6, "amplitude": 1e-6, "increment": 1e-6, "law": 1e-10}


def errors_of_noise(part: NoisyPart, s: State) -> dict[str, float]:
    """How far mean and covariance of the flow are from those that the part declares.

    * "drift": d/dh E v at h = 0 is the rate, of every variable v that it writes
    * "amplitude": d/dh Var v is amplitude² of the noisy variable; all other covariances are 0
    * "increment": E W = 0 and Var W = h, and d/dh Cov(W, v) is the amplitude
    * "law" of an exact flow: moments of flow(b) flow(a) and W(a) + W(b) are those for a + b
    """
    drift, growth = _beginning(part, s)
    rates, sigma, noisy = part.rate(s), part.amplitude(s), part.noisy
    of_flow = {pair: value for pair, value in growth.items() if "W" not in pair}
    of_path = {pair: value for pair, value in growth.items() if pair not in of_flow}
    expected = {(noisy, noisy): sigma * sigma, (noisy, "W"): sigma, ("W", "W"): 1.0}
    whole = _moments(part, s, (sum(_LONG),))
    errors = {
        "drift": _largest({n: (drift[n], rates[n]) for n in part.writes}),
        "amplitude": _largest({p: (v, expected.get(p, 0.0)) for p, v in of_flow.items()}),
        "increment": max(
            _largest({p: (v, expected.get(p, 0.0)) for p, v in of_path.items()}),
            _largest(
                {"E": (whole.mean["W"], 0.0), "Var": (whole.covariance["W", "W"], sum(_LONG))}
            ),
        ),
    }
    if part.kind == "exact":
        in_two = _moments(part, s, _LONG)
        errors["law"] = max(
            _largest({n: (value, whole.mean[n]) for n, value in in_two.mean.items()}),
            _largest({p: (value, whole.covariance[p]) for p, value in in_two.covariance.items()}),
        )
    return errors


class _Moments(NamedTuple):
    """Means of the changes since the start, and covariances, of the variables and of W."""

    mean: dict[str, Tensor]
    covariance: dict[tuple[str, str], Tensor]


def _moments(part: NoisyPart, start: State, times: Sequence[float]) -> _Moments:
    """After flows for these times, each with normal numbers of its own."""
    normals = part.path_normals * len(times)
    count = _NODES[part.path_normals]
    nodes, weights = (torch.from_numpy(v) for v in np.polynomial.hermite_e.hermegauss(count))
    points = torch.cartesian_prod(*[nodes] * normals).reshape(-1, normals)
    weight = torch.cartesian_prod(*[weights] * normals).reshape(-1, normals).prod(1)
    weight = (weight / weight.sum())[:, None]

    def on_grid(value: Any) -> Any:  # a new axis before that of the systems
        if not isinstance(value, Tensor):
            return value
        return value.unsqueeze(-2).expand(*value.shape[:-1], len(points), value.shape[-1])

    at = State({n: on_grid(v) for n, v in start.__dict__.items() if n != "rank"}, start.rank)
    shape = getattr(at, part.noisy).shape
    path: Any = 0.0
    for k, time in enumerate(times):
        own = points[:, k * part.path_normals : (k + 1) * part.path_normals]
        z = [own[:, i, None].expand(shape) for i in range(part.path_normals)]
        part.flow(at, time, z[: part.normals])
        path = path + part.increment(time, z)
    change = {n: getattr(at, n) - on_grid(getattr(start, n)) for n in part.writes} | {"W": path}
    mean = {n: (weight * v).sum(-2) for n, v in change.items()}
    rest = {n: v - mean[n].unsqueeze(-2) for n, v in change.items()}
    pairs = combinations_with_replacement(rest, 2)
    return _Moments(mean, {(a, b): (weight * rest[a] * rest[b]).sum(-2) for a, b in pairs})


def _beginning(
    part: NoisyPart, s: State
) -> tuple[dict[str, Tensor], dict[tuple[str, str], Tensor]]:
    """d/dh at h = 0 of the means and of the covariances, extrapolated from three times."""
    mean: dict[str, Tensor] = {}
    covariance: dict[tuple[str, str], Tensor] = {}
    for share, weight in _EXTRAPOLATION:
        h = share * _SHORT
        moments = _moments(part, s, (h,))
        for name, value in moments.mean.items():
            mean[name] = mean.get(name, 0.0) + weight / h * value
        for pair, value in moments.covariance.items():
            covariance[pair] = covariance.get(pair, 0.0) + weight / h * value
    return mean, covariance


def _largest(pairs: dict[Any, tuple[Tensor, Any]]) -> float:
    """The largest difference, relative to 1 + the expected value; NaN if there is one."""
    errors = [
        ((value - expected).abs() / (1 + torch.as_tensor(expected).abs())).max()
        for value, expected in pairs.values()
    ]
    return torch.stack(errors).max().item()
