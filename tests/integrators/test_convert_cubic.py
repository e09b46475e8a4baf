"""IKFAD and CD, and CD's c as the cap on a step: exact, or of the order that is claimed."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from problems import CoupledQuartic, Flat, slope
from scipy.integrate import solve_ivp

from dashpot.dynamics import CD, IKFAD
from dashpot.integrators import convert, optim, simulate, solve
from dashpot.integrators.convert import cd_to_ikfad, ikfad_to_cd

X0 = [1.0, -0.6]
landscape = CoupledQuartic()
positive = st.floats(1e-6, 1e3)


def test_a_cap_is_a_cubic_damping() -> None:
    """The move of a huge momentum through C and A with h: √(h/(2c))."""
    h, cap = 0.1, 0.02
    c = convert.max_step_to_c(h, cap)
    assert convert.c_to_max_step(h, c) == pytest.approx(cap, rel=1e-15)
    start = {"x": [0.0, 0.0], "p": [1e9, -1e9]}
    run = simulate(CD(0.0, c), Flat([0.0, 0.0]), start, step=h, steps=1, word="BCDA")
    assert run["x"][-1].tolist() == pytest.approx([cap, -cap], rel=1e-12)
    assert optim.max_step_to_c is convert.max_step_to_c


@given(positive, positive, positive)
def test_ikfad_and_cd_there_and_back(c: float, alpha: float, gamma: float) -> None:
    there = cd_to_ikfad(CD(gamma, c), alpha)
    assert there.hyperparameters["alpha"] == alpha
    assert ikfad_to_cd(there).hyperparameters == pytest.approx({"gamma": gamma, "c": c}, rel=1e-12)


def test_terminal_velocities_agree() -> None:
    """Under a constant force g both end where c p³ + γ p + g = 0, however small α is."""
    force = [0.5, -2.0]
    ikfad = IKFAD(0.6, alpha=0.7, mu=0.5)
    ends = [
        solve(made, Flat(force), until=80.0, times=[80.0], rtol=1e-12, atol=1e-13)["p"][-1]
        for made in (ikfad, ikfad_to_cd(ikfad))
    ]
    assert (ends[0] - ends[1]).abs().max() < 1e-10
    c = 1 / (0.7 * 0.5)
    for p, g in zip(ends[1].tolist(), force, strict=True):
        assert abs(c * p**3 + 0.6 * p + g) < 1e-9


def test_ikfad_follows_cubic_damping_with_a_corrected_mass() -> None:
    """(1 − (2c/α) p²) p' = −∇f − γ p − c p³ is second order in 1/α, from ξ on the same manifold.

    ξ = c p² − (2c/α) p p' + O(α⁻²), by one step of iteration in ξ = c p² − ξ'/α.
    """
    gamma, c, end = 0.3, 0.8, 2.0
    x0, p0 = np.array(X0), np.array([0.3, 0.5])

    def force(x: np.ndarray) -> np.ndarray:
        return -landscape.df(torch.from_numpy(x)).numpy()

    def slowed(x: np.ndarray, p: np.ndarray, alpha: float) -> np.ndarray:
        return (force(x) - gamma * p - c * p**3) / (1 - 2 * c / alpha * p**2)

    errors, alphas = [], (100.0, 200.0, 400.0)
    for alpha in alphas:

        def rate(_: float, z: np.ndarray, alpha: float = alpha) -> np.ndarray:
            return np.concatenate((z[2:], slowed(z[:2], z[2:], alpha)))

        limit = solve_ivp(rate, (0, end), np.concatenate((x0, p0)), rtol=1e-11, atol=1e-12)
        xi = c * p0**2 - 2 * c / alpha * p0 * slowed(x0, p0, alpha)
        start = {"x": x0, "p": p0, "xi": xi}
        run = solve(
            cd_to_ikfad(CD(gamma, c), alpha), landscape, start, until=end, times=[end],
            method="LSODA", rtol=1e-11, atol=1e-13,
        )  # fmt: skip
        errors.append(np.abs(run["x"][-1].numpy() - limit.y[:2, -1]).max())
    assert slope([1 / a for a in alphas], errors) == pytest.approx(2.0, abs=0.1)
