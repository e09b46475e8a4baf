"""The generated Triton kernels: their text anywhere; what they do where Triton is installed.

Triton comes with torch for CUDA, and can be installed by itself (`pip install triton`): its
interpreter runs kernels on the CPU.
"""

import ast
import builtins
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import CATALOGUE, NOISY_DYNAMICS, CoupledQuartic

from dashpot.dynamics import CADAM, CD, KFAD, RIKFAD, Dynamics, State
from dashpot.integrators import Noise, Word, simulate
from dashpot.integrators.cut import gradient_cut
from dashpot.integrators.kernels import triton_code, triton_device
from dashpot.integrators.kernels.errors import NoKernelError
from dashpot.integrators.kernels.fused.trace import trace_call
from dashpot.integrators.kernels.fused.triton_source import FusedText
from dashpot.integrators.kernels.fused.triton_step import TritonStep
from dashpot.integrators.kernels.recording.expression import ARITHMETIC, FUNCTIONS, Graph
from dashpot.integrators.kernels.recording.trace import trace_step
from dashpot.integrators.kernels.runs.run_triton import run_in_triton
from dashpot.integrators.kernels.runs.triton_source import EnsembleText
from dashpot.integrators.kernels.triton_code import Lines, has_triton, literal
from dashpot.integrators.noise.draws import Source

HERE = Path(__file__).parent
KERNELS = Path(triton_code.__file__).parent
UNARY = ("neg", "exp", "expm1", "log", "log1p", "sqrt", "abs", "sin", "cos", "tanh", "sign",
         "phi1", "tanh_gap", "nonzero", "widen")  # fmt: skip
needs_triton = pytest.mark.skipif(
    not has_triton(), reason="triton is not installed; it comes with torch for CUDA"
)


def script(name: str, **environment: str) -> Any:
    done = subprocess.run(
        [sys.executable, str(HERE / name)],
        capture_output=True, text=True, check=False, env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def defined() -> set[str]:
    """The functions that kernels may call, by their text: Triton itself may be missing."""
    files = ("triton_functions.py", "runs/triton_philox.py", "fused/triton_rounding.py")
    trees = [ast.parse((KERNELS / file).read_text(encoding="utf-8")) for file in files]
    return {node.name for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)}


def check_names(text: str) -> None:
    """Every name of a kernel is bound before it is used, and no function is unknown."""
    known = {*defined(), *dir(builtins), "tl", "triton"}
    for kernel in ast.parse(text).body:
        assert isinstance(kernel, ast.FunctionDef)
        bound = {argument.arg for argument in kernel.args.args}
        _check_block(kernel.body, bound, known)


def _check_block(body: list[ast.stmt], bound: set[str], known: set[str]) -> None:
    for statement in body:
        blocks = [getattr(statement, field, []) for field in ("body", "orelse")]
        inner = {id(node) for block in blocks for one in block for node in ast.walk(one)}
        mine = [n for n in ast.walk(statement) if isinstance(n, ast.Name) and id(n) not in inner]
        read = {n.id for n in mine if isinstance(n.ctx, ast.Load)}
        assert read <= bound | known, f"line {statement.lineno}: {read - bound - known}"
        bound |= {n.id for n in mine if isinstance(n.ctx, ast.Store)}
        for block in blocks:
            _check_block(block, bound, known)


def ensemble_text(dynamics: Dynamics, word: str | None = None) -> str:
    variables = {n: torch.zeros(*dynamics.shape_of(n, (2,)), 3) for n in dynamics.variables}
    s = State(variables, 1)
    step = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
    source = Source(Noise(1), dynamics, s, 0.1) if dynamics.is_noisy else None
    plan = Word(word or dynamics.word, dynamics)
    h = 0.1 if dynamics.is_noisy else step
    trace = trace_step(dynamics, CoupledQuartic(), s, h, plan, "word", source)
    return EnsembleText(trace).text()


