"""The generator: Philox's bits, exact normal numbers, independence of batch, chunk and thread."""

import ctypes
import math
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from dashpot.integrators import Noise
from dashpot.integrators.kernels.compiled import load
from dashpot.integrators.noise import philox

SOURCE = files("dashpot.integrators.noise").joinpath("philox.c").read_text(encoding="utf-8")
KINDS = ("normals", "uniforms")

needs_compiler = pytest.mark.skipif(load(SOURCE) is None, reason="there is no C compiler")


def draw(noise: Noise, kind: str, *numbers: int) -> Tensor:
    return getattr(noise, kind)(*numbers)


def bits(seed: int, counter: list[int], blocks: int) -> np.ndarray:
    """Words of blocks from `counter` on, by numpy, whose counter is one ahead."""
    generator = np.random.Philox(
        counter=np.array(counter, dtype=np.uint64), key=np.array([seed, 0], dtype=np.uint64)
    )
    generator.advance(2**256 - 1)
    return np.asarray(generator.random_raw(4 * blocks))


def ulps(a: Any, b: Any) -> float:
    a, b = np.asarray(a), np.asarray(b)
    return float((np.abs(a - b) / np.spacing(np.maximum(np.abs(b), 1e-300))).max())


# --- bits -----------------------------------------------------------------------------------------


def test_the_first_block_is_the_published_one() -> None:
    """Known answers of Random123 for Philox4x64-10 with key and counter 0."""
    words = [0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B]
    found = Noise(0).uniforms(0, 0, 1, 1, 4).ravel().tolist()
    assert found == [(word >> 11) * 2.0**-53 for word in words]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**64 - 1),
    first=st.one_of(st.integers(0, 20), st.integers(0, 2**62 - 1)),
    tick=st.one_of(st.integers(0, 3), st.integers(0, 2**64 - 1)),
    channel=st.one_of(st.integers(0, 30), st.integers(0, 2**56 - 1)),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 300)),
)
def test_uniforms_are_numpys_bits(
    seed: int, first: int, tick: int, channel: int, shape: tuple[int, int, int]
) -> None:
    count, coordinates, n = shape
    u = Noise(seed, first=first).uniforms(tick, channel, *shape).numpy()
    assert u.shape == shape and u.dtype == np.float64
    for k in range(count):
        for coordinate in range(coordinates):
            counter = [first // 4, coordinate, tick, channel * 256 + k]
            words = bits(seed, counter, n // 4 + 2)[first % 4 :][:n]
            assert np.array_equal(u[k, coordinate], (words >> np.uint64(11)) * 2.0**-53)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**64 - 1),
    first=st.integers(0, 2**62 - 1),
    tick=st.integers(0, 2**64 - 1),
    channel=st.integers(0, 2**56 - 1),
    shape=st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 300)),
)
def test_without_a_compiler(
    seed: int, first: int, tick: int, channel: int, shape: tuple[int, int, int]
) -> None:
    where = (seed, first, tick, channel)
    u, z = philox.uniforms(*where, *shape).numpy(), philox.normals(*where, *shape).numpy()
    assert np.array_equal(u, philox.by_numpy("uniforms", *where, *shape))
    other = philox.by_numpy("normals", *where, *shape)
    assert z.shape == other.shape == shape
    assert not z.size or ulps(z, other) <= 4


NUMBERS = """
import torch
from dashpot.dynamics import Langevin
from dashpot.integrators import Noise, simulate
from dashpot.landscapes import Quadratic
noise = Noise(3, first=2)
u, z = noise.uniforms(5, 7, 2, 3, 50), noise.normals(5, 7, 2, 3, 50)
langevin, x0 = Langevin(gamma=1.0, temperature=0.5), torch.ones(50, 3, dtype=torch.float64)
x = simulate(langevin, Quadratic([1.0, 2.0, 3.0]), x0, step=0.1, steps=30, noise=noise)["x"][-1]
"""


