"""The energy audit: it sums exactly, each letter has its order, shadow work is what theory says."""

import math
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import (
    CATALOGUE,
    MOMENTUM_FLOWS,
    CoupledMatrix,
    CoupledQuartic,
    ordinary_start,
    slope,
)

mpl.use("Agg")
import matplotlib.pyplot as plt

from dashpot.analysis.energy.audit import EnergyAudit, audit_run, energy_audit, step_integrals
from dashpot.analysis.plots.energy import LETTERS, plot_audit
from dashpot.dynamics import (
    CADAM,
    CD,
    KFAD,
    LDHD,
    NAG,
    RIKFAD,
    AdamODE,
    Dynamics,
    GradientFlow,
    HighResolutionNAGSC,
    State,
    WeightDecay,
)
from dashpot.integrators import simulate, solve
from dashpot.landscapes import MatrixQuadratic, Quadratic

LDHD_, CD_, KFAD_, IKFAD_, CADAM_ = CATALOGUE
ROUNDING = 1e-14  # of energies of order 1
SINGULAR: list[Dynamics] = [  # at the start ζ = 0, t = 0 every momentum but 0 has infinite energy
    CADAM(0.3, 0.6, 0.5, 0.1, bias_correction=True),
    AdamODE(0.3, 0.6, bias_correction=True),
    CADAM(0.3, 0.6, 0.5, eps=0.0),
]


def total(audit: EnergyAudit) -> torch.Tensor:
    return torch.stack(list(audit.change.values())).sum(0)


# --- it sums exactly -----------------------------------------------------------------------------


@pytest.mark.parametrize("made", [*CATALOGUE, *MOMENTUM_FLOWS], ids=lambda d: d.name)
def test_letters_add_up_to_the_energies_of_the_simulator(made: Dynamics) -> None:
    start = ordinary_start(made)
    audit = energy_audit(made, CoupledQuartic(), start, step=0.1, steps=60)
    run = simulate(made, CoupledQuartic(), start, step=0.1, steps=60)
    assert set(audit.change) == set(made.word)
    torch.testing.assert_close(audit.run.energy, run.energy, rtol=0, atol=0)
    torch.testing.assert_close(total(audit), run.energy.diff(dim=0), rtol=0, atol=ROUNDING)
    assert run.energy.diff(dim=0).abs().max() > 0.01


