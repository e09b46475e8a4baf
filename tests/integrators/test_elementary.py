"""The element functions of compiled kernels: correct to a stated part of the last place.

Each function is called in a loop that the compiler turns into vectors, and one number at a time;
the truth is mpmath's. Both builds are tested: with FMA where the processor has it, and without.
"""

import ctypes
import math
import subprocess
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dashpot.dynamics import elements
from dashpot.integrators.kernels.compiled import FLAGS, NoCompilerError, find_compiler, load
from dashpot.integrators.kernels.recording.expression import FUNCTIONS

SOURCE = files("dashpot.integrators.kernels").joinpath("elementary.c").read_text(encoding="utf-8")

ARGUMENTS = {
    "maximum": 2,
    "minimum": 2,
    "less": 2,
    "equal": 2,
    "pow": 2,
    "soft_cap": 2,
    "where": 3,
}  # else 1
NAMES: list[str] = sorted((*FUNCTIONS, "pow"))
TYPES = {"d": np.float64, "s": np.float32}
BUILDS = {"processor": (), "no FMA": ("-U__FMA__", "-U__ARM_FEATURE_FMA")}
LARGEST_ERROR = {  # in ulps, as the source promises
    "exp": 1.0, "expm1": 1.0, "log": 0.9, "log1p": 0.9, "sin": 0.9, "cos": 0.9,
    "tanh": 1.5, "phi1": 2.0, "tanh_gap": 4.0,
}  # fmt: skip

MP: Any = mpmath.mp.clone()
MP.prec = 200  # 80 of which are lost where v − tanh v is computed at 1e-12


def wrappers() -> str:
    """For each function `v_NAME`, a loop over arrays, and `one_NAME`, a call."""
    lines = []
    for kind, real in (("d", "double"), ("s", "float")):
        for name in NAMES:
            given_ = [f"a{k}" for k in range(ARGUMENTS.get(name, 1))]
            result = "double" if name == "widen" else real
            pointers = "".join(f"const {real} *restrict {a}, " for a in given_)
            numbers = ", ".join(f"{real} {a}" for a in given_)
            at_i, plain = ", ".join(f"{a}[i]" for a in given_), ", ".join(given_)
            lines.append(
                f"void v_{kind}_{name}(int n, {pointers}{result} *restrict y)"
                f" {{ for (int i = 0; i < n; i++) y[i] = {kind}_{name}({at_i}); }}\n"
                f"{result} one_{kind}_{name}({numbers}) {{ return {kind}_{name}({plain}); }}"
            )
    return "\n".join(lines)


@cache
def library(build: str) -> ctypes.CDLL:
    made = load(SOURCE + wrappers(), BUILDS[build])
    if made is None:
        pytest.skip("there is no C compiler")
    return made


def apply(kind: str, name: str, *arrays: Any, build: str = "processor") -> np.ndarray:
    """A function of arrays, in a loop."""
    given_ = [np.ascontiguousarray(a, dtype=TYPES[kind]) for a in arrays]
    result = np.empty(given_[0].shape, np.float64 if name == "widen" else TYPES[kind])
    places = [ctypes.c_void_p(a.ctypes.data) for a in (*given_, result)]
    getattr(library(build), f"v_{kind}_{name}")(ctypes.c_int(result.size), *places)
    return result


def alone(kind: str, name: str, *numbers: float, build: str = "processor") -> float:
    """A function of numbers, in a call of its own."""
    real = ctypes.c_double if kind == "d" else ctypes.c_float
    function = getattr(library(build), f"one_{kind}_{name}")
    function.restype = ctypes.c_double if name == "widen" else real
    return function(*(real(v) for v in numbers))


def true_tanh_gap(v: Any) -> Any:
    return (v - MP.tanh(v)) / v**3 if abs(v) > 1e-12 else MP.mpf(1) / 3 - 2 * v * v / 15


def true_phi1(z: Any) -> Any:
    return MP.expm1(z) / z if abs(z) > 1e-12 else 1 + z / 2 + z * z / 6


TRUTH: dict[str, Callable[[Any], Any]] = {
    "exp": MP.exp, "expm1": MP.expm1, "log": MP.log, "log1p": MP.log1p, "sin": MP.sin,
    "cos": MP.cos, "tanh": MP.tanh, "phi1": true_phi1, "tanh_gap": true_tanh_gap,
}  # fmt: skip


