"""Quenches end in the minima of small clusters."""

import math
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from problems import Watched
from small_clusters import LJ7, LJ13, found

from dashpot.analysis import KINETIC_QUENCH, Quench
from dashpot.analysis.clusters.counted import Counted
from dashpot.dynamics import CD, LDHD
from dashpot.landscapes import (
    ClusterTables,
    LennardJones,
    Morse,
    Quadratic,
    Rosenbrock,
    cluster_tables,
)


@pytest.fixture(scope="module")
def tables() -> ClusterTables:
    folder = os.environ.get("DASHPOT_DATA")
    if not folder or not (Path(folder) / "clusters").is_dir():
        pytest.skip("DASHPOT_DATA names no folder with clusters/")
    return cluster_tables(folder)


@pytest.mark.parametrize("quench", [Quench(), KINETIC_QUENCH], ids=["CD", "iKFAD"])
def test_quenches_from_random_starts_end_in_minima(quench: Quench) -> None:
    rest = quench(LJ7, LJ7.random_start(40, seed=1))
    assert set(rest.status) == {"converged"}
    torch.testing.assert_close(rest.energy, LJ7(rest.x))
    slopes = LJ7.gradient(rest.x).abs().amax((1, 2))
    assert slopes.max().item() < 1e-6
    torch.testing.assert_close(rest.slope, slopes, rtol=1e-3, atol=1e-9)
    # LJ7 has four minima (Hoare, Pal 1971); every quench that kept its atoms is in one of them.
    four = torch.tensor([-16.505384, -15.935043, -15.593211, -15.533060], dtype=torch.float64)
    nearest = (rest.energy[:, None] - four).abs().amin(1)
    assert nearest.max().item() < 1e-6
    assert found(rest.energy, LJ7.minimum).sum().item() >= 5


def test_gradients_are_counted() -> None:
    bowl = Quadratic([1.0, 4.0, 9.0])
    starts = torch.tensor([[0.0, 0, 0], [1, 1, 1], [100, -7, 3]], dtype=torch.float64)
    how = Quench(LDHD(gamma=2.0), step=0.2, word="BDA", tolerance=1e-8, block=10)
    rest = how(bowl, starts)
    assert rest.converged.all()
    assert rest.gradients[0].item() == 1  # at rest from the start: one look
    # n blocks of ten steps with one gradient each, and n + 1 looks
    for count in rest.gradients.tolist():
        assert (count - 1) % 11 == 0
    assert rest.gradients[1] < rest.gradients[2]
    watched = Watched(bowl)
    how(watched, starts[2:])
    assert watched.calls == rest.gradients[2].item()


def test_a_system_does_not_depend_on_the_rest_of_the_batch() -> None:
    lj38 = LennardJones(38)
    starts = lj38.random_start(71, seed=0)
    short = Quench(at_most=60)
    whole = short(lj38, starts)
    for k in (0, 3, 70):
        alone = short(lj38, starts[k : k + 1])
        assert torch.equal(alone.x[0], whole.x[k])


def test_a_violent_start_stays_bounded() -> None:
    # With γ = 0 the cap after the kick is 1/√(2ch), so that a step moves no coordinate by more
    # than √(h/(2c)), whatever the force.
    starts = LJ13.random_start(8, seed=0)
    starts[:, 1] = starts[:, 0] + 1e-4
    reach = math.sqrt(0.05 / (2 * 4.0))
    one_step = Quench(CD(gamma=0.0, c=4.0), at_most=1)(LJ13, starts)
    assert (one_step.x - starts).abs().max().item() <= reach * (1 + 1e-12)
    assert (one_step.x - starts).abs().max().item() > 0.99 * reach
    assert set(Quench()(LJ13, starts).status) == {"converged"}


def test_every_system_has_its_own_status() -> None:
    # h√L = 20 · 0.2 > 2 makes the second mode unstable; the third start is the minimiser.
    bowl = Quadratic([1.0, 400.0])
    starts = [[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]
    how = Quench(LDHD(gamma=0.01), step=0.2, word="BDA", at_most=2000, block=500)
    rest = how(bowl, starts)
    assert rest.status == ("unfinished", "diverged", "converged")
    assert rest.x[1].tolist() == starts[1]  # where it was last seen finite
    assert torch.isfinite(rest.energy).all()
    assert rest.converged.tolist() == [False, False, True]
    assert how(bowl, torch.zeros(0, 2)).status == ()
    # the last block may be shorter: 30 steps and 3 looks
    assert replace(how, at_most=30, block=20)(bowl, starts[:1]).gradients.item() == 33


def test_an_interrupted_quench_keeps_what_it_has() -> None:
    starts = Rosenbrock(2).start.repeat(3, 1) * torch.tensor([[1.0], [0.5], [2.0]])
    watched = Watched(Rosenbrock(2), raise_at=1000, error=KeyboardInterrupt)
    rest = Quench(CD(1.0, 1.0), step=0.02, block=50)(watched, starts)
    assert set(rest.status) == {"interrupted"}
    assert rest.gradients.max().item() in range(900, 1001)
    assert (rest.energy < Rosenbrock(2)(starts)).all()


def test_bad_quenches() -> None:
    with pytest.raises(ValueError, match="tolerance must be > 0, a force; got 0"):
        Quench(tolerance=0)
    with pytest.raises(ValueError, match="at_most must be an integer >= 1; got 0"):
        Quench(at_most=0)
    with pytest.raises(TypeError, match="block must be an integer >= 1; got True"):
        Quench(block=True)
    with pytest.raises(ValueError, match=r"starts must have shape \(B, 7, 3\), a batch; got"):
        Quench()(LJ7, LJ7.start)


def test_the_octahedron_comes_back(tables: ClusterTables) -> None:
    lj38 = LennardJones(38)
    generator = torch.Generator().manual_seed(0)
    kicks = torch.rand(8, 38, 3, dtype=torch.float64, generator=generator) - 0.5
    starts = tables.geometries[38] + 0.2 * kicks
    assert lj38(starts).min().item() > -150
    for quench in (Quench(), KINETIC_QUENCH):
        assert found(quench(lj38, starts).energy, lj38.minimum).all()


def test_morse_minima_lie_near_those_of_lennard_jones(tables: ClusterTables) -> None:
    for n in (*range(4, 8), 13, 38):
        morse = Morse(n)
        start = tables.geometries[n][None] / LJ7.bond
        rest = Quench(step=0.27 / 6)(morse, start)
        assert rest.converged.all()
        if n < 38:  # the table has five to six decimals
            assert rest.energy.item() == pytest.approx(tables.morse[6.0][n], abs=6e-6)
        else:  # at this range another structure lies below the octahedron
            assert rest.energy.item() > tables.morse[6.0][n]


def test_counting_does_not_change_values() -> None:
    x = LJ13._first(LJ13.random_start(21, seed=3))
    counted = Counted(LJ13)
    torch.testing.assert_close(counted.df(x), LJ13.df(x), rtol=1e-11, atol=1e-9)
    torch.testing.assert_close(counted.f(x), LJ13.f(x), rtol=1e-11, atol=1e-9)
    assert torch.equal(counted.df(x[..., :3].contiguous()), counted.df(x)[..., :3])
    assert counted.gradients == 3
