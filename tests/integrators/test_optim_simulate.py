"""The optimizer and the simulator are the same flows: same points, same order."""

from typing import Any

import pytest
import torch
from problems import CATALOGUE, CoupledQuartic, Recording, descend, ordinary_start, parameter, slope

from dashpot.dynamics import CADAM, CD, IKFAD, KFAD, LDHD, Dynamics
from dashpot.integrators import simulate, solve
from dashpot.integrators.optim import WordOptimizer

X0 = torch.tensor([1.0, -0.6], dtype=torch.float64)
H, STEPS = 0.05, 60


def optimize(dynamics: Dynamics, word: str | None, steps: int = STEPS, h: float = H) -> Any:
    param = parameter(X0)
    optimizer = WordOptimizer(dynamics, [param], lr=h, word=word)
    return descend(optimizer, param, CoupledQuartic(), steps), optimizer.state[param]


LIE: list[tuple[Dynamics, str]] = [
    *((d, d.word) for d in CATALOGUE),
    (LDHD(0.4), "BAD"),
    (CD(0.3, 0.8), "BCDA"),
    (CD(0.3, 0.8), "BGA"),
    (IKFAD(0.3, 0.7, 0.9), "BCDA"),
    (IKFAD(0.3, 0.7, 0.9, scheme="rotation"), "BCDA"),
    (CADAM(0.3, 0.6, 0.5, 0.1), "BECDA"),
    (CADAM(0.3, 0.6, 0.5, 0.1, bias_correction=True), "BETACD"),
]


@pytest.mark.parametrize(("dynamics", "word"), LIE, ids=str)
def test_words_that_start_with_the_force_agree_bit_for_bit(dynamics: Dynamics, word: str) -> None:
    points, state = optimize(dynamics, word)
    run = simulate(dynamics, CoupledQuartic(), X0, step=H, steps=STEPS, word=word)
    assert torch.equal(points, run["x"])
    for name in dynamics.variables[1:]:
        assert torch.equal(state[name], run[name][-1]), name


SYMMETRIC: list[tuple[Dynamics, str]] = [
    (LDHD(0.4), "BDADB"),
    (LDHD(0.4), "ADBDA"),
    (LDHD(0.4), "DABAD"),
    (CD(0.3, 0.8), "BCDADCB"),
    (CD(0.3, 0.8), "ADCBCDA"),
    (CD(0.3, 0.8), "BGAGB"),
    (KFAD(0.3, 0.7, 0.9), "BCDADCB"),
    (IKFAD(0.3, 0.7, 0.9), "BCDADCB"),
    (CADAM(0.3, 0.6, 0.5, 0.1), "EBCDADCBE"),
    (CADAM(0.3, 0.6, 0.5, 0.1), "AEBCDCBEA"),
    (CADAM(0.3, 0.6, 0.5, 0.1), "ABCDEDCBA"),
]


@pytest.mark.parametrize(("dynamics", "word"), SYMMETRIC, ids=str)
def test_parameters_sit_at_the_gradient_points_of_the_simulation(
    dynamics: Dynamics, word: str
) -> None:
    points, _ = optimize(dynamics, word)
    seen = Recording()
    simulate(dynamics, seen, X0, step=H, steps=STEPS, word=word)
    # a word that starts with a drift takes its first gradient after one call
    calls = points[1:] if word[0] in "AD" and "A" in word.split("B")[0] else points
    both = min(len(calls), len(seen.points))
    assert both >= STEPS
    assert torch.equal(calls[:both], torch.stack(seen.points[:both]))


@pytest.mark.parametrize(
    ("dynamics", "word"),
    [
        (LDHD(0.4), "BDADB"),
        (LDHD(0.4), "BADAB"),
        (CD(0.3, 0.8), "BCDADCB"),
        (IKFAD(0.3, 0.7, 0.9), "BCDADCB"),
        (KFAD(0.3, 0.7, 0.9), "BACDCAB"),
    ],
    ids=str,
)
def test_order_two_at_a_fixed_time(dynamics: Dynamics, word: str) -> None:
    exact = solve(dynamics, CoupledQuartic(), X0, until=1.0, times=[1.0], rtol=1e-12)["x"][0]
    counts = (50, 100, 200)
    errors = [
        (optimize(dynamics, word, n, 1 / n)[0][-1] - exact).abs().max().item() for n in counts
    ]
    assert slope([1 / n for n in counts], errors) == pytest.approx(2.0, abs=0.07)


@pytest.mark.parametrize(
    ("dynamics", "word"), [(LDHD(0.4), "ADBDA"), (CD(0.3, 0.8), "ADCBCDA")], ids=str
)
def test_order_two_at_mid_steps_with_the_kick_in_the_middle(dynamics: Dynamics, word: str) -> None:
    """After n calls the parameters are at the time (n − 1/2) h."""
    counts = (51, 101, 201)
    exact = solve(dynamics, CoupledQuartic(), X0, until=1.0, times=[1.0], rtol=1e-12)["x"][0]
    sizes = [1 / (n - 0.5) for n in counts]
    errors = [
        (optimize(dynamics, word, n, h)[0][-1] - exact).abs().max().item()
        for n, h in zip(counts, sizes, strict=True)
    ]
    assert slope(sizes, errors) == pytest.approx(2.0, abs=0.07)


def test_order_two_of_cadam_from_a_second_moment_of_one() -> None:
    made = CADAM(0.3, 0.6, 0.5, 0.1)
    start = {**ordinary_start(made), "p": [0.0, 0.0]}
    exact = solve(made, CoupledQuartic(), start, until=1.0, times=[1.0], rtol=1e-12)["x"][0]
    counts, errors = (50, 100, 200), []
    for n in counts:
        param = parameter(X0)
        optimizer = WordOptimizer(made, [param], lr=0.0, word="EBCDADCBE")
        descend(optimizer, param, CoupledQuartic(), 1)  # makes the state, and nothing else
        optimizer.state[param]["zeta"].fill_(1.0)
        optimizer.param_groups[0]["lr"] = 1 / n
        points = descend(optimizer, param, CoupledQuartic(), n)
        errors.append((points[-1] - exact).abs().max().item())
    assert slope([1 / n for n in counts], errors) == pytest.approx(2.0, abs=0.07)


def test_lie_words_have_order_one() -> None:
    made = CD(0.3, 0.8)
    exact = solve(made, CoupledQuartic(), X0, until=1.0, times=[1.0], rtol=1e-12)["x"][0]
    counts = (200, 400, 800)
    errors = [(optimize(made, "BCDA", n, 1 / n)[0][-1] - exact).abs().max().item() for n in counts]
    assert slope([1 / n for n in counts], errors) == pytest.approx(1.0, abs=0.07)


def test_single_precision_agrees_too() -> None:
    param = parameter(X0, torch.float32)
    optimizer = WordOptimizer(CD(0.3, 0.8), [param], lr=H, word="BCDA")
    points = descend(optimizer, param, CoupledQuartic(), STEPS)
    run = simulate(CD(0.3, 0.8), CoupledQuartic(), X0.float(), step=H, steps=STEPS,
                   word="BCDA")  # fmt: skip
    assert run["x"].dtype == torch.float32
    torch.testing.assert_close(points, run["x"], rtol=1e-6, atol=1e-6)
