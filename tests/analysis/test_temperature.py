"""Temperatures of runs: the one that was asked for, and what a step that is too large makes of it.

The bias of BAOAB's ⟨|p|²⟩/d is about −T h² ⟨f''⟩/4, where ⟨f''⟩ is the mean curvature; the steps
are such that it is below one standard error.
"""

import pytest
import torch
from torch import Tensor

from dashpot.analysis import (
    Average,
    configurational_temperature,
    kinetic_temperature,
    virial_temperature,
)
from dashpot.dynamics import Langevin, OverdampedLangevin
from dashpot.integrators import Trajectory, simulate
from dashpot.landscapes import DoubleWell, Himmelblau, Landscape, Phi4Chain, Quadratic


def all_three(run: Trajectory, landscape: Landscape) -> list[Average]:
    return [
        kinetic_temperature(run),
        virial_temperature(run, landscape),
        configurational_temperature(run, landscape),
    ]


def sampled(landscape: Landscape, x: Tensor) -> Trajectory:
    """A run that has the positions x and nothing else."""
    nothing = torch.zeros(x.shape[: x.ndim - len(landscape.shape)], dtype=torch.float64)
    return Trajectory(torch.arange(len(x), dtype=torch.float64), {"x": x}, nothing, nothing)


@pytest.mark.parametrize(
    ("landscape", "temperature", "step"),
    [(DoubleWell(2), 0.3, 0.06), (Phi4Chain(4, 0.5), 0.5, 0.05), (Himmelblau(), 30.0, 0.008)],
    ids=repr,
)
def test_anharmonic_wells(landscape, temperature, step):
    start = landscape.start.expand(100, landscape.dimension)
    run = simulate(
        Langevin(1.0, temperature), landscape, start, step=step, steps=3000, save_every=5, noise=0
    )
    for found in all_three(run, landscape):
        assert found.enough, found.message
        assert abs(found.deviation(temperature)) < 4
        assert found.standard_error < 0.05 * temperature


@pytest.mark.parametrize(
    ("word", "kinetic", "positions"),
    [("BAOAB", 15 / 16, 1.0), ("ABOBA", 16 / 15, 1.0), ("OBABO", 1.0, 16 / 15)],
)
def test_large_steps_show_their_bias(word, kinetic, positions):
    # MATH: the stationary table at h = 1/2, k = γ = T = 1. On a bowl all estimates are exact there.
    start = torch.zeros(300, 1, dtype=torch.float64)
    bowl = Quadratic(1.0)
    run = simulate(Langevin(1.0, 1.0), bowl, start, step=0.5, steps=3000, word=word, noise=3)
    exact = (kinetic, positions, positions)
    for found, expected in zip(all_three(run, bowl), exact, strict=True):
        assert abs(found.deviation(expected)) < 4
        if expected != 1:
            assert abs(found.deviation(1.0)) > 8  # 1/16 against an error of about 0.004


def test_overdamped_runs_have_no_kinetic_temperature():
    bowl = Quadratic(1.0)
    start = torch.zeros(300, 1, dtype=torch.float64)
    run = simulate(OverdampedLangevin(1.0), bowl, start, step=0.5, steps=2000, noise=4)
    with pytest.raises(ValueError, match="no momentum p"):
        kinetic_temperature(run)
    # Euler–Maruyama: ⟨x²⟩ = 1/(1 − hk/2).
    assert abs(virial_temperature(run, bowl).deviation(4 / 3)) < 4
    assert abs(configurational_temperature(run, bowl).deviation(4 / 3)) < 4


def test_random_signs_estimate_the_trace() -> None:
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(500, 4, 3, dtype=torch.float64, generator=generator)
    straight, tilted = Quadratic([1.0, 2.0, 9.0]), Quadratic([1.0, 2.0, 9.0], rotation=1)
    # Signs square to one, so with a diagonal Hessian every probe is exact.
    exact = configurational_temperature(sampled(straight, x), straight)
    probed = configurational_temperature(sampled(straight, x), straight, probes=1)
    assert probed.mean == pytest.approx(exact.mean, rel=1e-12)
    assert probed.standard_error == pytest.approx(exact.standard_error, rel=1e-9)
    exact = configurational_temperature(sampled(tilted, x), tilted)
    probed = configurational_temperature(sampled(tilted, x), tilted, probes=3, seed=1)
    assert probed.mean != exact.mean
    assert abs(probed.mean - exact.mean) < 4 * probed.standard_error
    again = configurational_temperature(sampled(tilted, x), tilted, probes=3, seed=1)
    assert again == probed


def test_virial_does_not_depend_on_the_origin() -> None:
    generator = torch.Generator().manual_seed(6)
    x = torch.randn(4000, 2, dtype=torch.float64, generator=generator)
    here, far = Quadratic([1.0, 1.0]), Quadratic([1.0, 1.0], centre=[1e3, -5e2])
    near = virial_temperature(sampled(here, x), here)
    there = virial_temperature(sampled(far, x + far.centre), far)
    assert abs(near.deviation(1.0)) < 4
    assert there.mean == pytest.approx(near.mean, rel=1e-9)
    assert there.standard_error == pytest.approx(near.standard_error, rel=1e-9)


def test_the_centre_of_the_virial_is_that_of_the_samples_that_are_kept() -> None:
    # a tenth of 11 samples: the first two are left out, also where the centre is taken
    x = torch.linspace(-1.0, 2.0, 11, dtype=torch.float64)[:, None]
    x[1] = 1e6
    later = x[2:]
    expected = ((later - later.mean()) * later).mean().item()
    bowl = Quadratic(1.0)
    assert virial_temperature(sampled(bowl, x), bowl).mean == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match="discard is the fraction"):
        virial_temperature(sampled(bowl, x), bowl, discard=-0.5)


def test_lost_trajectories_are_left_out() -> None:
    start = torch.tensor([[0.5], [-0.5], [1e3]], dtype=torch.float64)
    well = DoubleWell()
    run = simulate(Langevin(1.0, 0.3), well, start, step=0.1, steps=3000, noise=7)
    for found in all_three(run, well):
        assert (found.lost, found.trajectories) == (1, 2)
        assert abs(found.deviation(0.3)) < 4


def test_bad_input_is_named() -> None:
    run = simulate(Langevin(1.0, 0.3), DoubleWell(2), step=0.1, steps=30, noise=8)
    for temperature in (virial_temperature, configurational_temperature):
        with pytest.raises(ValueError, match=r"have shape \(2,\); .* takes \(1,\)"):
            temperature(run, DoubleWell(1))
    with pytest.raises(ValueError, match="probes must be a number >= 1"):
        configurational_temperature(run, DoubleWell(2), probes=0)
