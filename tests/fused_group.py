"""Parameters moved by the flows of a dynamics, and by a fused kernel; shared by its tests."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from dashpot.dynamics import Dynamics, State, WeightDecay
from dashpot.integrators import Word
from dashpot.integrators.bundle import Bundle
from dashpot.integrators.cut import gradient_cut
from dashpot.integrators.kernels.compiled import NoCompilerError, find_compiler
from dashpot.integrators.kernels.fused.step import FusedStep
from dashpot.integrators.step import apply


def _has_compiler() -> bool:
    try:
        return bool(find_compiler())
    except NoCompilerError:
        return False


needs_compiler = pytest.mark.skipif(not _has_compiler(), reason="there is no C compiler")

SHAPES = [
    (7, 5),
    (3,),
    (),
    (0,),
    (1,),
    (0, 4),
    (6, 1),
    (1, 7),
    (12, 5, 2),
    (700, 3),
    (2, 900),
    (20000,),
]
FLOWS = 12  # roundings in the flow of a letter, at most; two ways to do it differ by as many ulp


class Group:
    """Parameters with gradients and state, as an optimizer has them, moved by flows or a kernel."""

    def __init__(
        self, dynamics: Dynamics, word: str = "", shapes: Sequence[tuple[int, ...]] = SHAPES,
        dtype: torch.dtype = torch.float32, weight_decay: float = 0.1, seed: int = 0,
    ) -> None:  # fmt: skip
        self.dynamics = dynamics.with_part(WeightDecay(weight_decay))
        self.word = Word(word or dynamics.word.replace("A", "WA", 1), self.dynamics)
        cut = gradient_cut(self.word.substeps)
        self.opening, self.closing = self.word.substeps[:cut], self.word.substeps[cut:]
        self.dtype = dtype
        self.random = torch.Generator().manual_seed(seed)
        self.params = [self.normal(shape) for shape in shapes]
        scalars = dynamics.scalars
        self.state = {
            name: [
                torch.zeros((), dtype=torch.float64)
                if name in scalars
                else torch.zeros(dynamics.shape_of(name, tuple(p.shape)), dtype=dtype)
                for p in self.params
            ]
            for name in dynamics.variables[1:]
        }
        self.values = dict(self.dynamics.hyperparameters)
        self.kernel = FusedStep(self.dynamics, self.closing, self.opening)

    def normal(self, shape: Sequence[int]) -> Tensor:
        return torch.randn(tuple(shape), generator=self.random, dtype=torch.float64).to(self.dtype)

    def gradients(self) -> list[Tensor]:
        return [self.normal(p.shape) for p in self.params]

    @property
    def variables(self) -> dict[str, list[Tensor]]:
        return {"x": self.params, **self.state}

    def expected(self, grads: Sequence[Tensor], h: float, last: float) -> dict[str, list[Tensor]]:
        """By the flows, on lists of tensors."""
        bound = self.dynamics.bind(self.values)
        s = State({n: Bundle(ts) for n, ts in self.variables.items()} | {"g": Bundle(grads)})
        timed = [(u, last) for u in self.closing if last] + [(u, h) for u in self.opening]
        apply([(bound.letters[u.part.letter], t * float(u.fraction)) for u, t in timed], s, _none)
        return {name: getattr(s, name).tensors for name in self.variables}

    def run(self, grads: Sequence[Tensor], h: float, last: Any, **options: Any) -> None:
        last = [last] * len(self.params) if isinstance(last, float) else last
        self.kernel.run(self.params, list(grads), self.state, self.values, h, last, **options)

    def check_steps(self, sizes: Sequence[float] = (0.1, 0.3, 0.2)) -> None:
        for last, h in itertools.pairwise((0.0, *sizes)):
            grads = self.gradients()
            kept = [g.clone() for g in grads]
            expected = self.expected(grads, h, last)
            self.run(grads, h, last)
            assert all(map(torch.equal, grads, kept))
            ulps = FLOWS * (len(self.opening) + len(self.closing))
            filled = [i for i, p in enumerate(self.params) if p.numel()]  # a mean of none is NaN
            found = {n: [ts[i] for i in filled] for n, ts in self.variables.items()}
            expected = {n: [ts[i] for i in filled] for n, ts in expected.items()}
            assert_close(found, expected, ulps * torch.finfo(self.dtype).eps)


def _none(_: Any) -> Any:
    raise AssertionError("a second gradient was asked for")


def assert_close(
    found: Mapping[str, Sequence[Tensor]], expected: Mapping[str, Sequence[Tensor]], relative: float
) -> None:
    """To so much of the largest element of each tensor."""
    for name, tensors in expected.items():
        for a, b in zip(found[name], tensors, strict=True):
            assert a.dtype == b.dtype
            assert a.shape == b.shape
            error = (a.double() - b.double()).abs().max()
            assert error <= relative * b.double().abs().max(), (name, tuple(a.shape))


def assert_same(a: Mapping[str, Sequence[Tensor]], b: Mapping[str, Sequence[Tensor]]) -> None:
    for name in a:
        assert all(map(torch.equal, a[name], b[name])), name
