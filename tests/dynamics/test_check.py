"""`check` passes every part of the package and refuses parts that do not keep their word."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from problems import PARTS

from dashpot import dynamics
from dashpot.dynamics import (
    CD,
    Drift,
    LinearDamping,
    NoisyPart,
    NonNegative,
    Part,
    RankOneFriction,
    State,
    check,
)
from dashpot.dynamics.elements import abs, exp, log1p, maximum, nonzero, sqrt
from dashpot.integrators.bundle import Bundle

BEGINNING = 0.4  # variables that must be positive start here and above


@pytest.mark.parametrize("part", PARTS, ids=repr)
def test_every_part_keeps_its_word(part: Part) -> None:
    errors = check(part)
    common = {"types", "rate reads", "writes", "reads"}
    if isinstance(part, NoisyPart):
        law = {"law"} if part.kind == "exact" else set()
        assert set(errors) == common | {"drift", "amplitude", "increment"} | law
        return
    kept = {
        "exact": {"semigroup", "backward"},
        "symmetric": {"inverse", "backward"},
        "consistent": set(),
    }[part.kind]
    assert set(errors) == common | {"rate"} | kept


def test_every_exported_part_is_tested() -> None:
    exported = {
        value
        for value in vars(dynamics).values()
        if isinstance(value, type) and issubclass(value, Part) and hasattr(value, "writes")
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
        s.x = s.x + h * sqrt(-1 - s.p * s.p)


@dataclass(frozen=True)
class DividingByZero(Drift):
    def flow(self, s: State, h: Any) -> None:
        s.x = s.x + h * s.p / (s.p - s.p)


@dataclass(frozen=True)
class RightFlow(Part):
    letter, reads, writes = "Q", ("p",), ("p",)

    def rate(self, s: State) -> dict[str, Any]:
        return {"p": -s.p}

    def flow(self, s: State, h: Any) -> None:
        s.p = exp(-1.0 * h) * s.p


@dataclass(frozen=True)
class InPlace(RightFlow):
    """Changes the caller's arrays: a saved state would change with them."""

    def flow(self, s: State, h: Any) -> None:
        s.p *= exp(-1.0 * h)


@dataclass(frozen=True)
class InPlaceInRate(RightFlow):
    def rate(self, s: State) -> dict[str, Any]:
        s.p *= -1.0
        return {"p": s.p}


@dataclass(frozen=True)
class Returning(RightFlow):
    def flow(self, s: State, h: Any) -> Any:
        return exp(-1.0 * h) * s.p


@dataclass(frozen=True)
class Forgetting(RightFlow):
    def flow(self, s: State, h: Any) -> None:
        p = s.p
        p = exp(-1.0 * h) * p


@dataclass(frozen=True)
class RateOfATensor(RightFlow):
    def rate(self, s: State) -> Any:
        return torch.zeros(3)


@dataclass(frozen=True)
class RateWithoutReturn(RightFlow):
    def rate(self, s: State) -> Any:
        pass


@dataclass(frozen=True)
class ReadingAnotherVariable(RightFlow):
    def flow(self, s: State, h: Any) -> None:
        s.p = exp(-1.0 * h) * s.p + 0 * s.q


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
        (NotANumber(), "derivative of flow.* is not its rate .*nan"),
        (DividingByZero(), "flow does not run on floats: ZeroDivisionError"),
        (InPlace(), r"flow changes s\.p in place; write s\.p = …"),
        (InPlaceInRate(), r"rate changes s\.p in place"),
        (Returning(), r"flow returns something; it must change the state instead: s\.p = \.\.\."),
        (Forgetting(), r"flow leaves p as it is, although its rate is not 0; assign .* s\.p = …"),
        (
            RateOfATensor(),
            r"rate must return a dict of rates by variable, .'p': \.\.\..; got Tensor",
        ),
        (RateWithoutReturn(), r"rate must return a dict .* got NoneType"),
        (ReadingAnotherVariable(), r"flow does not run .* reads s\.q, which neither `reads` nor"),
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
    assert check(RateOnly()) == {"types": 0.0, "rate reads": 0.0}


def test_a_rate_that_reads_more_than_it_declares_is_refused() -> None:
    with pytest.raises(ValueError, match="its rate depends on a variable"):
        check(UndeclaredRead())
    assert not RateOnly().has_flow