def test_no_compiler_at_all() -> None:
    """A process without one: one warning, the same bits, normal numbers to 4 ulp, the same run.

    Normal numbers stay below 8.6, so 4 ulp are at most 8e-15; they move p by √(2γTh) = 0.3 times
    that, and a damped linear run of 30 steps adds up to 30 of those: 1e-13.
    """
    code = (
        "import sys, warnings\n"
        "with warnings.catch_warnings(record=True) as seen:\n"
        "    warnings.simplefilter('always')\n"
        f"    exec({NUMBERS!r})\n"
        "said = [str(w.message) for w in seen if w.category is RuntimeWarning]\n"
        "assert len(said) == 1 and 'CC=/nonexistent' in said[0], said\n"
        "sys.stdout.buffer.write(b''.join(a.numpy().tobytes() for a in (u, z, x)))\n"
    )
    bare = {**os.environ, "CC": "/nonexistent", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], env=bare, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    u, z, x = np.split(np.frombuffer(done.stdout), [300, 600])
    here: dict[str, Any] = {}
    exec(NUMBERS, here)
    assert np.array_equal(u, here["u"].ravel())
    assert ulps(z, here["z"].ravel()) <= 4
    assert np.abs(x - here["x"].numpy().ravel()).max() < 1e-12


# --- accuracy -------------------------------------------------------------------------------------


def test_both_ways_agree_on_a_million_normals() -> None:
    where = (2026, 3, 4, 5, 1, 2, 600_000)
    assert ulps(philox.normals(*where), philox.by_numpy("normals", *where)) <= 4


def exactly(u: float, v: float) -> tuple[float, float]:
    with mpmath.workdps(50):
        r = mpmath.sqrt(-2 * mpmath.log(1 - mpmath.mpf(u)))
        turns = 2 * mpmath.mpf(v)
        return float(r * mpmath.cospi(turns)), float(r * mpmath.sinpi(turns))


@pytest.mark.parametrize("way", ["compiled", "numpy"])
def test_normals_are_box_muller_of_the_uniforms(way: str) -> None:
    """To first order the rounding is 1 ulp of r, 1.5 of cos and sin, ½ of their product."""
    where = (11, 0, 0, 0, 1, 1, 4000)
    u = philox.uniforms(*where).ravel().tolist()
    made = (
        philox.normals(*where).numpy() if way == "compiled" else philox.by_numpy("normals", *where)
    )
    pairs = [exactly(*pair) for pair in zip(u[0::2], u[1::2], strict=True)]
    assert ulps(made.reshape(-1, 2), pairs) <= 4


TURNS = [(eighth * 2**61 + off * 2**11) % 2**64 for eighth in range(8) for off in (-1, 0, 1, 2**49)]
TURNS_EXACT = [(word >> 11) * 2.0**-53 for word in TURNS]


@needs_compiler
def test_the_ends_of_both_distributions() -> None:
    """Smallest and largest u, and angles at and next to multiples of an eighth turn."""
    probe = (
        "\nvoid probe(uint64_t *a, uint64_t *b, double *x, double *y) { box_muller(a, b, x, y); }"
    )
    library = load(SOURCE + probe)
    assert library is not None
    for end in (0, 2**11, 2**64 - 1, 2**64 - 2**11, 2**63, 2**62 + 2**61, 2**52, 2**64 - 2**53):
        radius = np.resize(np.array([end], dtype=np.uint64), 64)
        angle = np.resize(np.array(TURNS, dtype=np.uint64), 64)
        x, y = np.empty(64), np.empty(64)
        library.probe(*(ctypes.c_void_p(array.ctypes.data) for array in (radius, angle, x, y)))
        found = np.stack([x, y], 1)[: len(TURNS)]
        pairs = np.array([exactly((end >> 11) * 2.0**-53, v) for v in TURNS_EXACT])
        by_numpy = philox.box_muller(np.stack([radius, angle], 1).ravel()).reshape(64, 2)
        assert ulps(found, pairs) <= 4
        assert ulps(by_numpy[: len(TURNS)], pairs) <= 4
        assert np.abs(found).max() <= 8.572  # √(2·53 ln 2), the largest there is


@needs_compiler
@pytest.mark.parametrize(
    "flags",
    [
        ("-O0",),
        ("-U__SIZEOF_INT128__",),
        ("-U__FLT_EVAL_METHOD__", "-D__FLT_EVAL_METHOD__=16"),  # as on processors that know halves
    ],
)
def test_bits_do_not_depend_on_how_it_is_compiled(flags: tuple[str, ...]) -> None:
    """Neither on vectors nor on how a product of 128 bits is made: arithmetic is IEEE's."""
    library = load(SOURCE, flags)
    assert library is not None
    for kind in KINDS:
        function = getattr(library, kind)
        function.argtypes = [ctypes.c_uint64] * 4 + [ctypes.c_int64] * 3 + [ctypes.c_void_p]
        function.restype = None
        out = torch.empty(2, 3, 1001, dtype=torch.float64)
        function(2**63 + 9, 1, 2, 3, *out.shape, out.data_ptr())
        assert torch.equal(out, draw(Noise(2**63 + 9, first=1), kind, 2, 3, *out.shape))


