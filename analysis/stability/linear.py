"""One step of a word, linearised: what it does to one quadratic mode, by the word's own flows.

On f = ½kx² a step maps (x, p) linearly near the equilibrium. The maps are the derivatives of each
part's own flow there, by forward differentiation.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ...dynamics import Dynamics, State
from ...integrators import Word
from ...integrators.noise.draws import quiet
from ...integrators.step import apply

LATE = 1e9  # the default of a time variable: all that fades with t has faded
_SHORT = 1e-60  # its square is far below round-off next to 1, its cube far above underflow
ROUNDING = 1e-12  # by which a radius of 1 may be exceeded


@dataclass(frozen=True)
class LinearStep:
    """One step, linearised at the equilibrium, for one mode or many.

    matrix       [..., n, n] on (x, p); n = 1 for a dynamics without p
    determinant  [...], the product over the parts: it has no cancellation
    """

    matrix: Tensor
    determinant: Tensor

    @property
    def trace(self) -> Tensor:
        return _trace(self.matrix)

    @property
    def radius(self) -> Tensor:
        """The spectral radius [...]: √det of a complex pair, |tr|/2 + √(tr²/4 − det) of a real."""
        if self.matrix.shape[-1] == 1:
            return self.trace.abs()
        half = self.trace.abs() / 2
        square = half * half - self.determinant
        return torch.where(square < 0, self.determinant.abs().sqrt(), half + _root(square))

    @property
    def margin(self) -> Tensor:
        """1 + det − |tr| (1 − |tr| for n = 1): positive while both real roots are within ±1."""
        gain = 0.0 if self.matrix.shape[-1] == 1 else self.determinant
        return 1 + gain - self.trace.abs()

    @property
    def is_stable(self) -> Tensor:
        """Whether the spectral radius is at most 1, up to rounding (Jury's conditions)."""
        return (self.margin >= -ROUNDING) & (self.determinant.abs() <= 1 + ROUNDING)


def linear_step(
    word: Word,
    h: ArrayLike | Tensor,
    curvature: ArrayLike | Tensor = 1.0,
    values: Mapping[str, Any] | None = None,
    time: float = LATE,
) -> LinearStep:
    """The step of `word` on f = ½kx², for arrays of h, k and hyperparameter `values` by name.

    The arrays are broadcast against each other. The equilibrium is x = p = 0 with frictions at
    rest, ξ = 0; ζ is held where √ζ + ε = 1 and t at `time`: only the parts that write x or p act.

    Raises ValueError for a word without its dynamics, and for unknown hyperparameters.
    """
    dynamics = with_dynamics(word)
    h, curvature, bound = broadcast(dynamics, h, curvature, values)
    mode = _Mode(dynamics, curvature.flatten(), time)
    matrix = torch.eye(mode.size, dtype=torch.float64).expand(h.numel(), -1, -1)
    determinant = torch.ones(h.numel(), dtype=torch.float64)
    maps: dict[Any, Tensor] = {}  # a part that occurs twice with one fraction acts the same
    for substep in word.substeps:
        if not {"x", "p"} & set(substep.part.writes):
            continue
        key = substep.part.letter, substep.fraction
        if key not in maps:
            piece = substep.part.bind(bound), float(key[1]) * h.flatten()

            def flow(s: State, piece: Any = piece) -> Mapping[str, Any]:
                apply([piece], s, mode.gradient, draw=quiet([piece]))
                return s.__dict__

            maps[key] = mode.jacobian(flow)
        matrix = maps[key] @ matrix
        determinant = determinant * _det(maps[key])
    return LinearStep(matrix.reshape(*h.shape, mode.size, mode.size), determinant.reshape(h.shape))


def ode_rate(
    dynamics: Dynamics,
    curvature: ArrayLike | Tensor = 1.0,
    values: Mapping[str, Any] | None = None,
    time: float = LATE,
) -> Tensor:
    """The rate at which the ODE's energy decays on f = ½kx²: −2 times the spectral abscissa.

    Read off the dynamics' own vector field, linearised as in `linear_step`; for LDHD, CD, KFAD
    and IKFAD it is γ − Re √(γ² − 4k).
    """
    _, curvature, bound = broadcast(dynamics, 1.0, curvature, values)
    mode = _Mode(dynamics, curvature.flatten(), time)
    made = dynamics.bind(bound)
    field = mode.jacobian(lambda s: made.rate(s.copy(g=mode.gradient(s.x))))
    half, det = _trace(field) / 2, _det(field)
    root = _root(half * half - det)
    slow = half + root
    if mode.size == 1:
        slow = field[..., 0, 0]
    else:  # without cancellation where friction dominates
        slow = torch.where((half < 0) & (root > 0), det / (half - root), slow)
    return (-2 * slow).reshape(curvature.shape)


def with_dynamics(word: Word) -> Dynamics:
    """The dynamics of a word; ValueError where it has none, TypeError for what is no word."""
    if not isinstance(word, Word):
        raise TypeError(f"expected a word with its dynamics, Word({word!r}, dynamics)")
    if word.dynamics is None:
        raise ValueError(
            f"Word({word.text!r}) stands alone; give it its dynamics, for example "
            f"Word({word.text!r}, CD(gamma=0.5, c=2.0))"
        )
    return word.dynamics


class _Mode:
    """The equilibrium of one mode: variables [1, n unit vectors, N modes], coordinates first."""

    def __init__(self, dynamics: Dynamics, curvature: Tensor, time: float) -> None:
        self.curvature = curvature
        self.names = ("x", "p") if "p" in dynamics.variables else ("x",)
        self.size = len(self.names)
        self.rest: dict[str, Tensor] = {}
        for name in dynamics.variables:
            batch = (self.size, curvature.numel())
            shape = batch if name in dynamics.scalars else (1, *batch)
            value = {"zeta": 1.0, "t": time}.get(name, 0.0)
            self.rest[name] = torch.full(shape, value, dtype=torch.float64)

    def jacobian(self, move: Callable[[State], Mapping[str, Any]]) -> Tensor:
        """[N, n, n]: the derivative of what `move` makes of (x, p), row by row.

        Where a root makes the derivative 0/0 (frictions that read p² under one), a secant so
        short that everything else is linear to the last digit takes its place.
        """
        rest = tuple(self.rest[name] for name in self.names)
        units = tuple(torch.zeros_like(value) for value in rest)
        for place, unit in enumerate(units):
            unit[0, place] = 1.0

        def moved(*values: Tensor) -> tuple[Tensor, ...]:
            s = State({**self.rest, **dict(zip(self.names, values, strict=True))})
            out = move(s)
            return tuple(torch.zeros_like(values[0]) + out.get(name, 0.0) for name in self.names)

        slopes = torch.stack(torch.func.jvp(moved, rest, units)[1])
        if not bool(torch.isfinite(slopes).all()):
            secants = torch.stack(moved(*(_SHORT * unit for unit in units))) / _SHORT
            slopes = torch.where(torch.isfinite(slopes), slopes, secants)
        return slopes[:, 0].permute(2, 0, 1)

    def gradient(self, x: Tensor) -> Tensor:
        return self.curvature * x


def broadcast(
    dynamics: Dynamics, h: Any, curvature: Any, values: Mapping[str, Any] | None
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Everything of one shape; the hyperparameters flat, with ε = 0 as ζ is held at 1."""
    own = dynamics.hyperparameters
    unknown = [name for name in values or {} if name not in own]
    if unknown:
        raise ValueError(
            f"{dynamics.name} has no hyperparameter {unknown[0]!r}; it has {', '.join(own)}"
        )
    given = {"h": h, "curvature": curvature, **own, **(values or {}), "eps": 0.0}
    tensors = [torch.as_tensor(value, dtype=torch.float64) for value in given.values()]
    full = dict(zip(given, torch.broadcast_tensors(*tensors), strict=True))
    h, curvature = full.pop("h"), full.pop("curvature")
    return h, curvature, {name: value.flatten() for name, value in full.items()}


def _trace(matrix: Tensor) -> Tensor:
    return matrix.diagonal(dim1=-2, dim2=-1).sum(-1)


def _det(matrix: Tensor) -> Tensor:
    if matrix.shape[-1] == 1:
        return matrix[..., 0, 0]
    return matrix[..., 0, 0] * matrix[..., 1, 1] - matrix[..., 0, 1] * matrix[..., 1, 0]


def _root(square: Tensor) -> Tensor:
    return square.clamp(min=0).sqrt()
