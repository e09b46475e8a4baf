"""The step of an optimizer as one kernel does what the flows do, for every dynamics and word."""

import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from fused_group import Group, needs_compiler
from hypothesis import given, settings
from hypothesis import strategies as st
from optimizer_info import Quintic

from dashpot.dynamics import (
    CADAM,
    CD,
    IKFAD,
    KFAD,
    LDHD,
    RIKFAD,
    CubicDamping,
    Drift,
    Dynamics,
    Kick,
    Langevin,
    LinearDamping,
    Nesterov,
    NonNegative,
    Part,
    State,
)
from dashpot.dynamics.elements import abs, exp
from dashpot.integrators.kernels.errors import NoKernelError
from dashpot.integrators.kernels.fused import batch as fused_batch
from dashpot.integrators.words.word import count_gradients

pytestmark = needs_compiler


@dataclass(frozen=True)
class Scaled(LinearDamping):
    """A part with hyperparameters that have the names of the kernel's own numbers."""

    h: NonNegative = 1.0
    last: NonNegative = 1.0
    scale: NonNegative = 1.0

    def flow(self, s: State, h: Any) -> None:
        s.p = s.p * exp(-(self.gamma + 2 * self.h + 3 * self.last + 4 * self.scale) * h)


@dataclass(frozen=True)
class Clipping(Part):
    """A part that looks at values, which no record can."""

    letter, reads, writes = "Q", ("p",), ("p",)

    def flow(self, s: State, h: Any) -> None:
        if s.p > 1:
            s.p = s.p / abs(s.p)


CATALOGUE = [
    LDHD(0.4),
    CD(0.3, 0.8),
    KFAD(0.3, 0.7, 9e3),
    IKFAD(0.3, 0.7, 0.9),
    IKFAD(0.3, 0.7, 0.9, "rotation"),
    RIKFAD(0.3, 0.7, 0.9, 0.01),
    CADAM(0.3, 0.6, 0.5, 0.1),
    CADAM(0.3, 0.6, 0.5, 0.1, bias_correction=True),
    Nesterov(),
    Dynamics(Drift(), Kick(), LinearDamping(0.1), Quintic(1.0), name="a user's own"),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("dynamics", CATALOGUE, ids=lambda d: d.name)
def test_a_kernel_does_what_the_flows_do(dynamics: Dynamics, dtype: torch.dtype) -> None:
    Group(dynamics, dtype=dtype).check_steps()


@settings(max_examples=6, deadline=None, derandomize=True)
@given(st.permutations("ABCDW").map("".join), st.booleans(), st.sampled_from(CATALOGUE[1:6]))
def test_words(letters: str, symmetric: bool, dynamics: Dynamics) -> None:
    group = Group(dynamics, f"symmetrize({letters})" if symmetric else letters)
    if count_gradients((*group.closing, *group.opening), fresh=True):
        with pytest.raises(NoKernelError, match="more than one gradient"):
            group.run(group.gradients(), 0.1, 0.1)
    else:
        group.check_steps()


EXTREME = (math.inf, -math.inf, math.nan, 0.0, -0.0, 1e-45, -1e-40, 3e38, -3e38, 1e20, 1e-20)


@pytest.mark.parametrize("dynamics", CATALOGUE, ids=lambda d: d.name)
def test_what_is_not_finite_is_so_in_the_same_places(dynamics: Dynamics) -> None:
    group = Group(dynamics, shapes=[(64,), (16, 4)])
    for last, h in ((0.0, 0.1), (0.1, 0.2)):
        grads = group.gradients()
        for grad in grads:
            grad.view(-1)[: len(EXTREME)] = torch.tensor(EXTREME)
        expected = group.expected(grads, h, last)
        group.run(grads, h, last)
        for name, tensors in expected.items():
            for a, b in zip(group.variables[name], tensors, strict=True):
                assert torch.equal(a.isnan(), b.isnan())
                assert torch.equal(a.isinf(), b.isinf())


def test_new_numbers_need_no_new_kernel() -> None:
    group = Group(CD(0.3, 0.8), "BCDWADCB", shapes=[(5, 3), (4,)])
    group.check_steps()
    made = dict(group.kernel._kernels)
    group.values |= {"gamma": 0.7, "c": 2.0, "weight_decay": 0.0}
    group.check_steps((0.4, 0.15))
    assert group.kernel._kernels == made


def test_names_of_the_kernels_own_numbers_are_free() -> None:
    scaled = Dynamics(Drift(), Kick(), Scaled(0.5, 0.1, 0.2, 0.4), word="BDADB")
    Group(scaled, shapes=[(5, 3), (4,)]).check_steps()


def test_what_no_kernel_can_do_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoKernelError, match="noise"):
        _first_step(Group(Langevin(0.3, 0.5)))
    with pytest.raises(NoKernelError, match="more than one gradient"):
        _first_step(Group(LDHD(0.3), "ABWADB"))
    clipping = Dynamics(Drift(), Kick(), Clipping(), name="clipped")
    with pytest.raises(NoKernelError, match="clipped cannot be recorded"):
        _first_step(Group(clipping))
    group = Group(CD(0.3, 0.8), shapes=[(4,)])
    group.values["c"] = torch.ones(4)
    with pytest.raises(NoKernelError, match="c is not one number"):
        _first_step(group)
    monkeypatch.setattr(fused_batch, "load", lambda *_: None)
    monkeypatch.setattr(fused_batch, "why", lambda *_: "there is no C compiler (CC=none)")
    with pytest.raises(NoKernelError, match=r"cannot be compiled: .* \(CC=none\)"):
        _first_step(Group(Dynamics(Drift(), Kick(), CubicDamping(0.5))))


def _first_step(group: Group) -> None:
    group.run(group.gradients(), 0.1, 0.0)