# --- what is no part ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            LinearDamping,
            r"not the class LinearDamping; pass an instance: LinearDamping\(gamma=\.+\)",
        ),
        (RankOneFriction, r"RankOneFriction\(alpha=\.\.\., mu=\.\.\.\)"),
        (Drift, r"pass an instance: Drift\(\)"),
        (CD(0.1, 1.0), r"one part, not the dynamics CD; check its parts: for part in"),
        ("D", r"check takes a part such as Drift\(\); got 'D'"),
    ],
)
def test_what_is_no_part_is_told_so(wrong: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        check(wrong)


# --- other types ----------------------------------------------------------------------------------


def flowing(flow: Callable[[State, Any], Any], **rest: Any) -> Part:
    """p' = −p with a flow of one's own, right on tensors."""

    def rate(_: Part, s: State) -> dict[str, Any]:
        return {"p": -s.p}

    def run(_: Part, s: State, h: Any) -> None:
        s.p = flow(s, h)

    facts = {"letter": "Q", "reads": ("p",), "writes": ("p",), "rate": rate, "flow": run}
    return type("Own", (Part,), {**facts, **rest})()


def only_on_tensors(s: State) -> bool:
    return isinstance(s.p, torch.Tensor)


@pytest.mark.parametrize(
    ("flow", "message"),
    [
        (lambda s, h: s.p + torch.expm1(-h * torch.ones_like(s.p)) * s.p, "run on symbols"),
        (lambda s, h: exp(-h) * torch.abs(s.p) * torch.sign(s.p), "run on symbols"),
        (lambda s, h: exp(-h) * np.tanh(s.p), "run on symbols"),
        (lambda s, h: math.exp(-h) * s.p, "run on symbols"),  # h may be a list as well
        (lambda s, h: (-1.0 * h + 0 * s.p).exp() * s.p, "run on numpy arrays"),
        (lambda s, h: exp(-h) * s.p if only_on_tensors(s) else s.p, "flow of p .* on symbols as"),
        (lambda s, h: exp(-h) * s.p * (1 + 1e-8 * isinstance(s.p, float)), "not the .* on floats"),
        (lambda s, h: exp(-h) * s.p * (1 + 1e-8 * isinstance(s.p, np.ndarray)), "on numpy arrays"),
    ],
)
def test_a_flow_that_runs_on_tensors_only_is_refused(
    flow: Callable[[State, Any], Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"(?s)Own.*{message}.*dashpot.dynamics.elements"):
        check(flowing(flow))


@pytest.mark.parametrize(
    "flow",
    [
        lambda s, h: exp(-h) * s.p if s.p > 0 else exp(-1.0 * h) * s.p,
        lambda s, h: torch.where(s.p > 0, exp(-h) * s.p, exp(-h) * s.p),
        lambda s, h: exp(-h) * max(s.p, -s.p),
        lambda s, h: exp(-h) * (s.p or 0.0),
        lambda s, h: exp(-h) * s.p if s.p != 0 else s.p,
        lambda s, h: exp(-h) * s.p if h > 0 else exp(-1.0 * h) * s.p,
    ],
)
def test_a_branch_on_a_value_is_named(flow: Callable[[State, Any], Any]) -> None:
    with pytest.raises(ValueError, match=r"Own: no branch on a value in flow.*dynamics\.elements"):
        check(flowing(flow))


def test_the_rate_must_run_on_all_types_too() -> None:
    def rate(_: Part, s: State) -> dict[str, Any]:
        return {"p": -torch.as_tensor(s.p)}

    with pytest.raises(ValueError, match="its rate does not run on symbols"):
        check(flowing(lambda s, h: exp(-h) * s.p, rate=rate))


def test_hyperparameters_may_be_one_per_system() -> None:
    several = torch.linspace(0.1, 0.8, 8, dtype=torch.float64)
    for gamma in (several, several.numpy(), torch.tensor(0.3), np.float64(0.3)):
        assert check(LinearDamping(gamma))["types"] < 1e-15


# --- backwards ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Relativistic(Part):
    """p' = −k p √(1 + p²); exact flow p / (cosh kt + √(1 + p²) sinh kt).

    Backwards it ends at t = arsinh(1/|p|)/k; beyond, the formula is finite, of the wrong sign.
    """

    letter, reads, writes = "Q", ("p",), ("p",)
    k: NonNegative = 1.0

    def rate(self, s: State) -> dict[str, Any]:
        return {"p": -self.k * s.p * sqrt(1 + s.p * s.p)}

    def _divisor(self, s: State, h: Any) -> Any:
        grow, shrink = exp(self.k * h), exp(-self.k * h)
        return (grow + shrink + sqrt(1 + s.p * s.p) * (grow - shrink)) / 2

    def flow(self, s: State, h: Any) -> None:
        s.p = s.p / self._divisor(s, h)


@dataclass(frozen=True)
class WithALimit(Relativistic):
    def backward_limit(self, s: State) -> Any:
        u = 1 / nonzero(abs(s.p))
        return log1p(u + sqrt(1 + u * u) - 1) / self.k


@dataclass(frozen=True)
class WithNaN(Relativistic):
    def flow(self, s: State, h: Any) -> None:
        d = self._divisor(s, h)
        s.p = s.p / (sqrt(d) * sqrt(d))


@pytest.mark.parametrize("k", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_flow_that_has_no_past_must_say_so(k: float, seed: int) -> None:
    message = r"flow backwards for t = [0-9.]+ is not the inverse .* in p\): return NaN .*"
    with pytest.raises(ValueError, match=f"Relativistic.*{message}or give `backward_limit`"):
        check(Relativistic(k), seed=seed)
    for honest in (WithALimit(k), WithNaN(k)):
        assert check(honest, seed=seed)["backward"] < 1e-10


def test_a_flow_without_any_past_is_not_run_backwards() -> None:
    """Its way back is wrong from t = 0.06 on, beyond the times of the other properties."""

    def flow(s: State, h: Any) -> Any:
        return exp(-maximum(h, -0.09)) * s.p

    with pytest.raises(ValueError, match=r"t = 0\.1 is not the inverse"):
        check(flowing(flow))
    assert "backward" not in check(flowing(flow, reversible=False))
    late = flowing(flow, backward_limit=lambda part, s: 0.09)
    assert check(late)["backward"] == 0.0
