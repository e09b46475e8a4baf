"""Words that need several gradients a step take them from a closure."""

import re

import pytest
import torch
from problems import CoupledQuartic, Recording, Watched, closure_of, parameter

from dashpot.dynamics import CADAM, CD, IKFAD, LDHD, Dynamics
from dashpot.integrators import simulate
from dashpot.integrators.optim import WordOptimizer

X0 = torch.tensor([1.0, -0.6], dtype=torch.float64)
H, STEPS = 0.05, 30
SEVERAL: list[tuple[Dynamics, str, int]] = [
    (LDHD(0.4), "BABAD", 2),
    (LDHD(0.4), "ABABAD", 2),
    (CD(0.3, 0.8), "B:1/4A:1/2B:1/2CDA:1/2B:1/4", 2),
    (IKFAD(0.3, 0.7, 0.9), "BACBAD", 2),
    (CADAM(0.3, 0.6, 0.5, 0.1), "BCADEDACB", 2),
    (CADAM(0.3, 0.6, 0.5, 0.1), "BABABAECD", 3),
]


@pytest.mark.parametrize(("dynamics", "word", "count"), SEVERAL, ids=str)
def test_gradients_are_taken_at_the_points_of_the_simulation(
    dynamics: Dynamics, word: str, count: int
) -> None:
    param, ours, theirs = parameter(X0), Recording(), Recording()
    optimizer = WordOptimizer(dynamics, [param], lr=H, word=word)
    assert optimizer.word.gradients_per_step == count
    closure = closure_of(optimizer, param, ours)
    for _ in range(STEPS):
        optimizer.step(closure)
    simulate(dynamics, theirs, X0, step=H, steps=STEPS, word=word)
    # a word that starts with a drift does not use the gradient at the start
    points = ours.points[1:] if word[0] == "A" else ours.points
    n = min(len(points), len(theirs.points))
    assert n >= (STEPS - 1) * count
    assert torch.equal(torch.stack(points[:n]), torch.stack(theirs.points[:n]))


@pytest.mark.parametrize(
    ("dynamics", "word"), [(LDHD(0.4), "BABAD"), (IKFAD(0.3, 0.7, 0.9), "BACBAD")], ids=str
)
def test_words_without_a_closing_piece_are_the_simulation(dynamics: Dynamics, word: str) -> None:
    param = parameter(X0)
    optimizer = WordOptimizer(dynamics, [param], lr=H, word=word)
    closure = closure_of(optimizer, param, CoupledQuartic())
    points = [param.detach().clone()]
    for _ in range(STEPS):
        optimizer.step(closure)
        points.append(param.detach().clone())
    run = simulate(dynamics, CoupledQuartic(), X0, step=H, steps=STEPS, word=word)
    assert torch.equal(torch.stack(points), run["x"])
    for name in dynamics.variables[1:]:
        assert torch.equal(optimizer.state[param][name], run[name][-1]), name


def test_several_groups_move_together() -> None:
    """Two groups on one coupled function: gradients are taken when both have moved."""
    a, b = parameter([1.0]), parameter([-0.6])
    optimizer = WordOptimizer(LDHD(0.4), [{"params": [a]}, {"params": [b]}], lr=H, word="BABAD")

    def closure() -> torch.Tensor:
        point = torch.cat([a.detach(), b.detach()])
        grad = CoupledQuartic().df(point)
        a.grad, b.grad = grad[:1], grad[1:]
        return CoupledQuartic().f(point)

    for _ in range(STEPS):
        optimizer.step(closure)
    run = simulate(LDHD(0.4), CoupledQuartic(), X0, step=H, steps=STEPS, word="BABAD")
    assert torch.equal(torch.cat([a.detach(), b.detach()]), run["x"][-1])


def test_returns_the_loss_at_the_start_of_the_step() -> None:
    param = parameter(X0)
    optimizer = WordOptimizer(LDHD(0.4), [param], lr=H, word="BABAD")
    loss = optimizer.step(closure_of(optimizer, param, CoupledQuartic()))
    assert loss.item() == CoupledQuartic()(parameter(X0)).item()


@pytest.mark.parametrize(("dynamics", "word", "count"), SEVERAL, ids=str)
def test_the_closure_is_called_as_often_as_the_repr_says(
    dynamics: Dynamics, word: str, count: int
) -> None:
    param, watched = parameter(X0), Watched(CoupledQuartic())
    optimizer = WordOptimizer(dynamics, [param], lr=H, word=word)
    said = re.search(r"with (\d+) gradients from a closure", repr(optimizer))
    assert said is not None
    closure = closure_of(optimizer, param, watched)
    optimizer.step(closure)
    first = watched.calls
    for _ in range(10):
        optimizer.step(closure)
    assert watched.calls - first == 10 * int(said[1]) == 10 * count


def test_a_missing_closure_is_asked_for() -> None:
    param = parameter(X0)
    optimizer = WordOptimizer(LDHD(0.4), [param], lr=H, word="BABAD")
    param.grad = torch.ones_like(param)
    with pytest.raises(
        RuntimeError, match=r"word BABAD takes 2 gradients a step; call step\(closure"
    ):
        optimizer.step()
    assert torch.equal(param, parameter(X0))


def test_no_step_size_changes_nothing() -> None:
    param = parameter(X0)
    optimizer = WordOptimizer(LDHD(0.4), [param], lr=0.0, word="BABAD")
    optimizer.step(closure_of(optimizer, param, CoupledQuartic()))
    assert torch.equal(param, parameter(X0))
