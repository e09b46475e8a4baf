"""Momentum flows: their parts, the equations they stand for, energies, starts and refusals."""

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from problems import ULP, CoupledQuartic
from torch import Tensor

from dashpot.dynamics import (
    CADAM,
    NAG,
    AdamODE,
    Descent,
    FixedMomentum,
    GradientFlow,
    HighResolutionHB,
    HighResolutionNAGC,
    HighResolutionNAGSC,
    MassiveDrift,
    ModifiedMomentum,
    MomentumFlow,
    Nesterov,
    RisingKick,
    State,
    UniformMomentum,
    VanishingDamping,
)

X = torch.tensor([0.7, -0.4], dtype=torch.float64)
P = torch.tensor([0.3, 0.5], dtype=torch.float64)
T = torch.tensor(0.8, dtype=torch.float64)
QUARTIC = CoupledQuartic()

# --- the parts ------------------------------------------------------------------------------------


@given(st.floats(0.1, 6), st.floats(0, 3), st.floats(0.01, 5), st.floats(0, 2))
def test_vanishing_damping_solves_its_equation(r: float, t: float, h: float, onset: float) -> None:
    """d ln p/dt = −r/(t + t₀), so ln p falls by r ln((t + t₀ + h)/(t + t₀))."""
    s = State({"p": 1.0, "t": t})
    VanishingDamping(r, onset).flow(s, h)
    assert s.t == t + h
    if t + onset > 1e-3:
        loss = r * math.log1p(h / (t + onset))
        assert s.p == pytest.approx(math.exp(-loss), rel=4e-15 * (1 + loss))


def test_vanishing_damping_is_finite_from_time_zero() -> None:
    s = State({"p": P, "t": torch.zeros((), dtype=torch.float64)})
    assert VanishingDamping(3.0).rate(s.copy(p=0 * P))["p"].tolist() == [0.0, 0.0]
    VanishingDamping(3.0).flow(s, 0.1)
    assert s.p.tolist() == [0.0, 0.0]


def test_rising_kick_sets_in_from_nothing_to_the_full_force() -> None:
    pushes = []
    for t in (0.0, 0.3, 3e8):
        s = State({"p": 0.0, "g": 2.0, "t": t})
        RisingKick(0.3).flow(s, 0.5)
        pushes.append(s.p)
    assert pushes == pytest.approx([0.0, -0.5, -1.0], abs=1e-8)


def test_descent_is_one_euler_step_and_massive_drift_moves_by_p_over_m() -> None:
    s = State({"x": X, "p": P, "g": QUARTIC.df(X)})
    Descent(0.3).flow(s, 0.2)
    torch.testing.assert_close(s.x, X - 0.06 * QUARTIC.df(X), rtol=ULP, atol=0)
    s = State({"x": X, "p": P})
    MassiveDrift(0.4).flow(s, 0.2)
    torch.testing.assert_close(s.x, X + 0.5 * P, rtol=ULP, atol=ULP)
    assert float(MassiveDrift(0.4).energy(s)) == pytest.approx(0.34 / 0.8, rel=1e-15)


# --- the equations --------------------------------------------------------------------------------

H, LAMBDA, MU, STEP = 0.02, 0.8, 0.5, 0.09
ROOT = math.sqrt(STEP)


def uniform(nesterov: bool) -> tuple[float, float, float]:
    """γ, b and k of hα′ü + ((1 − λ) + hδ∇²Φ) u̇ = −∇Φ, from its definition."""
    inertia = (1 - LAMBDA) / math.log(1 / LAMBDA)
    lookahead = LAMBDA if nesterov else 0.0
    alpha = (1 + LAMBDA - 2 * lookahead * (1 - LAMBDA)) / 2
    delta = (inertia - alpha) / (1 - LAMBDA)
    return (1 - LAMBDA) / (H * inertia), delta / inertia, 1 / (H * inertia)


