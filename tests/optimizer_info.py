"""One table of optimizers, and plain loops to compare them with, for the suites over all of them.

The loops compute tensor by tensor in double precision. Those of ours apply the flows of
`dashpot.dynamics` letter by letter, and stop wherever a letter needs a gradient that is not known.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from dashpot.dynamics import (
    CADAM,
    CD,
    IKFAD,
    KFAD,
    LDHD,
    RIKFAD,
    Drift,
    Dynamics,
    Kick,
    LinearDamping,
    NonNegative,
    Part,
    State,
)
from dashpot.dynamics.elements import sqrt
from dashpot.integrators import Word, optim

IMPLEMENTATIONS: dict[str, dict[str, Any]] = {
    "single": {"foreach": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
    "capturable": {"capturable": True},
}


@dataclass(frozen=True)
class Quintic(Part):
    """p' = −k p⁵; exact flow p / (1 + 4 k h p⁴)^¼: a user's own part."""

    letter, reads, writes = "Q", ("p",), ("p",)
    k: NonNegative

    def rate(self, s: State) -> dict[str, Any]:
        return {"p": -self.k * s.p * s.p * s.p * s.p * s.p}

    def flow(self, s: State, h: Any) -> None:
        p2 = s.p * s.p
        s.p = s.p / sqrt(sqrt(1 + 4 * self.k * h * p2 * p2))


class Loop:
    """What an optimizer should do, for the tensors of one group, in double precision."""

    def __init__(self, x: Sequence[Tensor]) -> None:
        self.x = [t.detach().double().clone() for t in x]

    def step(self, grads: Sequence[Tensor], lr: float) -> None:
        raise NotImplementedError


class WordLoop(Loop):
    """The letters of a word in turn; tensors one by one, or as one vector with one friction."""

    def __init__(
        self, x: Sequence[Tensor], dynamics: Dynamics, word: str, weight_decay: float
    ) -> None:
        super().__init__(x)
        self._decay = weight_decay
        substeps = Word(word, dynamics).substeps
        self._letters = [(substep.part, float(substep.fraction)) for substep in substeps]
        self._joined = any(name != "t" for name in dynamics.scalars)
        points = [torch.cat([t.flatten() for t in self.x])] if self._joined else self.x
        self._states = []
        for point in points:
            shape = tuple(point.shape)
            zeros = {
                name: torch.zeros(dynamics.shape_of(name, shape), dtype=torch.float64)
                for name in dynamics.variables[1:]
            }
            self._states.append(State({"x": point, **zeros}, len(shape)))
        self._runs = [self._run(state) for state in self._states]
        for run in self._runs:
            next(run)

    def step(self, grads: Sequence[Tensor], lr: float) -> None:
        if lr == 0:
            return
        self._lr = lr
        grads = [grad.double() for grad in grads]
        if self._joined:
            grads = [torch.cat([grad.flatten() for grad in grads])]
        for state, run, grad in zip(self._states, self._runs, grads, strict=True):
            state.g = grad
            next(run)
        points = [state.x for state in self._states]
        if self._joined:
            pieces = points[0].split([t.numel() for t in self.x])
            points = [piece.reshape(t.shape) for piece, t in zip(pieces, self.x, strict=True)]
        self.x = points

    def _run(self, s: State) -> Iterator[None]:
        """Yields wherever the gradient at a new point is needed; `s.g` is then set to it."""
        yield
        stops = self._gradients_inside() == 0
        while True:
            if stops and s.g is None:
                yield
            h: float | None = None
            for part, fraction in self._letters:
                if "g" in part.reads and s.g is None:
                    yield
                if h is None:  # known when the step begins, which may be after a gradient
                    h = self._lr
                if self._decay and "x" in part.writes and "g" not in part.reads:
                    s.x = math.exp(-self._decay * h * fraction) * s.x
                part.flow(s, h * fraction)
                if "x" in part.writes:
                    s.g = None

    def _gradients_inside(self) -> int:
        """How often x moves and the gradient is needed after it, in a step that begins with one."""
        known, count = True, 0
        for part, _ in self._letters:
            if "g" in part.reads and not known:
                known, count = True, count + 1
            known = known and "x" not in part.writes
        return count


class MomentumLoop(Loop):
    """b ← β b + g, x ← x − lr (1 − lr w) ... : torch's SGD with momentum and coupled decay."""

    def __init__(self, x: Sequence[Tensor], momentum: float, weight_decay: float) -> None:
        super().__init__(x)
        self._beta, self._decay = momentum, weight_decay
        self._buffers = [torch.zeros_like(t) for t in self.x]

    def step(self, grads: Sequence[Tensor], lr: float) -> None:
        for i, grad in enumerate(grads):
            g = grad.double() + self._decay * self.x[i]
            self._buffers[i] = self._beta * self._buffers[i] + g
            self.x[i] = self.x[i] - lr * self._buffers[i]


class AdamLoop(Loop):
    """Kingma, Ba 2015, algorithm 1, with the decay in the gradient."""

    def __init__(self, x: Sequence[Tensor], weight_decay: float) -> None:
        super().__init__(x)
        self._decay, self._steps = weight_decay, 0
        self._m = [torch.zeros_like(t) for t in self.x]
        self._v = [torch.zeros_like(t) for t in self.x]

    def step(self, grads: Sequence[Tensor], lr: float) -> None:
        self._steps += 1
        for i, grad in enumerate(grads):
            g = grad.double() + self._decay * self.x[i]
            self._m[i] = 0.9 * self._m[i] + 0.1 * g
            self._v[i] = 0.999 * self._v[i] + 0.001 * g * g
            m = self._m[i] / (1 - 0.9**self._steps)
            v = self._v[i] / (1 - 0.999**self._steps)
            self.x[i] = self.x[i] - lr * m / (v.sqrt() + 1e-8)


