"""What searches and pictures of clusters choose by themselves, refuse, and say of themselves."""

from collections.abc import Callable, Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from small_clusters import LJ7, LJ13
from torch import Tensor

from dashpot.analysis import Annealed, Quench, anneal, basin_hopping, draw_cluster
from dashpot.dynamics import Langevin, OverdampedLangevin
from dashpot.landscapes import LennardJones, Quadratic

BOWL = Quadratic([1.0, 2.0])


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def langevin(temperature: float) -> Langevin:
    return Langevin(1.0, temperature)


def annealed(dynamics: Any = langevin, temperatures: Any = (0.1, 0.05), noise: Any = 0) -> Annealed:
    return anneal(dynamics, BOWL, torch.ones(3, 2), temperatures, step=0.1, steps=2, noise=noise)


def test_walkers_stop_at_the_known_minimum() -> None:
    starts = LJ7.random_start(4, seed=0)
    run = basin_hopping(LJ7, starts, hops=20, noise=1)
    assert run.target is not None and run.target == LJ7.minimum
    assert ((run.best.energy < run.target + 1e-9) == (run.reached >= 0)).all()
    assert (run.reached >= 0).any()
    free = basin_hopping(LJ7, starts, hops=3, noise=1, target=None)
    assert free.target is None and len(free.found) == 4 and (free.reached == -1).all()
    unknown = basin_hopping(LennardJones(8), LennardJones(8).random_start(2, 0), hops=1, noise=1)
    assert unknown.target is None
    wrong: Any = "lowest"
    with pytest.raises(ValueError, match='target must be an energy, "minimum" or None; got \'low'):
        basin_hopping(LJ7, starts, hops=1, noise=1, target=wrong)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: annealed(Langevin(1.0, 0.1)), TypeError, r"got Langevin\("),
        (lambda: annealed(Langevin), TypeError, "lambda T: Langevin"),
        (lambda: annealed(lambda T: T), TypeError, "dynamics must be a function of the temp"),
        (lambda: annealed(temperatures=0.3), TypeError, r"such as cooling\(.*; got 0.3"),
        (lambda: annealed(temperatures=[0.1, -0.3]), ValueError, "temperature"),
        (lambda: annealed(noise=1.5), TypeError, "noise must be an integer >= 0; got 1.5"),
    ],
)
def test_bad_annealing_is_refused_before_any_work(
    call: Callable[[], object], error: type[Exception], message: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr(Quadratic, "df", None)
    with pytest.raises(error, match=message):
        call()


def test_temperatures_and_dynamics_in_other_forms() -> None:
    listed = annealed(temperatures=[0.1, 0.05])
    assert torch.equal(annealed(temperatures=np.array([0.1, 0.05])).energies, listed.energies)
    assert annealed(OverdampedLangevin).energies.shape == (2, 3)


@pytest.mark.parametrize(
    ("landscape", "x", "error", "message"),
    [
        (BOWL, torch.zeros(7, 3), TypeError, "draw_cluster takes a Cluster first"),
        (LJ7, LJ7.start[:, :2], ValueError, r"one cluster of shape \(7, 3\); got \(7, 2\)"),
        (LJ7, LJ7.start[None], ValueError, r"got \(1, 7, 3\) \(take one of the batch\)"),
        (LJ7, LJ7.start[0], ValueError, r"got \(3,\)$"),
        (LJ7, torch.nan * LJ7.start, ValueError, "x must be finite; it has NaN"),
    ],
)
def test_what_cannot_be_drawn(landscape: Any, x: Tensor, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        draw_cluster(landscape, x)


def test_an_evaporated_cluster_is_shown_by_its_largest_piece() -> None:
    rest = Quench()(LJ13, LJ13.random_start(4, seed=0)).x[0]
    away = rest + 80.0 * (torch.arange(13) < 4)[:, None]
    ax = draw_cluster(LJ13, away)
    assert "evaporated: the largest piece, 9 of 13 atoms" in ax.get_title()
    assert f"E = {LJ13(away).item():.6f}" in ax.get_title()
    opaque = np.asarray(ax.images[0].get_array())[..., 3] > 0
    assert opaque.mean() > 0.3  # 80 away, atoms would be points
    gas = draw_cluster(LJ13, 50 * rest)
    assert "1 of 13 atoms" in gas.get_title()
    assert np.isfinite(np.asarray(gas.images[0].get_array())).all()
    assert "evaporated" not in draw_cluster(LJ13, LJ13.start).get_title()


def test_the_picture_explains_its_colours() -> None:
    rest = basin_hopping(LJ13, LJ13.random_start(4, seed=0), hops=20, noise=1).best
    ax = draw_cluster(LJ13, rest.x[rest.energy.argmin()])
    legend = ax.get_legend()
    assert legend is not None and legend.get_title().get_text() == "neighbours of an atom"
    # the icosahedron: each of 12 atoms has 5 beside it and the one in the middle
    assert [text.get_text() for text in legend.get_texts()] == ["6", "12"]


def test_what_searches_say_of_themselves_is_short() -> None:
    start = LJ7.random_start(30, seed=0)
    rest = Quench(at_most=350)(LJ7, start)
    done = int(rest.converged.sum())
    assert 0 < done < 30
    lowest = f"{rest.energy.min().item():.8g}"
    total = int(rest.gradients.sum())
    assert repr(rest) == (
        f"Quenched(30 systems: {done} converged, {30 - done} unfinished; lowest energy {lowest}, "
        f"{total} gradients)"
    )
    assert rest.lowest == rest.energy.min().item()
    run = annealed()
    assert repr(run) == f"Annealed(finished: 2 stages from T = 0.1 to 0.05; rest = {run.rest!r})"
    assert repr(annealed(temperatures=[])).startswith("Annealed(finished: 0 stages; rest = Quen")
    hops = basin_hopping(LJ7, start[:3], hops=2, noise=0)
    there = int((hops.reached >= 0).sum())
    assert repr(hops).startswith("BasinHopping(finished: 3 walkers, 2 hops, ")
    assert f" {there} reached {LJ7.minimum:.8g}; best = Quenched(3 systems: 3 conv" in repr(hops)
    nothing = Quench()(LJ7, start[:0])
    assert repr(nothing) == "Quenched(0 systems: none; lowest energy inf, 0 gradients)"
