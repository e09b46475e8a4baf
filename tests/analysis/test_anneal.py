"""Annealing finds the minimum of a small cluster, and what a search costs."""

import math
from functools import partial

import pytest
import torch
from problems import Watched
from small_clusters import LJ7, LJ13, found
from torch import Tensor

from dashpot.analysis import Annealed, Quench, Success, anneal, cooling
from dashpot.dynamics import CD, Langevin
from dashpot.landscapes import Quadratic


def test_annealing_finds_the_icosahedron() -> None:
    starts = Quench(tolerance=1e-2)(LJ13, LJ13.random_start(16, seed=2)).x
    temperatures = cooling(0.3, 0.1, 8)
    run = anneal(partial(Langevin, 1.0), LJ13, starts, temperatures, step=0.03, steps=200, noise=5)
    assert run.status == "finished"
    assert run.temperatures == tuple(temperatures)
    assert run.energies.shape == (8, 16)
    assert run.energies[-1].mean() < run.energies[0].mean()
    assert (run.rest.gradients > 8 * 200).all()
    assert found(run.rest.energy, LJ13.minimum).sum().item() >= 8
    half = anneal(
        partial(Langevin, 1.0), LJ13, starts[:5], temperatures[:2], step=0.03, steps=200, noise=5
    )
    assert torch.equal(half.energies, run.energies[:2, :5])


def test_stages_share_no_noise() -> None:
    # After 400 steps of 0.2 the bowl has forgotten how the stage began: with the noise of the
    # stage before, every stage would end at the same point.
    bowl, start = Quadratic(1.0), torch.zeros(4, 1)
    run = anneal(partial(Langevin, 2.0), bowl, start, [1.0] * 3, step=0.2, steps=400, noise=5)
    assert (run.energies.diff(dim=0).abs() > 1e-6).all()
    other = anneal(partial(Langevin, 2.0), bowl, start, [1.0] * 3, step=0.2, steps=400, noise=6)
    assert (run.energies - other.energies).abs().min().item() > 1e-6


def test_annealing_ends_with_what_is_done() -> None:
    starts = Quench(tolerance=1e-2)(LJ7, LJ7.random_start(2, seed=2)).x
    watched = Watched(LJ7, raise_at=120, error=KeyboardInterrupt)
    run = anneal(partial(Langevin, 1.0), watched, starts, [0.1] * 9, step=0.03, steps=50, noise=5)
    assert run.status == "interrupted"
    assert run.energies.shape == (2, 2)
    assert run.rest.converged.all()


class InterruptedValue(Quadratic):
    """Ctrl-C at the n-th value."""

    def __init__(self, at: int) -> None:
        super().__init__([1.0, 2.0])
        self.left = at

    def f(self, x: Tensor) -> Tensor:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return super().f(x)


@pytest.mark.parametrize("at", range(1, 7))
def test_ctrl_c_between_the_stages_keeps_those_that_are_done(at: int) -> None:
    def run(landscape: Quadratic, stages: int) -> Annealed:
        starts = torch.ones(3, 2)
        cold = [0.1] * stages
        return anneal(partial(Langevin, 1.0), landscape, starts, cold, step=0.1, steps=4, noise=1)

    stopped = run(InterruptedValue(at), 9)
    done = len(stopped.temperatures)
    assert stopped.status == "interrupted" and done < at
    assert torch.equal(stopped.energies, run(Quadratic([1.0, 2.0]), done).energies)
    assert torch.isfinite(stopped.rest.energy).all()


def test_an_interrupted_quench_is_told() -> None:
    starts = Quench(tolerance=1e-2)(LJ7, LJ7.random_start(2, seed=2)).x
    watched = Watched(LJ7, raise_at=130, error=KeyboardInterrupt)
    run = anneal(partial(Langevin, 1.0), watched, starts, [0.1] * 2, step=0.03, steps=50, noise=5)
    assert run.energies.shape == (2, 2)
    assert set(run.rest.status) == {"interrupted"} and run.status == "interrupted"


def test_bad_schedules() -> None:
    with pytest.raises(ValueError, match="cooling goes down: hottest > coldest > 0"):
        cooling(0.1, 0.3, 5)
    with pytest.raises(ValueError, match=r"> 0, both finite; got inf and 0\.3"):
        cooling(math.inf, 0.3, 5)
    for stages in (0, -1):
        with pytest.raises(ValueError, match=f"stages must be an integer >= 1; got {stages}"):
            cooling(1.0, 0.1, stages)
    assert cooling(1.0, 0.1, 1) == [1.0]
    with pytest.raises(ValueError, match="noise must be an integer >= 0; got -1"):
        anneal(partial(Langevin, 1.0), LJ7, LJ7.start[None], [0.1], step=0.03, steps=1, noise=-1)


def test_wilson_interval() -> None:
    # Both ends solve (p̂ − p)² = z² p (1 − p)/n; for 0 of n the upper one is z²/(n + z²).
    z2 = 1.959963984540054**2
    for successes, trials in ((0, 10), (1, 10), (7, 20), (20, 20)):
        one = Success(successes, trials, 100)
        for end in one.interval:
            gap = (one.rate - end) ** 2 - z2 * end * (1 - end) / trials
            assert abs(gap) < 1e-14
    assert Success(0, 10, 100).interval[1] == pytest.approx(z2 / (10 + z2))
    assert Success.of([True, False, True], 900).gradients_per_success == 450
    assert Success(0, 10, 100).gradients_per_success == math.inf
    with pytest.raises(ValueError, match="a rate needs trials >= 1, of which 0 to all succeeded"):
        Success.of([], 0)
    with pytest.raises(ValueError, match="got 3 of 2"):
        Success(3, 2, 100)


def test_a_dynamics_without_noise_is_run_as_it_is() -> None:
    starts = Quench()(LJ7, LJ7.random_start(4, seed=0)).x
    schedule = [0.2, 0.1]
    ended = anneal(
        lambda T: CD(1.0, 1.0 / T), LJ7, starts, schedule, step=0.02, steps=20, noise=1
    )  # fmt: skip
    assert ended.status == "finished" and bool(ended.rest.converged.all())