@settings(max_examples=25, deadline=None)
@given(letters=st.permutations("ABCDABCDD"), seed=st.integers(0, 99))
def test_any_word_adds_up_for_every_trajectory_of_a_batch(letters: list[str], seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    start = {name: torch.randn(3, 2, 2, generator=draw).double() for name in ("x", "p")}
    # a scalar friction: its batch has no coordinate axis
    start["xi"] = torch.rand(3, 2, generator=draw).double()
    audit = energy_audit(KFAD_, CoupledQuartic(), start, step=0.02, steps=7, word="".join(letters))
    assert audit.by_substep.shape == (7, 9, 3, 2)
    change = audit.run.energy.diff(dim=0)
    scale = audit.run.energy.max().item()
    torch.testing.assert_close(total(audit), change, rtol=0, atol=20 * ROUNDING * scale)
    where = [i for i, letter in enumerate(letters) if letter == "D"]
    torch.testing.assert_close(audit.change["D"], audit.by_substep[:, where].sum(1))
    assert (audit.change["D"] < 0).all()


def test_one_step_by_hand() -> None:
    """BDA on f = x²/2 from x = 2, p = 1 with h = 1/2, γ = 1: p = 0, 0, x = 2; then by γ = ln 4."""
    bowl = Quadratic([1.0])
    start = {"x": [1.0], "p": [1.0]}
    audit = energy_audit(LDHD(math.log(4.0)), bowl, start, step=0.5, steps=1, word="BDA")
    # p: 1 → 1/2 (B) → 1/4 (D), x: 1 → 9/8 (A)
    expected = torch.tensor([[1 / 8 - 1 / 2, 1 / 32 - 1 / 8, 81 / 128 - 1 / 2]])
    torch.testing.assert_close(audit.by_substep, expected.double(), rtol=0, atol=ROUNDING)
    assert audit.word == ("B", "D", "A")


@pytest.mark.parametrize("made", SINGULAR, ids=repr)
def test_letters_add_up_from_a_singular_start(made: Dynamics) -> None:
    starts = [[1.0, -0.6], [0.0, 0.5]]  # the second has no force along x₁, ever
    audit = energy_audit(made, CoupledQuartic(), starts, step=0.1, steps=60)
    torch.testing.assert_close(total(audit), audit.run.energy.diff(dim=0), rtol=0, atol=ROUNDING)
    # B makes E infinite; the letter after which it is finite again, T or else E, has it all:
    # the kinetic energy of p = −hg where ζ = g² (1 − e^{−αh})/α and t = h
    assert (audit.change["B"][0] == 0).all()
    h, alpha = 0.1, made.hyperparameters["alpha"]
    g = CoupledQuartic().gradient(torch.tensor(starts, dtype=torch.float64)).T
    after = State({"p": -h * g, "zeta": -math.expm1(-alpha * h) / alpha * g * g, "t": h * g**0})
    last = "T" if "T" in made.parts else "E"
    torch.testing.assert_close(audit.change[last][0], made.parts["A"].energy(after))
    for exact in audit.exact.values():  # the first two steps are next to the start
        assert torch.isnan(exact[:2]).all() and torch.isfinite(exact[2:, 0]).all()


def test_gradient_flow_has_one_letter() -> None:
    audit = energy_audit(GradientFlow(), CoupledQuartic(), step=0.1, steps=20)
    assert audit.conversion == () and audit.shadowed == ("F",)
    torch.testing.assert_close(audit.shadow, audit.change["F"] - audit.exact["F"])
    above, _ = plot_audit(audit)
    assert above.get_legend_handles_labels()[1] == ["all letters", "F"]
    plt.close("all")


def test_vectors_and_matrices_with_rank_one_friction_add_up() -> None:
    for landscape in (CoupledQuartic(), CoupledMatrix()):
        audit = energy_audit(RIKFAD(0.1, 0.5, 0.8), landscape, step=0.1, steps=60)
        change = audit.run.energy.diff(dim=0)
        torch.testing.assert_close(total(audit), change, rtol=0, atol=ROUNDING)
        assert change.abs().max() > 0.01


def test_matrices_with_rank_one_friction() -> None:
    made = RIKFAD(0.1, 0.5, 0.8, 0.2)
    landscape = MatrixQuadratic([1.0, 4.0], 3)
    audit = energy_audit(made, landscape, step=0.05, steps=200, word="BCDADCB")
    torch.testing.assert_close(total(audit), audit.run.energy.diff(dim=0), rtol=0, atol=ROUNDING)
    assert (audit.change["C"] <= 0).all() and audit.change["C"].sum() < -0.1
    # H' = −γ|P|² − Σ ΞP²: the exact shares of C and D are what H loses, to O((hω)²) with ω = 2
    lost = audit.run.energy[0] - audit.run.energy[-1]
    removed = -(audit.exact["C"] + audit.exact["D"]).sum()
    assert removed.item() == pytest.approx(lost.item(), rel=0.1**2)


# --- every letter against its exact rate ---------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "word", "order"),
    [
        (LDHD_, "BAD", 1),
        (LDHD_, "BDADB", 2),
        *((made, "BACD", 1) for made in (CD_, KFAD_, IKFAD_)),
        *((made, "BCDADCB", 2) for made in (CD_, KFAD_, IKFAD_)),
        (CADAM_, "BEACD", 1),
        (CADAM_, "EBCDADCBE", 2),
    ],
    ids=lambda value: value.name if isinstance(value, Dynamics) else str(value),
)
def test_each_letter_has_the_order_of_its_word(made: Dynamics, word: str, order: int) -> None:
    """A word with the letters' changes as variables is a splitting of the same order."""
    steps = (128, 256, 512)
    errors: dict[str, list[float]] = {}
    for n in steps:
        audit = energy_audit(
            made, CoupledQuartic(), ordinary_start(made), step=1 / n, steps=n, word=word
        )
        for letter, change in audit.change.items():
            errors.setdefault(letter, []).append(abs((change - audit.exact[letter]).sum().item()))
    assert set(errors) == set(word)
    for letter, sizes in errors.items():
        if letter == "C" and isinstance(made, KFAD):
            continue  # its share −αμξ² depends on ξ alone, which it alone moves: see below
        assert slope([1 / n for n in steps], sizes) == pytest.approx(order, abs=0.1), letter
    if isinstance(made, KFAD):  # so even BACD leaves an error of order 2, that of ξ within a step
        assert slope([1 / n for n in steps], errors["C"]) == pytest.approx(2, abs=0.1)