# --- a number depends on its indices alone --------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_part_of_a_batch_has_the_same_numbers(kind: str, data: st.DataObject) -> None:
    count, coordinates, n = 2, 3, 400
    start = data.draw(st.sampled_from([0, 1, 2, 3, 2**32 - 100, 2**40 + 3]))
    whole = draw(Noise(1, first=start), kind, 9, 4, count, coordinates, n)
    low = data.draw(st.integers(0, n - 1))
    high = data.draw(st.integers(low + 1, n))
    k, c = data.draw(st.integers(1, count)), data.draw(st.integers(1, coordinates))
    piece = draw(Noise(1, first=start + low), kind, 9, 4, k, c, high - low)
    assert torch.equal(piece, whole[:k, :c, low:high])


@pytest.mark.parametrize("kind", KINDS)
def test_parts_by_numpy_have_the_same_numbers(kind: str) -> None:
    whole = philox.by_numpy(kind, 1, 0, 9, 4, 1, 2, 200)
    for low, high in ((0, 1), (1, 2), (3, 18), (5, 200), (64, 129)):
        piece = philox.by_numpy(kind, 1, low, 9, 4, 1, 1, high - low)
        assert np.array_equal(piece, whole[:, :1, low:high])


@pytest.mark.parametrize("kind", KINDS)
def test_the_default_device_changes_nothing(kind: str) -> None:
    """Numbers are written to the computer's memory, wherever other new tensors are put."""
    expected = draw(Noise(5), kind, 1, 2, 1, 2, 50)
    with torch.device("meta"):
        made = draw(Noise(5), kind, 1, 2, 1, 2, 50)
    assert made.device.type == "cpu" and torch.equal(made, expected)


def test_threads_at_once() -> None:
    def one(tick: int) -> Tensor:
        return Noise(5).normals(tick, 1, 2, 3, 2000)

    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(one, range(64)))
    assert all(torch.equal(z, one(tick)) for tick, z in enumerate(together))


# --- the law --------------------------------------------------------------------------------------

N = 1_000_000


def test_moments_of_normals() -> None:
    """E zᵏ = 0, 1, 0, 3, with variances E z²ᵏ − (E zᵏ)² = 1, 2, 15, 96."""
    z = Noise(2024).normals(3, 14, 1, 1, N).ravel()
    for power, mean, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(float((z**power).mean()) - mean) < 4 * math.sqrt(variance / N)


def distance(sample: np.ndarray, law: Callable[[np.ndarray], np.ndarray]) -> float:
    """Kolmogorov–Smirnov's √n D; P(√n D > 2.28) = 2 exp(−2·2.28²) = 6e-5, as 4 standard errors."""
    value, n = law(np.sort(sample)), sample.size
    above, below = np.arange(1, n + 1) / n - value, value - np.arange(n) / n
    return math.sqrt(n) * float(max(above.max(), below.max()))


def test_distribution_of_normals() -> None:
    for seed in (1, 2):
        z = Noise(seed).normals(0, 0, 1, 1, N).ravel().numpy()
        assert distance(z, stats.norm.cdf) < 2.28


def test_distribution_of_uniforms() -> None:
    u = Noise(7).uniforms(0, 0, 1, 1, N).ravel().numpy()
    assert u.min() >= 0 and u.max() < 1
    assert distance(u, stats.uniform.cdf) < 2.28


def test_tails_of_normals() -> None:
    """Numbers beyond 4 are binomial with p = erfc(4/√2) = 6.3e-5."""
    z = Noise(8).normals(0, 0, 1, 4, N)
    p = math.erfc(4 / math.sqrt(2))
    beyond = int((z.abs() > 4).sum())
    assert abs(beyond - 4 * N * p) < 4 * math.sqrt(4 * N * p)


