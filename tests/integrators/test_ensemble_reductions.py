"""What is kept of a trajectory: fitted rates against known ones, a reduction of one's own."""

import math
import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from problems import CoupledQuartic, growth, step_matrix

from dashpot.dynamics import CD, LDHD
from dashpot.integrators import simulate
from dashpot.integrators.ensembles import (
    FinalEnergy,
    FittedRate,
    Mean,
    Reduction,
    TimeToTarget,
    ensemble,
)
from dashpot.landscapes import DoubleWell, Landscape, Quadratic, Rosenbrock


def one(number: float) -> torch.Tensor:
    """A hyperparameter as the grid has it: torch and math round some functions differently."""
    return torch.tensor([number], dtype=torch.float64)


def test_what_can_be_known_of_the_rate() -> None:
    """V = p² + γxp + kx² decays as e^(−γt), and E/V lies in [1/(1+s), 1/(1−s)], s = γ/(2√k).

    The word BDA adds hkxp to V, at first order in h. A residual of log E within ±A of a line
    changes the slope by at most A Σ|t − t̄|/Σ(t − t̄)² = 3A/T over a window of length T.
    """
    h, until, gammas, curvatures = 0.02, 160.0, np.array([0.1, 0.3, 0.5]), np.array([1.0, 4.0])
    for k in curvatures:
        found = ensemble(
            LDHD, Quadratic(k), grid={"gamma": gammas}, step=h, until=until, reduce=[FittedRate()]
        )
        s = gammas / (2 * np.sqrt(k)) + h * np.sqrt(k)
        end = np.minimum(until, math.log(1 / (2**-104 * 1e3)) / gammas)  # where it meets its floor
        assert (np.abs(found["rate"] - gammas) <= 3 * np.arctanh(s) / (end / 2 * 0.99)).all()
        assert (found["rate_r2"] > 0.99).all()


def test_the_rate_of_an_overdamped_mode_is_that_of_the_step_s_matrix() -> None:
    h, gamma = 0.05, 3.0
    found = ensemble(
        LDHD(gamma), Quadratic(1.0), step=h, until=100.0, reduce=[FittedRate()], backend="torch"
    )
    exact = -2 * math.log(growth(step_matrix(LDHD(gamma), "BDA", 1.0, h))) / h
    # the faster mode has died out to e^(−√5·t) when the window begins, at t > 15
    assert found["rate"].item() == pytest.approx(exact, rel=1e-9)
    assert found["rate_error"].item() < 1e-9


def test_a_window_is_fitted_as_numpy_fits_it() -> None:
    call: Any = {"step": 0.05, "steps": 1200}
    run = simulate(CD(one(0.2), one(1.0)), CoupledQuartic(), CoupledQuartic().start[None], **call,
                   backend="torch")  # fmt: skip
    found = ensemble(
        CD, CoupledQuartic(), grid={"gamma": [0.2], "c": [1.0]}, **call, every=1, backend="torch",
        reduce=[
            FittedRate(10.0, 40.0), FittedRate(10.0, floor=1e-3, name="high"),
            FittedRate(name="late"), FittedRate(1e3, name="never"),
            FittedRate(floor=1e3, name="below"),
        ],
    )  # fmt: skip
    t, energy = run.times.numpy(), run.mechanical_energy[:, 0].numpy()
    # blocks of 1 state, of 2 from 32 on, of 4 from 64 on, ...: one ends where E met its floor
    below = np.flatnonzero(energy <= 1e-3)[0]
    below -= below % 2 ** max(0, int(math.log2(below)) - 4)
    late = np.flatnonzero(t >= t[-1] / 3)[0]
    late += -late % 2 ** max(0, int(math.log2(late)) - 4)
    windows = {"rate": (t >= 10) & (t <= 40), "high": (t >= 10) & (np.arange(len(t)) < below)}
    windows["late"] = np.arange(len(t)) >= late
    for name, window in windows.items():
        (slope, _), cov = np.polyfit(t[window], np.log(energy[window]), 1, cov=True)
        assert found[name].item() == pytest.approx(-slope, rel=1e-10)
        assert found[f"{name}_error"].item() == pytest.approx(math.sqrt(cov[0, 0]), rel=1e-8)
        r = np.corrcoef(t[window], np.log(energy[window]))[0, 1]
        assert found[f"{name}_r2"].item() == pytest.approx(r * r, rel=1e-9)
    assert np.isnan(found["never"]).all() and np.isnan(found["below"]).all()


