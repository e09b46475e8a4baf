"""The C kernels of runs against the torch path: one step, many steps, what is lost and saved."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_runs import both, some_starts, ulps
from optimizer_info import Quintic
from problems import (
    CATALOGUE,
    MOMENTUM_FLOWS,
    NOISY_DYNAMICS,
    CoupledMatrix,
    CoupledQuartic,
    Watched,
)
from torch import Tensor

from dashpot.dynamics import (
    CADAM,
    CD,
    IKFAD,
    KFAD,
    LDHD,
    RIKFAD,
    Drift,
    Dynamics,
    Kick,
    Langevin,
    LinearDamping,
    State,
)
from dashpot.integrators import Noise, Trajectory, simulate
from dashpot.integrators.advance import advancing
from dashpot.integrators.kernels.recording.expression import Graph
from dashpot.integrators.kernels.recording.symbols import Symbols
from dashpot.integrators.kernels.recording.trace import StepTrace
from dashpot.integrators.kernels.runs import run_c
from dashpot.integrators.kernels.runs.advance import KernelAdvance
from dashpot.landscapes import Landscape, LogisticRegression, Quadratic, Rosenbrock

pytestmark = pytest.mark.skipif(
    not any(shutil.which(name) for name in ("cc", "gcc", "clang")), reason="needs a C compiler"
)


CASES = [*CATALOGUE, *MOMENTUM_FLOWS, *NOISY_DYNAMICS]
CASES += [IKFAD(0.3, 0.7, 0.9, scheme="rotation"), CADAM(0.3, 0.6, 0.5, bias_correction=True)]


@pytest.mark.parametrize("dynamics", CASES, ids=lambda d: f"{d.name}-{d.word}")
def test_one_step_agrees_to_a_few_units_in_the_last_place(dynamics: Dynamics) -> None:
    a, b = both(dynamics, CoupledQuartic(), some_starts(dynamics))
    assert (a.settings["backend"], b.settings["backend"]) == ("torch", "c")
    # a step has some ten roundings of numbers up to ten times as large as the state
    assert ulps(a, b) < 16


@pytest.mark.parametrize("dynamics", [*CATALOGUE, NOISY_DYNAMICS[0]], ids=lambda d: d.name)
def test_single_precision(dynamics: Dynamics) -> None:
    a, b = both(dynamics, CoupledQuartic(), some_starts(dynamics), dtype=torch.float32)
    assert b["x"].dtype == torch.float32
    assert ulps(a, b) < 16


@pytest.mark.parametrize("method", ["euler-maruyama", "heun"])
def test_schemes_too(method: Any) -> None:
    a, b = both(NOISY_DYNAMICS[2], CoupledQuartic(), some_starts(NOISY_DYNAMICS[2]), method=method)
    assert ulps(a, b) < 16


@settings(max_examples=6, deadline=None)
@given(st.permutations("BACDCA").map("".join))
def test_any_word(word: str) -> None:
    a, b = both(IKFAD(0.3, 0.7, 0.9), CoupledQuartic(), some_starts(CATALOGUE[3]), word=word)
    assert ulps(a, b) < 24


@pytest.mark.parametrize("word", ["BACD", "BCDADCB", "ABCDCBA"])
def test_what_is_kept_from_step_to_step_changes_nothing(word: str) -> None:
    """Many steps at once are many single steps, bit for bit."""
    dynamics = IKFAD(0.3, 0.7, 0.9)
    options: dict[str, Any] = {"step": 0.05, "word": word, "backend": "c"}
    start = some_starts(dynamics)
    whole = simulate(dynamics, CoupledQuartic(), start, steps=100, save_every=7, **options)
    run = simulate(dynamics, CoupledQuartic(), start, steps=1, **options)
    for _ in range(99):
        run = simulate(dynamics, CoupledQuartic(), run, steps=1, word=word)
    assert run.settings["backend"] == "c"  # what goes on runs as it was begun
    for name in whole.states:
        assert torch.equal(whole[name][-1], run[name][-1])


def test_a_part_of_ones_own() -> None:
    mine = Dynamics(Drift(), Kick(), LinearDamping(0.1), Quintic(1.0), word="BQADQ")
    a, b = both(mine, CoupledQuartic(), some_starts(LDHD(0.1)), steps=50)
    assert ulps(a, b) < 50 * 16


def test_the_flow_of_a_part_on_its_own_against_its_formula() -> None:
    """Nothing but the part's own lines is in the kernel: p/(1 + 4khp⁴)^{1/4} at f = 0."""
    mine = Dynamics(Drift(), Kick(), Quintic(0.7), word="QBA")
    flat = Landscape(lambda x: 0.0 * x.sum(), 1)
    run = simulate(mine, flat, {"x": [0.0], "p": [1.5]}, step=0.2, steps=3, backend="c")
    assert run["p"][-1].item() == pytest.approx(1.5 / (1 + 4 * 0.7 * 0.6 * 1.5**4) ** 0.25, 1e-14)


