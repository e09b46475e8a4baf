"""Basin hopping finds the minima of small clusters."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from small_clusters import LJ7, LJ13, Interrupting, found

from dashpot.analysis import Quench, basin_hopping
from dashpot.analysis.clusters.moves import Moves
from dashpot.integrators import Noise
from dashpot.landscapes import LennardJones, Quadratic


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
    run = partial(basin_hopping, LJ7, hops=6, target=None)
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
    cold = basin_hopping(LJ13, starts, hops=12, noise=2, target=None, temperature=1e-9)
    assert (cold.energies.diff(dim=0) <= 0).all()
    torch.testing.assert_close(cold.energies, cold.lowest)
    hot = basin_hopping(LJ13, starts, hops=12, noise=2, target=None, temperature=1e9)
    torch.testing.assert_close(hot.energies, hot.found)
    assert (hot.energies.diff(dim=0) > 0).any()
    # in between, with the uniform numbers of channel 0
    warm = basin_hopping(LJ13, starts, hops=12, noise=2, target=None, temperature=0.8)
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


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: hop(temperature=0.0), "temperature must be an energy > 0; got 0.0"),
        (lambda: hop(step=-1.0), "step must be a length > 0; got -1.0"),
        (lambda: hop(hops=-1), "hops must be an integer >= 0; got -1"),
        (lambda: hop(surface=1.5), r"surface must be None, or a fraction of a pair energy"),
        (lambda: hop(starts=torch.zeros(7, 3)), r"starts must have shape \(B, 7, 3\)"),
    ],
)
def test_bad_hops(call: Callable[[], None], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_other_landscapes_than_clusters_are_refused() -> None:
    wrong: Any = Quadratic([1.0])
    with pytest.raises(TypeError, match=r"basin_hopping takes a Cluster first, such as Lennard"):
        basin_hopping(wrong, [[0.5]], hops=1, noise=0)


def hop(**changes: object) -> None:
    starts = changes.pop("starts", LJ7.random_start(1, seed=0))
    arguments = {"hops": 1, "noise": 0, **changes}
    basin_hopping(LJ7, starts, **arguments)  # pyright: ignore[reportArgumentType]
