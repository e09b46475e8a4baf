"""Quenching, annealing and basin hopping find the minima of small clusters."""

import math
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from problems import Watched
from torch import Tensor

from dashpot.analysis import (
    KINETIC_QUENCH,
    Quench,
    Success,
    anneal,
    basin_hopping,
    cooling,
    draw_cluster,
)
from dashpot.analysis.clusters.counted import Counted
from dashpot.analysis.clusters.moves import Moves
from dashpot.analysis.clusters.picture import view
from dashpot.analysis.clusters.scene import Scene
from dashpot.dynamics import CD, LDHD, Langevin
from dashpot.integrators import Noise
from dashpot.landscapes import (
    ClusterTables,
    LennardJones,
    Morse,
    Quadratic,
    Rosenbrock,
    cluster_tables,
)

LJ7, LJ13 = LennardJones(7), LennardJones(13)


@pytest.fixture(scope="module")
def tables() -> ClusterTables:
    folder = os.environ.get("DASHPOT_DATA")
    if not folder or not (Path(folder) / "clusters").is_dir():
        pytest.skip("DASHPOT_DATA names no folder with clusters/")
    return cluster_tables(folder)


def found(energy: Tensor, minimum: float | None) -> Tensor:
    """Quenched to 1e-6: the energy is then off by |∇f|²/(2m) < 1e-10."""
    assert minimum is not None
    assert energy.min().item() > minimum - 1e-9
    return energy < minimum + 1e-9


# Quenches.


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
    with pytest.raises(ValueError, match="at_most must be a whole number of steps >= 1"):
        Quench(at_most=0)
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


# Searches.


def test_annealing_finds_the_icosahedron() -> None:
    starts = Quench(tolerance=1e-2)(LJ13, LJ13.random_start(16, seed=2)).x
    temperatures = cooling(0.3, 0.1, 8)
    run = anneal(partial(Langevin, 1.0), LJ13, starts, temperatures, step=0.03, steps=200, seed=5)
    assert run.status == "finished"
    assert run.temperatures == tuple(temperatures)
    assert run.energies.shape == (8, 16)
    assert run.energies[-1].mean() < run.energies[0].mean()
    assert (run.rest.gradients > 8 * 200).all()
    assert found(run.rest.energy, LJ13.minimum).sum().item() >= 8
    half = anneal(
        partial(Langevin, 1.0), LJ13, starts[:5], temperatures[:2], step=0.03, steps=200, seed=5
    )
    assert torch.equal(half.energies, run.energies[:2, :5])


def test_stages_share_no_noise() -> None:
    # After 400 steps of 0.2 the bowl has forgotten how the stage began: with the noise of the
    # stage before, every stage would end at the same point.
    bowl, start = Quadratic(1.0), torch.zeros(4, 1)
    run = anneal(partial(Langevin, 2.0), bowl, start, [1.0] * 3, step=0.2, steps=400, seed=5)
    assert (run.energies.diff(dim=0).abs() > 1e-6).all()
    other = anneal(partial(Langevin, 2.0), bowl, start, [1.0] * 3, step=0.2, steps=400, seed=6)
    assert (run.energies - other.energies).abs().min().item() > 1e-6


def test_annealing_ends_with_what_is_done() -> None:
    starts = Quench(tolerance=1e-2)(LJ7, LJ7.random_start(2, seed=2)).x
    watched = Watched(LJ7, raise_at=120, error=KeyboardInterrupt)
    run = anneal(partial(Langevin, 1.0), watched, starts, [0.1] * 9, step=0.03, steps=50, seed=5)
    assert run.status == "interrupted"
    assert run.energies.shape == (2, 2)
    assert run.rest.converged.all()
    with pytest.raises(ValueError, match="cooling goes down: hottest > coldest > 0"):
        cooling(0.1, 0.3, 5)


@pytest.mark.parametrize("landscape", [LJ7, LJ13], ids=repr)
def test_basin_hopping_finds_the_minimum(landscape: LennardJones) -> None:
    starts = landscape.random_start(12, seed=7)
    run = basin_hopping(landscape, starts, hops=40, noise=1, target=landscape.minimum)
    there = found(run.best.energy, landscape.minimum)
    assert there.sum().item() >= 10
    assert torch.equal(there, run.reached >= 0)
    hops = len(run.found) - 1
    assert run.energies.shape == run.gradients.shape == (hops + 1, 12)
    torch.testing.assert_close(landscape(run.best.x), run.best.energy)
    # every walker hopped until it was there, and cost nothing afterwards
    for w, hop in enumerate(run.reached.tolist()):
        last = hops if hop < 0 else hop
        assert (run.gradients[: last + 1, w] > 0).all()
        assert (run.gradients[last + 1 :, w] == 0).all()
        assert run.lowest[last, w].item() == run.found[: last + 1, w].nan_to_num(9).min().item()
        polish = run.best.gradients[w] - run.gradients[:, w].sum()
        assert polish > 0