def test_an_energy_with_round_off_is_fitted_above_it() -> None:
    """f* = 10⁶ leaves round-off of 1e-10 in E, far above where the run ends: E(100) = e^(−50)."""

    class Raised(Quadratic):
        def __init__(self) -> None:
            super().__init__(1.0)
            self.minimum = 1e6

        def f(self, x: torch.Tensor) -> torch.Tensor:
            return super().f(x) + 1e6

    call: Any = {"step": 0.05, "until": 100.0, "reduce": [FittedRate()], "every": 1}
    raised = ensemble(LDHD(0.5), Raised(), **call)
    plain = ensemble(LDHD(0.5), Quadratic(1.0), **call)
    # E stays above 1e3·2⁻⁵²·1e6 = 2e-7 until t = 30: windows of 15 and 50, A = atanh(¼ + h)
    assert abs(raised["rate"].item() - 0.5) <= 3 * math.atanh(0.3) / 14
    assert abs(plain["rate"].item() - 0.5) <= 3 * math.atanh(0.3) / 49


def test_where_the_energy_stalls_at_its_round_off_is_left_out() -> None:
    """Near a minimum with curvature k, E decays at γ, or at γ − √(γ² − 4k) if γ² > 4k.

    The runs stall at 1e-28 … 1e-25, after a tenth to a half of their time: a fit of all would give
    a fraction of the rate. Underdamped, a window of length T is off by 3A/T, A = atanh(γ/2√k).
    """
    reduce = [FittedRate(), FinalEnergy()]
    steps, gamma = [0.004, 0.005, 0.01], 1.585
    found = ensemble(
        LDHD, Rosenbrock(2), grid={"gamma": [gamma], "step": steps}, until=200.0, reduce=reduce
    )
    assert (found["final_energy"] < 1e-24).all()
    slowest = 501 - math.sqrt(501**2 - 400)  # of the Hessian ((802, −400), (−400, 200))
    exact = gamma - math.sqrt(gamma**2 - 4 * slowest)
    assert found["rate"] == pytest.approx(np.full((1, 3), exact), rel=0.03)

    gammas = np.array([0.8, 1.2, 1.8, 2.4, 3.2, 4.0])
    call: Any = {"grid": {"gamma": gammas}, "step": 0.002, "until": 200.0, "reduce": reduce}
    found = ensemble(LDHD, DoubleWell(1), **call)  # k = 2
    exact = gammas - np.sqrt(np.maximum(gammas**2 - 8, 0))
    assert (found["final_energy"] < 1e-24).all()
    assert found["rate"] == pytest.approx(exact, rel=0.03)


def test_the_floor_does_not_depend_on_what_runs_at_once() -> None:
    """Bit for bit, whether 128 trajectories run together, or 64, or one."""
    gammas = np.linspace(0.5, 4.0, 128)
    call: Any = {"step": 0.02, "until": 150.0, "reduce": FittedRate(), "backend": "torch"}
    whole = ensemble(LDHD, DoubleWell(1), grid={"gamma": gammas}, **call)
    parts = ensemble(LDHD, DoubleWell(1), grid={"gamma": gammas}, chunk=64, **call)
    assert all(whole[name].tobytes() == parts[name].tobytes() for name in whole)
    alone = ensemble(LDHD, DoubleWell(1), grid={"gamma": gammas[70:71]}, **call)
    assert alone["rate"].item() == whole["rate"][70]


def rates(times: np.ndarray, energies: np.ndarray, rows: int = 64) -> np.ndarray:
    """Of energies [T, n], told to a reduction `rows` times at once after the first."""

    def saved(first: int, last: int) -> Any:
        return SimpleNamespace(
            times=torch.from_numpy(times[first:last]),
            mechanical_energy=torch.from_numpy(energies[first:last]),
            state=SimpleNamespace(x=torch.zeros((), dtype=torch.float64)),
            landscape=SimpleNamespace(minimum=0.0),
        )

    fitted, first = FittedRate(), saved(0, 1)
    memory = fitted.begin(first)
    for cut in [(0, 1), *((at, at + rows) for at in range(1, len(times), rows))]:
        fitted.update(memory, saved(*cut))
    return fitted.result(memory)["rate"].numpy()


def test_a_floor_is_found_wherever_the_decay_ends() -> None:
    """e^(−rt) that ends in jitter of three decades around 1e-24, at 2 % of the time or more.

    Between e^(−rt) > 1e-24 and t = 1/16 of the run later, a stall can stay unseen: a share
    φ = 3/32 of the window (from a third on), which lowers the slope by 3φ² − 2φ³ = 2.5 %.
    """
    t, draw = np.linspace(0, 1, 1001), np.random.default_rng(0)
    rates_known = 24 * math.log(10) / np.linspace(0.02, 1.2, 60)
    floor = 10 ** draw.uniform(-25.5, -22.5, (len(t), 60))
    found = rates(t, np.maximum(np.exp(-rates_known * t[:, None]), floor))
    assert found == pytest.approx(rates_known, rel=0.025)