def errors(name: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """|y − truth| in ulps of the truth; ∞ stands for the power of 2 at which numbers end."""
    digits, last, end = (53, -1074, 1024) if x.dtype == np.float64 else (24, -149, 128)
    found = []
    for argument, value in zip(x.tolist(), y.tolist(), strict=True):
        truth = min(TRUTH[name](MP.mpf(argument)), MP.mpf(2) ** end)
        exponent = min(MP.frexp(truth)[1], end)
        ulp = MP.mpf(2) ** max(exponent - digits, last)
        found.append(float(abs(min(MP.mpf(value), MP.mpf(2) ** end) - truth) / ulp))
    return np.array(found)


def points(name: str, dtype: Any, count: int = 250) -> np.ndarray:
    """Random arguments, dense where a function is hard."""
    rng = np.random.default_rng(NAMES.index(name))
    facts = np.finfo(dtype)
    most, least = math.log(facts.max), math.log(facts.smallest_subnormal)

    def within(a: float, b: float) -> np.ndarray:
        return rng.uniform(a, b, count)

    tiny = np.exp(within(least, 0)) * rng.choice([-1, 1], count)
    halves = (
        (rng.integers(-30, 30, count) + 0.5) * math.log(2) * (1 + rng.normal(size=count) * 1e-9)
    )
    if name in ("exp", "expm1"):  # overflow, subnormal results, the ends of each power of 2
        found = [within(least - 2, most), within(most - 1, most + 0.1), within(least, least + 40),
                 within(-2, 2), within(0.34, 0.41), halves, tiny]  # fmt: skip
    elif name == "phi1":
        found = [within(least - 2, most), within(-2, 2), within(-0.4, 0.4), halves, tiny]
    elif name == "log":  # near 1, where it vanishes, and at the ends of the reduced range
        found = [np.exp(within(least, most)), np.exp(within(least, least + 30)), within(0.5, 2),
                 within(0.69, 0.73), within(1.35, 1.45), 1 + tiny]  # fmt: skip
    elif name == "log1p":
        found = [np.exp(within(least, most)), np.expm1(within(-20, 0)), within(1, 1e5),
                 within(-1, 1), within(-0.32, -0.25), within(0.36, 0.45), tiny]  # fmt: skip
    elif name in ("tanh", "tanh_gap"):  # 1, where the formula changes
        found = [within(-25, 25), within(-2, 2), within(0.9, 1), within(1, 1.1), tiny]
    else:  # near multiples of π/2, where sine or cosine vanishes
        quarters = rng.integers(0, 2**19, count) * (math.pi / 2)
        found = [within(-10, 10), within(-1, 1), within(-(2.0**20), 2.0**20), quarters,
                 np.arange(count) * (math.pi / 2), tiny]  # fmt: skip
    with np.errstate(under="ignore"):
        x = np.concatenate(found).astype(dtype)
    return np.clip(x, -1, None) + 0 if name == "log1p" else x


# --- accuracy -------------------------------------------------------------------------------------


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", TRUTH)
def test_errors_stay_below_the_stated_ones(name: str, kind: str, build: str) -> None:
    x = points(name, TYPES[kind])
    x = x[x > -1] if name == "log1p" else x[x > 0] if name == "log" else x
    worst = errors(name, x, apply(kind, name, x, build=build))
    place = int(worst.argmax())
    largest = 1.3 if (name, build) == ("exp", "no FMA") else LARGEST_ERROR[name]
    assert worst[place] <= largest, (x[place].item().hex(), worst[place])


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_far_away_an_angle_is_changed_by_less_than_its_last_place(name: str, build: str) -> None:
    x = 2.0 ** np.random.default_rng(1).uniform(20, 50, 1000)
    far = apply("d", name, x, build=build) - [float(TRUTH[name](MP.mpf(v))) for v in x.tolist()]
    assert (np.abs(far) <= np.spacing(x) + 2.0**-52).all()
    assert apply("d", name, [2.0**50, -1e300], build=build).tolist() == [float(name == "cos")] * 2


def test_the_header_states_the_errors_that_are_tested() -> None:
    header = SOURCE[: SOURCE.index("*/")].split()
    for name, error in LARGEST_ERROR.items():
        after = header[header.index(name, header.index("included:")) :]
        number = next(word for word in after if word[0].isdigit())
        assert float(number) == error, name
    assert "without FMA exp 1.3;" in " ".join(header)


# --- special values -------------------------------------------------------------------------------

INF, NAN = math.inf, math.nan
SPECIAL: dict[str, list[tuple[float, float]]] = {
    "exp": [(0.0, 1), (-0.0, 1), (INF, INF), (-INF, 0), (1e30, INF), (-1e30, 0)],
    "expm1": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -1), (1e30, INF), (-1e30, -1)],
    "log": [(0.0, -INF), (-0.0, -INF), (INF, INF), (-INF, NAN), (-1.0, NAN), (1.0, 0.0)],
    "log1p": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, NAN), (-1.0, -INF), (-1.5, NAN)],
    "sqrt": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-1.0, NAN), (4.0, 2)],
    "abs": [(-0.0, 0.0), (-INF, INF), (-2.0, 2)],
    "sin": [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN)],
    "cos": [(0.0, 1), (-0.0, 1), (INF, NAN), (-INF, NAN)],
    "tanh": [(0.0, 0.0), (-0.0, -0.0), (INF, 1), (-INF, -1), (1e30, 1), (-1e30, -1)],
    "sign": [(0.0, 0.0), (INF, 1), (-INF, -1), (1e-40, 1), (-1e-40, -1)],
    "phi1": [(0.0, 1), (-0.0, 1), (-INF, 0), (INF, NAN), (720.0, INF)],
    "tanh_gap": [(INF, 0), (-INF, 0), (2.0**60, 2.0**-120)],
    "nonzero": [(INF, INF), (3.0, 3)],
    "widen": [(-0.0, -0.0), (INF, INF)],
}


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal, the sign of a zero included; one NaN is like another."""
    return np.array_equal(a, b, equal_nan=True) and np.array_equal(
        np.signbit(a) & ~np.isnan(a), np.signbit(b) & ~np.isnan(b)
    )


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", SPECIAL)
def test_special_values(name: str, kind: str, build: str) -> None:
    of_nan = 0.0 if name == "sign" else NAN  # as in torch
    arguments, expected = np.array([*SPECIAL[name], (NAN, of_nan)]).T
    found = apply(kind, name, arguments, build=build)
    assert same(found, expected), (arguments, found)


@pytest.mark.parametrize("kind", TYPES)
def test_the_smallest_numbers_are_kept(kind: str) -> None:
    """f(x) = x + O(x²) is x at a number that is subnormal."""
    x = np.arange(-20, 21) * np.finfo(TYPES[kind]).smallest_subnormal
    for name in ("expm1", "log1p", "sin", "tanh"):
        assert same(apply(kind, name, x), x.astype(TYPES[kind])), name


@pytest.mark.parametrize("kind", TYPES)
def test_a_choice_leaves_no_trace_of_the_other(kind: str) -> None:
    test = [1.0, 0.0, -0.0, NAN, 5e-324 if kind == "d" else 1e-45]
    a, b = [2.0, NAN, INF, 4.0, 5.0], [NAN, 2.0, -0.0, INF, NAN]
    assert same(apply(kind, "where", test, a, b), np.array([2.0, 2.0, -0.0, 4.0, 5.0]))


# --- the same meaning as in flows on tensors ------------------------------------------------------

ANY = [0.0, -0.0, 1.0, -1.0, 2.5, 1e-310, -1e-310, 1e-40, 1e300, INF, -INF, NAN]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", ["maximum", "minimum", "less", "equal"])
def test_two_arguments_are_torchs(name: str, kind: str) -> None:
    with np.errstate(over="ignore"):
        values = np.array(ANY, TYPES[kind])
    a, b = np.repeat(values, len(values)), np.tile(values, len(values))
    in_torch = {"less": torch.lt, "equal": torch.eq}.get(name) or getattr(torch, name)
    expected = in_torch(torch.from_numpy(a), torch.from_numpy(b)).numpy().astype(TYPES[kind])
    assert np.array_equal(apply(kind, name, a, b), expected, equal_nan=True)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", ["sqrt", "abs", "sign"])
def test_one_argument_is_rounded_once(name: str, kind: str) -> None:
    """As numpy has it; torch's square root of a float32 may be off by one ulp."""
    with np.errstate(over="ignore", invalid="ignore"):
        x = np.array([*ANY[:-1], *np.random.default_rng(2).normal(size=100)], TYPES[kind])
        expected = getattr(np, name)(x)
    assert np.array_equal(apply(kind, name, x), expected, equal_nan=True)


