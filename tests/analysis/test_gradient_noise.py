"""The covariance of minibatch gradients, where it is known exactly."""

import itertools

import pytest
import torch
from problems import CoupledQuartic
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from dashpot.analysis import gradient_noise, matching_temperature, noise_along
from dashpot.dynamics import GradientFlow
from dashpot.integrators import simulate
from dashpot.landscapes import Minibatch, Network


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def with_gradients(rows: Tensor) -> Network:
    """f(w) = mean of rows · w, whose example i has the gradient rows[i] everywhere."""

    def mean_output(output: Tensor, targets: Tensor) -> Tensor:
        return output.mean()

    module = nn.Linear(rows.shape[1], 1, bias=False).double()
    return Network(module, mean_output, (rows, torch.zeros(len(rows), 1).double()))


def regression(examples: int = 6, dimension: int = 3) -> Network:
    module = nn.Linear(dimension, 1, bias=False).double()
    return Network(module, mse_loss, (normal(examples, dimension), normal(examples, 1, seed=1)))


def test_linear_regression_in_closed_form() -> None:
    landscape, w = regression(), normal(3, seed=2)
    x, y = landscape._inputs.value, landscape._targets.value[:, 0]
    residual = x @ w - y
    slope = 2 / 6 * x.T @ residual
    sigma = 4 / 6 * (x.T * residual**2) @ x - torch.outer(slope, slope)
    noise = gradient_noise(landscape, w, 5)
    torch.testing.assert_close(noise.gradient, slope, rtol=1e-13, atol=1e-14)
    torch.testing.assert_close(noise.variance, sigma.diagonal() / 5, rtol=1e-12, atol=0)
    torch.testing.assert_close(noise.std.square(), noise.variance)
    assert noise.trace == pytest.approx(sigma.trace().item() / 5, rel=1e-12)
    assert noise.gradient_square == pytest.approx(slope.square().sum().item(), rel=1e-12)
    assert noise.signal_to_noise == pytest.approx(noise.gradient_square / noise.trace)
    assert noise.trace_error == 0 and noise.examples == 6
    values, vectors = torch.linalg.eigh(sigma / 5)
    torch.testing.assert_close(noise.eigenvalues, values.flip(0), rtol=1e-11, atol=1e-14)
    overlaps = (noise.directions @ vectors.flip(1)).abs()
    torch.testing.assert_close(overlaps, torch.eye(3).double(), rtol=0, atol=1e-8)


def test_brute_force_over_all_minibatches() -> None:
    landscape, w = regression(examples=4), normal(3, seed=3)
    batches = torch.tensor(list(itertools.product(range(4), repeat=3)), dtype=torch.float64)
    sampled = Minibatch(landscape, 3).df_sampled(w[:, None].expand(-1, 64), (batches.T + 0.5) / 4)
    noise = gradient_noise(landscape, w, 3)
    centred = sampled - landscape.df(w)[:, None]
    assert noise.trace == pytest.approx(centred.square().sum(0).mean().item(), rel=1e-12)
    torch.testing.assert_close(noise.variance, centred.square().mean(1), rtol=1e-12, atol=1e-14)
    top = (noise.directions[:1] @ centred).square().mean().item()
    assert noise.eigenvalues[0].item() == pytest.approx(top, rel=1e-11)


@pytest.mark.parametrize(("examples", "dimension"), [(4, 9), (9, 4), (5, 5)])
def test_eigenvectors_of_both_gram_matrices(examples: int, dimension: int) -> None:
    rows = normal(examples, dimension)
    noise = gradient_noise(with_gradients(rows), torch.zeros(dimension).double(), 1, directions=9)
    count = min(examples, dimension)
    assert noise.directions.shape == (count, dimension)
    units = noise.directions @ noise.directions.T
    torch.testing.assert_close(units, torch.eye(count).double(), rtol=0, atol=1e-12)
    sigma = torch.cov(rows.T, correction=0)
    scaled = noise.eigenvalues[:, None] * noise.directions
    torch.testing.assert_close(noise.directions @ sigma, scaled, rtol=0, atol=1e-12)
    assert noise.eigenvalues.sum().item() == pytest.approx(noise.trace, rel=1e-12)
    assert bool((noise.eigenvalues.diff() <= 0).all())


