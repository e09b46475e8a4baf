"""Noise that follows the friction: of cubic damping (M), and of an adaptive friction ξ (V)."""

from dataclasses import dataclass
from typing import Any

import torch

from ..elements import Scalar, exp, nonzero, phi1, sqrt
from ..part import NonNegative, Positive
from ..state import State
from .noisy import SILENCE, NoisyPart
from .ornstein_uhlenbeck import path, relaxed, spread


@dataclass(frozen=True)
class CubicNoise(NoisyPart):
    """dp = 2cT p dt + √(2cT) p dW (Itô), element by element; exact flow e^{cTh + √(2cTh) z} p.

    The noise that balances cubic damping: friction c p² asks for an amplitude √(2T·c p²), and its
    slope T ∂(c p²)/∂p = 2cT p is the drift in the sense of Itô. With `CubicDamping(c)` it keeps
    the law ∝ e^{−p²/(2T)}.

    c: that of `CubicDamping`, in units of 1/(time · momentum²); temperature: T in units of energy.
    """

    letter = "M"
    reads = ("p",)
    writes = ("p",)
    noisy = "p"
    c: NonNegative
    temperature: NonNegative

    def rate(self, s: State) -> dict[str, Any]:
        return {"p": 2 * self.c * self.temperature * s.p}

    def amplitude(self, s: State) -> Any:
        return sqrt(2 * self.c * self.temperature) * s.p

    def flow(self, s: State, h: Scalar, z: Any = SILENCE) -> None:
        w = self.c * self.temperature * h
        s.p = exp(w + sqrt(2 * w) * z[0]) * s.p


@dataclass(frozen=True)
class FrictionNoise(NoisyPart):
    """dξ = −α (ξ − ξ̄) dt + √(2αT/μ) dW around ξ̄ = σ²/(2T); exact flow

        e^{−αh} ξ + h φ₁(−αh) αξ̄ + √(T/μ (1 − e^{−2αh})) z.

    It keeps the law ∝ e^{−μ(ξ−ξ̄)²/(2T)} that a thermostat of mass μ has where the momenta feel a
    noise σ dW. At T = 0 (and σ = 0) it is the decay ξ' = −αξ of KFAD. With `scalar` one ξ, and one
    normal number, serve the whole system.

    alpha: α >= 0 in units of 1/time; mu: thermal mass μ > 0; temperature: T >= 0; sigma: σ >= 0.
    Raises ValueError for α, σ > 0 at T = 0, where no ξ̄ exists.
    """

    letter = "V"
    reads = ("xi",)
    writes = ("xi",)
    noisy = "xi"
    path_normals = 2
    alpha: NonNegative
    mu: Positive
    temperature: NonNegative
    sigma: NonNegative = 0.0
    scalar: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        alpha, cold, sigma = (
            torch.as_tensor(v) for v in (self.alpha, self.temperature, self.sigma)
        )
        if ((alpha > 0) & (cold == 0) & (sigma > 0)).any():
            raise ValueError(
                f"temperature must be > 0 where alpha and sigma are: the friction then relaxes to "
                f"σ²/(2T); got temperature = {self.temperature}, sigma = {self.sigma}, "
                f"alpha = {self.alpha} (in FrictionNoise)"
            )
        if self.scalar and sigma.ndim > 1:
            raise ValueError(
                "one friction for all coordinates balances noise of one size only; got a sigma "
                f"shaped {tuple(sigma.shape)}: use scalar=False (in FrictionNoise)"
            )

    @property
    def scalars(self) -> tuple[str, ...]:
        return ("xi",) if self.scalar else ()

    def _pull(self) -> Any:
        """αξ̄, which is 0 without noise at any temperature."""
        return self.alpha * self.sigma * self.sigma / nonzero(2 * self.temperature)

    def rate(self, s: State) -> dict[str, Any]:
        return {"xi": self._pull() - self.alpha * s.xi}

    def amplitude(self, s: State) -> Any:
        return sqrt(2 * self.alpha * self.temperature / self.mu)

    def flow(self, s: State, h: Scalar, z: Any = SILENCE) -> None:
        u = self.alpha * h
        shock = spread(self.temperature / self.mu, u)
        s.xi = relaxed(s.xi, u, shock, z) + h * phi1(-u) * self._pull()

    def increment(self, h: Scalar, z: Any) -> Any:
        return path(h, self.alpha * h, z)
