"""The theory's figures show what they say."""

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt

from dashpot.analysis.ladder import LadderRow
from dashpot.analysis.plots.stability import plot_boundedness, plot_ladder, plot_stability
from dashpot.analysis.stability.large_steps import Boundedness
from dashpot.analysis.stability.maps import stability_map
from dashpot.dynamics import LDHD
from dashpot.integrators import Word

AXES = np.linspace(0.1, 3.0, 30), np.linspace(0.0, 4.0, 20)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_the_map_is_grey_beyond_the_limit_of_stability():
    found = stability_map(Word("BADAB", LDHD(0.1)), *AXES)
    ax = plot_stability(found)
    shown = np.ma.filled(np.ma.asarray(ax.collections[0].get_array()), np.nan)
    np.testing.assert_array_equal(np.isnan(shown), found.radius > 1 + 1e-12)
    np.testing.assert_array_equal(shown[found.radius <= 1], found.radius[found.radius <= 1])
    contour = np.concatenate([path.vertices for path in ax.collections[1].get_paths()])
    assert np.abs(contour[:, 0] - 2.0).max() < 0.1  # one spacing of the grid
    line = ax.get_lines()[0]
    np.testing.assert_allclose(np.asarray(line.get_ydata()), 2 * np.asarray(line.get_xdata()))
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("h√k", "γh", "LDHD BADAB")


def test_the_rate_is_shown_over_that_of_the_ode():
    found = stability_map(Word("BADAB", LDHD(0.1)), *AXES)
    shown = plot_stability(found, view="rate").collections[0].get_array()
    root, friction = AXES[0], AXES[1][:, None]
    # complex roots in the ODE and, for h√k < 1.5 and γh < 1, in the word: the modulus is exact
    both = (friction < 1.9 * root) & (friction > 0) & (root < 1.5) & (friction < 1)
    np.testing.assert_allclose(np.asarray(shown)[both], 1.0, rtol=1e-9)


def test_a_dynamics_as_it_stands_is_a_curve():
    found = stability_map(Word("BDA", LDHD(0.5)), AXES[0], step=0.2)
    line = plot_stability(found).get_lines()[0]
    np.testing.assert_array_equal(line.get_ydata(), found.radius)
    line, exact = plot_stability(found, view="rate").get_lines()
    np.testing.assert_array_equal(line.get_ydata(), found.rate)
    np.testing.assert_array_equal(exact.get_ydata(), found.ode_rate)


def test_strips_count_the_starts_that_were_kept():
    rows = ((True, True), (True, False), (False, False))
    one = Boundedness("BACD", "CD", (0.5, 1.5, 3.0), (0.3, 1.0), rows)
    ax = plot_boundedness([one, one])
    np.testing.assert_array_equal(ax.images[0].get_array(), [[2, 1, 0], [2, 1, 0]])
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["BACD", "BACD"]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0.5", "1.5", "3"]
    with pytest.raises(ValueError, match="same ladder"):
        plot_boundedness([one, Boundedness("BACD", "CD", (0.5,), (0.3, 1.0), rows[:1])])
    with pytest.raises(ValueError, match="one or more"):
        plot_boundedness([])


def test_lost_runs_are_crossed():
    rows = [LadderRow("BACD", 1.0, 0, 0.1, 2.3, 0.9, "finished"),
            LadderRow("BACD", 8.0, 0, 99.0, 2.3, 0.1, "lost"),
            LadderRow("BCDA", 1.0, 0, 0.2, 2.3, 0.9, "finished")]  # fmt: skip
    ax = plot_ladder(rows)
    crosses = [
        np.asarray(line.get_ydata()).item() for line in ax.get_lines() if line.get_marker() == "X"
    ]
    assert crosses == [99.0]
    assert ax.get_legend_handles_labels()[1] == ["BACD", "BCDA", "untrained"]
