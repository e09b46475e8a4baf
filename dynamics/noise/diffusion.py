"""Letter N: noise without a drift, on the positions or on the momenta."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from ..call import name_of
from ..elements import Scalar, sqrt
from ..part import NonNegative
from ..state import State
from .noisy import SILENCE, NoisyPart

Scale = Callable[[Any], Any]
"""σ(x): takes x with its coordinates first, returns what broadcasts against it."""


class PureNoise(NoisyPart, abstract=True):
    """dv = σ dW (Itô) for the variable v = `noisy`; the flow is v + σ √h z.

    It is the solution where σ does not depend on v, and the step of Euler–Maruyama where it does.
    A subclass gives `amplitude`, the σ.
    """

    letter = "N"
    reads: ClassVar[tuple[str, ...]] = ()

    def rate(self, s: State) -> dict[str, Any]:
        return {self.noisy: 0.0 * getattr(s, self.noisy)}

    def flow(self, s: State, h: Scalar, z: Any = SILENCE) -> None:
        setattr(s, self.noisy, getattr(s, self.noisy) + self.amplitude(s) * sqrt(h) * z[0])


@dataclass(frozen=True)
class Diffusion(PureNoise):
    """dx = σ dW; exact flow x + σ √h z, with σ = `sigma` in units of length/√time."""

    writes = ("x",)
    noisy = "x"
    sigma: NonNegative

    def amplitude(self, s: State) -> Any:
        return self.sigma


@dataclass(frozen=True)
class MomentumDiffusion(PureNoise):
    """dp = σ dW; exact flow p + σ √h z, with σ = `sigma` in units of momentum/√time."""

    writes = ("p",)
    noisy = "p"
    sigma: NonNegative

    def amplitude(self, s: State) -> Any:
        return self.sigma


@dataclass(frozen=True)
class OverdampedNoise(PureNoise):
    """dx = √(2T) dW: the noise that balances x' = −∇f; exact flow x + √(2Th) z."""

    writes = ("x",)
    noisy = "x"
    temperature: NonNegative

    def amplitude(self, s: State) -> Any:
        return sqrt(2 * self.temperature)


@dataclass(frozen=True, repr=False)
class _OfPosition(PureNoise, abstract=True):
    """Noise whose size is a function of x."""

    reads: ClassVar[tuple[str, ...]] = ("x",)
    scale: Scale

    def __post_init__(self) -> None:
        if not callable(self.scale):
            raise TypeError(
                f"scale must be a function of x, such as lambda x: 0.1 * x; got {self.scale!r} "
                f"(in {type(self).__name__}; a constant one is that of Diffusion(sigma))"
            )
        super().__post_init__()

    def amplitude(self, s: State) -> Any:
        sigma = self.scale(s.x)
        shape, wanted = getattr(sigma, "shape", ()), getattr(s.x, "shape", None)
        if wanted is not None and not _fits(shape, wanted):
            raise ValueError(
                f"scale(x) must be shaped like x, {tuple(wanted)}, or broadcast to it; got "
                f"{tuple(shape)}: noise is diagonal, give one standard deviation per coordinate"
            )
        return sigma

    def __repr__(self) -> str:
        values = {"scale": name_of(self.scale), **self.hyperparameters}
        return f"{type(self).__name__}({', '.join(f'{n}={v}' for n, v in values.items())})"


@dataclass(frozen=True, repr=False)
class MultiplicativeNoise(_OfPosition):
    """dx = σ(x) dW (Itô), element by element; one step x + σ(x) √h z of Euler–Maruyama.

    There is no closed form for a general σ: the flow is consistent, words with it have weak order
    1 and strong order ½.

    scale: the function σ of x, coordinates first ([d, ...]), in + - * / ** and the functions of
    `dashpot.dynamics.elements`; it returns what broadcasts against x.
    """

    writes = ("x",)
    noisy = "x"
    kind = "consistent"


@dataclass(frozen=True, repr=False)
class MultiplicativeMomentumNoise(_OfPosition):
    """dp = σ(x) dW, element by element; exact flow p + σ(x) √h z, because x stands still meanwhile.

    scale: as for `MultiplicativeNoise`.
    """

    writes = ("p",)
    noisy = "p"


def _fits(shape: Any, wanted: Any) -> bool:
    """Whether an array of one shape broadcasts to the other."""
    pairs = zip(reversed(shape), reversed(wanted), strict=False)
    return len(shape) <= len(wanted) and all(a in (1, b) for a, b in pairs)