M = N // 4
NEIGHBOURS: dict[str, Callable[[Noise, Tensor], tuple[Tensor, Tensor]]] = {
    "cos and sin of one angle": lambda noise, z: (z[0, 0, 0::2], z[0, 0, 1::2]),
    "two pairs of one block": lambda noise, z: (z[0, 0, 0::4], z[0, 0, 2::4]),
    "blocks": lambda noise, z: (z[0, 0, :-4], z[0, 0, 4:]),
    "coordinates": lambda noise, z: (z[0, 0], z[0, 1]),
    "places in a channel": lambda noise, z: (z[0, 0], z[1, 0]),
    "ticks": lambda noise, z: (z[0, 0], noise.normals(6, 3, 1, 1, M)[0, 0]),
    "channels": lambda noise, z: (z[0, 0], noise.normals(5, 4, 1, 1, M)[0, 0]),
    "seeds": lambda noise, z: (z[0, 0], Noise(100).normals(5, 3, 1, 1, M)[0, 0]),
    "tick and coordinate exchanged": lambda noise, z: (z[0, 1], noise.normals(1, 3, 1, 6, M)[0, 5]),
}


@pytest.mark.parametrize("pair", NEIGHBOURS)
def test_neighbours_are_independent(pair: str) -> None:
    """E ab = 0 with variance 1; E (a² − 1)(b² − 1) = 0 with variance 4; E (a² − 1) b = 0, 2."""
    noise = Noise(99)
    a, b = NEIGHBOURS[pair](noise, noise.normals(5, 3, 2, 2, M))
    error = 1 / math.sqrt(a.numel())
    assert abs(float((a * b).mean())) < 4 * error
    assert abs(float(((a**2 - 1) * (b**2 - 1)).mean())) < 4 * 2 * error
    assert abs(float(((a**2 - 1) * b).mean())) < 4 * math.sqrt(2) * error


# --- the dataclass --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [-1, 2**64, 10**30])
def test_seeds_out_of_range(seed: int) -> None:
    with pytest.raises(ValueError, match=r"seed must be from 0 to 2\^64 − 1"):
        Noise(seed)


@pytest.mark.parametrize("seed", [True, 1.0, "1", None])
def test_what_is_no_seed(seed: Any) -> None:
    with pytest.raises(TypeError, match="seed must be a whole number"):
        Noise(seed)


@pytest.mark.parametrize("finest", [0, 0.0, -0.1, math.inf, math.nan, 10**400])
def test_what_is_no_time(finest: float) -> None:
    with pytest.raises(ValueError, match="finest must be a finite time > 0"):
        Noise(0, finest)


@pytest.mark.parametrize("finest", [True, "0.1", 1j])
def test_finest_of_another_type(finest: Any) -> None:
    with pytest.raises(TypeError, match="finest must be a time"):
        Noise(0, finest)


def test_what_is_no_index() -> None:
    with pytest.raises(ValueError, match="first must be from 0"):
        Noise(0, first=-1)
    with pytest.raises(TypeError, match="first must be a whole number"):
        Noise(0, first=False)


@pytest.mark.parametrize(
    ("numbers", "name"),
    [
        ((-1, 0, 1, 1, 1), "tick"),
        ((2**64, 0, 1, 1, 1), "tick"),
        ((0, -1, 1, 1, 1), "channel"),
        ((0, 2**56, 1, 1, 1), "channel"),
        ((0, 0, 257, 1, 1), "count"),
        ((0, 0, 1, -1, 1), "-1 coordinates"),
        ((0, 0, 1, 1, -4), "× -4"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_numbers_that_fit_no_counter(kind: str, numbers: tuple[int, ...], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        draw(Noise(0), kind, *numbers)


def test_settings_make_it_again() -> None:
    noise = Noise(3, finest=0.01, first=5)
    assert Noise(**noise.as_settings()) == noise
    assert noise.as_settings() == {"seed": 3, "finest": 0.01, "first": 5}


def test_whole_numbers_of_numpy_are_seeds() -> None:
    noise = Noise(np.int64(3), first=np.int32(5))  # pyright: ignore[reportArgumentType]
    assert noise == Noise(3, first=5)
    assert type(noise.seed) is int and type(noise.first) is int
    assert type(Noise(0, np.float32(0.5)).finest) is float  # pyright: ignore[reportArgumentType]