def test_fewer_examples_are_unbiased() -> None:
    rows, w = normal(5, 3), torch.zeros(3).double()
    landscape = with_gradients(rows)
    exact = gradient_noise(landscape, w, 2)
    subsets = {}
    for seed in range(100):
        found = gradient_noise(landscape, w, 2, examples=3, seed=seed)
        subsets[round(found.trace, 10)] = found
    assert len(subsets) == 10  # all of 3 out of 5, each as likely as another
    found = list(subsets.values())
    assert sum(one.trace for one in found) / 10 == pytest.approx(exact.trace, rel=1e-12)
    squares = sum(one.gradient_square for one in found) / 10
    assert squares == pytest.approx(exact.gradient_square, rel=1e-12)
    variance = torch.stack([one.variance for one in found]).mean(0)
    torch.testing.assert_close(variance, exact.variance, rtol=1e-12, atol=0)


def test_the_standard_error_of_the_trace() -> None:
    landscape, w = with_gradients(normal(300, 5)), torch.zeros(5).double()
    found = [gradient_noise(landscape, w, 2, examples=100, seed=seed) for seed in range(400)]
    traces = torch.tensor([one.trace for one in found])
    stated = torch.tensor([one.trace_error for one in found]).mean().item()
    # the measured deviation has a relative error 1/√800 = 3.5%; the formula's own is some 1/m
    assert stated == pytest.approx(traces.std().item(), rel=4 * 0.035 + 0.02)


def test_one_example_has_no_noise() -> None:
    noise = gradient_noise(with_gradients(normal(1, 2)), torch.zeros(2).double(), 1)
    assert noise.trace == 0 and noise.signal_to_noise == float("inf")


def test_noise_along_a_run() -> None:
    landscape = regression()
    flow, start = GradientFlow(1.0), landscape.start
    one = simulate(flow, landscape, step=0.1, steps=4, save_every=2)
    found = noise_along(one, landscape, 2, directions=1)
    assert len(found) == 3
    for noise, x in zip(found, one["x"], strict=True):
        assert noise.trace == gradient_noise(landscape, x, 2).trace
    many = simulate(flow, landscape, torch.stack((start, 2 * start)), step=0.1, steps=4)
    with pytest.raises(ValueError, match=r"batch of trajectories \(2,\); choose one by trajectory"):
        noise_along(many, landscape, 2)
    second = noise_along(many, landscape, 2, trajectory=1)
    assert second[0].trace == gradient_noise(landscape, 2 * start, 2).trace


def test_the_matching_temperature() -> None:
    noise = gradient_noise(regression(), normal(3, seed=2), 5)
    found = matching_temperature(noise, 0.2)
    torch.testing.assert_close(found.per_coordinate, 0.1 * noise.variance)
    assert found.mean == pytest.approx(0.1 * noise.trace / 3)
    friction = matching_temperature(noise, 0.2, gamma=4.0)
    torch.testing.assert_close(friction.per_coordinate, found.per_coordinate / 4)


def test_wrong_arguments() -> None:
    landscape, x = regression(), torch.zeros(3).double()
    with pytest.raises(TypeError, match="gradient_noise takes a Network first; got CoupledQuartic"):
        gradient_noise(CoupledQuartic(), x, 2)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="batch_size must be an integer >= 1; got 0"):
        gradient_noise(landscape, x, 0)
    with pytest.raises(ValueError, match="examples must be an integer >= 2; got 1"):
        gradient_noise(landscape, x, 2, examples=1)
    with pytest.raises(ValueError, match="examples must be at most 6, those there are; got 7"):
        gradient_noise(landscape, x, 2, examples=7)
    with pytest.raises(ValueError, match=r"x must be one point \(3,\); got \(2, 3\)"):
        gradient_noise(landscape, torch.zeros(2, 3).double(), 2)
