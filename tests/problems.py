"""Test problems, an order estimator and small independent implementations, shared by the tests."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dashpot.dynamics import (
    CADAM,
    CD,
    IKFAD,
    KFAD,
    LDHD,
    NAG,
    AdamODE,
    AdaptiveLangevin,
    BiasCorrectedDrift,
    Clock,
    CubicDamping,
    CubicLangevin,
    CubicLinearDamping,
    CubicNoise,
    Descent,
    DescentNoise,
    Diffusion,
    Drift,
    DriftOrnsteinUhlenbeck,
    Dynamics,
    FrictionNoise,
    GradientFlow,
    HighResolutionHB,
    HighResolutionNAGC,
    HighResolutionNAGSC,
    Kick,
    KineticFriction,
    Langevin,
    LinearDamping,
    MassiveDrift,
    ModifiedMomentum,
    MomentumDiffusion,
    MultiplicativeDescentNoise,
    MultiplicativeMomentumNoise,
    MultiplicativeNoise,
    Nesterov,
    NoisyPart,
    OrnsteinUhlenbeck,
    OverdampedLangevin,
    OverdampedNoise,
    Part,
    PreconditionedDrift,
    RankOneFriction,
    RisingKick,
    SecondMoment,
    SGDFlow,
    Thermostat,
    UniformMomentum,
    VanishingDamping,
    WeightDecay,
)
from dashpot.integrators import simulate, solve
from dashpot.landscapes import Landscape, Quadratic

ULP = 2.0**-52


def noise_of_position(x: Any) -> Any:
    """A standard deviation that depends on x and vanishes nowhere."""
    return 0.4 + 0.1 * x * x


NOISY_PARTS: list[NoisyPart] = [
    OrnsteinUhlenbeck(0.3, 0.7),
    OrnsteinUhlenbeck(0.0, 0.7),
    OrnsteinUhlenbeck(0.3, 0.0),
    DriftOrnsteinUhlenbeck(0.3, 0.7),
    DriftOrnsteinUhlenbeck(0.0, 0.7),
    Diffusion(0.4),
    MomentumDiffusion(0.4),
    OverdampedNoise(0.6),
    MultiplicativeNoise(noise_of_position),
    MultiplicativeMomentumNoise(noise_of_position),
    CubicNoise(0.7, 0.5),
    CubicNoise(0.7, 0.0),
    FrictionNoise(0.4, 0.8, 0.5, 0.3),
    FrictionNoise(0.0, 0.8, 0.5, 0.3),
    FrictionNoise(0.4, 0.8, 0.0),
    FrictionNoise(0.4, 0.8, 0.5, scalar=True),
    DescentNoise(0.1, 0.3),
    MultiplicativeDescentNoise(noise_of_position, 0.1),
]

PARTS: list[Part] = [
    *NOISY_PARTS,
    Thermostat(0.8, 0.5),
    Thermostat(0.8, 0.0),
    Thermostat(0.8, 0.5, scalar=True),
    Drift(),
    PreconditionedDrift(1e-3),
    PreconditionedDrift(0.0),
    BiasCorrectedDrift(1e-3, 0.4, 0.2),
    MassiveDrift(0.6),
    Clock(),
    Kick(),
    RisingKick(0.3),
    RisingKick(0.0),
    Descent(0.3),
    Descent(-0.3),
    SecondMoment(0.3),
    SecondMoment(0.0),
    LinearDamping(0.3),
    LinearDamping(0.0),
    VanishingDamping(3.0),
    VanishingDamping(2.5, onset=0.3),
    CubicDamping(0.7),
    CubicDamping(0.0),
    CubicLinearDamping(0.3, 0.7),
    CubicLinearDamping(0.0, 0.7),
    WeightDecay(0.2),
    KineticFriction(0.4, 0.8),
    KineticFriction(0.0, 0.8),
    KineticFriction(0.4, 0.8, scheme="rotation"),
    KineticFriction(0.0, 0.8, scheme="rotation"),
    KineticFriction(0.4, 0.8, scalar=True),
    KineticFriction(0.4, 0.8, scalar=True, scheme="rotation"),
    RankOneFriction(0.4, 0.8),
    RankOneFriction(0.0, 0.8, 0.2),
]
"""Every part of the package, with ordinary and limiting hyperparameters."""

CATALOGUE: list[Dynamics] = [
    LDHD(gamma=0.4),
    CD(gamma=0.3, c=0.8),
    KFAD(gamma=0.3, alpha=0.7, mu=0.9),
    IKFAD(gamma=0.3, alpha=0.7, mu=0.9),
    CADAM(gamma=0.3, alpha=0.6, c=0.5, eps=0.1),
]

MOMENTUM_FLOWS: list[Dynamics] = [
    GradientFlow(0.8),
    NAG(gamma=0.4, eta=0.2),
    Nesterov(),
    HighResolutionHB(mu=0.5, s=0.04),
    HighResolutionNAGSC(mu=0.5, s=0.04),
    HighResolutionNAGC(s=0.04),
    ModifiedMomentum(h=0.4, momentum=0.6),
    UniformMomentum(h=0.4, momentum=0.6, nesterov=True),
    AdamODE(gamma=0.3, alpha=0.6, eps=0.1),
]
"""Momentum methods as flows; those with a part F, an Euler step, have words of order 1."""


NOISY_DYNAMICS: list[Dynamics] = [
    Langevin(gamma=0.7, temperature=0.5),
    OverdampedLangevin(temperature=0.5),
    CubicLangevin(gamma=0.4, c=0.8, temperature=0.5),
    CubicLangevin(gamma=0.4, c=0.8, temperature=0.5, balanced=False),
    AdaptiveLangevin(gamma=0.3, temperature=0.5, mu=0.9, alpha=0.7, sigma=0.6),
    AdaptiveLangevin(gamma=0.3, temperature=0.5, mu=0.9, alpha=0.7, sigma=0.6, scalar=False),
    SGDFlow(lr=0.1, scale=0.3),
    SGDFlow(lr=0.1, scale=noise_of_position),
]
"""Every dynamics with noise."""


class CoupledQuartic(Landscape):
    """f = x²/2 + y² + (x⁴ + y⁴)/4 + x² y²/2: smooth, coupled, not quadratic, f* = 0 at 0."""

    def __init__(self) -> None:
        super().__init__(None, 2, name="coupled quartic", minimum=0.0, start=[1.0, -0.6])

    def f(self, x: Tensor) -> Tensor:
        a, b = x[0] * x[0], x[1] * x[1]
        return a / 2 + b + (a * a + b * b) / 4 + a * b / 2

    def df(self, x: Tensor) -> Tensor:
        a, b = x[0] * x[0], x[1] * x[1]
        return torch.stack((x[0] * (1 + a + b), x[1] * (2 + b + a)))


class CoupledMatrix(Landscape):
    """f = Σ (x²/2 + x⁴/4) + (Σ x)²/4 of a matrix, 3 × 2 by default, started off every symmetry."""

    def __init__(self, *shape: int) -> None:
        shape = shape or (3, 2)
        self.axes = tuple(range(len(shape)))
        start = torch.linspace(-0.7, 1.3, math.prod(shape), dtype=torch.float64).reshape(shape)
        super().__init__(None, shape, name="coupled matrix", minimum=0.0, start=start)

    def f(self, x: Tensor) -> Tensor:
        return (x**2 / 2 + x**4 / 4).sum(self.axes) + x.sum(self.axes) ** 2 / 4

    def df(self, x: Tensor) -> Tensor:
        return x + x**3 + x.sum(self.axes, keepdim=True) / 2


class Flat(Landscape):
    """A constant force: f = force · x, of which no minimum is known."""

    def __init__(self, force: Sequence[float]) -> None:
        self.force = torch.tensor(force, dtype=torch.float64)
        super().__init__(None, len(force), name="flat")

    def f(self, x: Tensor) -> Tensor:
        return (self.force.reshape(-1, *(1,) * (x.ndim - 1)) * x).sum(0)

    def df(self, x: Tensor) -> Tensor:
        return self.force.to(x.dtype).reshape(-1, *(1,) * (x.ndim - 1)).expand(x.shape)


class Watched(Landscape):
    """Another landscape that counts its gradients and may raise at the n-th.

    With the default error it is a watchdog: a loop that never ends becomes a failed test.
    """

    def __init__(
        self, inner: Landscape, raise_at: int = 20_000, error: type[BaseException] | None = None
    ) -> None:
        self.inner = inner
        self.raise_at = raise_at
        self.error = error or RuntimeError
        self.calls = 0
        super().__init__(
            None, inner.shape, name=inner.name, minimum=inner.minimum, start=inner.start
        )

    def f(self, x: Tensor) -> Tensor:
        return self.inner.f(x)

    def df(self, x: Tensor) -> Tensor:
        self.calls += 1
        if self.calls == self.raise_at:
            raise self.error(f"gradient number {self.calls}")
        return self.inner.df(x)


class Recording(CoupledQuartic):
    """Keeps the points at which gradients are taken."""

    def __init__(self) -> None:
        super().__init__()
        self.points: list[Tensor] = []

    def df(self, x: Tensor) -> Tensor:
        self.points.append(x.clone())
        return super().df(x)


def slope(sizes: Sequence[float], errors: Sequence[float]) -> float:
    """The exponent q in errors ~ sizes^q, by least squares on logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(errors), 1)[0])