@pytest.mark.parametrize(
    "landscape",
    [
        Quadratic([1.0, 3.0, 9.0], rotation=3, centre=[0.1, 0.2, 0.3]),
        Rosenbrock(5),
        CoupledMatrix(),
        Landscape(lambda x: torch.where(x > 0, x**4, x * x).sum() + (x[0] * x[1]).cos(), 2),
    ],
    ids=["quadratic", "rosenbrock", "matrix", "own"],
)
def test_landscapes(landscape: Landscape) -> None:
    for dynamics in (CD(0.3, 0.8), RIKFAD(0.1, 0.5, 0.9, 0.1)):
        a, b = both(dynamics, landscape, None, steps=3, step=0.01)
        assert ulps(a, b) < 100


def test_a_constant_or_a_hyperparameter_compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = set()
    real = run_c.load

    def watched(source: str) -> Any:
        sources.add(source)
        return real(source)

    monkeypatch.setattr(run_c, "load", watched)
    for gamma, h, spectrum in [(0.3, 0.1, [1.0, 2.0]), (0.0, 0.2, [3.0, 0.5])]:
        landscape = Quadratic(spectrum)
        a, b = both(LDHD(gamma), landscape, None, steps=20, step=h)
        assert ulps(a, b) < 100
    assert len(sources) == 1


def test_hyperparameters_and_steps_of_each_trajectory() -> None:
    gamma, c = np.array([0.1, 0.5, 2.0]), torch.tensor([0.0, 1.0, 5.0], dtype=torch.float64)
    x0 = torch.tensor([[1.0, -0.6]], dtype=torch.float64).expand(3, 2)
    a, b = both(CD(gamma, c), CoupledQuartic(), x0, steps=40)
    assert ulps(a, b) < 100
    for i in range(3):
        alone = simulate(CD(gamma[i], c[i].item()), CoupledQuartic(), x0[i], step=0.05, steps=40)
        torch.testing.assert_close(b["x"][-1, i], alone["x"][-1], rtol=1e-13, atol=0)
    h = torch.tensor([0.01, 0.05, 0.1], dtype=torch.float64)
    s = State({"x": x0.T.contiguous(), "p": torch.zeros(2, 3, dtype=torch.float64)})
    engine = advancing(CD(0.5, 1.0), CoupledQuartic(), s, h, backend="c")
    engine.advance(s, 0, 40, torch.full((3,), -1))
    for i in range(3):
        alone = simulate(CD(0.5, 1.0), CoupledQuartic(), x0[i], step=h[i].item(), steps=40)
        torch.testing.assert_close(s.x[:, i], alone["x"][-1], rtol=1e-13, atol=0)


def test_friction_of_each_coordinate() -> None:
    gamma = torch.tensor([[0.1], [2.0]], dtype=torch.float64)
    a, b = both(LDHD(gamma), CoupledQuartic(), some_starts(LDHD(0.1)), steps=10)
    assert ulps(a, b) < 100