@pytest.mark.parametrize("kind", ["element", "scalar"])
@pytest.mark.parametrize("op", [*ARITHMETIC, *FUNCTIONS])
def test_every_operation_has_a_translation(op: str, kind: Any) -> None:
    graph = Graph()
    count = 1 if op in UNARY else 3 if op == "where" else 2
    inputs = [graph.input(f"a{k}", kind) for k in range(count)]
    lines = Lines(indent=0)
    for node in inputs:
        lines.call(node, str(node.value))
    lines.compute([graph.make(op, *inputs)])
    arguments = ", ".join([*(str(node.value) for node in inputs), "E"])
    body = "\n".join(f"    {line}" for line in lines.text) or "    pass"
    check_names(f"def kernel({arguments}):\n{body}\n")


@pytest.mark.parametrize("dynamics", [*CATALOGUE, *NOISY_DYNAMICS], ids=lambda d: d.name)
def test_the_text_of_an_ensemble_is_whole(dynamics: Dynamics) -> None:
    check_names(ensemble_text(dynamics))


@settings(max_examples=15, deadline=None)
@given(st.permutations("BACD"), st.booleans())
def test_any_word_has_a_whole_text(letters: list[str], symmetric: bool) -> None:
    word = "".join(letters)
    word = word + word[-2::-1] if symmetric else word
    check_names(ensemble_text(CD(gamma=0.3, c=0.8), word))


def test_a_number_that_stays_is_computed_before_the_loop() -> None:
    text = ensemble_text(CD(gamma=0.3, c=0.8))
    before, loop = text.split("for _ in range(steps):")
    assert "exp(" in before  # e^{−γh}
    assert "exp(" not in loop


def test_the_text_does_not_depend_on_the_values() -> None:
    assert ensemble_text(CD(gamma=0.3, c=0.8)) == ensemble_text(CD(gamma=0.7, c=1e3))


@pytest.mark.parametrize("bias_correction", [False, True])
def test_the_text_of_an_optimizer_is_whole(bias_correction: bool) -> None:
    dynamics = CADAM(gamma=0.3, alpha=0.6, c=0.5, bias_correction=bias_correction)
    substeps = Word(dynamics.word, dynamics).substeps
    cut = gradient_cut(substeps)
    traces = [trace_call(dynamics, past, substeps[:cut], True) for past in (substeps[cut:], ())]
    names = [*dynamics.variables, "g"]
    dtypes = {name: "float64" if name == "t" else "bfloat16" for name in names}
    text = FusedText(traces, dtypes)
    check_names(text.text())
    assert text.moves_numbers == bias_correction
    assert text.rounded == ["p", "zeta"]


@pytest.mark.parametrize("dynamics", [KFAD(0.1, 0.2, 0.3), RIKFAD(0.1, 0.2, 0.3)])
def test_sums_over_a_tensor_are_refused(dynamics: Dynamics) -> None:
    trace = trace_call(dynamics, (), Word(dynamics.word, dynamics).substeps, True)
    with pytest.raises(NoKernelError, match="on CUDA there is no kernel for"):
        FusedText([trace], dict.fromkeys(trace.inputs, "float32"))


@pytest.mark.parametrize("value", [0.1, -0.0, 1e-310, 2.0**-1074, math.pi, 1e300])
def test_a_literal_is_the_number_to_the_last_bit(value: float) -> None:
    again = ast.literal_eval(literal(value))
    assert again == value and math.copysign(1.0, again) == math.copysign(1.0, value)


def test_what_is_not_on_cuda_is_refused() -> None:
    dynamics = CD(gamma=0.3, c=0.8)
    s = State({name: torch.zeros(2, 3) for name in dynamics.variables}, 1)
    word = Word(dynamics.word, dynamics)
    with pytest.raises(NoKernelError, match="the state is on cpu"):
        run_in_triton(dynamics, CoupledQuartic(), s, 0.1, word, "word", None)
    step = TritonStep(dynamics, (), word.substeps)
    x = torch.zeros(3)
    with pytest.raises(NoKernelError, match="a parameter is on cpu"):
        step.run([x], [x], {"p": [x.clone()]}, dynamics.hyperparameters, 0.1, [0.1])


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """As if there were a Triton that runs anywhere."""
    monkeypatch.setattr(triton_device, "is_interpreted", lambda: True)
    monkeypatch.setattr(triton_device, "has_triton", lambda: True)
    triton_device._why_not.cache_clear()
    yield monkeypatch
    triton_device._why_not.cache_clear()


