"""Ensembles: every wrong argument is answered before anything is computed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from dashpot.dynamics import CADAM, CD, LDHD, Langevin
from dashpot.integrators import optim
from dashpot.integrators.ensembles import FinalEnergy, Mean, TimeToTarget, ensemble
from dashpot.landscapes import Quadratic, Rosenbrock

GRID = {"gamma": [0.1, 1.0]}
PER_COORDINATE = torch.tensor([[1.0], [2.0]])


def kinetic(s: Any) -> torch.Tensor:
    return s.total(s.p * s.p) / 2


@dataclass(frozen=True)
class Nothing:
    """A reduction that does not find what it promises."""

    names = ("some",)

    def begin(self, first: Any) -> dict[str, torch.Tensor]:
        return {}

    def update(self, memory: Any, saved: Any) -> None: ...

    def result(self, memory: Any) -> dict[str, torch.Tensor]:
        return {}


class Silent(Quadratic):
    def df(self, x: torch.Tensor) -> torch.Tensor:
        raise AssertionError("something was computed")


@pytest.mark.parametrize(
    ("dynamics", "changes", "kind", "words"),
    [
        (CD, {}, TypeError, ["CD cannot be made", "(gamma)", "'c'", "pass CD(...)"]),
        (CD(1.0, 1.0), {"grid": {"gama": [1.0]}}, ValueError,
         ["CD has no hyperparameter 'gama'", "gamma, c", "did you mean 'gamma'?"]),
        (LDHD, {"grid": {"gamma": [0.1, -1.0]}}, ValueError, ["gamma must be", ">= 0", "-1"]),
        (LDHD, {"grid": {"gamma": [0.1, np.nan]}}, ValueError, ["gamma must be a finite", "nan"]),
        (LDHD, {"grid": {"gamma": 0.1}}, ValueError, ["gamma must be a list", "shape ()"]),
        (LDHD, {"grid": {"gamma": []}}, ValueError, ["gamma must be a list of one number or more"]),
        (LDHD, {"grid": {"gamma": "abc"}}, TypeError, ["gamma must be a list of numbers", "abc"]),
        (LDHD(1.0), {"grid": [1.0]}, TypeError, ["values by name", "[1.0]"]),
        (LDHD, {"grid": {**GRID, "step": [0.1, 0.0]}, "step": None}, ValueError,
         ["step must be finite numbers > 0", "0.0"]),
        (LDHD, {"grid": {**GRID, "step": [0.1]}}, ValueError, ["step size h once", "got both"]),
        (LDHD, {"step": None}, ValueError, ["step size h once", "got neither"]),
        (LDHD, {"step": -1.0}, ValueError, ["step must be a finite number > 0", "-1.0"]),
        (LDHD, {"until": 1.0}, ValueError, ["steps", "until", "got both"]),
        (LDHD, {"steps": None}, ValueError, ["steps", "until", "got neither"]),
        (LDHD, {"steps": 1.5}, ValueError, ["steps must be a whole number", "1.5"]),
        (LDHD, {"steps": None, "until": 0}, ValueError, ["until must be a finite number > 0"]),
        (LDHD, {"grid": {"gamma": np.array([1j])}}, TypeError, ["gamma must be a list of numbers"]),
        (LDHD, {"grid": {"gamma": ["1"]}}, TypeError, ["gamma must be a list of numbers", "['1']"]),
        (LDHD, {"step": 1e-300, "steps": None, "until": 1e300}, ValueError,
         ["until = 1e+300", "h = 1e-300"]),
        (LDHD, {"every": 0}, ValueError, ["every must be a whole number >= 1", "0"]),
        (LDHD, {"chunk": 0}, ValueError, ["chunk must be a whole number >= 1", "0"]),
        (LDHD, {"word": "BCA"}, ValueError, ["'C'", "'BDA'"]),
        (LDHD, {"store": ["q"]}, ValueError, ["LDHD has no variable 'q'", "x, p"]),
        (LDHD, {"reduce": [FinalEnergy]}, TypeError, ["FinalEnergy(...)"]),
        (LDHD, {"reduce": [TimeToTarget(1.0), TimeToTarget(2.0)]}, ValueError,
         ["two results", "'time_to_target'", "another name="]),
        (LDHD, {"reduce": [Mean(kinetic, "a b")]}, ValueError, ["identifier", "'a b'"]),
        (LDHD, {"reduce": [Mean(kinetic, "x")], "store": "x"}, ValueError, ["'x'", "rename"]),
        (LDHD, {"reduce": 3}, TypeError, ["reduce takes reductions such as FinalEnergy()", "3"]),
        (LDHD, {"reduce": "rate"}, TypeError, ["such as FinalEnergy(); got 'rate'"]),
        (LDHD, {"reduce": Mean(lambda s: s.x, "whole")}, ValueError,
         ["Mean(name='whole'", "one number per saved time", "shape (1, 2)", "shape (2, 1, 2)"]),
        (LDHD, {"reduce": [Nothing()]}, ValueError,
         ["Nothing()", "one number per trajectory", "'some'", "got no results"]),
        (LDHD, {"store": 3}, TypeError, ["store must be names of variables", "3"]),
        (LDHD, {"x0": torch.zeros(0, 2)}, ValueError, ["no points", "(0,)", "one start or more"]),
        (LDHD, {"step": "0.1"}, TypeError, ["step must be a number, the step size h", "'0.1'"]),
        (LDHD, {"noise": 1}, ValueError, ["LDHD has no noise"]),
        (Langevin(1.0, 1.0), {}, ValueError, ["Langevin has noise", "noise=1"]),
        (LDHD, {"backend": "fast"}, ValueError, ["backend", "'fast'", "torch"]),
        (LDHD, {"method": "euler"}, ValueError, ["'euler'", "heun"]),
        (optim.LDHD, {}, TypeError, ["from dashpot.dynamics import LDHD"]),
        (CADAM(0.1, 1.0, PER_COORDINATE), {}, ValueError,
         ["c of CADAM has shape (2, 1)", "put its values on the grid"]),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_answered(
    dynamics: Any, changes: dict[str, Any], kind: type[Exception], words: list[str]
) -> None:
    call: dict[str, Any] = {"grid": GRID, "step": 0.1, "steps": 10, **changes}
    with pytest.raises(kind) as caught:
        ensemble(dynamics, Silent([1.0, 4.0]), **call)
    assert [word for word in words if word not in str(caught.value)] == []


def test_one_reduction_needs_no_list() -> None:
    found = ensemble(LDHD(0.1), Rosenbrock(2), step=0.01, steps=1, reduce=FinalEnergy())
    assert found["final_energy"].shape == () and "least_energy" not in found.values


def test_an_unknown_result_is_answered() -> None:
    found = ensemble(LDHD(0.1), Rosenbrock(2), step=0.01, steps=1)
    assert found.shape == () and found["final_energy"].shape == ()
    with pytest.raises(KeyError, match=r"no result 'energy'.*final_energy, least_energy"):
        found["energy"]
    assert "LDHD on Rosenbrock(d=2)" in repr(found)


def test_the_name_of_a_result_says_what_it_is(tmp_path: Any) -> None:
    given: dict[str, Any] = {"grid": GRID, "step": 0.1, "steps": 2}
    with pytest.raises(ValueError, match=r"ends in \.npz, or a folder; got .*map\.txt"):
        ensemble(LDHD, Silent(1.0), **given, out=tmp_path / "map.txt")
    (tmp_path / "runs.v2").mkdir()
    ensemble(LDHD, Quadratic(1.0), **given, out=tmp_path / "runs.v2")