ONSET = 1.5 * ROOT
AGE = 0.8 + ONSET
EQUATIONS: dict[str, tuple[MomentumFlow, float, float, float]] = {
    # ü + γ u̇ + b ∇²f u̇ + k ∇f = 0: flow, γ, b, k (at t = 0.8 where they depend on it)
    "NAG": (NAG(0.6, 0.3), 0.6, 0.3, 1 + 0.6 * 0.3),
    "Nesterov": (Nesterov(3.0), 3 / 0.8, 0.0, 1.0),
    "HB": (HighResolutionHB(MU, STEP), 2 * math.sqrt(MU), 0.0, 1 + math.sqrt(MU * STEP)),
    "NAG-SC": (HighResolutionNAGSC(MU, STEP), 2 * math.sqrt(MU), ROOT, 1 + math.sqrt(MU * STEP)),
    "NAG-C": (HighResolutionNAGC(STEP), 3 / AGE, ROOT, 1 + 1.5 * ROOT / AGE),
    "K-S HB": (ModifiedMomentum(H, LAMBDA), 0.2 / (0.9 * H), 0.0, 1 / (0.9 * H)),
    "K-S NAG": (ModifiedMomentum(H, LAMBDA, True), 0.2 / (0.74 * H), 0.0, 1 / (0.74 * H)),
    "uniform HB": (UniformMomentum(H, LAMBDA), *uniform(False)),
    "uniform NAG": (UniformMomentum(H, LAMBDA, True), *uniform(True)),
}


@pytest.mark.parametrize("name", EQUATIONS)
def test_the_parts_add_up_to_the_published_equation(name: str) -> None:
    """u̇ is the rate of x; ü, its derivative along the flow, by automatic differentiation."""
    flow, gamma, b, k = EQUATIONS[name]

    def field(x: Tensor, p: Tensor, t: Tensor) -> dict[str, Tensor]:
        rates = flow.rate(State({"x": x, "p": p, "t": t, "g": QUARTIC.df(x)}))
        return {"t": torch.zeros_like(t), **rates}

    here = field(X, P, T)
    tangents = (here["x"], here["p"], here["t"])
    second = torch.func.jvp(lambda *z: field(*z)["x"], (X, P, T), tangents)[1]
    gradient = QUARTIC.gradient(X)
    expected = -gamma * here["x"] - b * QUARTIC.hvp(X, here["x"]) - k * gradient
    size = expected.abs().max().item()
    torch.testing.assert_close(second, expected, rtol=0, atol=20 * ULP * (1 + gamma) * size)
    assert torch.equal(flow.velocity({"x": X, "p": P}, gradient), here["x"])


@pytest.mark.parametrize("name", [n for n in EQUATIONS if n not in ("Nesterov", "NAG-C")])
def test_the_energy_falls_by_damping_and_descent(name: str) -> None:
    """f + |p|²/(2m) with rate −γ|p|²/m − η|∇f|²; m and η read off the equation."""
    flow, gamma, b, k = EQUATIONS[name]
    inverse_mass = 1.0 if name == "NAG" else k - gamma * b
    g = QUARTIC.df(X)
    s = State({"x": X, "p": P, "g": g})
    expected = -gamma * inverse_mass * (P @ P) - b * (g @ g)
    assert float(flow.energy_rate(s)) == pytest.approx(float(expected), rel=1e-12)
    energy = float(flow.mechanical_energy(s, QUARTIC.f(X)))
    assert energy == pytest.approx(float(QUARTIC.f(X) + 0.5 * inverse_mass * (P @ P)), rel=1e-13)


def test_gradient_flow_falls_by_its_rate() -> None:
    s = State({"x": X, "g": QUARTIC.df(X)})
    assert float(GradientFlow(2.0).energy_rate(s)) == pytest.approx(-2 * float(s.g @ s.g))


