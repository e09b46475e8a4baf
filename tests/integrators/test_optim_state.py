"""Optimizer state: save, load, copy and pickle continue bit for bit; precision; odd shapes."""

import copy
import io
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from problems import CATALOGUE, CoupledQuartic, parameter

from dashpot.dynamics import CADAM, CD, KFAD, Dynamics
from dashpot.integrators.optim import WordOptimizer

landscape = CoupledQuartic()
SYMMETRIC = [
    (CD(0.3, 0.8), "BCDADCB"),
    (KFAD(0.3, 0.7, 0.9), "ADCBCDA"),
    (CADAM(0.3, 0.6, 0.5, 0.1), "EBCDADCBE"),
    (CADAM(0.3, 0.6, 0.5, 0.1, bias_correction=True), "BETACD"),
]
ALL: list[tuple[Dynamics, str]] = [(d, d.word) for d in CATALOGUE] + SYMMETRIC
each = pytest.mark.parametrize(("dynamics", "word"), ALL, ids=str)


def advance(optimizer: torch.optim.Optimizer, steps: int) -> None:
    for _ in range(steps):
        for group in optimizer.param_groups:
            for param in group["params"]:
                param.grad = landscape.df(param.detach().double()).to(param.dtype)
        optimizer.step()


def pair(dynamics: Dynamics, word: str, dtype: torch.dtype = torch.float64) -> WordOptimizer:
    params = [parameter([1.0, -0.6], dtype), parameter([[0.4, 1.2], [0.9, -1.0]], dtype)]
    return WordOptimizer(dynamics, params, lr=0.1, word=word)


def points(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [p.detach() for group in optimizer.param_groups for p in group["params"]]


def set_points(optimizer: torch.optim.Optimizer, values: list[torch.Tensor]) -> None:
    with torch.no_grad():
        for param, value in zip(points(optimizer), values, strict=True):
            param.copy_(value)


@each
@pytest.mark.parametrize("through_a_file", [False, True])
def test_state_dict_continues_bit_for_bit(
    dynamics: Dynamics, word: str, through_a_file: bool, tmp_path: Path
) -> None:
    original, restored = pair(dynamics, word), pair(dynamics, word)
    original.param_groups[0]["lr"] = 0.07
    advance(original, 7)
    saved = original.state_dict()
    if through_a_file:
        torch.save(saved, tmp_path / "state.pt")
        saved = torch.load(tmp_path / "state.pt", weights_only=True)
    set_points(restored, [p.clone() for p in points(original)])
    restored.load_state_dict(saved)
    advance(original, 5)
    advance(restored, 5)
    for a, b in zip(points(original), points(restored), strict=True):
        assert torch.equal(a, b)


def test_loaded_state_is_a_copy() -> None:
    original, restored = pair(CD(0.3, 0.8), "BACD"), pair(CD(0.3, 0.8), "BACD")
    advance(original, 2)
    saved = original.state_dict()
    before = copy.deepcopy(saved["state"])
    restored.load_state_dict(saved)
    advance(restored, 3)
    for key, state in before.items():
        assert torch.equal(saved["state"][key]["p"], state["p"])


@each
@pytest.mark.parametrize("how", ["deepcopy", "pickle", "torch"])
def test_copies_continue_bit_for_bit(dynamics: Dynamics, word: str, how: str) -> None:
    # torch's own Optimizer.__getstate__ would leave out the dynamics and the word
    original = pair(dynamics, word)
    advance(original, 3)
    twin = copied(original, how)
    advance(original, 3)
    advance(twin, 3)
    for a, b in zip(points(original), points(twin), strict=True):
        assert a is not b
        assert torch.equal(a, b)
    assert repr(twin) == repr(original)


def copied(original: WordOptimizer, how: str) -> Any:
    if how == "deepcopy":
        return copy.deepcopy(original)
    if how == "pickle":
        return pickle.loads(pickle.dumps(original))
    buffer = io.BytesIO()
    torch.save(original, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)


@each
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_parameters_keep_state_in_single(
    dynamics: Dynamics, word: str, dtype: torch.dtype
) -> None:
    optimizer = pair(dynamics, word, dtype)
    advance(optimizer, 3)
    restored = pair(dynamics, word, dtype)
    set_points(restored, [p.clone() for p in points(optimizer)])
    restored.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for one in (optimizer, restored):
        for param, state in one.state.items():
            assert param.dtype == dtype
            for name, value in state.items():
                if isinstance(value, torch.Tensor):
                    scalar = name in dynamics.scalars
                    assert value.dtype == (torch.float64 if scalar else torch.float32), name
    advance(optimizer, 3)
    advance(restored, 3)
    for a, b in zip(points(optimizer), points(restored), strict=True):
        assert torch.equal(a, b)
        assert torch.isfinite(a).all()


def test_half_precision_follows_single_precision() -> None:
    half, single = pair(CD(0.3, 0.8), "BACD", torch.bfloat16), pair(CD(0.3, 0.8), "BACD")
    advance(half, 10)
    advance(single, 10)
    for a, b in zip(points(half), points(single), strict=True):
        # ten roundings of bfloat16 (2^-9 relative) of values of size 1, gradients of slope <= 5
        assert (a.double() - b).abs().max() < 10 * 2**-8


@each
def test_state_lies_under_the_names_of_the_variables(dynamics: Dynamics, word: str) -> None:
    optimizer = pair(dynamics, word)
    advance(optimizer, 1)
    for param, state in optimizer.state.items():
        names = set(dynamics.variables) - {"x"} | ({"h"} if optimizer.closing else set())
        assert set(state) == names
        assert state["p"].shape == param.shape


@each
def test_shapes_do_not_matter(dynamics: Dynamics, word: str) -> None:
    """0-dim, transposed and empty parameters move as the same numbers in a plain vector."""
    numbers = torch.linspace(-1.0, 1.5, 7, dtype=torch.float64)
    plain = parameter(numbers)
    scalar, matrix = parameter(numbers[0]), parameter(numbers[1:].reshape(2, 3))
    turned = torch.nn.Parameter(numbers[1:].reshape(2, 3).t().contiguous().t())
    empty = parameter(torch.zeros(0))
    assert not turned.is_contiguous()
    one = WordOptimizer(dynamics, [plain], lr=0.1, word=word)
    two = WordOptimizer(dynamics, [scalar, turned, empty], lr=0.1, word=word)
    three = WordOptimizer(dynamics, [scalar.detach().clone().requires_grad_(), matrix], lr=0.1,
                          word=word)  # fmt: skip
    for _ in range(6):
        for optimizer in (one, two, three):
            for param in optimizer.param_groups[0]["params"]:
                param.grad = param.detach() ** 3 + param.detach()
            optimizer.step()
    joined = torch.cat([scalar.detach().reshape(1), turned.detach().reshape(-1)])
    torch.testing.assert_close(joined, plain.detach(), rtol=1e-14, atol=1e-15)
    torch.testing.assert_close(matrix.detach(), turned.detach(), rtol=1e-14, atol=1e-15)