@pytest.mark.parametrize("kind", TYPES)
def test_a_power_is_that_of_the_c_library(kind: str) -> None:
    a, b = np.abs(np.random.default_rng(4).normal(size=(2, 100))).astype(TYPES[kind])
    expected = [float(MP.mpf(u) ** MP.mpf(v)) for u, v in zip(a.tolist(), b.tolist(), strict=True)]
    np.testing.assert_allclose(
        apply(kind, "pow", a, b), expected, rtol=float(np.finfo(TYPES[kind]).eps)
    )


@pytest.mark.parametrize("kind", TYPES)
def test_elements_of_tensors_agree(kind: str) -> None:
    """To what both promise: 4e-16 and 2 ulp, 2e-15 and 4 ulp; as many float32 roundings."""
    x = np.concatenate([points("tanh_gap", TYPES[kind]), np.array([0.0], TYPES[kind])])
    scale = np.finfo(TYPES[kind]).eps / 2.0**-52
    for function, gap in (
        (elements.phi1, 1e-15),
        (elements.tanh_gap, 3e-15),
        (elements.nonzero, 0),
    ):
        name = function.__name__
        expected = function(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(apply(kind, name, x), expected, rtol=gap * scale, atol=0)


# --- one value, wherever it is computed -----------------------------------------------------------


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", NAMES)
def test_a_lane_is_a_call_of_its_own_bit_for_bit(name: str, kind: str, build: str) -> None:
    """203 numbers of any bits whatever: whole vectors, half ones and a rest."""
    count = ARGUMENTS.get(name, 1)
    rng = np.random.default_rng(3)
    wild = rng.integers(0, 2**64, (count, 102), np.uint64).view(TYPES[kind])[:, :102]
    x = np.concatenate([wild, rng.normal(size=(count, 101)).astype(TYPES[kind]) * 3], axis=1)
    singly = [alone(kind, name, *numbers, build=build) for numbers in x.T.tolist()]
    assert same(apply(kind, name, *x, build=build), np.array(singly))


def test_gcc_makes_vectors_of_every_loop(tmp_path: Path) -> None:
    try:
        compiler = find_compiler()
    except NoCompilerError as reason:
        pytest.skip(str(reason))
    macros = subprocess.run(
        [*compiler, "-dM", "-E", "-x", "c", "/dev/null"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    if "__x86_64__" not in macros or "__clang__" in macros or "__GNUC__" not in macros:
        pytest.skip("the compiler is not gcc for x86-64")
    if int(macros[macros.index("__GNUC__") + 1]) < 12:
        pytest.skip("gcc is older than the one this is promised for")
    code = tmp_path / "code.c"
    code.write_text(SOURCE + wrappers(), encoding="utf-8")
    flags = (*FLAGS, "-march=x86-64-v3", "-Wall", "-Wextra", "-Werror")
    said = subprocess.run(
        [*compiler, *flags, "-fopt-info-vec-optimized", "-o", str(tmp_path / "it.so"), str(code)],
        capture_output=True, text=True, check=True,
    ).stderr  # fmt: skip
    vectors = {int(line.split(":")[1]) for line in said.splitlines() if "loop vectorized" in line}
    lines = code.read_text(encoding="utf-8").splitlines()
    loops = {k for k, line in enumerate(lines, 1) if line.startswith("void v_")}
    others = [lines[k - 1] for k in sorted(loops - vectors)]
    assert all("_pow(" in line or "_d_widen(" in line for line in others), others


@settings(max_examples=200, deadline=None)
@given(st.floats(allow_nan=False), st.sampled_from(["exp", "expm1", "tanh", "tanh_gap", "phi1"]))
def test_any_double_is_right(x: float, name: str) -> None:
    if math.isinf(x) or (name == "phi1" and x > 709):
        return  # special values; φ₁ overflows with e^z, as it does on tensors
    at = np.array([min(max(x, -1e6), 1e6)])
    assert errors(name, at, apply("d", name, at))[0] <= LARGEST_ERROR[name]


@settings(max_examples=200, deadline=None)
@given(st.floats(allow_nan=False, width=32), st.floats(allow_nan=False, width=32))
def test_order_is_kept(a: float, b: float) -> None:
    """Functions that rise, rise: within the last place that their errors leave open."""
    x = np.sort(np.array([a, b], np.float32))
    for name in ("exp", "expm1", "tanh"):
        low, high = apply("s", name, x).tolist()
        assert low <= high or np.nextafter(np.float32(high), np.float32(INF)) >= np.float32(low)


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("kind", TYPES)
def test_the_soft_cap_of_momenta_of_any_size(kind: str, build: str) -> None:
    """p/√(1 + a p²) to 2 ulp up to the largest p (1e37 in float32); p where a = 0."""
    largest = 1e37 if kind == "s" else float(np.finfo(TYPES[kind]).max)
    p = np.geomspace(1e-30, largest, 200).astype(TYPES[kind])
    p[1::2] *= -1
    for a in (0.0, 1e-12, 0.3, 1e8):
        found = apply(kind, "soft_cap", np.full_like(p, a), p, build=build)
        rounded = float(TYPES[kind](a))
        truth = [
            float(MP.mpf(v) / MP.sqrt(1 + MP.mpf(rounded) * MP.mpf(v) ** 2)) for v in p.tolist()
        ]
        np.testing.assert_allclose(found, truth, rtol=2 * float(np.finfo(TYPES[kind]).eps))