def test_a_walker_depends_on_the_seed_and_its_place_alone() -> None:
    starts = LJ7.random_start(5, seed=3)
    run = partial(basin_hopping, LJ7, hops=6)
    whole, some, other = (
        run(starts, noise=4),
        run(starts[:2], noise=Noise(4)),
        run(starts, noise=5),
    )
    assert torch.equal(whole.found[:, :2], some.found)
    assert torch.equal(whole.energies[:, :2], some.energies)
    assert torch.equal(run(starts[3:], noise=Noise(4, first=3)).found, whole.found[:, 3:])
    assert not torch.equal(whole.found[1:], other.found[1:])


def test_the_metropolis_rule() -> None:
    # At T → 0 only hops downhill are taken, at T → ∞ all that end in a minimum.
    starts = LJ13.random_start(6, seed=3)
    cold = basin_hopping(LJ13, starts, hops=12, noise=2, temperature=1e-9)
    assert (cold.energies.diff(dim=0) <= 0).all()
    torch.testing.assert_close(cold.energies, cold.lowest)
    hot = basin_hopping(LJ13, starts, hops=12, noise=2, temperature=1e9)
    torch.testing.assert_close(hot.energies, hot.found)
    assert (hot.energies.diff(dim=0) > 0).any()
    # in between, with the uniform numbers of channel 0
    warm = basin_hopping(LJ13, starts, hops=12, noise=2, temperature=0.8)
    for k in range(1, 13):
        stands, tried = warm.energies[k - 1], warm.found[k]
        u = Noise(2).uniforms(k, 0, 1, 1, 6)[0, 0]
        expected = torch.where(u < torch.exp((stands - tried) / 0.8), tried, stands)
        assert torch.equal(warm.energies[k], expected)


def test_moves() -> None:
    x = Quench()(LJ13, LJ13.random_start(30, seed=0)).x
    all_atoms = Moves(LJ13, 0.3, None, Noise(1))
    tried = all_atoms(1, x) - x
    # where no atom can reach the container
    away = (x - x.mean(1, keepdim=True)).norm(dim=2).amax(1)
    inside = away < 1 + LJ13.radius - 0.3 * math.sqrt(3) * 2
    assert inside.any()
    assert tried[inside].abs().max().item() <= 0.3
    # 3·13 numbers, uniform in ±0.3, for each: mean 0, variance 0.03, fourth moment 0.3⁴/5
    sample = tried[inside].flatten()
    error = math.sqrt((0.3**4 / 5 - 0.03**2) / len(sample))
    assert sample.square().mean().item() == pytest.approx(0.03, abs=4 * error)
    assert not torch.equal(all_atoms(2, x), all_atoms(1, x))
    # every weakest atom is above 0.99 of the strongest, unless all are equal: it alone moves
    single = Moves(LJ13, 0.3, 0.99, Noise(1))(1, x)
    moved = ((single - x).norm(dim=2) > 1e-9)[inside]
    assert (moved.sum(1) == 1).all()
    assert torch.equal(moved.int().argmax(1), LJ13.atom_energies(x)[inside].argmax(1))


def test_atoms_go_back_onto_the_container() -> None:
    x = LJ13.random_start(3, seed=0)
    x[1, 4] = torch.tensor([50.0, 0, 0])
    tiny = 1e-12
    moved = Moves(LJ13, tiny, None, Noise(1))(1, x)
    torch.testing.assert_close(moved[[0, 2]], x[[0, 2]], rtol=0, atol=2 * tiny)
    away = x[1] - x[1].mean(0)
    distance, radius = away.norm(dim=1), 1 + LJ13.radius
    expected = x[1].mean(0) + away * (radius / distance.clamp_min(radius))[:, None]
    assert (distance > radius).any()
    torch.testing.assert_close(moved[1], expected, rtol=0, atol=20 * tiny)


def test_basin_hopping_survives_ctrl_c() -> None:
    watched = Interrupting(7, after=400)
    run = basin_hopping(watched, watched.random_start(4, seed=0), hops=50, noise=0)
    assert run.status == "interrupted"
    hops = len(run.found) - 1
    assert 0 <= hops < 50
    undisturbed = basin_hopping(LJ7, watched.random_start(4, seed=0), hops=hops, noise=0)
    assert torch.equal(run.found, undisturbed.found)
    assert run.best.converged.all()


