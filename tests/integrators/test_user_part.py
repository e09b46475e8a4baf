"""A part written here works everywhere: check, words, orders, solutions, optimizers."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from problems import ULP, CoupledQuartic, closure_of, descend, measured_order, parameter

from dashpot.dynamics import Drift, Dynamics, Kick, LinearDamping, NonNegative, Part, State, check
from dashpot.dynamics.elements import sqrt
from dashpot.integrators import Word, optim, simulate, solve
from dashpot.landscapes import Quadratic


@dataclass(frozen=True)
class Quintic(Part):
    """p' = −k p⁵, element by element; exact flow p / (1 + 4 k h p⁴)^{1/4}."""

    letter, reads, writes = "Q", ("p",), ("p",)
    k: NonNegative

    def rate(self, s: State) -> dict[str, Any]:
        return {"p": -self.k * s.p**5}

    def flow(self, s: State, h: Any) -> None:
        s.p = s.p / sqrt(sqrt(1 + 4 * self.k * h * s.p**4))


mine = Dynamics(Drift(), Kick(), LinearDamping(0.2), Quintic(0.7), name="quintic")
landscape = CoupledQuartic()
X0 = torch.tensor([1.0, -0.6], dtype=torch.float64)


def test_the_part_keeps_its_word() -> None:
    assert check(Quintic(0.7))["semigroup"] < 1e-14
    with pytest.raises(ValueError, match="k must be a finite number >= 0; got -1"):
        Quintic(-1.0)


@pytest.mark.parametrize(("word", "order"), [("BDQA", 1), ("BDQAQDB", 2), ("QDBABDQ", 2)])
def test_orders(word: str, order: int) -> None:
    steps = (64, 128, 256) if order == 2 else (256, 512, 1024)
    assert measured_order(mine, word, steps=steps) == pytest.approx(order, abs=0.07)


@pytest.mark.parametrize("method", ["DOP853", "LSODA", "Radau", "dopri5"])
def test_solutions(method: str) -> None:
    """Without force: p = p0/(1 + 4 k p0⁴ t)^{1/4}."""
    free = Dynamics(Drift(), Quintic(0.7))
    run = solve(free, Quadratic(1.0), {"x": [0.0], "p": [1.5]}, until=2.0, times=[2.0],
                method=method)  # fmt: skip
    assert run["p"].item() == pytest.approx(1.5 / (1 + 4 * 0.7 * 1.5**4 * 2.0) ** 0.25, abs=1e-8)


def test_energy_rate() -> None:
    s = State({"x": torch.tensor([0.3]), "p": torch.tensor([-1.5]), "g": torch.tensor([2.0])})
    # −γ p² − k p⁶
    assert mine.energy_rate(s).item() == pytest.approx(-0.2 * 1.5**2 - 0.7 * 1.5**6, rel=1e-6)


@pytest.mark.parametrize("word", [None, "BDQA", "BDQAQDB"])
def test_the_optimizer_is_the_simulation(word: str | None) -> None:
    param = parameter(X0)
    optimizer = optim.optimizer(mine, [param], lr=0.05, word=word)
    assert "of quintic" in repr(optimizer)
    assert optimizer.param_groups[0]["k"] == 0.7
    points = descend(optimizer, param, landscape, 40)
    run = simulate(mine, landscape, X0, step=0.05, steps=40, word=word)
    assert torch.equal(points, run["x"])


def test_a_group_has_its_own_hyperparameter() -> None:
    a, b, b2 = parameter(X0), parameter([0.4, 0.9]), parameter([0.4, 0.9])
    both = optim.optimizer(mine, [{"params": [a]}, {"params": [b], "k": 30.0}], lr=0.1)
    alone = optim.optimizer(mine.bind({"k": 30.0}), [b2], lr=0.1)
    for _ in range(5):
        for param in (a, b, b2):
            param.grad = landscape.df(param.detach())
        both.step()
        alone.step()
    assert torch.equal(b, b2)
    with pytest.raises(ValueError, match="k must be a finite number >= 0; got -3"):
        optim.optimizer(mine, [{"params": [a], "k": -3.0}], lr=0.1)


@dataclass(frozen=True)
class GradientFlow(Part):
    """x' = −∇f; the flow is Euler's step, so the part is not exact: it has no momentum at all."""

    letter, reads, writes = "F", ("g",), ("x",)

    def rate(self, s: State) -> dict[str, Any]:
        return {"x": -s.g}

    def flow(self, s: State, h: Any) -> None:
        s.x = s.x - h * s.g


def test_a_dynamics_without_momentum_is_gradient_descent() -> None:
    descent = Dynamics(GradientFlow(), word="F")
    assert descent.variables == ("x",)
    param = parameter(X0)
    points = descend(optim.optimizer(descent, [param], lr=0.05), param, landscape, 20)
    sgd = parameter(X0)
    expected = descend(torch.optim.SGD([sgd], lr=0.05), sgd, landscape, 20)
    # SGD rounds once where we round twice: an ulp a step
    torch.testing.assert_close(points, expected, rtol=0, atol=20 * ULP)
    assert Word("F", descent).gradients_per_step == 1


@dataclass(frozen=True)
class VelocityDrift(Part):
    letter, reads, writes = "A", ("velocity",), ("x",)

    def rate(self, s: State) -> dict[str, Any]:
        return {"x": s.velocity}

    def flow(self, s: State, h: Any) -> None:
        s.x = s.x + h * s.velocity


@dataclass(frozen=True)
class VelocityKick(Part):
    letter, reads, writes = "B", ("g",), ("velocity",)

    def rate(self, s: State) -> dict[str, Any]:
        return {"velocity": -s.g}

    def flow(self, s: State, h: Any) -> None:
        s.velocity = s.velocity - h * s.g


@pytest.mark.parametrize("word", ["BA", "BABA"])
def test_the_momentum_may_have_another_name(word: str) -> None:
    own = Dynamics(VelocityDrift(), VelocityKick())
    param = parameter(X0)
    optimizer = optim.optimizer(own, [param], lr=0.05, word=word)
    closure = closure_of(optimizer, param, landscape)
    for _ in range(10):
        optimizer.step(closure)
    run = simulate(own, landscape, X0, step=0.05, steps=10, word=word)
    assert torch.equal(param.detach(), run["x"][-1])