def measured_order(
    dynamics: Dynamics,
    word: str,
    *,
    start: dict[str, Any] | None = None,
    landscape: Landscape | None = None,
    steps: Sequence[int] = (64, 128, 256),
    until: float = 1.0,
) -> float:
    """The order of a word at t = `until`, all variables included, against an adaptive reference."""
    landscape = landscape or CoupledQuartic()
    start = start or ordinary_start(dynamics)
    reference = solve(
        dynamics, landscape, start, until=until, times=[until], rtol=1e-12, atol=1e-14
    )
    errors = []
    for n in steps:
        run = simulate(dynamics, landscape, start, step=until / n, steps=n, word=word, save_every=n)
        errors.append(largest_difference(run.states, reference.states))
    return slope([until / n for n in steps], errors)


def ordinary_start(dynamics: Dynamics) -> dict[str, Any]:
    """A start off every symmetry; ζ starts at 1, where symmetric CADAM words keep their order."""
    known: dict[str, Any] = {"x": [1.0, -0.6], "p": [0.3, 0.5], "zeta": [1.0, 1.0], "t": 0.5}
    known["xi"] = 0.2 if "xi" in dynamics.scalars else [0.2, 0.1]
    return {name: known[name] for name in dynamics.variables}


def largest_difference(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    """The largest difference of the last saved states, over all variables."""
    assert a.keys() == b.keys()
    return max((a[name][-1] - b[name][-1]).abs().max().item() for name in a)


def step_matrix(dynamics: Dynamics, word: str, curvature: float, h: float) -> Tensor:
    """The 2 × 2 matrix of one step in (x, p) on f = curvature·x²/2."""
    units = {"x": [[1.0], [0.0]], "p": [[0.0], [1.0]]}
    run = simulate(dynamics, Quadratic(curvature), units, step=h, steps=1, word=word)
    return torch.stack((run["x"][-1, :, 0], run["p"][-1, :, 0]))


def growth(matrix: Tensor, squarings: int = 40) -> float:
    """The spectral radius by power iteration: ‖M^n‖^{1/n} with n = 2^squarings."""
    log_norm, power = 0.0, matrix
    for k in range(squarings):
        size = power.norm()
        log_norm += math.log(size.item()) / 2.0**k
        power = power / size
        power = power @ power
    return math.exp(log_norm)


def heavy_ball(
    gradient: Callable[[Tensor], Tensor], x0: Tensor, lr: float, beta: float, steps: int
) -> Tensor:
    """x_{n+1} = x_n + β (x_n − x_{n−1}) − lr ∇f(x_n) with x_{−1} = x_0: all iterates."""
    points = [x0]
    before = x0
    for _ in range(steps):
        x = points[-1]
        points.append(x + beta * (x - before) - lr * gradient(x))
        before = x
    return torch.stack(points)


def adam(
    gradient: Callable[[Tensor], Tensor],
    x0: Tensor,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    steps: int,
) -> Tensor:
    """Adam without bias correction (Kingma, Ba 2015, algorithm 1 with m̂ = m, v̂ = v)."""
    x, m, v = x0.clone(), torch.zeros_like(x0), torch.zeros_like(x0)
    points = [x]
    for _ in range(steps):
        g = gradient(x)
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        x = x - lr * m / (v.sqrt() + eps)
        points.append(x)
    return torch.stack(points)


def parameter(x: Any, dtype: torch.dtype = torch.float64) -> torch.nn.Parameter:
    values = x.detach().clone() if isinstance(x, Tensor) else torch.tensor(x, dtype=torch.float64)
    return torch.nn.Parameter(values.to(dtype))


def descend(
    optimizer: torch.optim.Optimizer, param: Tensor, landscape: Landscape, steps: int
) -> Tensor:
    """The points of a parameter, start included, with the landscape's gradient at each step."""
    points = [param.detach().clone()]
    for _ in range(steps):
        param.grad = landscape.df(param.detach())
        optimizer.step()
        points.append(param.detach().clone())
    return torch.stack(points)


def closure_of(
    optimizer: torch.optim.Optimizer, param: Tensor, landscape: Landscape
) -> Callable[[], Tensor]:
    def closure() -> Tensor:
        optimizer.zero_grad()
        param.grad = landscape.df(param.detach())
        return landscape.f(param.detach())

    return closure
