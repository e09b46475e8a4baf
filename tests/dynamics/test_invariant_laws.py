"""Invariant laws, proved: the Fokker–Planck residual of each dynamics, from its own code.

The drift and the amplitude of each dynamics are called with symbols; what is left of
(1/ρ) L*ρ = (1/ρ) Σ [−∂(bρ) + ½ ∂²(σ²ρ)] is 0 for an invariant density ρ = e^φ.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import sympy

from dashpot.dynamics import (
    AdaptiveLangevin,
    CubicLangevin,
    Drift,
    Dynamics,
    Kick,
    KineticFriction,
    Langevin,
    MomentumDiffusion,
    NoisyPart,
    OrnsteinUhlenbeck,
    OverdampedLangevin,
    State,
    Thermostat,
)

POSITIVE = {n: sympy.Symbol(n, positive=True) for n in ("gamma", "c", "mu", "alpha", "sigma")}
T = POSITIVE["temperature"] = sympy.Symbol("T", positive=True)
MU, ALPHA, SIGMA = POSITIVE["mu"], POSITIVE["alpha"], POSITIVE["sigma"]


@pytest.fixture(autouse=True)
def _element_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `dashpot.dynamics.elements` asks of a symbol."""
    monkeypatch.setattr(sympy.Expr, "sqrt", lambda self: sympy.sqrt(self), raising=False)
    monkeypatch.setattr(sympy.Expr, "nonzero", lambda self: self, raising=False)


class Symbols:
    """x, p and ξ of a system of d coordinates, in a potential of which nothing is known."""

    def __init__(self, d: int, one_friction: bool = True) -> None:
        self.x = np.array(sympy.symbols(f"x:{d}", real=True), dtype=object)
        self.p = np.array(sympy.symbols(f"p:{d}", real=True), dtype=object)
        xi = sympy.symbols(f"xi:{1 if one_friction else d}", real=True)
        self.xi = xi[0] if one_friction else np.array(xi, dtype=object)
        self.f = sympy.Function("f")(*self.x)
        g = np.array([self.f.diff(x) for x in self.x], dtype=object)
        self.state = State({"x": self.x, "p": self.p, "xi": self.xi, "g": g})
        self.gibbs = -(self.f + sum(self.p**2) / 2) / T


def coordinates(value: Any, like: Any) -> list[Any]:
    return list(np.broadcast_to(np.asarray(value, dtype=object), np.shape(like)).ravel())


def noises(made: Dynamics) -> Iterator[NoisyPart]:
    return (part for part in made.parts.values() if isinstance(part, NoisyPart))


def residual(made: Dynamics, s: State, phi: Any, extra: dict[str, Any] | None = None) -> Any:
    """(1/ρ) L*ρ for ρ = e^φ, with a drift in addition to that of the dynamics if asked for."""
    rates = made.rate(s)
    for name, value in (extra or {}).items():
        rates[name] = rates[name] + value
    rest = sympy.Integer(0)
    for name, rate in rates.items():
        v = getattr(s, name)
        for u, b in zip(coordinates(v, v), coordinates(rate, v), strict=True):
            rest -= sympy.diff(b, u) + b * sympy.diff(phi, u)
    for part in noises(made):
        v = getattr(s, part.noisy)
        for u, sigma in zip(coordinates(v, v), coordinates(part.amplitude(s), v), strict=True):
            a, slope = sympy.expand(sigma**2), sympy.diff(phi, u)
            rest += sympy.diff(a, u, 2) / 2 + sympy.diff(a, u) * slope
            rest += a * (sympy.diff(slope, u) + slope**2) / 2
    # the code's 0.0 and 0.5 are exact
    return sympy.simplify(sympy.nsimplify(sympy.expand(rest)))


def symbolic(made: Dynamics, **values: Any) -> Dynamics:
    return made.bind({**POSITIVE, **values})


@pytest.mark.parametrize("d", [1, 3])
def test_langevin(d: int) -> None:
    q = Symbols(d)
    assert residual(symbolic(Langevin(1.0, 1.0)), q.state, q.gibbs) == 0
    overdamped = residual(symbolic(OverdampedLangevin(1.0)), q.state, -q.f / T)
    assert overdamped == 0


