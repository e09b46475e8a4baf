"""Figures of runs show what is in their logs; the ablation's four runs differ in friction alone."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from small_training import Sine, settings

from dashpot.analysis.plots import plot_friction, plot_learning, plot_letters
from dashpot.analysis.training import log
from dashpot.analysis.training.ablation import ABLATION, ablation
from dashpot.analysis.training.methods import METHODS
from dashpot.analysis.training.published import published
from dashpot.analysis.training.trainer import train
from dashpot.analysis.training.two_frictions import SecondCubicDamping
from dashpot.dynamics import check


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for name, method, changes in (
        ("CD", "CD", {"look_every": 1}),
        ("CD again", "CD", {"look_every": 1, "seed": 1}),
        ("AdamW", "AdamW", {"look_every": 1}),
        ("plain", "IKFAD", {}),
    ):
        train(Sine(), settings(method, **changes), folder / name)
    return folder


def shown(line: Any) -> list[list[float]]:
    return [list(map(float, line.get_xdata())), list(map(float, line.get_ydata()))]


def logged(folder: Path, kind: str) -> list[dict[str, Any]]:
    return list(log.lines(folder, kind))


# --- figures --------------------------------------------------------------------------------------


def test_seeds_are_one_curve_with_a_band(runs: Path) -> None:
    names = ("CD", "CD again", "plain")
    ax = plot_learning([runs / name for name in names])
    assert [line.get_label() for line in ax.lines] == ["CD", "IKFAD"]
    found = [[line["loss"] for line in logged(runs / name, "validation")] for name in names]
    steps = [float(line["step"]) for line in logged(runs / "CD", "validation")]
    assert shown(ax.lines[0])[0] == steps
    assert shown(ax.lines[0])[1] == pytest.approx(np.median(found[:2], axis=0))
    assert shown(ax.lines[1])[1] == found[2]
    assert len(ax.collections) == 1  # one run has no band
    assert "loss" in ax.get_ylabel()


def test_friction_shows_every_layer(runs: Path) -> None:
    axes = plot_friction(runs / "CD")
    looks = logged(runs / "CD", "look")
    names = list(looks[0]["layers"])
    assert [ax.get_title() for ax in axes] == [*names, "all layers"]
    for ax, name in zip(axes, names, strict=False):
        medians = [look["layers"][name]["momentum"][2] for look in looks]
        assert shown(ax.lines[0])[1] == medians
    fractions = {line.get_color(): shown(line)[1] for line in axes[-1].lines if len(shown(line)[0])}
    assert [100 * look["capped"] for look in looks] in fractions.values()


def test_letters_are_those_of_the_audit(runs: Path) -> None:
    above, below = plot_letters(str(runs / "CD"))
    every = logged(runs / "CD", "look")
    looks = [look for look in every if "audit" in look]
    assert len(looks) < len(every)
    lines = {line.get_label(): shown(line)[1] for line in above.lines}
    for letter in "BCD":  # without f, so of every look
        assert lines[letter] == [look["letters"][letter] for look in every]
    assert lines["A"] == [look["audit"]["A"] for look in looks]
    sums = [math.fsum(look["audit"].values()) for look in looks]
    assert lines["all letters"] == pytest.approx(sums)
    assert shown(below.lines[0])[1] == [look["noise"]["temperature"] for look in looks]


def test_letters_of_a_single_look_and_of_a_first_step_without_some(tmp_path: Path) -> None:
    """ABCD runs as A|BCD: the first call makes the drift alone."""
    for name, steps in (("single", 3), ("late", 24)):
        train(Sine(), settings("CD", word="ABCD", steps=steps, look_every=1), tmp_path / name)
    above, below = plot_letters(tmp_path / "single")  # nothing moves: all letters do nothing
    assert [line.get_label() for line in above.lines[:2]] == ["A", "all letters"]
    assert all(line.get_marker() in ("o", "x") for line in (above.lines[0], *below.lines))
    above, _ = plot_letters(tmp_path / "late")
    lines = {line.get_label(): shown(line)[1] for line in above.lines}
    looks = logged(tmp_path / "late", "look")
    for letter in "BCD":
        assert math.isnan(lines[letter][0])
        assert lines[letter][1:] == [look["letters"][letter] for look in looks[1:]]
    above.figure.canvas.draw()
    ticks = [tick for tick in above.get_yticks() if tick > 0]
    places = above.transData.transform([(0, 0), (0, ticks[0]), (0, ticks[1])])[:, 1]
    assert places[1] - places[0] > 0.9 * (places[2] - places[1])  # no labels over each other


def test_what_a_run_has_not(runs: Path) -> None:
    for plot in (plot_friction, plot_letters):
        with pytest.raises(ValueError, match="AdamW is torch's own"):
            plot(runs / "AdamW")
        with pytest.raises(ValueError, match="train it with look_every"):
            plot(runs / "plain")
    with pytest.raises(ValueError, match="has no validation accuracy; it has loss"):
        plot_learning(runs / "CD", metric="accuracy")
    with pytest.raises(ValueError, match="a folder or more"):
        plot_learning([])


# --- the ablation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("base", ["CD", "IKFAD"])
def test_the_four_share_all_but_their_friction(base: Any) -> None:
    found = ablation("nano", base)
    assert found.keys() == ABLATION.keys()
    for name, values in found.items():
        assert set(values) == set(METHODS[ABLATION[name]].names)
        for key in ("lr", "gamma"):
            assert values[key] == published("nano", base)[key]
        assert values.get("c", published("nano", "CD")["c"]) == published("nano", "CD")["c"]
    assert found["cubic" if base == "CD" else "adaptive"] == published("nano", base)
    wrong: Any = "Adam"
    with pytest.raises(ValueError, match="base must be CD or IKFAD; got 'Adam'"):
        ablation("nano", wrong)


def weights_after(method: str, values: dict[str, float]) -> torch.Tensor:
    weight = torch.nn.Parameter(torch.linspace(-1.0, 1.0, 9, dtype=torch.float64))
    optimizer = METHODS[method].build([weight], values)
    for _ in range(20):
        weight.grad = weight.detach().sin()
        optimizer.step()
    return weight.detach()


def test_both_frictions_together_contain_each() -> None:
    common = {"lr": 0.3, "gamma": 0.2}
    adaptive, cubic = {"alpha": 0.5, "mu": 0.1}, {"c": 4.0}
    both = weights_after("IKFAD+cubic", {**common, **adaptive, **cubic})
    alone = weights_after("IKFAD", {**common, **adaptive})
    torch.testing.assert_close(
        weights_after("IKFAD+cubic", {**common, **adaptive, "c": 0.0}), alone, rtol=1e-14, atol=0
    )
    limit = {**common, "alpha": 0.5, "mu": 1e20, **cubic}
    cd = weights_after("CD", {**common, **cubic})
    torch.testing.assert_close(weights_after("IKFAD+cubic", limit), cd, rtol=1e-14, atol=0)
    assert (both - alone).abs().max() > 1e-3 < (both - cd).abs().max()


def test_the_second_cubic_damping_is_a_part() -> None:
    check(SecondCubicDamping(3.0))