def test_without_a_c_compiler_triton_is_refused(pretended: pytest.MonkeyPatch) -> None:
    """Triton compiles what launches a kernel; it says so when one is launched."""

    def kernels(text: str) -> Any:
        raise RuntimeError("Failed to find C compiler.")

    pretended.setattr(triton_device, "kernels", kernels)
    x = torch.zeros(3)
    dynamics = CD(gamma=0.3, c=0.8)
    step = TritonStep(dynamics, (), Word(dynamics.word, dynamics).substeps)
    with (
        pytest.warns(RuntimeWarning, match="computes more slowly: Triton cannot launch") as said,
        pytest.raises(ValueError, match="cannot launch a kernel: Failed to find C compiler"),
    ):
        simulate(dynamics, CoupledQuartic(), step=0.1, steps=1, backend="triton")
    with pytest.raises(NoKernelError, match="cannot launch a kernel: Failed to find C compiler"):
        step.run([x], [x], {"p": [x.clone()]}, dynamics.hyperparameters, 0.1, [0.1])
    assert len(said) == 1


def test_the_first_call_cannot_be_captured(pretended: pytest.MonkeyPatch) -> None:
    for fact in ("is_available", "is_current_stream_capturing"):
        pretended.setattr(torch.cuda, fact, lambda: True)
    dynamics = CD(gamma=0.3, c=0.8)
    step = TritonStep(dynamics, (), Word(dynamics.word, dynamics).substeps)
    x = torch.zeros(3)
    with pytest.raises(RuntimeError, match="take one step outside the graph first"):
        step.run([x], [x], {"p": [x.clone()]}, dynamics.hyperparameters, 0.1, [0.1])


@pytest.fixture(scope="module")
def measured() -> Any:
    return script("triton_measurements.py", TRITON_INTERPRET="1")


@needs_triton
def test_functions_are_accurate(measured: Any) -> None:
    bounds = {"expm1": 2, "log1p": 2, "phi1": 3, "tanh": 3, "tanh_gap": 8}  # others: 1.5 units
    for name, error in measured["functions"]["errors"].items():
        assert error <= bounds.get(name.split()[0], 1.5), name


@needs_triton
def test_special_values_are_those_of_the_elements(measured: Any) -> None:
    found, expected = (measured["functions"][key] for key in ("special", "expected"))
    for name in expected:
        eps = 2.0**-23 if "float32" in name else 2.0**-52
        for mine, torchs in zip(found[name], expected[name], strict=True):
            is_same = mine == torchs or (math.isnan(mine) and math.isnan(torchs))
            tiny = 2.0**-149 if "float32" in name else 2.0**-1074
            assert is_same or abs(mine - torchs) <= 8 * eps * abs(torchs) + tiny, name


@needs_triton
def test_noise_is_that_of_the_other_backends(measured: Any) -> None:
    assert measured["normals"] <= 4


@needs_triton
def test_runs_agree_with_torch(measured: Any) -> None:
    """12 steps of some 20 operations, each rounded: a random walk of about √240 half units."""
    assert len(measured["runs"]) == 12
    for name, run in measured["runs"].items():
        assert run["difference"] <= 16, name
        assert run["stopped"] == [[-1, -1, -1, -1, 4]] * 2, name
        assert run["written"] == [4, 4], name


@needs_triton
def test_a_kernel_serves_other_trajectories(measured: Any) -> None:
    assert measured["again"] == {"same": True, "refused": True}


@needs_triton
def test_calls_agree_with_the_flows(measured: Any) -> None:
    calls = dict(measured["calls"])
    assert calls.pop("rounding") and calls.pop("tensors")
    for name, value in calls.items():
        assert value is True if name.endswith("skipped") else value <= 8, name


@needs_triton
def test_instructions_are_accurate_and_wide() -> None:
    made = script("triton_compiled.py")
    for name, text in made.items():
        for approximate in ("div.full", "div.approx", "sqrt.approx", "ex2.approx"):
            assert f"{approximate}.f" not in text and f"{approximate}.ftz" not in text, name
        assert ".local" not in text, name  # everything is kept in registers
    assert "div.rn.f32" in made["write float32"]
    for name in (name for name in made if name.startswith("write")):
        assert "ld.global.v4" in made[name] and "st.global.v4" in made[name], name
