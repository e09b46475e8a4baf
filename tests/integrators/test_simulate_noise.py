"""simulate with noise: the numbers a run draws, windows and refinement, sampled gradients."""

import math
from typing import Any

import pytest
import torch
from problems import CoupledQuartic
from torch import Tensor

from dashpot.dynamics import (
    CD,
    LDHD,
    Descent,
    Diffusion,
    Drift,
    Dynamics,
    Kick,
    Langevin,
    OrnsteinUhlenbeck,
)
from dashpot.integrators import Noise, simulate, solve
from dashpot.integrators.schemes import Method
from dashpot.landscapes import DoubleWell, Landscape, Quadratic, Rosenbrock

SCHEMES: tuple[Method, Method] = ("euler-maruyama", "heun")
LANGEVIN = Langevin(gamma=0.8, temperature=0.5)


def starts(count: int, dimension: int = 2) -> Tensor:
    return torch.linspace(-1.0, 1.0, count * dimension, dtype=torch.float64).reshape(count, -1)


@pytest.mark.parametrize("how", ["BAOAB", "OBABO", "UBU", "BUB", "euler-maruyama", "heun"])
def test_a_trajectory_is_the_same_in_any_batch_chunk_and_save_interval(how: str) -> None:
    options: dict[str, Any] = {"word": how} if how.isupper() else {"method": how}

    def run(x0: Tensor, first: int, save_every: int) -> Tensor:
        noise = Noise(seed=3, first=first)
        return simulate(
            LANGEVIN, CoupledQuartic(), x0, step=0.05, steps=150, noise=noise,
            save_every=save_every, **options,
        )["x"][-1]  # fmt: skip

    x0 = starts(11)
    whole = run(x0, 0, 1)
    assert whole.isfinite().all()
    pieces = torch.cat([run(x0[:3], 0, 7), run(x0[3:4], 3, 150), run(x0[4:], 4, 50)])
    assert torch.equal(whole, pieces)
    assert torch.equal(run(x0[5], 5, 1), whole[5])  # without a batch axis as well


def test_threads_change_nothing() -> None:
    before = torch.get_num_threads()
    try:
        runs = []
        for count in (1, 2):
            torch.set_num_threads(count)
            x0 = starts(40_000)  # torch uses several threads from 32,768 numbers on
            runs.append(simulate(LANGEVIN, DoubleWell(2), x0, step=0.05, steps=10, noise=1)["x"])
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*runs)


def test_two_seeds_differ_and_so_do_two_trajectories_from_one_start() -> None:
    x0 = torch.zeros(2, 3)
    first, second = (
        simulate(LANGEVIN, Quadratic([1.0, 2.0, 3.0]), x0, step=0.1, steps=1, noise=seed)["p"][-1]
        for seed in (0, 1)
    )
    drawn = torch.cat([first, second]).flatten()
    assert len(drawn.unique()) == drawn.numel()


def test_at_zero_temperature_noise_is_damping() -> None:
    """O at T = 0 is D, and e^{−γh} is the same number in both."""
    cold = simulate(Langevin(0.3, 0.0), Rosenbrock(2), step=0.01, steps=500, word="BAOAB", noise=5)
    still = Dynamics(Drift(), Kick(), OrnsteinUhlenbeck(0.3, 0.0), word="BAOAB")
    same = simulate(still, Rosenbrock(2), step=0.01, steps=500, noise=6)
    assert torch.equal(cold["x"], same["x"])
    damped = LDHD(gamma=0.3)
    reference = simulate(damped, Rosenbrock(2), step=0.01, steps=500, word="BADAB")
    assert torch.allclose(cold["x"], reference["x"], rtol=1e-12, atol=1e-14)


