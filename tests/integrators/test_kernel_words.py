"""Kernels of any word, and of every built-in landscape, against the torch path.

Kernels are compiled without optimisation here: that is quicker, and the text is the same.
"""

from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from typing import Any

import pytest
import torch
from fused_group import needs_compiler
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_runs import both, some_starts, ulps
from problems import CoupledQuartic

from dashpot.dynamics import CD, IKFAD, LDHD, Dynamics, Langevin
from dashpot.integrators import Noise
from dashpot.integrators.kernels import compiled
from dashpot.integrators.kernels.runs import run_c
from dashpot.landscapes import (
    DoubleWell,
    Funnel,
    GradientPenalty,
    Himmelblau,
    Landscape,
    LennardJones,
    MatrixQuadratic,
    Morse,
    MuellerBrown,
    Phi4Chain,
    Quadratic,
    Rosenbrock,
    StyblinskiTang,
)

pytestmark = needs_compiler
FEW = settings(max_examples=6, deadline=None)


@pytest.fixture(autouse=True, scope="module")
def quickly() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_c, "load", partial(compiled.load, flags=("-O0",)))
        yield


@st.composite
def words(draw: st.DrawFn, letters: str) -> str:
    """Every letter once, or twice with fractions that add up to 1, in any order."""
    pieces = []
    for letter in letters:
        first = Fraction(draw(st.integers(1, 6)), 6)
        parts = [first, 1 - first] if first < 1 else [first]
        pieces += [f"{letter}:{part}" if part != 1 else letter for part in parts]
    return "".join(draw(st.permutations(pieces)))


def agree(dynamics: Dynamics, word: str, dtype: torch.dtype, **options: Any) -> None:
    """Two steps: some thirty roundings of numbers up to ten times as large as the state."""
    start = some_starts(dynamics, 3)
    a, b = both(dynamics, CoupledQuartic(), start, 2, word=word, dtype=dtype, **options)
    assert b.settings["backend"] == "c"
    assert b["x"].dtype == dtype
    assert ulps(a, b) < 64


DTYPES = st.sampled_from([torch.float64, torch.float32])


@FEW
@given(st.data(), DTYPES)
def test_any_word_with_fractions(data: st.DataObject, dtype: torch.dtype) -> None:
    """Of B, A, C and D, or with C + D as the one letter G."""
    word = data.draw(words(data.draw(st.sampled_from(["BACD", "BAG"]))))
    agree(CD(0.3, 0.8), word, dtype)


@FEW
@given(st.data(), DTYPES, st.sampled_from([None, 0.05 / 6, 0.05 / 12]))
def test_any_word_with_noise(data: st.DataObject, dtype: torch.dtype, finest: Any) -> None:
    """Of B, A and O, or with A and O as the one letter U; ticks divide every sixth of a step."""
    word = data.draw(words(data.draw(st.sampled_from(["BAO", "BU"]))))
    agree(Langevin(0.8, 0.5), word, dtype, noise=Noise(seed=3, finest=finest))


COMPOSITIONS = ["BADABBADAB", "symmetrize(BAD)", "yoshida(BADAB)", "suzuki(symmetrize(BAD))"]


@pytest.mark.parametrize("word", COMPOSITIONS)
def test_compositions(word: str) -> None:
    agree(LDHD(0.3), word, torch.float64)


LANDSCAPES = [
    Rosenbrock(2), Rosenbrock(10), Himmelblau(), DoubleWell(1), DoubleWell(3), Quadratic(2.0),
    Quadratic([0.5, 1.0, 4.0], centre=[1.0, -2.0, 0.5]),
    Quadratic([0.0, 3.0, 4.0], rotation=7, centre=-1.5), MatrixQuadratic([1.0, 2.0, 5.0], 2),
    StyblinskiTang(3), MuellerBrown(), Funnel(4), Funnel(10), Phi4Chain(1), Phi4Chain(16),
    LennardJones(3), LennardJones(7), Morse(4), GradientPenalty(Rosenbrock(3), 0.1),
]  # fmt: skip


@pytest.mark.parametrize("landscape", LANDSCAPES, ids=repr)
def test_every_landscape_as_a_whole_kernel(landscape: Landscape) -> None:
    """One short step: what ∇f is rounded by counts for a thousandth."""
    a, b = both(IKFAD(0.3, 0.7, 0.9), landscape, None, steps=1, step=1e-3)
    assert b.settings["backend"] == "c"
    assert ulps(a, b) < 16
