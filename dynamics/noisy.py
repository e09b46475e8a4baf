"""A part with noise: a drift and an independent Brownian motion for every coordinate."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from .elements import Scalar, sqrt
from .part import Part
from .state import State

SILENCE = (0.0, 0.0)
"""Normal numbers for a flow without its noise."""


class NoisyPart(Part, abstract=True):
    """dv = rate dt + σ dW with σ = `amplitude`, in the sense of Itô; v is the variable `noisy`.

        @dataclass(frozen=True)
        class Diffusion(NoisyPart):
            '''dx = σ dW; exact flow x + σ √h z.'''
            letter, reads, writes, noisy = "N", (), ("x",), "x"
            sigma: NonNegative
            def rate(self, s):               return {"x": 0.0 * s.x}
            def amplitude(self, s):          return self.sigma
            def flow(self, s, h, z=SILENCE): s.x = s.x + self.sigma * sqrt(h) * z[0]

    Noise is diagonal: every coordinate of v has a Brownian motion of its own. The flow takes
    `normals` independent standard normal numbers per coordinate, z[0], z[1], ..., each shaped
    like v. Its kind is a statement about laws: "exact" if flow(h, z) has the law of the solution
    (and flow(a) then flow(b) that of flow(a + b)), "consistent" if only mean and variance are
    right to first order in h.

    Class facts besides those of a `Part`
        noisy         the variable with noise
        normals       standard normal numbers per coordinate that the flow takes, 1 or 2
        path_normals  those that determine W's own increment (see `increment`): `normals` of them,
                      or 2
        driver        letter of the Brownian motion: parts that share it share their W
    """

    noisy: ClassVar[str]
    normals: ClassVar[int] = 1
    path_normals: ClassVar[int] = 1
    reversible: ClassVar[bool] = False

    def __init_subclass__(cls, *, abstract: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(abstract=abstract, **kwargs)
        if abstract:
            return
        if cls.kind == "symmetric":
            raise TypeError(
                f"{cls.__name__}.kind must be 'exact' or 'consistent': a flow with noise is "
                "not undone by the flow backwards; got 'symmetric'"
            )
        if cls.path_normals not in (1, 2) or not 1 <= cls.normals <= cls.path_normals:
            raise TypeError(
                f"{cls.__name__} needs 1 <= normals <= path_normals <= 2, whole numbers; got "
                f"normals={cls.normals!r}, path_normals={cls.path_normals!r}"
            )
        if getattr(cls, "noisy", None) not in cls.writes:
            raise TypeError(
                f"{cls.__name__}.noisy must name the variable with noise, one of "
                f"{cls.writes}; got {getattr(cls, 'noisy', None)!r}"
            )

    @property
    def driver(self) -> str:
        return self.letter

    @property
    def has_flow(self) -> bool:
        return type(self).flow is not NoisyPart.flow

    def amplitude(self, s: State) -> Any:
        """σ at the state `s`: a number, or one for every coordinate of the variable `noisy`."""
        raise NotImplementedError(f"{type(self).__name__} has no amplitude")

    def flow(self, s: State, h: Scalar, z: Any = SILENCE) -> None:
        """Advance `s` by the time h under this part alone, with the normal numbers z."""
        super().flow(s, h)

    def increment(self, h: Scalar, z: Any) -> Any:
        """W(h) of the Brownian motion whose flow takes z[:normals]; needs z[:path_normals].

        With a flow that takes one normal number for the integral of the noise itself: √h z[0].
        """
        return sqrt(h) * z[0]


def heating(part: NoisyPart, s: State, energy: Callable[[State], Any]) -> Any:
    """½ Σ σᵢ² ∂²E/∂vᵢ²: the expected rate at which the noise of a part raises an energy (Itô).

    Needs tensors. One second derivative per coordinate of v: E need not be a sum over them.
    """
    name = part.noisy
    if name == "x":
        raise ValueError(
            f"the expected energy rate with noise on x ({type(part).__name__}) has the term "
            "½ Σ σ² ∂²f/∂x², and only the gradient of f is known here; take the slope of "
            "run.energy, averaged over many trajectories"
        )
    v: Tensor = getattr(s, name)
    own = part.shape_of(name, tuple(s.x.shape[: s.rank]))
    batch, count = v.shape[len(own) :], math.prod(own)
    strength = torch.as_tensor(part.amplitude(s), dtype=v.dtype) ** 2
    strength = strength.expand(v.shape).reshape(count, *batch)

    def stored(value: Tensor) -> Tensor:
        return torch.as_tensor(energy(s.copy(**{name: value})))

    def curvature(i: int) -> Tensor:
        along = torch.zeros_like(v).reshape(count, *batch)
        along[i] = 1.0
        along = along.reshape(v.shape)

        def slope(value: Tensor) -> Tensor:
            return torch.func.jvp(stored, (value,), (along,))[1]

        return torch.func.jvp(slope, (v,), (along,))[1]

    return sum(0.5 * strength[i] * curvature(i) for i in range(count))
