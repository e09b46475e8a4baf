"""`check` passes every part of the package and refuses parts that do not keep their word."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from problems import PARTS

from dashpot import dynamics
from dashpot.dynamics import Drift, NonNegative, Part, State, check
from dashpot.dynamics.elements import exp
from dashpot.integrators.bundle import Bundle

BEGINNING = 0.4  # variables that must be positive start here and above


@pytest.mark.parametrize("part", PARTS, ids=repr)
def test_every_part_keeps_its_word(part: Part) -> None:
    errors = check(part)
    kept = {"exact": {"semigroup"}, "symmetric": {"inverse"}, "consistent": set()}[part.kind]
    assert set(errors) == {"rate reads", "rate", "writes", "reads"} | kept


def test_every_exported_part_is_tested() -> None:
    exported = {
        value
        for value in vars(dynamics).values()
        if isinstance(value, type) and issubclass(value, Part) and value is not Part
    }
    assert exported == {type(part) for part in PARTS}


def test_other_seeds_and_sizes() -> None:
    assert check(PARTS[-1], seed=7, coordinates=1, systems=1).keys() == check(PARTS[-1]).keys()


@pytest.mark.parametrize("part", PARTS, ids=repr)
def test_floats_arrays_tensors_and_bundles_give_the_same_numbers(part: Part) -> None:
    generator = np.random.default_rng(3)
    names = dict.fromkeys((*part.reads, *part.writes))
    for _ in range(5):
        numbers = {n: BEGINNING + generator.exponential() for n in names}

        def shape(name: str) -> tuple[int, ...]:
            return () if name in part.scalars else (1,)

        def tensor(name: str, numbers: dict[str, float] = numbers) -> torch.Tensor:
            return torch.full(shape(name), numbers[name], dtype=torch.float64)

        states = {
            "numpy": State({n: tensor(n).numpy() for n in names}),
            "tensor": State({n: tensor(n) for n in names}),
            "bundle": State({n: Bundle([tensor(n)]) for n in names}),
        }
        reference = State(numbers)
        rates = part.rate(reference)
        for backend, s in states.items():
            for name, value in part.rate(s).items():
                assert number(value) == pytest.approx(rates[name], rel=1e-15), backend
        part.flow(reference, 0.3)
        for backend, s in states.items():
            part.flow(s, 0.3)
            for name in part.writes:
                got, expected = number(getattr(s, name)), getattr(reference, name)
                assert got == pytest.approx(expected, rel=1e-15, abs=0), (backend, name)


def number(value: Any) -> float:
    tensor = value.tensors[0] if isinstance(value, Bundle) else torch.as_tensor(value)
    return tensor.reshape(()).item()


@dataclass(frozen=True)
class WrongRate(Part):
    letter, reads, writes = "Q", ("p",), ("p",)
    k: NonNegative = 1.0

    def rate(self, s: State) -> dict[str, Any]:
        return {"p": -self.k * s.p}

    def flow(self, s: State, h: Any) -> None:
        s.p = exp(-2 * self.k * h) * s.p


@dataclass(frozen=True)
class WrongSemigroup(Part):
    """The explicit Euler step: the right slope at 0, but not a flow."""

    letter, reads, writes = "Q", ("p",), ("p",)
    k: NonNegative = 1.0

    def rate(self, s: State) -> dict[str, Any]:
        return {"p": -self.k * s.p}

    def flow(self, s: State, h: Any) -> None:
        s.p = s.p - self.k * h * s.p


@dataclass(frozen=True)
class FalselySymmetric(WrongSemigroup):
    kind = "symmetric"


@dataclass(frozen=True)
class UndeclaredRead(Part):
    letter, reads, writes = "Q", ("p",), ("p",)

    def rate(self, s: State) -> dict[str, Any]:
        return {"p": -s.x * s.p}

    def flow(self, s: State, h: Any) -> None:
        s.p = exp(-s.x * h) * s.p


@dataclass(frozen=True)
class UndeclaredWrite(Drift):
    def flow(self, s: State, h: Any) -> None:
        s.x = s.x + h * s.p
        s.g = s.g + h


@dataclass(frozen=True)
class NewVariable(Drift):
    def flow(self, s: State, h: Any) -> None:
        s.x = s.x + h * s.p
        s.speed = s.p


@dataclass(frozen=True)
class WrongKeys(Drift):
    def rate(self, s: State) -> dict[str, Any]:
        return {"x": s.p, "p": 0 * s.p}


@dataclass(frozen=True)
class NotANumber(Drift):
    def flow(self, s: State, h: Any) -> None:
        s.x = s.x + h * s.p / (s.p - s.p)


@dataclass(frozen=True)
class InPlace(Part):
    """Changes the caller's arrays: a saved state would change with them."""

    letter, reads, writes = "Q", ("p",), ("p",)

    def rate(self, s: State) -> dict[str, Any]:
        return {"p": -s.p}

    def flow(self, s: State, h: Any) -> None:
        s.p *= exp(-1.0 * h)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (WrongRate(), "derivative of flow.* is not its rate"),
        (WrongSemigroup(), "declared exact"),
        (FalselySymmetric(), "declared symmetric"),
        (UndeclaredRead(), "depends on a variable that neither"),
        (UndeclaredWrite(), "changes a variable that `writes` does not name"),
        (NewVariable(), "changes a variable that `writes` does not name"),
        (WrongKeys(), r"rate returns \['p', 'x'\] but writes declares \['x'\]"),
        (NotANumber(), "fails its check"),
        (InPlace(), "fails its check"),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, Part) else "",
)
def test_wrong_parts_are_refused(part: Part, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        check(part)
    assert type(part).__name__ in str(caught.value)


@dataclass(frozen=True)
class RateOnly(Part):
    letter, reads, writes = "Q", ("p",), ("p",)

    def rate(self, s: State) -> dict[str, Any]:
        return {"p": -s.p}


def test_a_part_without_a_flow_passes_with_its_rate_alone() -> None:
    assert check(RateOnly()) == {"rate reads": 0.0}


def test_a_rate_that_reads_more_than_it_declares_is_refused() -> None:
    with pytest.raises(ValueError, match="its rate depends on a variable"):
        check(UndeclaredRead())
    assert not RateOnly().has_flow
