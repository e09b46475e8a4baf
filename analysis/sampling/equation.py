"""Exact means and covariances of the equation itself on one quadratic mode.

Read off the dynamics' own rate and amplitudes on f = ½kx².
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from numpy.typing import ArrayLike
from scipy.linalg import expm
from torch import Tensor

from ...dynamics import Dynamics, NoisyPart, State
from ..stability.linear import broadcast
from .affine import affine, at_rest, kron, laws, names_of, outer

_MARGIN = 1e-14  # relative to the fastest rate: what round-off leaves of a rate of 0


def exact_moments(
    dynamics: Dynamics,
    curvature: ArrayLike | Tensor,
    time: ArrayLike | Tensor,
    mean: ArrayLike | Tensor,
    covariance: ArrayLike | Tensor,
    values: Mapping[str, Any] | None = None,
) -> tuple[Tensor, Tensor]:
    """Mean [..., n] and covariance [..., n, n] of the dynamics itself on f = ½kx² at `time`.

    The equation's rate is linear in y = (x, p); its amplitudes may be affine, σ = b + B y, so
    that such multiplicative noise is included. The moments (1, m, E y yᵀ) then obey a linear
    equation, solved by one matrix exponential. (Van Loan's holds e^{+γt}, which overflows.)
    Raises ValueError as `moment_map` does.
    """
    law = _Law(dynamics, curvature, time, values)
    n = law.size
    first, spread = laws(mean, covariance, n)
    batch = torch.broadcast_shapes(first.shape[:-1], spread.shape[:-2], law.time.shape)
    first = first.broadcast_to(*batch, n)
    second = (spread + outer(first)).flatten(-2)
    start = torch.cat((torch.ones_like(first[..., :1]), first, second), -1)
    # scipy's: torch's matrix_exp is wrong by 4e-11 for small matrices
    flow = torch.from_numpy(expm((law.generator * law.time[..., None, None]).numpy()))
    end = (flow @ start[..., None])[..., 1:, 0]
    first, second = end[..., :n], end[..., n:].unflatten(-1, (n, n))
    return first, second - outer(first)


def stationary_exact(
    dynamics: Dynamics,
    curvature: ArrayLike | Tensor = 1.0,
    values: Mapping[str, Any] | None = None,
) -> Tensor:
    """The stationary covariance [..., n, n] of the dynamics itself on f = ½kx².

    NaN where there is none, or where the variance grows. Raises ValueError as `moment_map` does.
    """
    law = _Law(dynamics, curvature, 1.0, values)
    first = 1 + law.size
    change = law.generator[..., first:, first:]
    noise = law.generator[..., first:, 0].unflatten(-1, (law.size, law.size))
    roots = torch.linalg.eigvals(change)
    decays = roots.real.amax(-1) < -_MARGIN * roots.abs().amax(-1)
    return at_rest(change, noise, decays)


class _Law:
    """The linear equation of (1, m, E y yᵀ), [..., 1 + n + n², 1 + n + n²] for every mode."""

    def __init__(
        self,
        dynamics: Dynamics,
        curvature: ArrayLike | Tensor,
        time: ArrayLike | Tensor,
        values: Mapping[str, Any] | None,
    ) -> None:
        names = names_of(dynamics)
        self.time, curvature, bound = broadcast(dynamics, time, curvature, values)
        self.size = n = len(names)
        flat, made = curvature.flatten(), dynamics.bind(bound)

        def state(y: Sequence[Tensor]) -> State:
            s = State(dict(zip(names, y, strict=True)))
            s.g = flat * s.x
            return s

        def rate(y: Sequence[Tensor]) -> list[Any]:
            rates = made.rate(state(y))
            return [rates.get(name, 0.0) for name in names]

        drift = affine(rate, n, flat.numel(), f"{dynamics.name}: the rate", homogeneous=True)[1]
        eye = torch.eye(n, dtype=torch.float64)
        generator = torch.zeros(flat.numel(), *(1 + n + n * n,) * 2, dtype=torch.float64)
        mean, second = slice(1, 1 + n), slice(1 + n, None)
        generator[:, mean, mean] = drift
        generator[:, second, second] = kron(drift, eye) + kron(eye, drift)
        noisy = [part for part in made.parts.values() if isinstance(part, NoisyPart)]
        for driver in sorted({part.driver for part in noisy}):

            def amplitude(y: Sequence[Tensor], driver: str = driver) -> list[Any]:
                s, total = state(y), dict.fromkeys(names, 0.0)
                for part in noisy:
                    if part.driver == driver:
                        total[part.noisy] = total[part.noisy] + part.amplitude(s)
                return [total[name] for name in names]

            what = f"{dynamics.name}: the amplitude of the noise {driver}"
            b, slope = affine(amplitude, n, flat.numel(), what, homogeneous=False)
            b = b[..., None]
            generator[:, second, 0] += kron(b, b)[..., 0]
            generator[:, second, mean] += kron(b, slope) + kron(slope, b)
            generator[:, second, second] += kron(slope, slope)
        self.generator = generator.reshape(*self.time.shape, *generator.shape[1:])


def sgd_interpolation(lr: float, curvature: float, gradient_noise: float) -> tuple[float, float]:
    """k′ and D of the equation dX = −k′X dt + D dW that SGD follows exactly at t = n lr.

    On f = ½kx² with gradients kx + sε: k′ = −ln(1 − ηk)/η and D² = 2k′η²s²/(1 − (1 − ηk)²), with
    η = `lr`, k = `curvature` and s = `gradient_noise`; the first stochastic modified equation has
    k and ηs² in their place. ValueError unless 0 < ηk < 1.
    """
    if not 0 < lr * curvature < 1:
        raise ValueError(
            f"only for 0 < lr · curvature < 1 does SGD pass through a flow without changing sides; "
            f"got {lr} · {curvature}"
        )
    rate = -math.log1p(-lr * curvature) / lr
    variance = (lr * gradient_noise) ** 2 / -math.expm1(-2 * lr * rate)
    return rate, math.sqrt(2 * rate * variance)
