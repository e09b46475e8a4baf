"""A training beside its models: what is said of them, and how sure it is."""

import math

import matplotlib as mpl
import numpy as np
import pytest
import torch
from torch import Tensor

mpl.use("Agg")
import matplotlib.pyplot as plt
from minibatch_line import BATCH, line

from dashpot.analysis import compare_with_sde, digits_network, plot_sde_comparison
from dashpot.analysis.gradient_noise.comparison import MODELS, Comparison, Curve
from dashpot.analysis.gradient_noise.trainings import FORGOTTEN, METHODS, training
from dashpot.integrators import convert
from dashpot.landscapes import GaussianMinibatch, Minibatch, Network

STEPS = 12


def test_standard_errors_of_mean_and_variance() -> None:
    generator = torch.Generator().manual_seed(5)
    losses = torch.rand(2000, 100, dtype=torch.float64, generator=generator)
    curve = Curve.of(losses)
    # 2000 repetitions measure a deviation to 1/√4000 = 1.6%; the formulas have bias O(1/100)
    for value, error in ((curve.mean, curve.mean_error), (curve.variance, curve.variance_error)):
        assert error.mean().item() == pytest.approx(value.std().item(), rel=4 * 0.016 + 0.02)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_near_its_models_at_a_small_step(method: str) -> None:
    """In one dimension noise is diagonal, so that every model holds.

    What they leave out changes moves, and so what the loss falls, by less than 5%: Euler's step
    by ½·5 lr·2.1 = 1%, the damping γh = 0.22 by (γh)²/12 = 0.4%, the order of the letters by no
    more than the cubic damping of a step, ½ (5·4.6/cap)² = 2.6% at the gradient 4.6 of the start.
    """
    found = compare_with_sde(
        method, 2e-3, network=line(), batch_size=BATCH, steps=STEPS, save_every=3, seeds=100,
        cap=100.0,
    )  # fmt: skip
    assert set(found.curves) == {"training", *MODELS}
    assert found.steps.tolist() == [0, 3, 6, 9, 12]
    fall = 1 - (found.curves["training"].mean[-1] / found.curves["training"].mean[0]).item()
    assert fall > 0.05
    for model in MODELS:
        last = found.differences(model, "mean")[-1]
        assert abs(last.value) < 4 * last.error + 0.05 * fall / (1 - fall)
    assert found.step_size == pytest.approx(0.01 if method == "SGD" else math.sqrt(2e-3))
    rows = found.rows(times=2)
    assert len(rows) == 2 * len(MODELS)
    assert rows[0]["method"] == method and "O(step)" in rows[0]["note"]
    assert rows[0]["variance"] == found.curves["training"].variance[2].item()
    assert set(found.verdicts()) == set(MODELS)


@pytest.mark.parametrize("method", ["CD", "IKFAD"])
def test_the_model_of_a_nonlinear_method_damps_and_caps_alike(method: str) -> None:
    lr, beta, cap = 0.03, 0.7, 2.0
    made = training(method, lr, beta, cap=cap)
    for dynamics, h in ((made.dynamics, made.step), (made.model, made.model_step)):
        v = dynamics.hyperparameters
        assert math.exp(-v["gamma"] * h) == pytest.approx(beta, rel=1e-12)
        c = v["c"] if method == "CD" else 1 / (v["alpha"] * v["mu"])
        assert convert.c_to_max_step(h, c) == pytest.approx(lr * cap, rel=1e-12)
        if method == "IKFAD":
            assert v["alpha"] * h == pytest.approx(FORGOTTEN, rel=1e-12)
    noise = made.with_noise(0.5).parts["N"]
    assert noise.hyperparameters["sigma"] == pytest.approx(0.5 * math.sqrt(made.model_step))
    assert made.step == pytest.approx(math.sqrt(lr), rel=1e-12)
    assert made.model_step == pytest.approx(math.sqrt(2 * lr / (1 + beta)), rel=1e-12)


def test_large_steps_are_told_from_small_ones() -> None:
    """At lr K = 0.9 descent is far from its flow, and the verdict says at which step."""
    found = compare_with_sde(
        "SGD", 0.1, network=line(), batch_size=BATCH, steps=6, save_every=3, seeds=100, pieces=2
    )
    assert "mean within errors" in found.verdicts()["Gaussian"]
    assert "mean off at" in found.verdicts()["SDE"]


def test_divergence_is_reported_not_raised() -> None:
    found = compare_with_sde(
        "SGD", 1e30, network=line(), batch_size=BATCH, steps=40, save_every=4, seeds=4
    )
    assert found.diverged["training"] == 16 and found.diverged["noise along"] == 4
    for verdict in found.verdicts().values():
        assert "16 trajectories of training" in verdict