def test_adam_ode_is_cadam_without_cubic_damping() -> None:
    s = State({"x": X, "p": P, "zeta": X * X + 0.1, "t": T, "g": QUARTIC.df(X)})
    for corrected in (False, True):
        adam = AdamODE(0.5, 0.7, 0.2, bias_correction=corrected)
        cadam = CADAM(0.5, 0.7, 0.0, 0.2, bias_correction=corrected)
        ours, theirs = adam.rate(s), cadam.rate(s)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert (AdamODE(0.5, 0.7).word, adam.word) == ("BEAD", "BETAD")


# --- the constants --------------------------------------------------------------------------------


def test_constants_of_the_modified_loss() -> None:
    kappa = {(m, n): FixedMomentum(0.1, m, n).kappa for m in (0.5, 0.9) for n in (False, True)}
    expected = {(0.5, False): 3, (0.5, True): 2, (0.9, False): 95, (0.9, True): 86}
    assert kappa == pytest.approx(expected, rel=1e-14)


@given(st.floats(0.05, 0.95), st.booleans())
def test_the_slow_root_follows_modified_loss_and_manifold(momentum: float, nesterov: bool) -> None:
    """On curvature 1 the scheme's slow root z solves z² − (1 + λ − (1 + a)h) z + λ − ah = 0.

    −ln z/h = λ̄(1 + hκ) + O(h²), and on the manifold d = (1 − 1/z) u/h. Both coefficients of h by
    extrapolation, which leaves some ten times (h/(1 − λ)²)² = 1e-6.
    """
    losses, manifolds = [], []
    for h in (2e-3 * (1 - momentum) ** 2, 1e-3 * (1 - momentum) ** 2):
        scheme = FixedMomentum(h, momentum, nesterov)
        middle = 1 + momentum - (1 + scheme.lookahead) * h
        last = momentum - scheme.lookahead * h
        slow = (middle + math.sqrt(middle**2 - 4 * last)) / 2
        losses.append((-math.log(slow) / (h * scheme.gain) - 1) / h)
        manifolds.append(((1 - 1 / slow) / h + scheme.gain) / h)
        assert scheme.slow(1.0, 0.0) == -scheme.gain
    assert 2 * losses[1] - losses[0] == pytest.approx(scheme.kappa, rel=1e-4)
    bend = (scheme.slow(1.0, 1.0) + scheme.gain) / scheme.h
    assert 2 * manifolds[1] - manifolds[0] == pytest.approx(bend, rel=1e-4)


@given(st.floats(0.05, 0.95), st.booleans(), st.floats(0.1, 5))
def test_the_fast_root_is_the_attraction(momentum: float, nesterov: bool, k: float) -> None:
    """The other root is λ + hk(λλ̄ − a) + O(h²): its slope in h, at h → 0."""
    h = 1e-5 * (1 - momentum) ** 2 / k
    scheme = FixedMomentum(h, momentum, nesterov)
    middle = 1 + momentum - (1 + scheme.lookahead) * h * k
    last = momentum - scheme.lookahead * h * k
    fast = (middle - math.sqrt(middle**2 - 4 * last)) / 2
    assert abs(fast - scheme.attraction(k)) < 10 * (h * k / (1 - momentum)) ** 2 / (1 - momentum)


def test_the_matched_velocity_makes_up_for_the_displacement_of_the_transient() -> None:
    """Scheme: Σ h λⁿ d = hλλ̄ (d₀ − d∞). Equation: (u̇₀ − d∞) hα/(1 − λ), for any force −g."""
    g, d0 = 1.7, -0.4
    for nesterov in (False, True):
        for is_uniform in (False, True):
            scheme = FixedMomentum(0.01, 0.7, nesterov)
            inertia = scheme.uniform_inertia if is_uniform else scheme.inertia
            terminal = -g / 0.3
            by_scheme = sum(0.01 * 0.7**n * (d0 - terminal) for n in range(1, 200))
            velocity = scheme.matched(g, d0, uniform=is_uniform)
            by_flow = (velocity - terminal) * 0.01 * inertia / 0.3
            assert by_flow == pytest.approx(by_scheme, rel=1e-13)
            shadow = scheme.shadow(5.0, g, d0)
            assert shadow == pytest.approx(5.0 + by_scheme, rel=1e-13)
    assert FixedMomentum(1.0, 0.7).matched(1.0) == pytest.approx(-1 / 1.7)  # f/(1 + λ)


