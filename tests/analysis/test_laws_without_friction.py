"""Laws where no rate is proved: CADAM's limit cycle, and 1/t without linear friction."""

import math

import numpy as np
import pytest
import torch

from dashpot.analysis import fit_decay, predict
from dashpot.analysis.energy.prediction import limit_cycle_energy
from dashpot.dynamics import CADAM, CD, IKFAD, AdamODE
from dashpot.integrators import simulate, solve
from dashpot.landscapes import Landscape, Quadratic


def test_limit_cycle_level_is_the_root_of_its_cubic():
    assert limit_cycle_energy(CADAM(0.0, 0.05, 1.0, eps=0.0), 1.0) == pytest.approx(
        0.05 * 12 ** (-2 / 3), rel=1e-12
    )
    assert limit_cycle_energy(CADAM(0.0, 0.05, 1.0, eps=0.0), 1.0) == pytest.approx(
        0.009539, rel=1e-4
    )
    s, eps, c, alpha = 0.3, 0.2, 0.7, 0.05
    k = 12 * c * s * (s + eps) ** 2
    made = CADAM(0.0, alpha, c, eps=eps)
    assert limit_cycle_energy(made, k) == pytest.approx(alpha * s**2 / k, rel=1e-12)
    heavy = limit_cycle_energy(CADAM(0.0, alpha, c, eps=1e6), k)  # s → k/(12 c ε²)
    assert heavy == pytest.approx(alpha * k / (12 * c * 1e12) ** 2, rel=1e-9)


def test_limit_cycle_needs_no_friction_and_cubic_damping():
    for made in (CADAM(0.1, 0.1, 1.0), CADAM(0.0, 0.1, 0.0), CADAM(0.0, 0.0, 1.0)):
        with pytest.raises(ValueError, match="gamma = 0 and alpha, c, k > 0"):
            limit_cycle_energy(made, 1.0)
    with pytest.raises(TypeError, match="takes a CADAM"):
        limit_cycle_energy(CD(0.0, 1.0), 1.0)  # pyright: ignore[reportArgumentType]


def test_predictions_tell_the_height_of_the_cycle():
    made = CADAM(0.0, 0.05, 1.0, eps=0.0)
    level = 0.05 * 12 ** (-2 / 3) * (1 + 4 ** (-1 / 3))
    law = predict(made, Quadratic([1.0, 4.0]))
    assert law.model == "none" and f"{level:.3g}" in law.law
    assert "αs²/k" not in predict(made, Quadratic([1.0, 4.0], rotation=1)).law


def test_cadam_ends_on_its_limit_cycle_from_inside_and_outside():
    made = CADAM(0.0, 0.05, 1.0, eps=0.0)
    start = {"x": [[0.02], [1.0]], "zeta": [[0.2], [0.2]]}
    run = simulate(made, Quadratic(1.0), start, step=0.1, steps=15_000, word="EBCDADCBE",
                   save_every=5)  # fmt: skip
    late = run.energy[run.times > 1300].mean(0)
    level = limit_cycle_energy(made, 1.0)
    assert late.tolist() == pytest.approx([level, level], rel=0.01)
    assert run.energy[0, 0] < level / 10 and run.energy[0, 1] > 10 * level


def test_undamped_adam_grows_at_a_ninth_of_alpha():
    alpha = 0.05
    made = AdamODE(0.0, alpha, eps=0.0)
    run = simulate(made, Quadratic(1.0), {"x": [0.01], "zeta": [5e-4]}, step=0.05, steps=16_000,
                   word="EBDADBE", save_every=10)  # fmt: skip
    late = run.times > 400
    rate = np.polyfit(run.times[late].numpy(), run.energy[late].log().numpy(), 1)[0]
    assert rate == pytest.approx(alpha / 9, rel=0.02)


# --- γ = 0: algebraic laws, from one period to the next ------------------------------------------


@pytest.mark.parametrize(
    ("dynamics", "kappas", "since"),
    [
        (CD(0.0, 1.0), (1.5, 1.5), 100.0),
        # corrections of relative order E = 1/(κt)
        (IKFAD(0.0, 1.0, 1.0), (1 + 1 / 10, 1 + 1 / 34), 200.0),
    ],
    ids=["CD", "IKFAD"],
)
def test_inverse_energy_grows_at_kappa_over_every_period(dynamics, kappas, since):
    """d(1/E)/dt over whole periods, for t up to 1000, on two uncoupled modes k = 1 and 4."""
    period = 2 * math.pi  # and two periods of the second mode
    times = np.arange(since, 1000.0, period)
    run = solve(dynamics, Quadratic([1.0, 4.0]), until=1000.0, times=times, rtol=1e-9)
    energy = 0.5 * (run["p"] ** 2 + torch.tensor([1.0, 4.0]) * run["x"] ** 2)
    growth = (1 / energy)[:-1].diff(dim=0) / period
    for mode, kappa in enumerate(kappas):
        assert (growth[:, mode] / kappa - 1).abs().max() < 0.01


@pytest.mark.parametrize(("power", "kappa"), [(2, 3 / 2), (4, 16 / 7), (6, 27 / 10)])
def test_cubic_damping_alone_decays_like_1_over_t_on_every_power(power, kappa):
    """f = |x|ⁿ/n: κ = 12 c n²/((3n + 2)(n + 2)) by averaging over a period."""
    assert kappa == pytest.approx(12 * power**2 / ((3 * power + 2) * (power + 2)))
    well = Landscape(lambda x: (x**power).sum() / power, 1, minimum=0.0)
    run = solve(
        CD(0.0, 0.5), well, [1.0], until=1200.0, times=torch.arange(0, 1200, 0.1), rtol=1e-9
    )
    late = run.times >= 100
    fit = fit_decay(run.times[late], run.mechanical_energy[late])
    assert fit.model == "algebraic"
    assert fit.rate == pytest.approx(0.5 * kappa, rel=0.01)
