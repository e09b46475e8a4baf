"""Strong orders by coupled paths; the exact solution where there is one."""

import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from problems import CoupledQuartic, slope

from dashpot.analysis import strong_order
from dashpot.dynamics import (
    LDHD,
    SILENCE,
    AdaptiveLangevin,
    Descent,
    Dynamics,
    Langevin,
    MultiplicativeNoise,
    NoisyPart,
    OverdampedLangevin,
    State,
)
from dashpot.dynamics.elements import exp, sqrt
from dashpot.integrators import Noise, simulate
from dashpot.landscapes import DoubleWell, Quadratic

BATH = Langevin(1.0, 0.8)
RATE, SIZE = 0.3, 0.4


@dataclass(frozen=True)
class GeometricBrownianMotion(NoisyPart):
    """dx = −k x dt + s x dW; exact flow x e^{−(k + s²/2)h + s√h z}."""

    letter = "N"
    reads = ("x",)
    writes = ("x",)
    noisy = "x"
    k: float
    s: float

    def rate(self, s: State) -> dict[str, Any]:
        return {"x": -self.k * s.x}

    def amplitude(self, s: State) -> Any:
        return self.s * s.x

    def flow(self, s: State, h: Any, z: Any = SILENCE) -> None:
        s.x = s.x * exp(-(self.k + self.s**2 / 2) * h + self.s * sqrt(h) * z[0])


def agrees(measured: Any, order: float, tolerance: float) -> None:
    """The slope, to 4 of its standard errors and what is left of asymptotics."""
    assert 4 * measured.uncertainty < tolerance, "too few trajectories to tell"
    assert measured.slope == pytest.approx(order, abs=tolerance), str(measured)


@pytest.mark.parametrize(
    ("word", "order", "tolerance"),
    [
        ("BAOAB", 1.0, 0.1),
        ("OBABO", 1.0, 0.1),
        ("BAO", 1.0, 0.1),
        ("UBU", 2.0, 0.15),
        ("BUB", 2.0, 0.15),
    ],
)
def test_words_of_langevin(word, order, tolerance):
    measured = strong_order(
        BATH, CoupledQuartic(), word=word, reference="UBU", refinement=4, noise=7
    )
    agrees(measured, order, tolerance)
    assert measured.errors[0] > measured.errors[-1] > 0
    assert str(measured).startswith(f"Langevin {word}: strong order {measured.slope:.2f} ±")


def test_a_variable_with_one_number_per_system():
    measured = strong_order(
        AdaptiveLangevin(1.0, 0.5, 1.0, 0.3, 0.4), DoubleWell(1), [1.0], refinement=8, noise=6
    )
    finest = 1 / 512  # the reference's own error is taken off
    expected = slope(measured.steps, [h - finest for h in measured.steps])
    agrees(measured, expected, 0.15)


@pytest.mark.parametrize("method", ["euler-maruyama", "heun"])
def test_schemes_with_additive_noise(method):
    measured = strong_order(
        BATH, CoupledQuartic(), method=method, reference="UBU", refinement=4, noise=8
    )
    agrees(measured, 1.0, 0.1)
    assert measured.word == method


def test_the_scheme_itself_as_the_reference():
    measured = strong_order(OverdampedLangevin(0.8), Quadratic([1.0, 2.0]), noise=9)
    finest = 1 / 1024  # the reference's own error is taken off: C (h − finest)
    expected = slope(measured.steps, [h - finest for h in measured.steps])
    assert 1.01 < expected < 1.05
    agrees(measured, expected, 0.1)
    assert measured.reference == "the same at h = 0.000976562"


@pytest.mark.parametrize(
    ("method", "order"), [("euler-maruyama", 0.5), ("heun", 1.0), ("word", 0.5)]
)
def test_geometric_brownian_motion_against_its_solution(method, order):
    divisions, count = (32, 64, 128, 256), 2000
    bowl = Quadratic([RATE])
    start = torch.full((count, 1), 1.0, dtype=torch.float64)
    exact = simulate(
        Dynamics(GeometricBrownianMotion(RATE, SIZE)), bowl, start, step=1 / 256, steps=256,
        noise=Noise(10, finest=1 / 256), save_every=256,
    )  # fmt: skip
    noisy = Dynamics(Descent(1.0), MultiplicativeNoise(lambda x: SIZE * x))
    measured = strong_order(
        noisy, bowl, [1.0], method=method, divisions=divisions, trajectories=count, reference=exact
    )
    agrees(measured, order, 0.15)
    assert measured.trajectories == count


def test_the_uncertainty_is_the_spread_over_seeds():
    found = [
        strong_order(
            BATH, Quadratic([1.0, 2.0]), method="euler-maruyama", reference="UBU", refinement=2,
            divisions=(4, 8), trajectories=50, noise=seed,
        )
        for seed in range(30)
    ]  # fmt: skip
    slopes = torch.tensor([one.slope for one in found])
    typical = math.sqrt(sum(one.uncertainty**2 for one in found) / len(found))
    # the standard deviation of 30 values is off by a factor 1 ± 1/√58 (one standard error)
    assert 1 - 4 / math.sqrt(58) < float(slopes.std()) / typical < 1 + 4 / math.sqrt(58)


def test_bad_arguments_are_refused():
    f = Quadratic([1.0])
    with pytest.raises(ValueError, match="LDHD has no noise: measure its order by convergence_"):
        strong_order(LDHD(0.3), f)
    with pytest.raises(ValueError, match="divisions must be two or more different whole numbers"):
        strong_order(BATH, f, divisions=(8, 8))
    with pytest.raises(ValueError, match="= 60 divisions, which 8 does not divide; use powers of"):
        strong_order(BATH, f, divisions=(8, 30), refinement=2)
    with pytest.raises(ValueError, match="refinement must be an integer >= 2; got 1"):
        strong_order(BATH, f, refinement=1)
    plain = simulate(BATH, f, [[1.0]], step=0.1, steps=10, noise=3)
    with pytest.raises(ValueError, match="the reference run needs noise"):
        strong_order(BATH, f, reference=plain)
    short = simulate(BATH, f, [[1.0]] * 4, step=1 / 128, steps=16, noise=Noise(3, finest=1 / 256))
    with pytest.raises(ValueError, match="did not reach t = 1"):
        strong_order(BATH, f, reference=short, trajectories=4)
    with pytest.raises(ValueError, match="trajectories = 4; the reference run has 6"):
        longer = simulate(
            BATH, f, [[1.0]] * 6, step=1 / 128, steps=128, noise=Noise(3, finest=1 / 256)
        )
        strong_order(BATH, f, reference=longer, trajectories=4)
