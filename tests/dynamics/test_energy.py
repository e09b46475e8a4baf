"""Energies: their identities along reference solutions, conservation, monotonicity."""

from typing import Any

import numpy as np
import pytest
import torch
from problems import CATALOGUE, CoupledQuartic, ordinary_start
from torch import Tensor

from dashpot.dynamics import CADAM, CD, IKFAD, KFAD, LDHD, Dynamics, State
from dashpot.integrators import Trajectory, solve
from dashpot.landscapes import Quadratic

DYNAMICS = [*CATALOGUE, CADAM(0.5, 0.7, 0.4, 0.2, bias_correction=True)]


def states_of(run: Trajectory) -> State:
    """The saved states with time as the batch axis, and the gradient there."""
    s = State({name: value.movedim(0, -1) for name, value in run.states.items()})
    s.g = CoupledQuartic().df(s.x)
    return s


def identity(made: Dynamics, s: State) -> Tensor:
    """dH̃/dt, written out from the published identities."""
    v: dict[str, Any] = made.hyperparameters
    p2 = s.p**2
    rate = -v["gamma"] * p2.sum(0)
    if isinstance(made, CD):
        rate = rate - v["c"] * (p2**2).sum(0)
    elif isinstance(made, KFAD):
        xi2 = (s.xi**2).sum(0) if isinstance(made, IKFAD) else s.xi**2
        rate = rate - v["alpha"] * v["mu"] * xi2
    elif isinstance(made, CADAM):
        root = s.zeta.sqrt()
        damping = (v["gamma"] * p2 + v["c"] * p2**2) / (root + v["eps"])
        pump = p2 * (s.g**2 - v["alpha"] * s.zeta) / (4 * root * (root + v["eps"]) ** 2)
        rate = -(damping + pump).sum(0)
    return rate


@pytest.mark.parametrize("made", CATALOGUE, ids=lambda d: d.name)
def test_identity_along_a_reference_solution(made: Dynamics) -> None:
    run = solve(made, CoupledQuartic(), ordinary_start(made), until=5.0, rtol=1e-11)
    s = states_of(run)
    expected = identity(made, s)
    torch.testing.assert_close(made.energy_rate(s), expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(Dynamics.energy_rate(made, s), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("made", DYNAMICS, ids=lambda d: d.name)
def test_energy_rate_integrates_to_the_energy(made: Dynamics) -> None:
    """E(b) − E(a) = ∫ E' dt by 20 Gauss points, which is exact to rounding for these solutions."""
    a, b = 0.5, 1.5
    nodes, weights = np.polynomial.legendre.leggauss(20)
    times = [a, *(a + (b - a) * (nodes + 1) / 2), b]
    start = {**ordinary_start_with_time(made)}
    run = solve(made, CoupledQuartic(), start, until=b, times=times, rtol=1e-13, atol=1e-15)
    rate = made.energy_rate(states_of(run))[1:-1]
    integral = (rate * torch.from_numpy(weights)).sum().item() * (b - a) / 2
    assert integral == pytest.approx((run.energy[-1] - run.energy[0]).item(), abs=1e-10)
    assert abs(integral) > 0.01


def ordinary_start_with_time(made: Dynamics) -> dict[str, Any]:
    """Bias correction is singular at t = 0; its clock starts at 1."""
    start: dict[str, Any] = {"x": [1.0, -0.6], "p": [0.3, 0.5], "zeta": [1.0, 1.0], "t": 1.0}
    start["xi"] = 0.2 if "xi" in made.scalars else [0.2, 0.1]
    return {name: start[name] for name in made.variables}


def test_energies_of_a_known_state() -> None:
    s = State({"x": torch.tensor([1.0, 2.0]), "p": torch.tensor([3.0, 4.0]),
               "xi": torch.tensor([2.0, 0.5]), "zeta": torch.tensor([4.0, 9.0])})  # fmt: skip
    # ½|p|² = 12.5, μ/2 |ξ|² = 0.25·4.25
    assert float(LDHD(0.1).energy(s, 10.0)) == 22.5
    ikfad = IKFAD(0.1, 0.1, 0.5)
    assert float(ikfad.energy(s, 10.0)) == pytest.approx(22.5 + 1.0625)
    assert float(ikfad.mechanical_energy(s, 10.0)) == 22.5
    # ½ (9/(2+1) + 16/(3+1)) = 3.5
    assert float(CADAM(0.1, 0.1, 1.0, eps=1.0).energy(s, 10.0)) == pytest.approx(13.5)


@pytest.mark.parametrize("kind", [KFAD, IKFAD])
def test_without_any_damping_the_extended_energy_is_conserved(kind: type[KFAD]) -> None:
    made = kind(gamma=0.0, alpha=0.0, mu=0.9)
    run = solve(made, CoupledQuartic(), ordinary_start(made), until=10.0, rtol=1e-13, atol=1e-15)
    s = states_of(run)
    # both sides of the exchange between p and ξ are of order 1: their sum cancels to rounding
    assert Dynamics.energy_rate(made, s).abs().max() < 1e-14
    assert (run.energy - run.energy[0]).abs().max() < 1e-10
    assert (run.mechanical_energy - run.energy[0]).abs().max() > 0.1


def test_no_friction_at_all_conserves_the_mechanical_energy() -> None:
    run = solve(LDHD(0.0), CoupledQuartic(), until=10.0, rtol=1e-13, atol=1e-15)
    assert (run.energy - run.energy[0]).abs().max() < 1e-10


@pytest.mark.parametrize("gamma", [0.25, 0.4])
@pytest.mark.parametrize("c", [0.0, 0.5])
def test_cadam_energy_decreases_from_a_quarter_of_alpha(gamma: float, c: float) -> None:
    made = CADAM(gamma, alpha=1.0, c=c, eps=1e-3)
    run = solve(made, CoupledQuartic(), ordinary_start(made), until=8.0, rtol=1e-11)
    assert run.energy.diff().max() <= 1e-10  # the tolerance of the reference
    assert run.energy[-1] < 0.5 * run.energy[0]


def test_cadam_energy_can_increase_just_below() -> None:
    """At γ = 0.9·α/4, c = 0 it rises wherever α ζ is large against g²: the condition is sharp."""
    made = CADAM(0.9 * 0.25, alpha=1.0, c=0.0, eps=0.0)
    start = {"x": [0.0], "p": [1.0], "zeta": [1.0]}
    run = solve(made, Quadratic(1.0), start, until=1.0, rtol=1e-11)
    assert run.energy.diff().max() > 1e-6


def test_energy_rate_of_ones_own_dynamics_uses_the_chain_rule() -> None:
    cd = CD(gamma=0.3, c=0.8)
    mine = Dynamics(*cd.parts.values())
    s = states_of(solve(cd, CoupledQuartic(), ordinary_start(cd), until=2.0))
    torch.testing.assert_close(mine.energy_rate(s), identity(cd, s), rtol=0, atol=1e-12)