class Interrupting(LennardJones):
    """Ctrl-C at the n-th gradient."""

    def __init__(self, n: int, after: int) -> None:
        super().__init__(n)
        self.after = after

    def df(self, x: Tensor) -> Tensor:
        self.after -= 1
        if self.after == 0:
            raise KeyboardInterrupt
        return super().df(x)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: hop(temperature=0.0), "temperature must be an energy > 0; got 0.0"),
        (lambda: hop(step=-1.0), "step must be a length > 0; got -1.0"),
        (lambda: hop(hops=-1), "hops must be a whole number >= 0; got -1"),
        (lambda: hop(surface=1.5), r"surface must be None, or a fraction of a pair energy"),
        (lambda: hop(starts=torch.zeros(7, 3)), r"starts must have shape \(B, 7, 3\)"),
    ],
)
def test_bad_hops(call: Callable[[], None], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def hop(**changes: object) -> None:
    starts = changes.pop("starts", LJ7.random_start(1, seed=0))
    arguments = {"hops": 1, "noise": 0, **changes}
    basin_hopping(LJ7, starts, **arguments)  # pyright: ignore[reportArgumentType]


def test_counting_does_not_change_values() -> None:
    x = LJ13._first(LJ13.random_start(21, seed=3))
    counted = Counted(LJ13)
    torch.testing.assert_close(counted.df(x), LJ13.df(x), rtol=1e-11, atol=1e-9)
    torch.testing.assert_close(counted.f(x), LJ13.f(x), rtol=1e-11, atol=1e-9)
    assert torch.equal(counted.df(x[..., :3].contiguous()), counted.df(x)[..., :3])
    assert counted.gradients == 3


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


# The picture.


def test_the_picture_shows_every_atom_in_front() -> None:
    x = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]], dtype=torch.float64)
    ax = draw_cluster(Morse(2), x, turn=np.eye(3))
    assert ax.get_title() == "Morse2 ρ=6    E = -1.000000"
    picture = np.asarray(ax.images[0].get_array())
    opaque = picture[..., 3] > 0
    # symmetric about both axes: balls at ±½ and the bond between
    assert abs(opaque.astype(int) - opaque[:, ::-1]).mean() < 0.005
    assert abs(opaque.astype(int) - opaque[::-1]).mean() < 0.005
    middle = picture.shape[0] // 2
    assert opaque[middle, middle]
    assert not opaque[0].any()
    # one behind the other: a single disc remains
    hidden = draw_cluster(Morse(2), x[:, [1, 2, 0]], turn=np.eye(3))
    disc = np.asarray(hidden.images[0].get_array())[..., 3] > 0
    extent = hidden.images[0].get_extent()
    area = disc.mean() * (extent[1] - extent[0]) ** 2
    assert area == pytest.approx(math.pi * 0.36**2, rel=0.01)
    plt.close("all")


def test_what_is_in_front_is_seen() -> None:
    red, blue = np.array([0.6, 0.0, 0.0]), np.array([0.0, 0.0, 0.6])
    front, back = np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.0, -1.0])
    for order in ((0, 1), (1, 0)):
        scene = Scene(1.0)
        for k in order:
            scene.ball((front, back)[k], 0.5, (red, blue)[k])
        scene.stick(np.array([-0.9, 0.0, 0.0]), np.array([0.9, 0.0, 0.0]), 0.1, blue)
        picture = scene.pixels()
        middle, side = picture[350, 350], picture[350, 630]
        assert middle[0] > middle[2] + 0.3
        assert side[2] > side[0] + 0.1
        assert picture[350, 680, 3] == 0


def test_the_view_belongs_to_the_cluster() -> None:
    # However the cluster lies, it is seen near the direction in which it is thinnest: a flat one
    # from its face, a long one from its side, up to the tilt of √(0.24² + 0.20²) = 0.31.
    generator = np.random.default_rng(0)
    ring = np.array([[math.cos(k), math.sin(k), 0] for k in range(0, 12, 2)])
    rod = np.array([[0.0, 0, k] for k in range(-3, 4)])
    for shape, least, most in ((ring, 0.95, 1.01), (rod, 0.95, 1.01)):
        lying, _ = np.linalg.qr(generator.normal(size=(3, 3)))
        x = shape @ lying.T
        turn = view(x - x.mean(0))
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-14)
        assert np.linalg.det(turn) == pytest.approx(1)
        shown = (x - x.mean(0)) @ turn.T
        extent = np.linalg.norm(shown[:, :2], axis=1).max()
        assert least <= extent / np.linalg.norm(x - x.mean(0), axis=1).max() <= most


def test_the_picture_goes_where_it_should() -> None:
    _, axes = plt.subplots()
    assert draw_cluster(Morse(3), Morse(3).start, ax=axes, title="three") is axes
    assert axes.get_title() == "three"
    plt.close("all")