def test_x0_is_left_alone() -> None:
    x0 = torch.tensor([1.0, -0.6], dtype=torch.float64)
    simulate(CD(0.3, 0.8), CoupledQuartic(), x0, step=0.05, steps=3, backend="c")
    assert x0.tolist() == [1.0, -0.6]


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 64, 65, 300])
def test_a_trajectory_is_the_same_in_any_batch(count: int) -> None:
    dynamics = IKFAD(0.3, 0.7, 0.9)
    x0 = torch.linspace(-1, 1, 2 * count, dtype=torch.float64).reshape(count, 2)
    options: dict[str, Any] = {"step": 0.05, "steps": 70, "backend": "c"}
    run = simulate(dynamics, Rosenbrock(2), x0, **options)
    for i in {0, count // 2, count - 1}:
        alone = simulate(dynamics, Rosenbrock(2), x0[i], **options)
        assert torch.equal(alone["p"], run["p"][:, i])


def test_threads_change_nothing() -> None:
    before = torch.get_num_threads()
    x0 = torch.linspace(-1, 1, 2 * 5000, dtype=torch.float64).reshape(-1, 2)
    runs = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            runs.append(simulate(Langevin(1.0, 0.5), CoupledQuartic(), x0, step=0.05, steps=9,
                                 noise=4, backend="c")["x"])  # fmt: skip
    finally:
        torch.set_num_threads(before)
    assert torch.equal(runs[0], runs[1])
    assert torch.equal(runs[0], runs[2])


@pytest.mark.parametrize("word", ["BAOAB", "UBU"])
@pytest.mark.parametrize("finest", [None, 0.05 / 8])
def test_noise_is_the_same_on_both(word: str, finest: float | None) -> None:
    dynamics, noise = Langevin(0.8, 0.5), Noise(seed=7, finest=finest, first=3)
    a, b = both(dynamics, CoupledQuartic(), some_starts(dynamics), 30, word=word, noise=noise)
    assert ulps(a, b) < 30 * 16
    assert (a["x"][-1] - a["x"][0]).abs().min() > 0.01


class Wall(Landscape):
    """f = x⁴: a step of heavy ball overflows from far enough."""

    def __init__(self) -> None:
        super().__init__(None, 1, minimum=0.0, start=[0.1])

    def f(self, x: Tensor) -> Tensor:
        return x[0] ** 4


@pytest.mark.parametrize("save_every", [1, 3, 64])
def test_what_overflows_is_frozen_and_the_others_go_on(save_every: int) -> None:
    x0 = [[0.1], [9.0], [0.2], [30.0], [3.0]] * 3
    a, b = both(LDHD(0.1), Wall(), x0, steps=130, step=0.1, save_every=save_every)
    assert a.status == b.status == "diverged"
    assert a.message == b.message
    assert torch.equal(a.stopped_at, b.stopped_at)
    assert set((a.stopped_at >= 0).tolist()) == {True, False}
    assert torch.equal(a.times, b.times)
    assert torch.equal(a["x"].isnan(), b["x"].isnan())
    assert ulps(a, b) < 1000


@pytest.mark.parametrize("save_every", [2**63, 2**64 + 1])
def test_an_interval_of_more_than_64_bits(save_every: int) -> None:
    for run in both(LDHD(0.1), CoupledQuartic(), None, steps=10, save_every=save_every):
        assert run.times.tolist() == [0.0, 10 * 0.05]


def test_all_lost() -> None:
    a, b = both(LDHD(0.1), Wall(), [[30.0], [9.0]], steps=300, step=0.1)
    assert torch.equal(a.times, b.times)
    assert (a.status, a.message) == (b.status, b.message)
    assert torch.equal(a.stopped_at, b.stopped_at)


def test_no_kernel_writes_into_the_tensors_it_is_given() -> None:
    """Those of a state may be the user's own x0, whatever the kernel."""

    class Doubling(KernelAdvance):
        backend = "c"

        def _call(self, variables: Any, stopped: Any, steps: int, every: int, saved: Any) -> None:
            variables["x"].mul_(2)

    x0 = torch.ones(2, dtype=torch.float64)
    s = State({"x": x0})
    graph = Graph()
    x = {"x": Symbols.inputs(graph, "x", (2,), "element")}
    trace = StepTrace(graph, x, x, (), (), {}, {})
    Doubling(trace, (), (), x0.device, None).advance(s, 0, 1, torch.tensor(-1))
    assert s.x.tolist() == [2.0, 2.0]
    assert x0.tolist() == [1.0, 1.0]


def test_ctrl_c_keeps_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0
    real = run_c.CAdvance._call

    def interrupted(self: Any, *args: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        real(self, *args)

    monkeypatch.setattr(run_c.CAdvance, "_call", interrupted)
    run = simulate(CD(0.3, 0.8), CoupledQuartic(), step=0.01, steps=100_000_000, save_every=32,
                   backend="c")  # fmt: skip
    assert run.status == "interrupted"
    whole = simulate(CD(0.3, 0.8), CoupledQuartic(), step=0.01, steps=64, save_every=32)
    torch.testing.assert_close(run["x"][:3], whole["x"], rtol=1e-13, atol=1e-13)


def test_auto_takes_torch_where_no_kernel_can_be_had() -> None:
    long: dict[str, Any] = {"step": 1e-3, "steps": 20_000, "save_every": 20_000}
    assert simulate(CD(0.3, 0.8), CoupledQuartic(), **long).settings["backend"] == "c"
    few = simulate(CD(0.3, 0.8), CoupledQuartic(), step=1e-3, steps=100)
    assert few.settings["backend"] == "torch"
    wide = simulate(CD(0.3, 0.8), Quadratic([1.0] * 65), **long)  # beyond what is unrolled
    assert wide.settings["backend"] == "torch"


def test_refusals() -> None:
    with pytest.raises(ValueError, match="backend must be one of auto, torch, c, triton; got 'f'"):
        simulate(LDHD(0.1), CoupledQuartic(), step=0.1, steps=1, backend="f")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="cannot run this"):
        simulate(LDHD(0.1), LogisticRegression.breast_cancer(), step=0.1, steps=1, backend="c")
    with pytest.raises(ValueError, match="negative fractions of flows that end"):
        simulate(CD(0.3, 0.8), CoupledQuartic(), step=0.1, steps=1, word="BAC:-1/2DC:3/2",
                 backend="c")  # fmt: skip


def test_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_c, "load", lambda *_: None)
    monkeypatch.setattr(run_c, "why", lambda *_: "there is no C compiler (CC=none)")
    run = simulate(LDHD(0.1), CoupledQuartic(), step=1e-3, steps=20_000, save_every=20_000)
    assert run.settings["backend"] == "torch"
    with pytest.raises(ValueError, match=r"cannot be compiled: there is no C compiler \(CC=none\)"):
        simulate(LDHD(0.1), CoupledQuartic(), step=1e-3, steps=1, backend="c")