def test_words_of_order_four_are_not_limited_by_the_quadrature() -> None:
    """Yoshida's triple jump of BAB, on an energy that A and B only exchange."""
    outer = 1 / (2 - 2 ** (1 / 3))
    inner = 1 - 2 * outer
    kick, drift, middle = outer / 2, outer, (outer + inner) / 2
    word = f"B:{kick!r}A:{drift!r}B:{middle!r}A:{inner!r}B:{middle!r}A:{drift!r}B:{kick!r}"
    made = Dynamics(*(LDHD(0.0).parts[a] for a in "AB"))
    start = {"x": [1.0, -0.6], "p": [0.3, 0.5]}
    steps, errors = (128, 256, 512), []
    for n in steps:
        audit = energy_audit(made, CoupledQuartic(), start, step=1 / n, steps=n, word=word)
        errors.append(abs((audit.change["B"] - audit.exact["B"]).sum().item()))
    assert slope([1 / n for n in steps], errors) == pytest.approx(4, abs=0.1)


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_step_integrals_are_exact_for_as_many_powers_as_there_are_ends(steps: int) -> None:
    h = 0.3
    t = h * torch.arange(steps + 1, dtype=torch.float64)
    for power in range(min(4, steps + 1)):
        rate = torch.stack((t**power, 2 * t**power), dim=1)
        exact = torch.stack((t ** (power + 1), 2 * t ** (power + 1)), dim=1) / (power + 1)
        torch.testing.assert_close(step_integrals(rate, h), exact.diff(dim=0), rtol=0, atol=1e-13)


def test_a_combined_letter_and_its_summands_share_a_step() -> None:
    """G = C + D: however the time is divided between them, the exact shares add up to E'."""
    start = ordinary_start(CD_)
    words = ("BAGAB", "BACDCAB", "BAG:1/3C:2/3D:2/3AB")
    h = 0.01
    runs = [energy_audit(CD_, CoupledQuartic(), start, step=h, steps=100, word=w) for w in words]
    sums = [sum(audit.exact[a].sum().item() for a in audit.exact) for audit in runs]
    spent = [-audit.run.energy.diff().sum().item() for audit in runs]
    assert min(spent) > 0.5
    for exact, lost in zip(sums, spent, strict=True):
        assert -exact == pytest.approx(lost, abs=10 * h * h)
    third = runs[0].exact["G"].sum().item() / 3
    assert runs[2].exact["G"].sum().item() == pytest.approx(third, abs=10 * h * h)


