"""The figure of training beside its models: what fits, what is named, what is left out."""

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from torch import Tensor

from dashpot.analysis import plot_sde_comparison
from dashpot.analysis.gradient_noise.comparison import MODELS, Comparison, Curve


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def made(error: float = 0.1, **levels: Tensor | float) -> Comparison:
    """Curves that fall from their level to half of it, with relative errors."""

    def curve(level: Tensor | float) -> Curve:
        value = level * torch.tensor([1.0, 0.75, 0.5], dtype=torch.float64)
        return Curve(value, error * value, value**2, error * value**2)

    curves = {name: curve(levels.get(name, 1.0)) for name in ("training", *MODELS)}
    steps, lost = torch.tensor([0, 5, 10]), dict.fromkeys(curves, 0)
    return Comparison("CD", 0.1, 0.3, 8, 32, steps, curves, lost)


def exploding(size: float) -> Tensor:
    """Times the falling curve: 1, then `size`."""
    return torch.tensor([1.0, size, size], dtype=torch.float64)


@pytest.mark.parametrize("panels", [1, 2, 3, 4])
def test_the_legend_fits(panels: int) -> None:
    axes = plot_sde_comparison([made()] * panels)
    figure = axes[0, 0].figure
    assert isinstance(figure, Figure)
    figure.canvas.draw()
    (legend,) = (a for a in figure.get_children() if isinstance(a, Legend))
    box = legend.get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.width
    assert box.y0 >= 0 and box.y1 <= min(ax.get_tightbbox().y0 for ax in axes[1])


def test_one_comparison_needs_no_list() -> None:
    assert plot_sde_comparison(made()).shape == (2, 1)


def test_training_lies_on_top_and_models_have_their_names() -> None:
    above = plot_sde_comparison(made())[0, 0]
    drawn = {line.get_label(): line for line in above.get_lines()}
    top = drawn["training with minibatches"].get_zorder()
    assert all(line.get_zorder() < top for line in drawn.values() if line.get_color() != "k")
    assert [label.split(":")[0] for label in list(drawn)[1:]] == list(MODELS)


@pytest.mark.parametrize("error", [0.1, 0.999, 3.0])
def test_bands_lie_within_the_axes(error: float) -> None:
    for ax in plot_sde_comparison(made(error))[:, 0]:
        low, high = ax.get_ylim()
        for band in ax.collections:
            y = np.asarray(band.get_paths()[0].vertices)[:, 1]
            assert low < y.min() <= y.max() < high
            assert np.isfinite(y).all()


def test_an_unstable_model_leaves_the_others_in_sight() -> None:
    one = made(SDE=exploding(1e78))
    above, below = plot_sde_comparison(one)[:, 0]
    assert above.get_ylim()[1] < 2 and 0.1 < below.get_ylim()[0] < below.get_ylim()[1] < 2
    assert [text.get_text() for text in above.texts] == ["unstable: SDE"]


@pytest.mark.parametrize("size", [1e78, torch.inf, torch.nan])
def test_where_all_is_lost_the_axes_show_what_is_finite(size: float) -> None:
    one = made(**dict.fromkeys(("training", *MODELS), exploding(size)))
    one.diverged.update(dict.fromkeys(one.curves, 4))
    for ax in plot_sde_comparison(one)[:, 0]:
        low, high = ax.get_ylim()
        assert np.isfinite([low, high]).all() and 0 < low < high
        plotted = np.concatenate([line.get_ydata() for line in ax.get_lines()])
        shown = plotted[np.isfinite(plotted)]
        assert ((low < shown) & (shown < high)).all()


def test_unstable_is_not_within_errors() -> None:
    """A loss that ends ten times above its start is no training to compare with."""
    trained = made(training=exploding(1e78))
    assert set(trained.verdicts().values()) == {
        "not comparable: training is unstable (its mean loss ends at 5e+77 times its start)"
    }
    assert {row["mean_agrees"] for row in trained.rows()} == {None}
    assert "training is unstable" in repr(trained)
    model = made(SDE=exploding(30.0))
    assert model.verdicts()["SDE"].startswith("not comparable: SDE is unstable (its mean loss")
    assert "within errors" in model.verdicts()["noise along"]
    # a loss that grows ninefold is bad, and comparable; so is one that falls below zero
    assert "not comparable" not in str(made(training=exploding(18.0)).verdicts())
    assert "not comparable" not in str(made(training=exploding(-50.0)).verdicts())