def test_a_landscape_that_watches_its_calls_is_run_by_torch() -> None:
    """A trace calls f once; what else f does would be lost."""
    watched = Watched(CoupledQuartic())
    run = simulate(KFAD(0.3, 0.7, 0.9), watched, step=0.05, steps=30)
    assert run.settings["backend"] == "torch"
    assert watched.calls == 30


LONG_RUN = """
import sys
from dashpot.dynamics import LDHD
from dashpot.integrators import simulate
from dashpot.landscapes import Landscape

given = LDHD(0.1), Landscape(lambda x: x[0] ** 4, 1), [[0.1], [30.0]]
simulate(*given, step=0.1, steps=1, backend="c")  # compiles
print("ready", flush=True)
simulate(*given, step=0.1, steps=10**10, save_every=10**5, backend="c").save(sys.argv[1])
"""


def test_ctrl_c_in_the_middle_of_a_call(tmp_path: Path) -> None:
    """A real one: what was lost is known, and the run goes on."""
    path = tmp_path / "run.npz"
    child = subprocess.Popen([sys.executable, "-c", LONG_RUN, str(path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    time.sleep(1.5)
    child.send_signal(signal.SIGINT)
    assert child.wait(60) == 0
    run = Trajectory.load(path)
    assert run.status == "interrupted"
    wall = Landscape(lambda x: x[0] ** 4, 1)
    lost = simulate(LDHD(0.1), wall, [[0.1], [30.0]], step=0.1, steps=20).stopped_at
    assert lost[0] == -1 < lost[1]
    assert torch.equal(run.stopped_at, lost)
    assert len(run) > 1
    longer = run.joined(simulate(LDHD(0.1), wall, run, steps=100_000))
    assert torch.equal(longer.stopped_at, lost)
    assert longer["x"][-1, 0].isfinite().all()
    assert longer.settings["backend"] == "c"
