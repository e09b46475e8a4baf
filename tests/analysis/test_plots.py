"""Plots show what they say: the drawn data, labels and scales."""

from dataclasses import dataclass, field

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt

from dashpot.analysis import (
    convergence_order,
    plot_energy,
    plot_orders,
    plot_path,
    plot_phase,
    plot_training,
)
from dashpot.dynamics import CD, LDHD
from dashpot.integrators import simulate, solve
from dashpot.landscapes import Landscape, Quadratic, Rosenbrock


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines()}


def test_energy_on_a_log_axis_and_its_inverse():
    run = simulate(LDHD(0.5), Quadratic([1.0, 4.0]), step=0.05, steps=40)
    ax = plot_energy(run)
    line = lines(ax)["LDHD"]
    assert ax.get_yscale() == "log"
    np.testing.assert_array_equal(line.get_ydata(), run.mechanical_energy.numpy())
    inverse = lines(plot_energy(run, view="inverse"))["LDHD"]
    np.testing.assert_allclose(np.asarray(inverse.get_ydata()), 1 / run.mechanical_energy.numpy())
    assert "t" in ax.get_xlabel() and "E" in ax.get_ylabel()


def test_references_are_matched_by_label():
    bowl = Quadratic([1.0])
    runs = {"CD": simulate(CD(0.5, 1.0), bowl, step=0.05, steps=40)}
    ax = plot_energy(runs, references={"CD": solve(CD(0.5, 1.0), bowl, until=2.0)})
    assert set(lines(ax)) >= {"CD", "reference"}


def test_equal_names_are_told_apart():
    run = simulate(LDHD(0.5), Quadratic([1.0]), step=0.05, steps=4)
    assert set(lines(plot_energy([run, run]))) == {"LDHD (1)", "LDHD (2)"}


def test_unknown_minimum_is_not_claimed():
    bowl = Landscape(lambda x: (x**2).sum(), 1, start=[1.0])
    ax = plot_energy(simulate(LDHD(0.5), bowl, step=0.05, steps=4))
    assert "f*" not in ax.get_ylabel()


def test_every_trajectory_of_a_batch_is_drawn_and_named_once():
    run = simulate(LDHD(0.5), Quadratic([1.0, 4.0]), [[1.0, 2.0], [3.0, 4.0]], step=0.05, steps=9)
    ax = plot_phase(run, coordinate=1)
    for i in (0, 1):
        np.testing.assert_array_equal(ax.get_lines()[i].get_xdata(), run["x"][:, i, 1].numpy())
        np.testing.assert_array_equal(ax.get_lines()[i].get_ydata(), run["p"][:, i, 1].numpy())
    energy = plot_energy(run)
    drawn = np.stack([np.asarray(line.get_ydata()) for line in energy.get_lines()], axis=1)
    np.testing.assert_array_equal(drawn, run.mechanical_energy.numpy())
    for one in (ax, energy, plot_path(run, Quadratic([1.0, 4.0]))):
        labels = one.get_legend_handles_labels()[1]
        assert labels.count("LDHD") == 1


def test_path_needs_two_dimensions():
    run = simulate(LDHD(0.5), Rosenbrock(2), step=0.001, steps=9)
    ax = plot_path(run, Rosenbrock(2))
    np.testing.assert_array_equal(lines(ax)["LDHD"].get_xydata(), run["x"].numpy())
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        plot_path(run, Rosenbrock(3))


def test_orders_carry_their_slope():
    measured = convergence_order(LDHD(0.5), Quadratic([1.0, 4.0]), divisions=(8, 16))
    ax = plot_orders(measured)
    assert any("BDA" in str(label) and f"{measured.slope:.2f}" in str(label) for label in lines(ax))


@dataclass
class Trained:
    optimizer: str
    losses: list[float]
    epochs: list[float] = field(default_factory=lambda: [1.0, 2.0])


def test_training_shows_the_median_over_seeds():
    runs = [Trained("CD", [3.0, 1.0]), Trained("CD", [2.0, 0.5]), Trained("CD", [9.0, 0.7])]
    line = plot_training(runs).get_lines()[0]
    np.testing.assert_allclose(np.asarray(line.get_ydata()), [3.0, 0.7])