@dataclass(frozen=True)
class OptimizerInfo:
    """One optimizer as the suites know it.

    make       from parameters and settings
    loop       from the first points and a weight decay
    lr         an ordinary step size
    hyperparameters  the names of the others
    ours       whether it is one of this package; torch's own are controls of the suites
    matrices   whether the axes of a tensor matter
    decays     whether `loop` knows where the decay stands
    """

    name: str
    make: Callable[..., torch.optim.Optimizer]
    loop: Callable[[Sequence[Tensor], float], Loop]
    lr: float = 0.1
    hyperparameters: tuple[str, ...] = ()
    ours: bool = True
    matrices: bool = False
    decays: bool = True
    implementations: tuple[str, ...] = field(default=tuple(IMPLEMENTATIONS))

    def __str__(self) -> str:
        return self.name


def _ours(
    name: str, dynamics: Dynamics, word: str | None = None, make: Any = None, lr: float = 0.1
) -> OptimizerInfo:
    word = word or dynamics.word

    def made(params: Any, lr: Any = lr, **settings: Any) -> torch.optim.Optimizer:
        if make is not None:
            return make(params, lr=lr, word=word, **settings)
        return optim.optimizer(dynamics, params, lr, word=word, **settings)

    def loop(x: Sequence[Tensor], weight_decay: float = 0.0) -> Loop:
        return WordLoop(x, dynamics, word, weight_decay)

    matrices = any(dynamics.shape_of(name, (2, 3)) == (2, 1) for name in dynamics.variables)
    decays = not Word(word, dynamics).is_symmetric
    names = tuple(dynamics.hyperparameters)
    return OptimizerInfo(name, made, loop, lr, names, matrices=matrices, decays=decays)


def _named(kind: type[optim.WordOptimizer], **own: Any) -> Callable[..., torch.optim.Optimizer]:
    return lambda params, **settings: kind(params, **{**own, **settings})  # type: ignore[arg-type]


cd: dict[str, Any] = {"gamma": 0.3, "c": 0.8}
cadam: dict[str, Any] = {"gamma": 0.3, "alpha": 0.6, "c": 0.5, "eps": 0.1}
kfad: dict[str, Any] = {"gamma": 0.3, "alpha": 0.7, "mu": 0.9}

OURS = [
    _ours("LDHD", LDHD(0.4), make=_named(optim.LDHD, gamma=0.4)),
    _ours("LDHD symmetric", LDHD(0.4), "BDADB"),
    _ours("CD", CD(**cd), make=_named(optim.CD, **cd)),
    _ours("CD symmetric", CD(**cd), "BCDADCB", make=_named(optim.CD, **cd)),
    _ours("CD, kick in the middle", CD(**cd), "ADCBCDA"),
    _ours("CD combined", CD(**cd), "BGA"),
    _ours("KFAD", KFAD(**kfad), make=_named(optim.KFAD, **kfad)),
    _ours("KFAD symmetric", KFAD(**kfad), "BACDCAB"),
    _ours("IKFAD", IKFAD(**kfad), make=_named(optim.IKFAD, **kfad)),
    _ours("IKFAD rotation", IKFAD(**kfad, scheme="rotation"), "BCDA"),
    _ours("RIKFAD", RIKFAD(**kfad), make=_named(optim.RIKFAD, **kfad)),
    _ours("CADAM", CADAM(**cadam), make=_named(optim.CADAM, **cadam)),
    _ours("CADAM symmetric", CADAM(**cadam), "EBCDADCBE"),
    _ours("CADAM corrected", CADAM(**cadam, bias_correction=True)),
    _ours("one's own", Dynamics(Drift(), Kick(), LinearDamping(0.1), Quintic(0.7))),
]
TORCH = [
    OptimizerInfo(
        "torch SGD",
        lambda params, lr=0.01, **settings: torch.optim.SGD(params, lr, 0.9, **settings),
        lambda x, weight_decay=0.0: MomentumLoop(x, 0.9, weight_decay),
        0.01,
        ours=False,
        implementations=("single", "foreach", "fused"),
    ),
    OptimizerInfo(
        "torch Adam",
        lambda params, lr=0.01, **settings: torch.optim.Adam(params, lr, **settings),
        lambda x, weight_decay=0.0: AdamLoop(x, weight_decay),
        0.01,
        ours=False,
        implementations=("single", "foreach", "fused"),
    ),
]
ALL = [*OURS, *TORCH]

SHAPES = ((3, 4), (5,), (), (2, 3, 2), (0,))


def parameters(dtype: torch.dtype = torch.float64, seed: int = 0) -> list[torch.nn.Parameter]:
    """A matrix, a vector, a number, a tensor, nothing, and a transposed matrix."""
    generator = torch.Generator().manual_seed(seed)
    made = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in SHAPES]
    made.append(torch.randn(4, 3, generator=generator, dtype=torch.float64).t())
    return [torch.nn.Parameter(t.to(dtype)) for t in made]


def give_gradients(
    params: Sequence[Tensor], factor: float = 1.0, turned: bool = False
) -> list[Tensor]:
    """∇(x⁴/4 + x²/2), made anew for every parameter; matrices laid out transposed if `turned`."""
    for p in params:
        grad = (p.detach() ** 3 + p.detach()) * factor
        p.grad = grad.t().contiguous().t() if turned and grad.ndim == 2 else grad
    return [p.grad for p in params if p.grad is not None]


def values(params: Sequence[Tensor]) -> list[Tensor]:
    return [p.detach().clone() for p in params]