class Flat(Landscape):
    """f = 0: what is left is the noise."""

    def __init__(self, dimension: int) -> None:
        super().__init__(None, dimension, name="flat", minimum=0.0)

    def f(self, x: Tensor) -> Tensor:
        return 0.0 * x.sum(0)

    def df(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


@pytest.mark.parametrize("word", ["BAOAB", "OBABO", "UBU", "BUB", "BOAOA", "BO:1/4AO:3/4"])
def test_without_a_force_every_step_size_gives_the_same_path(word: str) -> None:
    """The exact flows run through the same finest increments, so momenta are the same exactly
    up to rounding; with U, whose flow moves x exactly too, positions are as well."""
    ends = []
    for step in (0.4, 0.2, 0.1):
        if step < 0.4 and "1/4" in word:
            continue
        noise = Noise(seed=2, finest=0.0125)
        run = simulate(
            LANGEVIN, Flat(2), starts(5), step=step, steps=round(1.6 / step), word=word, noise=noise
        )
        ends.append(run)
    finest = simulate(
        LANGEVIN, Flat(2), starts(5), step=0.0125, steps=128, word="BUB",
        noise=Noise(seed=2, finest=0.0125),
    )  # fmt: skip
    for run in ends:
        assert torch.allclose(run["p"][-1], finest["p"][-1], rtol=1e-12, atol=1e-13)
        if "U" in word:
            assert torch.allclose(run["x"][-1], finest["x"][-1], rtol=1e-12, atol=1e-13)


def test_the_schemes_follow_the_same_brownian_motion() -> None:
    """Without a force, dp = −γp dt + σ dW by Euler–Maruyama tends to the exact flow at order 1:
    with the same W, not only the same law."""

    def end(method: Method, step: float) -> Tensor:
        noise = Noise(seed=4, finest=2.0**-11)
        return simulate(
            LANGEVIN, Flat(1), torch.zeros(200, 1), step=step, steps=round(1 / step), noise=noise,
            method=method, word="BUB" if method == "word" else None,
        )["p"][-1]  # fmt: skip

    exact = end("word", 2.0**-6)
    for method in SCHEMES:
        errors = [(end(method, h) - exact).square().mean().sqrt() for h in (2.0**-4, 2.0**-6)]
        slope = math.log(errors[0] / errors[1], 4)
        assert slope > 0.85, (method, slope)
        # the spread of p itself is √T ≈ 0.6: independent paths would differ by that
        assert errors[1] < 0.02


def test_finest_must_divide_the_step_and_the_time_of_each_letter() -> None:
    def run(word: str, finest: float) -> None:
        simulate(LANGEVIN, Quadratic([1.0]), step=0.1, steps=1, word=word,
                 noise=Noise(0, finest=finest))  # fmt: skip

    with pytest.raises(ValueError, match=r"a whole fraction of it.*finest = 0.03 with step = 0.1"):
        run("BAOAB", 0.03)
    with pytest.raises(ValueError, match=r"a whole fraction of it"):
        run("BAOAB", 0.2)
    with pytest.raises(ValueError, match=r"letter O .* runs for 1/2 of a step; .*step/2"):
        run("OBABO", 0.1)
    with pytest.raises(ValueError, match=r"take finest = step/6"):
        run("OBABO", 0.1 / 3)
    run("OBABO", 0.05)


def test_noise_must_be_given() -> None:
    for method in ("word", "euler-maruyama"):
        with pytest.raises(ValueError, match=r"Langevin has noise: give a seed, such as noise=1"):
            simulate(LANGEVIN, Quadratic([1.0]), step=0.1, steps=1, method=method)
    with pytest.raises(ValueError, match="Langevin has noise, and solve is for ODEs"):
        solve(LANGEVIN, Quadratic([1.0]), until=1.0)


def test_a_scheme_takes_no_word_and_must_be_known() -> None:
    with pytest.raises(ValueError, match="method='heun' takes the whole vector field"):
        simulate(
            LANGEVIN, Quadratic([1.0]), step=0.1, steps=1, method="heun", word="BAOAB", noise=0
        )
    with pytest.raises(ValueError, match="unknown method 'milstein'; choose one of word, euler"):
        simulate(LANGEVIN, Quadratic([1.0]), step=0.1, steps=1, method="milstein", noise=0)  # type: ignore[arg-type]


@pytest.mark.parametrize(("method", "order"), [("euler-maruyama", 1), ("heun", 2)])
def test_without_noise_the_schemes_are_euler_and_heun(method: Method, order: int) -> None:
    dynamics = CD(gamma=0.5, c=1.0)
    start = {"x": [1.0, 0.5], "p": [0.2, -0.4]}
    exact = solve(dynamics, DoubleWell(2), start, until=1.0)["x"][-1]

    def error(h: float) -> float:
        run = simulate(dynamics, DoubleWell(2), start, step=h, steps=round(1 / h), method=method)
        return (run["x"][-1] - exact).abs().max().item()

    errors = error(0.02), error(0.005)
    assert math.log(errors[0] / errors[1], 4) == pytest.approx(order, abs=0.1)


class Sampled(Quadratic):
    """A quadratic whose gradient is seen with a uniform error of one number for each system."""

    uniforms = 1

    def df_sampled(self, x: Tensor, u: Tensor) -> Tensor:
        self.seen = [*getattr(self, "seen", []), u.flatten()[0].item()]
        return self.df(x) + (u - 0.5)


def test_a_new_sample_wherever_x_has_moved() -> None:
    """BADAB takes one gradient a step, at the end of a step for the next one too; BAFA moves x
    three times and looks at it twice."""
    field = Sampled([1.0])
    simulate(LDHD(0.1), field, step=0.1, steps=10, word="BADAB", noise=0)
    assert len(field.seen) == len(set(field.seen)) == 2 * 10 + 1 - 10
    field = Sampled([1.0])
    both = Dynamics(Drift(), Kick(), Descent(0.3))
    simulate(both, field, step=0.1, steps=10, word="BAFA", noise=0)
    assert len(field.seen) == len(set(field.seen)) == 20
    for method, looks in zip(SCHEMES, (1, 2), strict=True):
        field = Sampled([1.0])
        simulate(both, field, step=0.1, steps=10, method=method, noise=0)
        assert len(field.seen) == len(set(field.seen)) == 10 * looks
    with pytest.raises(ValueError, match="samples its gradients: give a seed"):
        simulate(both, field, step=0.1, steps=10)


def test_noise_is_refused_where_there_is_none() -> None:
    with pytest.raises(ValueError, match="CD has no noise, nor has the landscape; leave out noise"):
        simulate(CD(0.1, 0.1), Quadratic([1.0]), step=0.1, steps=1, noise=0)


@pytest.mark.parametrize("shape", [(2, 2), (3,), (1, 2)])
def test_a_hyperparameter_must_fit_x(shape: tuple[int, ...]) -> None:
    """Two coordinates, five trajectories: [2, 1] is per coordinate, [5] per trajectory."""
    bowl = Quadratic([1.0, 2.0])
    with pytest.raises(ValueError, match=r"temperature of Langevin has shape .*\(2, 1\), .*\(5,\)"):
        bad = 0.5 + torch.rand(shape)
        simulate(Langevin(1.0, bad), bowl, torch.zeros(5, 2), step=0.1, steps=1, noise=0)
    for good in ((2, 1), (5,), (2, 5), ()):
        run = simulate(
            Langevin(1.0, torch.rand(good)), bowl, torch.zeros(5, 2), step=0.1, steps=1, noise=0
        )
        assert run["x"].shape == (2, 5, 2)
    diffusing = Dynamics(Descent(1.0), Diffusion(torch.rand(2, 1)))
    with pytest.raises(ValueError, match=r"each coordinate has shape \(2,\)"):
        simulate(diffusing, bowl, torch.zeros(2), step=0.1, steps=1, noise=0)
