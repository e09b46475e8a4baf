"""What a comparison of training with its equation chooses by itself, and what it refuses."""

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

from dashpot.analysis import (
    compare_with_sde,
    gradient_noise,
    matching_temperature,
    noise_along,
)
from dashpot.dynamics import GradientFlow
from dashpot.integrators import simulate
from dashpot.landscapes import Network


def regression(scale: float = 1.0) -> Network:
    """Three inputs, eight hidden units: 41 parameters; targets in units of 1/scale."""
    generator = torch.Generator().manual_seed(1)
    module = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(0.5 * torch.randn(weight.shape, dtype=torch.float64, generator=generator))
    inputs = torch.randn(32, 3, dtype=torch.float64, generator=generator)
    targets = scale * (2 * inputs[:, :1] + torch.sin(2 * inputs[:, 1:2]))
    return Network(module, mse_loss, (inputs, targets))


@pytest.mark.parametrize("method", ["CD", "IKFAD"])
def test_the_cap_fits_the_network(method: str) -> None:
    """The digits' cap of 0.2 holds this network's gradients, some 2 large, in a vice."""
    network = regression()
    own = compare_with_sde(method, 2e-3, network=network, steps=10, seeds=32)
    tight = compare_with_sde(method, 2e-3, network=network, steps=10, seeds=32, cap=0.2)
    assert not any(one.is_significant for one in own.differences("SDE", "mean"))
    assert all(one.is_significant for one in tight.differences("SDE", "mean"))
    # g/(1 − 0.8) with g = max √(∂f² + s²), at the start
    noise = gradient_noise(network, network.start, 8)
    cap = 5 * (noise.gradient.square() + noise.variance).sqrt().max().item()
    same = compare_with_sde(method, 2e-3, network=network, steps=10, seeds=32, cap=cap)
    for name, curve in own.curves.items():
        torch.testing.assert_close(curve.mean, same.curves[name].mean, rtol=1e-9, atol=0)


def test_the_digits_keep_their_cap() -> None:
    found = compare_with_sde("CD", 0.02, steps=5, seeds=4)
    told = compare_with_sde("CD", 0.02, steps=5, seeds=4, cap=0.2)
    assert torch.equal(found.curves["SDE"].mean, told.curves["SDE"].mean)


def test_pieces_are_as_many_as_there_are_times() -> None:
    found = compare_with_sde("SGD", 0.01, network=regression(), steps=10, seeds=4)
    two = compare_with_sde("SGD", 0.01, network=regression(), steps=10, seeds=4, pieces=2)
    assert torch.equal(found.curves["noise along"].mean, two.curves["noise along"].mean)


def test_a_wrong_rate_is_named() -> None:
    for method in ("SGD", "CD"):
        with pytest.raises(ValueError, match=r"lr must be a finite number > 0; got -1"):
            compare_with_sde(method, -1)


def test_a_point_may_be_a_list() -> None:
    network = regression()
    assert gradient_noise(network, [0.0] * 41, 16).trace == pytest.approx(
        gradient_noise(network, torch.zeros(41, dtype=torch.float64), 16).trace
    )
    with pytest.raises(ValueError, match=r"x must be one point \(41,\); got \(40,\)"):
        gradient_noise(network, [0.0] * 40, 16)


def test_a_trajectory_must_be_there() -> None:
    network = regression()
    single = simulate(GradientFlow(1.0), network, step=0.1, steps=1)
    batch = simulate(GradientFlow(1.0), network, network.start.expand(2, 3, 41), step=0.1, steps=1)
    assert len(noise_along(single, network, 8, trajectory=0)) == 2
    assert len(noise_along(batch, network, 8, trajectory=5)) == 2
    with pytest.raises(IndexError, match="trajectory must be one of the run's, 0 to 5; got 6"):
        noise_along(batch, network, 8, trajectory=6)
    with pytest.raises(ValueError, match="trajectory must be an integer >= 0; got -1"):
        noise_along(batch, network, 8, trajectory=-1)


def test_what_measurements_say_of_themselves_is_short() -> None:
    network = regression()
    noise = gradient_noise(network, network.start, 8, directions=2)
    first, second = noise.eigenvalues.tolist()
    assert repr(noise) == (
        f"GradientNoise(41 coordinates, batches of 8: |∇f|² = {noise.gradient_square:.3g}, trace "
        f"{noise.trace:.3g}, largest eigenvalues {first:.3g}, {second:.3g})"
    )
    some = gradient_noise(network, network.start, 8, examples=20, directions=0)
    assert repr(some).endswith(f", trace {some.trace:.3g} ± {some.trace_error:.1g})")
    temperature = matching_temperature(noise, 0.1)
    low, high = temperature.per_coordinate.aminmax()
    assert repr(temperature) == (
        f"Temperature(mean {temperature.mean:.3g}; per coordinate {low:.3g} to {high:.3g}, 41 of "
        "them)"
    )
    found = compare_with_sde("SGD", 0.01, network=network, steps=10, seeds=4)
    assert repr(found) == "Comparison(SGD, lr = 0.01, h = 0.05, batches of 8, 4 seeds, 10 steps)"
    curve = found.curves["SDE"]
    assert repr(curve) == f"Curve(3 times, mean {curve.mean[0]:.3g} to {curve.mean[2]:.3g})"