def synthetic(mean: float, error: float) -> Comparison:
    """A training with mean loss and variance 1 ± 0, and models of the given numbers."""
    one, none = torch.ones(3), torch.zeros(3)
    model = Curve(mean * one, error * one, one, none)
    curves = {"training": Curve(one, none, one, none)} | dict.fromkeys(MODELS, model)
    steps = torch.tensor([0, 5, 10])
    return Comparison("CD", 0.1, 0.3, 8, 32, steps, curves, dict.fromkeys(curves, 0))


@pytest.mark.parametrize(
    ("mean", "error", "verdict", "agrees"),
    [
        (1.1, 0.961, "mean not told apart: errors up to 96 %", None),
        (1.1, 12.34, "mean not told apart: errors up to 1200 %", None),
        (1.1, 0.03456, "mean within errors (at most 3.5 %)", True),
        (1.003123, 0.000123, "mean off at 2 of 2 times, most by +0.312 ± 0.012 % at step 5", False),
        (3.5, 0.5, "mean off at 2 of 2 times, most by +250 ± 50 % at step 5", False),
        (0.5, 0.0, "mean off at 2 of 2 times, most by -50 ± 0 % at step 5", False),
    ],
)
def test_verdicts(mean: float, error: float, verdict: str, agrees: bool | None) -> None:
    found = synthetic(mean, error)
    assert found.verdicts()["SDE"] == f"{verdict}; variance within errors (at most 0 %)"
    assert {row["mean_agrees"] for row in found.rows()} == {agrees}
    assert {row["variance_agrees"] for row in found.rows()} == {True}


@pytest.mark.parametrize(
    ("landscape", "gradient", "calls"),
    [(Minibatch, "df_sampled", 7), (GaussianMinibatch, "_slopes", 20), (Network, "df", 9)],
)
def test_ctrl_c_ends_the_study(
    landscape: type, gradient: str, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the training, in the models with its noise, and in those with constant noise."""
    plain, left = getattr(landscape, gradient), [calls]

    def interrupted(*arguments: Tensor) -> Tensor:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return plain(*arguments)

    monkeypatch.setattr(landscape, gradient, interrupted)
    with pytest.raises(KeyboardInterrupt):
        compare_with_sde("SGD", 0.01, network=line(), batch_size=BATCH, steps=10, seeds=4, pieces=1)
    assert left == [0]


def test_the_network_of_the_study() -> None:
    network = digits_network(examples=16, hidden=3)
    assert network.dimension == 64 * 3 + 3 + 3 * 10 + 10
    assert network.examples == 16


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="method must be one of SGD, momentum SGD, CD, IKFAD; got"):
        compare_with_sde("Adam", 0.1)
    with pytest.raises(ValueError, match="seeds must be an integer >= 4; got 3"):
        compare_with_sde("SGD", 0.1, seeds=3)
    with pytest.raises(ValueError, match="steps must be a multiple of save_every"):
        compare_with_sde("SGD", 0.1, steps=7)
    with pytest.raises(ValueError, match="pieces must be between 1 and the saved times, 2; got 3"):
        compare_with_sde("SGD", 0.1, steps=10, pieces=3)
    with pytest.raises(ValueError, match="needs one comparison or more"):
        plot_sde_comparison([])


def test_the_figure_draws_the_curves() -> None:
    def curve(level: float) -> Curve:
        value = level * torch.tensor([1.0, 0.5, 0.25])
        return Curve(value, 0.1 * value, value**2, 0.1 * value**2)

    curves = {name: curve(1.0 + k) for k, name in enumerate(("training", *MODELS))}
    one = Comparison(
        "CD", 0.1, 0.3, 8, 32, torch.tensor([0, 5, 10]), curves, dict.fromkeys(curves, 0)
    )
    above, below = plot_sde_comparison([one, one])[:, 1]
    assert above.get_title() == "CD, h = 0.3"
    for k, (mean, variance) in enumerate(zip(above.get_lines(), below.get_lines(), strict=True)):
        np.testing.assert_allclose(mean.get_ydata(), (1 + k) * np.array([1, 0.5, 0.25]))
        np.testing.assert_allclose(variance.get_ydata(), ((1 + k) * np.array([0.5, 0.25])) ** 2)
        np.testing.assert_allclose(variance.get_xdata(), [5, 10])
    assert below.get_yscale() == "log" and len(above.collections) == 5
    plt.close("all")