def test_a_slow_decay_is_no_floor() -> None:
    """The slower of two modes, below 1e-6 of E; and a plateau, above it, at which E stays."""
    t = np.linspace(0, 100, 1001)[:, None]
    slow = np.array([0.05, 0.2, 1.0])
    found = rates(t[:, 0], np.exp(-20 * t) + 1e-8 * np.exp(-slow * t))
    assert found == pytest.approx(slow, rel=1e-9)
    assert abs(rates(t[:, 0], np.exp(-20 * t) + 1e-5).item()) < 1e-9


def test_a_decay_between_two_saved_times_has_no_rate() -> None:
    t = np.linspace(0, 1000, 1001)[:, None]
    assert np.isnan(rates(t[:, 0], np.exp(-40 * t) + 1e-26)).all()


def test_the_example_of_a_reduction_runs() -> None:
    text = re.search(
        r"@dataclass\(frozen=True\)\n.*?(?=\n\n +ensemble)", Reduction.__doc__ or "", re.S
    )
    assert text is not None
    known: dict[str, Any] = {"torch": torch}
    lines = text[0].replace("\n        ", "\n")
    exec("from dataclasses import dataclass\n" + lines, known)
    x0 = torch.tensor([[3.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    found = ensemble(LDHD(1.0), Quadratic([1.0, 4.0]), x0, step=0.1, steps=20,
                     reduce=[known["Farthest"]()], backend="torch")  # fmt: skip
    run = simulate(LDHD(1.0), Quadratic([1.0, 4.0]), x0, step=0.1, steps=20, backend="torch")
    assert found["farthest"].tolist() == (run["x"] ** 2).sum(-1).amax(0).tolist()


class Wrong:
    """A reduction whose result is what it is told to be."""

    names = ("much",)

    def __init__(self, found: Any) -> None:
        self.found = found

    def begin(self, first: Any) -> dict[str, torch.Tensor]:
        return {}

    def update(self, memory: Any, saved: Any) -> None:
        pass

    def result(self, memory: Any) -> Any:
        return self.found

    def __repr__(self) -> str:
        return "Wrong()"


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (torch.zeros(2), r"Wrong\(\): result must return a dict of tensors by name; got tensor"),
        (
            {"more": torch.zeros(2)},
            r"one number per trajectory as result 'much'; got results 'more'",
        ),
        ({"much": np.zeros(2)}, r"one number per trajectory.*'much'.*got <class 'numpy.ndarray'>"),
        ({"much": torch.zeros(())}, r"one number per trajectory.*'much'.*got shape \(\)"),
    ],
)
def test_a_wrong_result_is_named_before_any_work(found: Any, told: str) -> None:
    with pytest.raises((TypeError, ValueError), match=told):
        ensemble(LDHD(1.0), Quadratic(1.0), step=0.1, steps=10**12, reduce=Wrong(found))


def test_a_target_that_cannot_be_met_is_refused() -> None:
    call: Any = {"step": 0.1, "steps": 2, "backend": "torch"}
    with pytest.raises(ValueError, match=r"target=-1.*never below 0"):
        ensemble(LDHD(1.0), Quadratic(1.0), reduce=TimeToTarget(-1), **call)
    for wrong in (math.nan, "1", None):
        with pytest.raises((TypeError, ValueError), match=f"finite number; got {wrong!r}"):
            TimeToTarget(wrong)  # type: ignore[arg-type]
    assert repr(TimeToTarget(np.float64(0.5))) == repr(TimeToTarget(0.5))
    found = ensemble(LDHD(1.0), Quadratic(1.0), reduce=TimeToTarget(1e3), **call)
    assert "time_to_target" in found and "rate" not in found
    assert list(found) == list(found.values)


def test_a_mean_begins_when_it_is_told_to() -> None:
    found = ensemble(CD(0.3, 1.0), Rosenbrock(2), step=0.01, steps=50, every=10,
                     reduce=[Mean(lambda s: s.x[0], "late", after=0.2), Mean(lambda s: s.x[1])],
                     store="x", backend="torch")  # fmt: skip
    x = found["x"]
    assert found["late"].item() == pytest.approx(x[2:, 0].mean(), rel=1e-15)
    assert found["mean"].item() == pytest.approx(x[:, 1].mean(), rel=1e-15)


@pytest.mark.parametrize("reduction", [TimeToTarget(1.0), FittedRate(floor=1e-9)])
def test_what_needs_the_minimum_says_so(reduction: Any) -> None:
    """f* = −3 is not told: E = f would be below any target, and its log does not exist."""
    call: Any = {"step": 0.1, "steps": 10**12, "reduce": [reduction]}
    with pytest.raises(ValueError, match=r"no known minimum f\*\. Give .*minimum=\.\.\."):
        ensemble(LDHD(1.0), Landscape(lambda x: (x * x).sum() - 3.0, 1, start=[2.0]), **call)
    known = Landscape(lambda x: (x * x).sum() - 3.0, 1, start=[2.0], minimum=-3.0)
    ensemble(LDHD(1.0), known, **{**call, "steps": 4})