# --- starts and refusals --------------------------------------------------------------------------


def wrong(value: Any) -> Any:
    """A value of a wrong type, on purpose."""
    return value


@pytest.mark.parametrize("name", EQUATIONS)
def test_a_start_has_the_velocity_it_was_asked_for(name: str) -> None:
    flow = EQUATIONS[name][0]
    x0 = torch.stack((X, 2 * X))
    gradient = QUARTIC.gradient(x0)
    asked: list[Any] = [*flow.velocities(gradient)]
    if name != "Nesterov":  # from t = 0, where its damping leaves no velocity but 0
        asked += [0.3 * x0, (0.3 * x0).tolist(), [0.3, -0.2]]
    for velocity in asked:
        start = flow.start(x0, gradient, velocity)
        known = flow.velocities(gradient)
        expected = known[velocity] if isinstance(velocity, str) else velocity
        expected = torch.as_tensor(expected, dtype=torch.float64).broadcast_to(x0.shape)
        assert start.keys() == {"x", "p"} and torch.equal(start["x"], x0)
        torch.testing.assert_close(flow.velocity(start, gradient), expected, rtol=0, atol=1e-14)
    first = flow.start(x0, gradient, next(iter(flow.velocities(gradient))))
    assert torch.equal(flow.start(x0, gradient)["p"], first["p"])


def test_the_velocities_of_the_sources() -> None:
    g = QUARTIC.gradient(X)
    high = HighResolutionNAGSC(MU, STEP).velocities(g)
    torch.testing.assert_close(high["matched"], -0.45 * g)
    torch.testing.assert_close(high["published"], -0.6 / (1 + math.sqrt(0.045)) * g)
    torch.testing.assert_close(HighResolutionNAGC(STEP).velocities(g)["published"], -0.3 * g)
    # α = 0.9: (1 − 1.8)/(1.8 − 0.8 + 1) f = −0.4 f = 0.4 g
    torch.testing.assert_close(ModifiedMomentum(H, LAMBDA).velocities(g)["published"], 0.4 * g)
    nag = NAG(0.6, 0.3)
    assert torch.equal(nag.start(X, g, "published")["p"], torch.zeros_like(X))


def test_nesterovs_equation_starts_at_rest() -> None:
    g = QUARTIC.gradient(X)
    with pytest.raises(ValueError, match=r"at t = 0 at rest.*'t': t0"):
        Nesterov().start(X, g, 0.1 * g)
    assert torch.equal(Nesterov().start(X, g, 0 * g)["p"], 0 * X)
    assert torch.equal(Nesterov(0.0).start(X, g, 0.1 * g)["p"], 0.1 * g)  # no damping, any start


