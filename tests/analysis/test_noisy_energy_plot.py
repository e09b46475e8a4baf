"""The energy of noisy runs: one path as it is, a batch as its mean with a band."""

from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
import pytest
import torch

mpl.use("Agg")
import matplotlib.pyplot as plt

from dashpot.analysis import plot_energy
from dashpot.dynamics import LDHD, Langevin
from dashpot.integrators import Trajectory, simulate
from dashpot.landscapes import Quadratic


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def run(trajectories: int) -> Trajectory:
    start = torch.ones(trajectories, 1, dtype=torch.float64)
    return simulate(Langevin(1.0, 0.5), Quadratic([1.0]), start, step=0.1, steps=30, noise=1)


def test_a_batch_is_its_mean_and_a_band() -> None:
    made = run(100)
    energy = made.mechanical_energy.numpy()
    ends = np.quantile(energy, (0.05, 0.95), axis=1)
    for view in ("log", "inverse"):
        shown = (lambda e: e) if view == "log" else (lambda e: 1 / e)
        ax = plot_energy({"cold": made}, view=view)
        (line,), (band,) = ax.get_lines(), ax.collections
        assert line.get_label() == "cold: mean of 100, 5–95 %"
        np.testing.assert_allclose(np.asarray(line.get_ydata()), shown(energy.mean(1)))
        for t, *edges in zip(made.times.tolist(), *shown(ends), strict=True):
            vertices = np.asarray(band.get_paths()[0].vertices)
            here = vertices[np.isclose(vertices[:, 0], t), 1]
            np.testing.assert_allclose([here.min(), here.max()], sorted(edges))


def test_lost_trajectories_do_not_count() -> None:
    made = run(10)
    made.mechanical_energy[5:, 3] = torch.nan
    made.mechanical_energy[20:] = torch.nan
    left = made.mechanical_energy[:20].nanmean(1)
    drawn = np.asarray(plot_energy(made).get_lines()[0].get_ydata())
    np.testing.assert_allclose(drawn[:20], left)
    assert np.isnan(drawn[20:]).all()


def test_single_paths_and_runs_without_noise_are_drawn_one_by_one() -> None:
    single = plot_energy(run(1))
    assert len(single.get_lines()) == 1 and not single.collections
    quiet = simulate(LDHD(0.5), Quadratic([1.0]), torch.ones(7, 1), step=0.1, steps=3)
    assert len(plot_energy(quiet).get_lines()) == 7