def test_exact_shares_of_the_exchange_cancel() -> None:
    """A gains ∇f·p, B loses it: what remains of them is numerical."""
    audit = energy_audit(CD_, CoupledQuartic(), step=0.1, steps=50)
    assert audit.conversion == ("B", "A")
    exchanged = audit.exact["A"]
    torch.testing.assert_close(audit.exact["B"], -exchanged, rtol=0, atol=ROUNDING)
    shadow = audit.change["A"] + audit.change["B"]
    torch.testing.assert_close(audit.shadow, shadow, rtol=0, atol=2 * ROUNDING)
    assert exchanged.abs().max() > 0.01


@pytest.mark.parametrize(
    ("made", "damping"),
    [
        (LDHD_.with_part(WeightDecay(0.1)), {"D", "W"}),
        (NAG(gamma=0.4, eta=0.2), {"D", "F"}),
        (HighResolutionNAGSC(mu=0.5, s=0.04), {"D", "F"}),
    ],
    ids=["weight decay", "NAG", "NAG-SC"],
)
def test_letters_that_remove_energy_are_not_among_those_that_exchange_it(
    made: Dynamics, damping: set[str]
) -> None:
    """F takes η|∇f|², W takes w x·∇f; A and B cancel. Shadow work is the numerical part of all."""
    word = "".join(made.parts)
    start = {"x": [1.0, -0.6], "p": [0.0, 0.0]}
    audit = energy_audit(made, CoupledQuartic(), start, step=0.1, steps=100, word=word)
    assert set(audit.conversion) == {"A", "B"} == set(word) - damping
    assert set(audit.shadowed) == set(word) - {"D"}
    torch.testing.assert_close(audit.exact["A"], -audit.exact["B"], rtol=0, atol=ROUNDING)
    assert all(audit.change[a].sum() < -0.01 for a in damping)
    parts = sum(audit.change[a] - audit.exact[a] for a in audit.shadowed)
    torch.testing.assert_close(audit.shadow, parts, rtol=0, atol=ROUNDING)
    above, _ = plot_audit(audit)
    drawn = {line.get_label(): line for line in above.get_lines()}
    assert set(drawn) == {"all letters", "A + B", *damping}
    (taken,) = damping - {"D"}
    np.testing.assert_allclose(
        np.asarray(drawn[taken].get_ydata())[-1], -audit.change[taken].sum(), atol=1e-13
    )
    assert drawn[taken].get_color() == LETTERS[taken]
    plt.close("all")


# --- shadow work ---------------------------------------------------------------------------------


@pytest.mark.parametrize("h", [0.1, 0.4])
def test_shadow_work_of_verlet_follows_from_its_shadow_hamiltonian(h: float) -> None:
    """BAB on f = kx²/2 conserves p²/2 + (k/2)(1 − h²k/4)x², so E − E(0) = h²k²(x² − x₀²)/8.

    (With s = h/2: k-half p̂ = p − skx = p' + skx', x' − x = h p̂; then p² − p'² = (p − p')(p + p')
    = sk(x + x')(2p̂ + sk(x − x')) = k(1 − h²k/4)(x'² − x²).)
    """
    k = 2.25
    audit = energy_audit(LDHD(0.0), Quadratic([k]), step=h, steps=10_000, word="BABD")
    work = audit.shadow.cumsum(0)
    x2 = audit.run["x"][:, 0] ** 2
    expected = h**2 * k**2 / 8 * (x2[1:] - x2[0])
    torch.testing.assert_close(work, expected, rtol=0, atol=1e-11)  # 1e4 roundings of 1e-16, ×10
    torch.testing.assert_close(work, audit.run.energy[1:] - audit.run.energy[0], rtol=0, atol=1e-11)
    assert (audit.change["D"] == 0).all()
    assert work.abs().max().item() == pytest.approx(h**2 * k**2 / 8, rel=0.01)  # x² from 1 to ~0


