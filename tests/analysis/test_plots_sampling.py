"""Figures of sampling show what they say: the drawn data, labels and scales."""

import matplotlib as mpl
import numpy as np
import pytest
import torch

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.container import ErrorbarContainer
from matplotlib.patches import StepPatch

from dashpot.analysis import (
    average,
    compare_with_gibbs,
    plot_autocorrelation,
    plot_histogram,
    plot_landscape_samples,
)
from dashpot.analysis.sampling.autocorrelation import autocorrelation
from dashpot.dynamics import Langevin
from dashpot.integrators import Trajectory, simulate
from dashpot.landscapes import MuellerBrown, Quadratic


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def run() -> Trajectory:
    start = torch.zeros(20, 2, dtype=torch.float64)
    return simulate(Langevin(1.0, 1.0), Quadratic([1.0, 4.0]), start, step=0.2, steps=2000, noise=0)


def labels(ax: Axes) -> list[str]:
    return [str(label) for label in ax.get_legend_handles_labels()[1]]


def test_histogram_draws_density_errors_and_law(run: Trajectory) -> None:
    found = compare_with_gibbs(run, Quadratic([1.0, 4.0]), 1.0, coordinates=[1])
    ax = plot_histogram(found)
    (steps,) = [patch for patch in ax.patches if isinstance(patch, StepPatch)]
    values, edges, _ = steps.get_data()
    np.testing.assert_array_equal(values, found.expected)
    np.testing.assert_array_equal(edges, found.edges[0])
    (bars,) = [c for c in ax.containers if isinstance(c, ErrorbarContainer)]
    np.testing.assert_array_equal(bars.lines[0].get_ydata(), found.density)
    ends = np.array([segment[:, 1] for segment in bars.lines[2][0].get_segments()])
    np.testing.assert_allclose(ends[:, 1] - ends[:, 0], 2 * found.errors)
    assert set(labels(ax)) == {"Gibbs", "samples ± standard error"}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x₂", "density")
    assert "T = 1" in ax.get_title()


def test_histogram_in_two_dimensions_is_in_standard_errors(run: Trajectory) -> None:
    bowl = Quadratic([1.0, 4.0])
    found = compare_with_gibbs(run, bowl, 1.0, coordinates=(1, 0), bins=8)
    ax = plot_histogram(found)
    (mesh,) = [c for c in ax.collections if isinstance(c, QuadMesh)]
    drawn = np.asarray(mesh.get_array()).reshape(8, 8)
    np.testing.assert_allclose(drawn.T, (found.density - found.expected) / found.errors)
    assert mesh.get_clim() == (-4, 4)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x₂", "x₁")


def test_autocorrelation_is_drawn_in_units_of_time(run: Trajectory) -> None:
    thin = run.thinned(len(run) // 2)  # every second sample: the times are twice as far apart
    ax = plot_autocorrelation({"all": run, "thinned": thin}, "p2", discard=0.0)
    drawn = {str(line.get_label()).split(" (")[0]: line for line in ax.get_lines()}
    for name, one, spacing in (("all", run, 0.2), ("thinned", thin, 0.4)):
        values = (one["p"] ** 2).sum(-1).numpy()
        np.testing.assert_allclose(np.asarray(drawn[name].get_ydata()), autocorrelation(values))
        times = np.asarray(drawn[name].get_xdata())
        np.testing.assert_allclose(times[:3], [0.0, spacing, 2 * spacing])
        tau = average(values).tau * spacing
        assert f"τ = {tau:.3g}" in str(drawn[name].get_label())
    assert "|p|²" in ax.get_ylabel()
    assert "t" in ax.get_xlabel()
    short = run.thinned(10)
    assert "not to be relied on" in labels(plot_autocorrelation(short))[0]


def test_samples_lie_over_the_landscape() -> None:
    surface = MuellerBrown()
    start = surface.minima
    run = simulate(Langevin(10.0, 15.0), surface, start, step=0.005, steps=300, noise=1)
    ax = plot_landscape_samples(run, surface)
    lines = {str(line.get_label()): line for line in ax.get_lines()}
    cloud = np.asarray(lines["samples"].get_xydata())
    assert set(map(tuple, cloud)) == set(map(tuple, run["x"].reshape(-1, 2).numpy()))
    np.testing.assert_array_equal(lines["minimum"].get_xydata(), surface.minima.numpy())
    np.testing.assert_array_equal(lines["saddle"].get_xydata(), surface.saddles.numpy())
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x₁", "x₂")
    path = {
        str(line.get_label()): line for line in plot_landscape_samples(run, surface, path=1).lines
    }
    np.testing.assert_array_equal(path["path"].get_xydata(), run["x"][:, 1].numpy())


def test_lost_samples_are_not_drawn() -> None:
    start = torch.tensor([[0.5, 0.0], [4.0, 4.0]], dtype=torch.float64)
    run = simulate(Langevin(10.0, 15.0), MuellerBrown(), start, step=0.005, steps=200, noise=2)
    assert run.status == "diverged"
    ax = plot_landscape_samples(run, MuellerBrown())
    (cloud,) = [line for line in ax.get_lines() if line.get_label() == "samples"]
    assert np.isfinite(np.asarray(cloud.get_xydata())).all()


def test_only_two_dimensions_can_be_drawn(run: Trajectory) -> None:
    with pytest.raises(ValueError, match=r"draws shape \(2,\)"):
        plot_landscape_samples(run, Quadratic([1.0, 2.0, 3.0]))
