"""Proved rates at random points and along runs, with V written out here."""

import math
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import CoupledQuartic, ordinary_start

mpl.use("Agg")
import matplotlib.pyplot as plt

from dashpot.analysis import provable_rate
from dashpot.analysis.energy.lyapunov import certificate, prove
from dashpot.analysis.plots.energy import plot_certificate
from dashpot.dynamics import CADAM, CD, IKFAD, KFAD, LDHD, RIKFAD, Dynamics, State
from dashpot.dynamics.momentum.flows import AdamODE
from dashpot.integrators import Trajectory, simulate, solve
from dashpot.landscapes import DoubleWell, Landscape, LogisticRegression, Quadratic

POINTS = 4000
M = 0.7
BOWL = Quadratic([M, 2.0, 9.0], rotation=3)


class Steep(Landscape):
    """f = m/2 |x|² + Σ |x|³/3 + x⁴/4: m-strongly convex, its gradient not Lipschitz."""

    def __init__(self) -> None:
        super().__init__(None, 3, m=M, minimum=0.0, minimisers=torch.zeros(1, 3))

    def f(self, x: torch.Tensor) -> torch.Tensor:
        return (M / 2 * x**2 + x.abs() ** 3 / 3 + x**4 / 4).sum(0)


def energy_and_rate(dynamics: Dynamics, landscape: Landscape, energy: float, seed: int):
    """Random states with Lyapunov energy at most `energy`: y, p, ξ, F, g and the vector field."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    scale = torch.exp(2 * draw(POINTS))
    s = State({"x": scale * draw(3, POINTS), "p": torch.exp(2 * draw(POINTS)) * draw(3, POINTS)})
    if "xi" in dynamics.variables:
        s.xi = draw(POINTS) if dynamics.scalars else draw(3, POINTS)
    potential = landscape.f(s.x)
    total = dynamics.energy(s, potential)
    keep = total <= energy
    s = State({n: v[..., keep] for n, v in s.__dict__.items() if isinstance(v, torch.Tensor)})
    s.g = landscape.df(s.x)
    assert keep.sum() > 100
    return s, potential[keep], dynamics.rate(s)


def worst(dynamics: Dynamics, landscape: Landscape, energy: float, rate: float, a: float, b: float):
    """Largest (V' + rate V)/(rate V) with V = F + ½|p + a y|² + b/2 |y|² + the stored energy."""
    s, potential, field = energy_and_rate(dynamics, landscape, energy, seed=1)
    q, dq = s.p + a * s.x, field["p"] + a * field["x"]
    stored = dynamics.energy(s, 0.0) - 0.5 * (s.p**2).sum(0)  # μ/2 |ξ|², or 0
    v = potential + 0.5 * (q**2).sum(0) + b / 2 * (s.x**2).sum(0) + stored
    slope = (s.g * field["x"]).sum(0) + (q * dq).sum(0) + b * (s.x * field["x"]).sum(0)
    if "xi" in field:
        product = s.xi * field["xi"] * dynamics.hyperparameters["mu"]
        slope = slope + (product if dynamics.scalars else product.sum(0))
    assert bool((v > 0).all())
    return float(((slope + rate * v) / (rate * v)).max())


@pytest.mark.parametrize("landscape", [BOWL, Steep()], ids=["quadratic", "quartic"])
@pytest.mark.parametrize(
    "dynamics",
    [
        LDHD(0.3),
        LDHD(1.7),
        CD(0.3, 0.5),
        CD(1.5, 20.0),
        KFAD(0.5, 0.4, 0.8),
        IKFAD(0.5, 0.4, 0.8),
        IKFAD(1.5, 2.0, 0.1),
    ],
    ids=repr,
)
def test_v_decreases_at_the_proved_rate(dynamics, landscape):
    energy = 3.0
    rate = provable_rate(dynamics, landscape, energy)
    gamma = dynamics.hyperparameters["gamma"]
    assert rate is not None and gamma <= 3 * math.sqrt(M / 2)
    assert worst(dynamics, landscape, energy, rate, rate, rate * (gamma - 2 * rate)) <= 1e-9


@pytest.mark.parametrize("gamma", [3 * math.sqrt(M / 2), 2.5, 6.0])
@pytest.mark.parametrize("landscape", [BOWL, Steep()], ids=["quadratic", "quartic"])
def test_strong_friction_has_the_rate_of_the_slow_root(landscape, gamma):
    """R2: V = F − m/2 |y|² + ½|p + r₊ y|² falls at 2 r₋, the rate of the quadratic itself."""
    rate = provable_rate(LDHD(gamma), landscape, 1.0)
    slow = (gamma - math.sqrt(gamma**2 - 4 * M)) / 2
    assert rate == pytest.approx(2 * slow)
    assert worst(LDHD(gamma), landscape, 1e300, 2 * slow, gamma - slow, -M) <= 1e-9


@pytest.mark.parametrize("gamma", [0.3, 1.7, 2.5, 6.0])
def test_the_simple_bound_holds_for_every_friction(gamma):
    """R3: a = min(2γ/3, m/γ), b = a (γ − 2a)."""
    a, b, rate = (float(v) for v in prove(LDHD(gamma), M, 3.0, "simple"))
    assert a == rate == min(2 * gamma / 3, M / gamma)
    assert worst(LDHD(gamma), Steep(), 3.0, rate, a, b) <= 1e-9


def test_best_friction_reaches_the_root_of_2m():
    assert provable_rate(LDHD(3 * math.sqrt(M / 2)), BOWL, 1.0) == pytest.approx(math.sqrt(2 * M))


@pytest.mark.parametrize("gamma", [0.2, 0.9])
def test_cubic_damping_costs_nothing_up_to_the_energy_of_the_exact_condition(gamma):
    """a = 2γ/3 is allowed while a(γ − a) + (27/64)(cE₀/m) a³ <= m, of which −a² is not used.

    (Young, a|y||p|³ <= p⁴ + (27/256) a⁴y⁴, and |y|² <= 2E₀/m leave that times a|y|²/2 in V' + aV.)
    """
    c, a = 3.0, 2 * gamma / 3
    energy = (M - a * gamma) * M * 64 / (27 * c * a**3)
    assert provable_rate(CD(gamma, c), BOWL, 0.999 * energy) == pytest.approx(a, rel=1e-12)
    above = provable_rate(CD(gamma, c), BOWL, 2 * energy)
    assert above == pytest.approx(M / (gamma + 2 * (M / a - gamma)), rel=1e-12)


# --- certificates along runs ---------------------------------------------------------------------

THEOREMS = [
    LDHD(0.3),
    LDHD(2.5),
    CD(0.3, 0.5),
    CD(1.5, 20.0),
    KFAD(0.5, 0.4, 0.8),
    IKFAD(1.5, 2.0, 0.1),
]
FIRST = torch.tensor([1.0, -0.8, 0.5], dtype=torch.float64)


def written_out(dynamics: Dynamics, landscape: Landscape, run: Trajectory, a: float, b: float):
    """V and V' of the theorems at the saved states, for x* = 0, V' as the proofs have it."""
    v: dict[str, Any] = dynamics.hyperparameters
    x, p = run["x"], run["p"]
    xi = run["xi"] if "xi" in run.states else torch.zeros(())
    xi = xi[..., None] if dynamics.scalars else xi
    gamma, c = v["gamma"], v.get("c", 0.0)
    stored = v.get("mu", 0.0) / 2 * (run["xi"][..., None] if dynamics.scalars else xi) ** 2
    V = landscape(x) + (0.5 * (p + a * x) ** 2 + b / 2 * x**2).sum(-1) + stored.sum(-1)
    slope = -a * x * landscape.gradient(x) + (a - gamma) * p**2 + (a * (a - gamma) + b) * x * p
    slope = slope - c * p**4 - a * c * x * p**3 - a * xi * x * p
    heat = -2 * v.get("alpha", 0.0) * stored
    return V, slope.sum(-1) + heat.sum(-1)


@pytest.mark.parametrize("landscape", [BOWL, Steep()], ids=["quadratic", "quartic"])
@pytest.mark.parametrize("dynamics", THEOREMS, ids=repr)
def test_v_and_its_slope_along_a_run_are_the_theorems(dynamics, landscape):
    run = simulate(dynamics, landscape, FIRST, step=0.05, steps=400)
    found = certificate(dynamics, landscape, run)
    rate = provable_rate(dynamics, landscape, float(run.energy[0]))
    assert rate is not None and float(found.rate) == pytest.approx(rate, rel=1e-14)
    gamma = float(dynamics.hyperparameters["gamma"])
    strong = isinstance(dynamics, LDHD) and gamma > 3 * math.sqrt(M / 2)
    a, b = (gamma - rate / 2, -M) if strong else (rate, rate * (gamma - 2 * rate))
    V, slope = written_out(dynamics, landscape, run, a, b)
    torch.testing.assert_close(found.V, V, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(found.slope, slope, rtol=1e-11, atol=1e-13)
    torch.testing.assert_close(found.allowed, -rate * V, rtol=1e-12, atol=1e-14)
    limit = V[0] * torch.exp(-rate * run.times)
    torch.testing.assert_close(found.limit, limit, rtol=1e-12, atol=0)
    assert found.holds and found.violation.value <= 1e-9
    assert all(assumption.holds for assumption in found.assumptions)


@pytest.mark.parametrize("dynamics", THEOREMS, ids=repr)
def test_the_exact_solution_keeps_to_the_integrated_bound(dynamics):
    run = solve(dynamics, Steep(), FIRST, until=15.0, rtol=1e-11)
    found = certificate(dynamics, Steep(), run)
    assert found.holds
    assert found.overshoot.value <= 1e-9  # the solver's tolerance
    assert found.V[-1] < 0.3 * found.V[0]


def test_a_crude_integrator_misses_the_integrated_bound_but_not_the_slope():
    """V' is that of the exact field at whatever states there are; V(t) is the integrator's."""
    dynamics = LDHD(2.5)
    run = simulate(dynamics, BOWL, FIRST, step=0.3, steps=100)
    found = certificate(dynamics, BOWL, run)
    assert found.holds and found.violation.value <= 1e-9
    at = found.overshoot.index
    excess = (found.V - found.limit) / found.V[0]
    assert found.overshoot.value == pytest.approx(float(excess.max())) and excess[at] > 1e-3
    assert found.overshoot.time == pytest.approx(0.3 * at)


@settings(max_examples=25, deadline=None)
@given(
    gamma=st.floats(0.01, 20.0),
    c=st.floats(0.0, 50.0),
    spread=st.floats(1.0, 1e3),
    size=st.floats(1e-3, 10.0),
    bound=st.sampled_from(["sharp", "simple"]),
)
def test_certificates_hold_whatever_the_constants(gamma, c, spread, size, bound):
    bowl = Quadratic([1.0, spread], rotation=1, centre=[3.0, -2.0])
    x0 = bowl.centre + size * torch.tensor([1.0, 0.4])
    for dynamics in (LDHD(gamma), CD(gamma, c)):
        run = solve(dynamics, bowl, x0, until=2.0, times=np.linspace(0, 2, 21), rtol=1e-8)
        found = certificate(dynamics, bowl, run, bound=bound)
        assert found.holds, (found.violation, found.assumptions)


def test_simple_bound_of_linear_damping():
    run = simulate(LDHD(2.5), BOWL, FIRST, step=0.05, steps=200)
    found = certificate(LDHD(2.5), BOWL, run, bound="simple")
    assert float(found.rate) == pytest.approx(M / 2.5) and found.holds
    assert found.rate < certificate(LDHD(2.5), BOWL, run).rate


def test_every_trajectory_has_its_own_rate_and_place():
    """CD's rate falls with E₀; the trajectory that starts outside its m is the one named."""
    dynamics = CD(0.5, 2.0)
    x0 = torch.stack((FIRST, 10 * FIRST))
    run = simulate(dynamics, BOWL, x0, step=0.02, steps=200)
    found = certificate(dynamics, BOWL, run)
    assert found.V.shape == (201, 2) and found.holds
    for i in range(2):
        rate = provable_rate(dynamics, BOWL, float(run.energy[0, i]))
        assert rate is not None and float(found.rate[i]) == pytest.approx(rate)
    flat = Landscape(lambda x: torch.log1p((x**2).sum()), 1, minimisers=[0.0], minimum=0.0)
    run = simulate(LDHD(0.5), flat, [[0.1], [3.0]], step=0.1, steps=50)
    broken = certificate(LDHD(0.5), flat, run, m=1.5)
    failed = {a.text: a.worst for a in broken.assumptions if not a.holds}
    assert len(failed) == 2 and not broken.holds
    assert all(worst is not None and worst.trajectory == (1,) for worst in failed.values())


def test_minimum_and_shift_of_a_real_regression():
    """f* far from 0, a minimiser known to rounding: late states are not judged by their noise."""
    landscape = LogisticRegression.breast_cancer()
    run = simulate(LDHD(0.3), landscape, step=0.2, steps=1500, save_every=10)
    found = certificate(LDHD(0.3), landscape, run)
    assert found.holds, (found.violation, found.assumptions)
    assert found.violation.value <= 1e-8


def test_v_below_the_rounding_of_f_is_not_judged():
    """R2 is an equality on f = 1 + m x²/2, and V falls to 1e-17 while f − f* has 1e-16."""
    bowl = Landscape(
        lambda x: 1 + M / 2 * (x**2).sum(), 1, minimisers=[0.0], minimum=1.0, m=M, start=[1.0]
    )
    run = solve(LDHD(2.5), bowl, until=60.0)
    found = certificate(LDHD(2.5), bowl, run)
    noise = (found.slope - found.allowed) / found.allowed.abs()
    assert noise.max() > 1e-3
    assert found.holds and 0 < found.violation.time < 30


def outcome(dynamics: Dynamics, landscape: Landscape, **options: Any):
    run = simulate(dynamics, landscape, step=0.05, steps=200)
    found = certificate(dynamics, landscape, run, **options)
    return found, [a for a in found.assumptions if not a.holds]


def test_double_well_with_a_claimed_m_breaks_the_inequalities_and_says_where():
    found, failed = outcome(LDHD(0.5), DoubleWell(1), m=1.0)
    assert [a.text[:3] for a in failed] == ["y·∇", "F >"]
    assert not found.holds and found.violation.value > 0.1
    worst = failed[0].worst
    assert worst is not None
    run = simulate(LDHD(0.5), DoubleWell(1), step=0.05, steps=200)
    x = float(run["x"][worst.index, 0])
    assert abs(x) < 1 and worst.time == pytest.approx(0.05 * worst.index)  # in between the wells
    assert torch.isfinite(found.V).all()
    # the well it ends in is the x* of V: F = V = 0 there
    y = float(run["x"][-1, 0]) - math.copysign(1.0, float(run["x"][-1, 0]))
    assert abs(y) < 0.2 and abs(float(found.V[-1])) < 0.1


@pytest.mark.parametrize(
    ("dynamics", "landscape", "options", "failing"),
    [
        (LDHD(0.5), DoubleWell(1), {}, "m > 0 is known (it is not known"),
        (CD(0.5, 1.0), BOWL, {"m": -1.0}, "m > 0 is known (m = -1)"),
        (IKFAD(0.5, 1.0, 1.0), Quadratic([0.0, 1.0]), {}, "m > 0 is known (m = 0)"),
        (LDHD(0.5), Landscape(lambda x: (x**2).sum(), 2, m=2.0, start=[1.0, 1.0]), {},
         "minimiser is known"),
    ],
)  # fmt: skip
def test_without_m_or_a_minimiser_there_is_no_v(dynamics, landscape, options, failing):
    found, failed = outcome(dynamics, landscape, **options)
    assert len(failed) == 1 and failing in failed[0].text
    assert not found.holds and torch.isnan(found.V).all() and torch.isnan(found.rate).all()
    assert math.isnan(found.violation.value)


@pytest.mark.parametrize(
    ("dynamics", "failing"),
    [(LDHD(0.0), "γ > 0"), (CD(0.0, 1.0), "γ > 0"), (KFAD(0.5, 0.0, 1.0), "α > 0")],
)
def test_without_friction_v_is_the_energy_and_nothing_is_proved(dynamics, failing):
    run = simulate(dynamics, BOWL, FIRST, step=0.05, steps=200)
    found = certificate(dynamics, BOWL, run)
    assert next(a.text for a in found.assumptions if not a.holds) == failing
    assert found.rate == 0 and math.isnan(found.violation.value) and not found.holds
    torch.testing.assert_close(found.V, run.energy, rtol=1e-12, atol=1e-14)


def test_an_m_beyond_the_landscapes_is_refuted():
    found, failed = outcome(LDHD(0.5), BOWL, m=2.0)
    assert len(failed) == 2 and not found.holds
    _, fine = outcome(LDHD(0.5), BOWL, m=0.5)
    assert not fine


def test_energy_that_grows_by_the_integrator_is_reported():
    """BACD at h√L = 1.5 from x₀ = 1 diverges: E₀ does not bound E."""
    dynamics, bowl = CD(0.1, 100.0), Quadratic([225.0])
    run = simulate(dynamics, bowl, step=0.1, steps=60, word="BACD")
    rise = certificate(dynamics, bowl, run).assumptions[-1]
    assert rise.text.startswith("E <= E₀") and not rise.holds
    assert rise.worst is not None and rise.worst.index == 60 and rise.worst.value > 1e3


@pytest.mark.parametrize(
    ("dynamics", "options", "message"),
    [
        (RIKFAD(0.5, 1.0, 1.0), {}, "no certificate is known for RIKFAD; LDHD, CD"),
        (CADAM(0.5, 1.0, 1.0, bias_correction=True), {}, "CADAM and AdamODE without bias"),
        (LDHD(0.5), {"bound": "best"}, "bound must be 'sharp' or 'simple'"),
    ],
    ids=str,
)
def test_what_has_no_certificate_is_refused(dynamics, options, message):
    run = simulate(dynamics, BOWL, step=0.05, steps=2)
    with pytest.raises(ValueError, match=message):
        certificate(dynamics, BOWL, run, **options)


def test_the_run_of_another_dynamics_is_refused():
    run = simulate(LDHD(0.5), BOWL, step=0.05, steps=2)
    with pytest.raises(ValueError, match="made with hyperparameters"):
        certificate(LDHD(0.6), BOWL, run)


# --- CADAM: γ >= α/4, and the limit cycle at γ = 0 -----------------------------------------------


@pytest.mark.parametrize("gamma", [0.25, 0.4])
@pytest.mark.parametrize("c", [0.0, 0.5])
def test_cadam_is_certified_from_a_quarter_of_alpha(gamma: float, c: float):
    made = CADAM(gamma, alpha=1.0, c=c, eps=0.03)
    run = solve(made, CoupledQuartic(), ordinary_start(made), until=6.0, rtol=1e-11)
    found = certificate(made, CoupledQuartic(), run)
    assert found.holds and found.violation.value <= 1e-12
    assert found.overshoot.value <= 1e-10  # nonincreasing to the solver's tolerance
    p2, root = run["p"] ** 2, run["zeta"].sqrt()
    g2 = CoupledQuartic().gradient(run["x"]) ** 2
    slack = (p2 * (0.03 * root + g2) / (4 * root * (root + 0.03) ** 2)).sum(-1)
    torch.testing.assert_close(found.allowed - found.slope, slack, rtol=0, atol=1e-12)
    torch.testing.assert_close(found.V, run.energy)


def test_cadam_below_a_quarter_of_alpha_is_not_and_its_energy_can_rise():
    made = CADAM(0.9 * 0.25, alpha=1.0, c=0.0, eps=0.0)
    start = {"x": [0.0], "p": [1.0], "zeta": [1.0]}
    run = solve(made, Quadratic(1.0), start, until=1.0, rtol=1e-11)
    found = certificate(made, Quadratic(1.0), run)
    assert [a.text for a in found.assumptions if not a.holds] == ["γ >= α/4"]
    assert found.overshoot.value * float(found.V[0]) > 1e-6 and not found.holds
    assert found.violation.value <= 1e-12  # the inequality itself needs no condition
    # at x = 0: H' = −γp² + αp²/4 = 0.025, the slack being 0
    assert float(found.slope[0]) == pytest.approx(0.025)


def test_adam_and_cadam_from_zero():
    made = AdamODE(0.3, 1.0, eps=0.1)
    run = simulate(made, CoupledQuartic(), step=0.01, steps=300)
    found = certificate(made, CoupledQuartic(), run)
    assert found.holds and found.violation.value <= 1e-12  # the first state, ζ = 0, is not judged


# --- the figure ----------------------------------------------------------------------------------


def test_the_figure_shows_v_its_bound_and_what_does_not_hold():
    run = simulate(LDHD(0.5), DoubleWell(1), step=0.05, steps=200)
    found = certificate(LDHD(0.5), DoubleWell(1), run, m=1.0)
    ax = plot_certificate(found)
    drawn = {line.get_label(): np.asarray(line.get_ydata()) for line in ax.get_lines()}
    np.testing.assert_array_equal(drawn["V"], found.V.numpy())
    np.testing.assert_array_equal(drawn["proved bound"], found.limit.numpy())
    legend = ax.get_legend()
    assert legend is not None and "does not hold: F >= m/2" in legend.get_title().get_text()
    assert ax.get_yscale() == "log"
    plt.close("all")


def test_the_figure_without_v_says_why():
    run = simulate(LDHD(0.5), DoubleWell(1), step=0.05, steps=20)
    found = certificate(LDHD(0.5), DoubleWell(1), run)  # which is not convex: m is not known
    assert torch.isnan(found.V).all()
    ax = plot_certificate(found)
    assert not ax.get_lines() and ax.get_legend() is None and ax.get_yscale() == "linear"
    assert not len(ax.get_xticks()) and not len(ax.get_yticks())
    (text,) = ax.texts
    said = text.get_text().replace("\n", " ")
    assert "V is not known" in said and "strong convexity m > 0 is known" in said
    figure = ax.figure
    figure.canvas.draw()
    inside, box = text.get_window_extent(), ax.get_window_extent()
    assert box.x0 < inside.x0 < inside.x1 < box.x1 and box.y0 < inside.y0 < inside.y1 < box.y1
    plt.close("all")