def test_a_wrong_temperature_is_seen() -> None:
    """The proof can fail: at twice the temperature of the noise the law is another."""
    q = Symbols(2)
    assert residual(symbolic(Langevin(1.0, 1.0)), q.state, q.gibbs / 2) != 0
    assert residual(symbolic(OverdampedLangevin(1.0)), q.state, -q.f / (2 * T)) != 0


def test_cubic_damping_with_its_noise() -> None:
    q = Symbols(2)
    assert residual(symbolic(CubicLangevin(1.0, 1.0, 1.0)), q.state, q.gibbs) == 0


def test_cubic_damping_without_its_noise_is_colder() -> None:
    """The residual is ∂(c p³ρ)/ρ = c Σ (3p² − p⁴/T)."""
    q = Symbols(2)
    rest = residual(symbolic(CubicLangevin(1.0, 1.0, 1.0, balanced=False)), q.state, q.gibbs)
    expected = POSITIVE["c"] * sum(3 * q.p**2 - q.p**4 / T)
    assert sympy.expand(rest - expected) == 0


@pytest.mark.parametrize("alpha", [0, ALPHA])
@pytest.mark.parametrize("sigma", [0, SIGMA])
@pytest.mark.parametrize(("d", "scalar"), [(1, True), (3, True), (2, False)])
def test_adaptive_langevin(d: int, scalar: bool, alpha: Any, sigma: Any) -> None:
    q = Symbols(d, scalar)
    made = symbolic(AdaptiveLangevin(1.0, 1.0, 1.0, scalar=scalar), alpha=alpha, sigma=sigma)
    spread = (q.xi - sigma**2 / (2 * T)) ** 2
    phi = q.gibbs - MU * (spread if scalar else sum(spread)) / (2 * T)
    assert residual(made, q.state, phi) == 0


def test_a_friction_per_coordinate_balances_a_noise_per_coordinate() -> None:
    q = Symbols(2, one_friction=False)
    sigma = np.array(sympy.symbols("s:2", positive=True), dtype=object)
    made = symbolic(AdaptiveLangevin(1.0, 1.0, 1.0, scalar=False), sigma=sigma)
    phi = q.gibbs - MU * sum((q.xi - sigma**2 / (2 * T)) ** 2) / (2 * T)
    assert residual(made, q.state, phi) == 0


def test_one_friction_does_not_balance_a_noise_per_coordinate() -> None:
    q = Symbols(2)
    sigma = np.array(sympy.symbols("s:2", positive=True), dtype=object)
    parts = Drift(), Kick(), Thermostat(1.0, 1.0, scalar=True), MomentumDiffusion(1.0)
    mean = sum(sigma**2) / 2 / (2 * T)
    phi = q.gibbs - MU * (q.xi - mean) ** 2 / (2 * T)
    assert residual(symbolic(Dynamics(*parts), sigma=sigma), q.state, phi) != 0


def test_the_bare_decay_of_kfad_has_another_law() -> None:
    """The residual of −αξ alone is α − αμξ²/T + αμσ²ξ/(2T²)."""
    q = Symbols(3)
    parts = (
        Drift(), Kick(), OrnsteinUhlenbeck(1.0, 1.0), Thermostat(1.0, 1.0, scalar=True),
        MomentumDiffusion(1.0),
    )  # fmt: skip
    made = symbolic(Dynamics(*parts))
    kfad = KineticFriction(1.0, 1.0, scalar=True)
    with_decay, without = (kfad.bind({**POSITIVE, "alpha": alpha}) for alpha in (ALPHA, 0))
    decay = with_decay.rate(q.state)["xi"] - without.rate(q.state)["xi"]
    phi = q.gibbs - MU * (q.xi - SIGMA**2 / (2 * T)) ** 2 / (2 * T)
    expected = ALPHA - ALPHA * MU * q.xi**2 / T + ALPHA * MU * SIGMA**2 * q.xi / (2 * T**2)
    assert residual(made, q.state, phi) == 0
    assert sympy.expand(residual(made, q.state, phi, {"xi": decay}) - expected) == 0