def test_a_start_needs_single_numbers_and_matching_shapes() -> None:
    """A batch of η would be read as one η per coordinate."""
    g = QUARTIC.gradient(X)
    with pytest.raises(ValueError, match=r"NAG\.start needs one number eta; got tensor"):
        NAG(torch.tensor([0.1, 0.2]), torch.tensor([0.1, 0.2])).start(X, g)
    with pytest.raises(ValueError, match="one number mass"):
        HighResolutionHB(MU, STEP).bind({"mass": torch.tensor([1.0, 2.0])}).start(X, g)
    with pytest.raises(ValueError, match=r"velocity must be shaped like x0, \(2,\); got \(3,\)"):
        NAG(0.6, 0.3).start(X, g, [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"gradient_at_x0 must be shaped like x0, \(2,\)"):
        NAG(0.6, 0.3).start(X, torch.stack((g, g)))


def test_an_unknown_velocity_names_the_known_ones() -> None:
    flow = HighResolutionHB(MU, STEP)
    with pytest.raises(ValueError, match="no initial velocity 'fast'; it has 'matched'"):
        flow.start(X, QUARTIC.gradient(X), "fast")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ModifiedMomentum(0.1, 1.0), "momentum must lie between 0 and 1"),
        (lambda: UniformMomentum(0.1, 0.0), "momentum must lie between 0 and 1"),
        (lambda: FixedMomentum(0.1, math.nan), "momentum must lie between 0 and 1"),
        (lambda: ModifiedMomentum(0.0, 0.9), "h must be a finite number > 0; got 0.0"),
        (lambda: FixedMomentum(math.inf, 0.9), "h must be a finite number > 0"),
        (lambda: HighResolutionHB(4.0, 0.25), "HighResolutionHB needs mu > 0, s > 0 and mu s < 1"),
        (lambda: HighResolutionNAGSC(0.0, 0.1), "HighResolutionNAGSC needs mu > 0"),
        (lambda: HighResolutionNAGC(-1.0), "s must be a finite number > 0"),
        (lambda: HighResolutionNAGC(wrong("a")), "s must be a finite number > 0; got 'a'"),
        (lambda: HighResolutionHB(wrong(None), 0.1), "needs mu > 0, .* got mu=None, s=0.1"),
        (lambda: FixedMomentum(wrong("a"), 0.5), "h must be a finite number > 0; got 'a'"),
        (lambda: FixedMomentum(0.1, wrong(None)), "momentum must lie between .*; got None"),
        (lambda: NAG(-0.1, 0.1), "gamma must be a finite number >= 0"),
        (lambda: GradientFlow(math.inf), "eta must be a finite number"),
        (lambda: Nesterov(-1.0), "r must be a finite number >= 0"),
        (lambda: AdamODE(0.0, 0.1, bias_correction=True), "gamma must be a finite number > 0"),
        (lambda: MassiveDrift(0.0), "mass must be a finite number > 0"),
    ],
)
def test_hyperparameters_out_of_range_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_flow_prints_as_it_was_made() -> None:
    assert repr(HighResolutionHB(0.5, 0.01)) == "HighResolutionHB(mu=0.5, s=0.01)"
    made = "ModifiedMomentum(h=0.1, momentum=0.9, nesterov=True)"
    assert repr(ModifiedMomentum(0.1, 0.9, True)) == made
    assert repr(NAG(0.6, 0.3)) == "NAG(gamma=0.6, eta=0.3)"
    assert repr(GradientFlow(0.8)) == "GradientFlow(eta=0.8)"
    assert repr(NAG(0.6, 0.3).bind({"eta": 0.4})) == "NAG(gamma=0.6, eta=0.4)"
    bound = HighResolutionHB(0.5, 0.01).bind({"gamma": 3.0})
    assert repr(bound) == "HighResolutionHB(mu=0.5, s=0.01).bind({'gamma': 3.0})"
    made = "ModifiedMomentum(h=0.1, momentum=0.9)"
    same = ModifiedMomentum(0.1, 0.9)
    assert repr(same.bind(same.hyperparameters)) == repr(same) == made
    assert repr(Nesterov()) == "Nesterov(r=3.0)"


def test_arguments_make_a_dynamics_again() -> None:
    """In the constructor's order, numbers always, options where they differ; after `bind` too."""
    made = CADAM(0.3, 0.6, c=0.5, bias_correction=True).bind({"c": 0.7})
    expected = {"gamma": 0.3, "alpha": 0.6, "c": 0.7, "eps": 1e-8, "bias_correction": True}
    assert list(made.arguments.items()) == list(expected.items())
    for flow, *_ in EQUATIONS.values():
        again = type(flow)(**copy.deepcopy(flow).arguments)
        assert again.hyperparameters == flow.hyperparameters
