"""A part with noise: a drift and an independent Brownian motion for every coordinate."""

import math
from collections.abc import Callable
from dataclasses import fields
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ..elements import Scalar, sqrt
from ..part import Part, is_letter, ranges
from ..state import State

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
    right to first order in h. A consistent flow takes z = W(h)/√h, of any W: it has one normal
    number and the inherited `increment`.

    Class facts besides those of a `Part`
        noisy         the variable with noise
        normals       standard normal numbers per coordinate that the flow takes, 1 or 2
        path_normals  those that determine W's own increment (see `increment`): `normals` of them,
                      or 2
        driver        letter of its Brownian motion: its own `letter`, but for a part that combines
                      a noisy one with others (`split`) that one's. No other two parts of a
                      dynamics share a driver: correlated noise is not supported

    A flow may be left out: "euler-maruyama" and "heun" need rate and amplitude only. Noise is
    diagonal in its hyperparameters too: those that differ between the coordinates are shaped
    [d, 1]; a symmetric square matrix is taken for a covariance and refused (ValueError), unless
    all its numbers are equal.
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
        own = cls.increment is not NoisyPart.increment
        if cls.kind == "consistent" and (cls.path_normals != 1 or own):
            found = f"normals={cls.normals}, path_normals={cls.path_normals}"
            raise TypeError(
                f"{cls.__name__}: a flow of kind 'consistent' gets W/√h as its normal number, so "
                "it must have normals = path_normals = 1 and the inherited increment; got "
                f"{'an increment of its own' if own else found}"
            )
        if cls.amplitude is NoisyPart.amplitude:
            raise TypeError(
                f"{cls.__name__} must declare `amplitude`; see NoisyPart for an example"
            )
        if getattr(cls, "noisy", None) not in cls.writes:
            raise TypeError(
                f"{cls.__name__}.noisy must name the variable with noise, one of "
                f"{cls.writes}; got {getattr(cls, 'noisy', None)!r}"
            )

    def __post_init__(self) -> None:
        if not is_letter(self.driver):
            raise TypeError(
                f"{type(self).__name__}.driver must be one capital A to Z; got {self.driver!r}"
            )
        numbers = ranges(type(self))
        for field in fields(self):
            if field.name in numbers or field.name in self.hyperparameters:
                _refuse_a_matrix(type(self).__name__, field.name, getattr(self, field.name))
        super().__post_init__()

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
        raise NotImplementedError(
            f"{type(self).__name__} has no flow, so it cannot stand in a word; use "
            'method="euler-maruyama" or "heun", which need its rate and amplitude only'
        )

    def increment(self, h: Scalar, z: Any) -> Any:
        """W(h) of the Brownian motion whose flow takes z[:normals]; needs z[:path_normals].

        With a flow that takes one normal number for the integral of the noise itself: √h z[0].
        """
        return sqrt(h) * z[0]


def _refuse_a_matrix(part: str, name: str, value: Any) -> None:
    """ValueError for a list, and for an array that can only be a covariance."""
    listed = isinstance(value, list | tuple)
    if not listed and not isinstance(value, Tensor | np.ndarray):
        return
    try:
        shape = np.shape(value)
    except (TypeError, ValueError):  # rows of different lengths
        shape = ()
    n = shape[0] if shape else 0
    if shape == (n, n) and n > 1 and (listed or _is_covariance(value)):
        raise ValueError(
            f"{name} is a {n} × {n} matrix (in {part}), but noise is diagonal: give one {name} per "
            f"coordinate, an array [{n}, 1]"
        )
    if listed:
        raise ValueError(
            f"{name} is a {type(value).__name__}; give a number"
            + (f", or one {name} per coordinate: an array [{n}, 1]" if n else "")
            + f" (in {part})"
        )


def _is_covariance(matrix: Any) -> bool:
    """Whether a square array is symmetric; equal numbers say nothing."""
    return bool((matrix == matrix.T).all() and (matrix != matrix[0, 0]).any())


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