def test_shadow_work_of_a_symplectic_word_stays_bounded_off_the_quadratic() -> None:
    """O(h²) for long times: halving h leaves a quarter, and the second half is like the first."""
    largest = []
    for h in (0.1, 0.05):
        audit = energy_audit(LDHD(0.0), CoupledQuartic(), step=h, steps=round(400 / h), word="BABD")
        work = audit.shadow.cumsum(0).abs()
        first, second = work[: len(work) // 2].max(), work[len(work) // 2 :].max()
        assert second.item() == pytest.approx(first.item(), rel=0.05)
        largest.append(work.max().item())
    assert largest[0] / largest[1] == pytest.approx(4, rel=0.05)


def test_cadam_shadow_work_leaves_out_what_the_second_moment_feeds_in() -> None:
    audit = energy_audit(CADAM_, CoupledQuartic(), ordinary_start(CADAM_), step=0.01, steps=500)
    assert set(audit.conversion) == set("ABE")
    pumped = audit.exact["E"]
    torch.testing.assert_close(
        audit.shadow,
        audit.change["A"] + audit.change["B"] + audit.change["E"] - pumped,
        rtol=0,
        atol=1e-13,
    )
    # E's own closed form, −p²(g² − αζ)/(4√ζ(√ζ + ε)²), at the middle of a step
    s, v = audit.run.states, CADAM_.hyperparameters
    root = s["zeta"].sqrt()
    lag = CoupledQuartic().gradient(s["x"]) ** 2 - v["alpha"] * s["zeta"]
    rate = -(s["p"] ** 2 * lag / (4 * root * (root + v["eps"]) ** 2)).sum(-1)
    trapezoid = (rate[1:] + rate[:-1]) / 2 * 0.01
    assert (pumped - trapezoid).abs().max() < 1e-2 * trapezoid.abs().max()
    assert pumped.abs().sum() > 10 * audit.shadow.sum().abs()


# --- runs that are given, and runs that fail -----------------------------------------------------


def test_a_thinned_run_is_run_again_from_its_first_state() -> None:
    start = ordinary_start(IKFAD_)
    run = simulate(IKFAD_, CoupledQuartic(), start, step=0.1, steps=30, word="BCDA", save_every=7)
    again = audit_run(IKFAD_, CoupledQuartic(), run)
    audit = energy_audit(IKFAD_, CoupledQuartic(), start, step=0.1, steps=30, word="BCDA")
    torch.testing.assert_close(again.by_substep, audit.by_substep, rtol=0, atol=0)
    torch.testing.assert_close(again.run.energy[[0, 7, 14, 21, 28, 30]], run.energy)


def test_a_single_precision_run_is_audited_in_its_own_precision() -> None:
    x0 = torch.tensor([1.0, -0.6])
    run = simulate(CD_, CoupledQuartic(), x0, step=0.1, steps=20)
    audit = audit_run(CD_, CoupledQuartic(), run)
    assert audit.by_substep.dtype == torch.float32
    torch.testing.assert_close(total(audit), run.energy.diff(), rtol=0, atol=1e-6)
    assert energy_audit(CD_, CoupledQuartic(), x0, step=0.1, steps=2).run["x"].dtype == (
        torch.float64
    )


def test_hyperparameters_per_trajectory() -> None:
    gammas = np.array([0.1, 0.7])
    x0 = [[1.0, -0.6], [1.0, -0.6]]
    both = energy_audit(LDHD(gammas), CoupledQuartic(), x0, step=0.1, steps=9)
    for i, gamma in enumerate(gammas):
        one = energy_audit(LDHD(gamma), CoupledQuartic(), x0[i], step=0.1, steps=9)
        torch.testing.assert_close(both.change["D"][:, i], one.change["D"])
        torch.testing.assert_close(both.exact["D"][:, i], one.exact["D"])


def test_overflow_keeps_everything_so_far() -> None:
    """BACD at h√L = 1.5 from x₀ = 1 diverges, from x₀ = 0.01 it does not."""
    made, bowl = CD(0.1, 100.0), Quadratic([225.0])
    audit = energy_audit(made, bowl, [[1.0], [0.01]], step=0.1, steps=4000, word="BACD")
    lost = int(audit.run.stopped_at[0])
    assert audit.run.status == "diverged" and "overflow" in audit.run.message
    assert lost > 0 and audit.run.stopped_at[1] == -1
    growth = audit.run.energy[:, 0].diff()  # the energy overflows before the state does
    known = int(torch.isfinite(growth).sum()) - 1  # the last one may overflow within its step
    assert lost / 3 < known < lost and growth[known] > 1e300
    torch.testing.assert_close(total(audit)[:known, 0], growth[:known], rtol=1e-12, atol=1e-12)
    assert torch.isnan(total(audit)[lost:, 0]).all()
    assert torch.isfinite(audit.by_substep[:, :, 1]).all()
    assert torch.isfinite(audit.exact["C"][:, 1]).all()


def test_cadam_from_zero_has_no_exact_share_at_its_singular_start() -> None:
    audit = energy_audit(CADAM_, CoupledQuartic(), step=0.01, steps=20)
    torch.testing.assert_close(total(audit), audit.run.energy.diff(), rtol=0, atol=ROUNDING)
    assert torch.isnan(audit.exact["E"][:2]).all() and torch.isfinite(audit.exact["E"][2:]).all()
    assert torch.isfinite(audit.exact["D"]).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda run, exact: audit_run(CD_, CoupledQuartic(), exact), "run of a word.*DOP853"),
        (lambda run, exact: audit_run(LDHD_, CoupledQuartic(), run), "made with dynamics CD"),
        (lambda run, exact: audit_run(CD(0.3, 0.7), CoupledQuartic(), run), "made with hyper"),
        (lambda run, exact: audit_run(CD_, Quadratic([1.0, 2.0]), run), "made with landscape"),
        (
            lambda run, exact: energy_audit(CD_, CoupledQuartic(), step=0.1, steps=2, word="BAD"),
            "leaves out C",
        ),
    ],
)
def test_what_cannot_be_audited_is_refused(call: Any, message: str) -> None:
    run = simulate(CD_, CoupledQuartic(), step=0.1, steps=2)
    exact = solve(CD_, CoupledQuartic(), until=0.2, times=[0.0, 0.2])
    with pytest.raises(ValueError, match=message):
        call(run, exact)


# --- the figure ----------------------------------------------------------------------------------


def test_the_figure_draws_running_sums_of_one_trajectory() -> None:
    audit = energy_audit(
        CADAM(0.3, 0.6, 0.5, 0.1), CoupledQuartic(), [[1.0, -0.6], [0.5, 0.5]], step=0.05, steps=40
    )
    with pytest.raises(ValueError, match="choose a trajectory"):
        plot_audit(audit)
    above, below = plot_audit(audit, index=1)
    drawn = {line.get_label(): np.asarray(line.get_ydata()) for line in above.get_lines()}
    assert set(drawn) == {"all letters", "C", "D", "A + B + E"}
    energy = audit.run.energy[:, 1].numpy()
    np.testing.assert_allclose(drawn["all letters"], energy[0] - energy, atol=1e-13)
    np.testing.assert_allclose(drawn["C"] + drawn["D"] + drawn["A + B + E"], energy[0] - energy,
                               atol=1e-13)  # fmt: skip
    work = np.asarray(below.get_lines()[0].get_ydata())
    np.testing.assert_allclose(work[-1], audit.shadow[2:, 1].sum().item(), atol=1e-13)
    assert "t" in below.get_xlabel() and "energy" in above.get_ylabel()
    plt.close("all")


def test_its_repr_is_one_line() -> None:
    audit = energy_audit(LDHD(0.3), Quadratic([1.0, 2.0]), step=0.1, steps=5, word="BAD")
    assert repr(audit).startswith("EnergyAudit(LDHD BAD on Quadratic, 5 steps: B ")
    assert "\n" not in repr(audit)
