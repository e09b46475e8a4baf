"""R-iKFAD as an optimizer: m + n numbers a matrix, the simulator's points, IKFAD for vectors."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from problems import CoupledMatrix, closure_of, descend, parameter

from dashpot.dynamics import RIKFAD
from dashpot.integrators import optim, simulate
from dashpot.integrators.optim import WordOptimizer

MADE = RIKFAD(gamma=0.2, alpha=0.5, mu=0.7, eps_stab=0.1)
VALUES: dict[str, Any] = {"lr": 0.1, **MADE.hyperparameters}
WORDS = ["BACD", "BCDA", "BCDADCB", "ADCBCDA"]
words = pytest.mark.parametrize("word", WORDS)
SHAPES = [(3, 2), (4,), (2, 2, 2), (), (1, 3)]


def start(*shape: int) -> torch.Tensor:
    return CoupledMatrix(*shape).start if shape else torch.tensor(0.7, dtype=torch.float64)


def parameters(dtype: torch.dtype = torch.float64) -> list[torch.nn.Parameter]:
    return [parameter(start(*shape), dtype) for shape in SHAPES]


def advance(optimizer: torch.optim.Optimizer, steps: int) -> None:
    """With the gradient x + x³ + Σx/2 in every parameter."""
    for _ in range(steps):
        for group in optimizer.param_groups:
            for param in group["params"]:
                x = param.detach().double()
                param.grad = (x + x**3 + x.sum() / 2).to(param.dtype)
        optimizer.step()


def points(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [p.detach() for group in optimizer.param_groups for p in group["params"]]


def assert_same(one: torch.optim.Optimizer, other: torch.optim.Optimizer) -> None:
    for a, b in zip(points(one), points(other), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("word", ["BACD", "BCDA"])
@pytest.mark.parametrize("shape", [(3, 2), (2, 2, 2), (1, 3), (4,)])
def test_a_parameter_moves_as_in_the_simulation(shape: tuple[int, ...], word: str) -> None:
    landscape, param = CoupledMatrix(*shape), parameter(start(*shape))
    optimizer = WordOptimizer(MADE, [param], lr=0.1, word=word)
    moved = descend(optimizer, param, landscape, 60)
    run = simulate(MADE, landscape, step=0.1, steps=60, word=word)
    assert (moved - run["x"]).abs().max() < 1e-14
    for name in ("p", "rows", "cols"):
        assert optimizer.state[param][name].shape == run[name].shape[1:]
        assert (optimizer.state[param][name] - run[name][-1]).abs().max() < 1e-14
    assert (moved[-1] - moved[0]).abs().max() > 0.1


def test_the_composed_word_of_two_gradients_takes_a_closure() -> None:
    landscape, param = CoupledMatrix(), parameter(start(3, 2))
    word = "BACDCAABCDCAB"
    optimizer = WordOptimizer(MADE, [param], lr=0.1, word=word)
    optimizer.step(closure_of(optimizer, param, landscape))
    for _ in range(20):
        optimizer.step(closure_of(optimizer, param, landscape))
    assert optimizer.gradients > 1
    assert landscape.f(param.detach()) < 0.2 * landscape.f(start(3, 2))


@words
def test_vectors_and_numbers_are_those_of_ikfad(word: str) -> None:
    common: dict[str, Any] = {"lr": 0.1, "gamma": 0.2, "alpha": 0.5, "mu": 0.7, "word": word}
    ours = optim.RIKFAD([parameter(start(4)), parameter(start())], eps_stab=0.3, **common)
    theirs = optim.IKFAD([parameter(start(4)), parameter(start())], **common)
    advance(ours, 30)
    advance(theirs, 30)
    assert_same(ours, theirs)
    for a, b in zip(ours.state.values(), theirs.state.values(), strict=True):
        assert torch.equal(a["rows"], b["xi"])


@words
def test_parameters_of_a_group_do_not_see_each_other(word: str) -> None:
    together = optim.RIKFAD(parameters(), **VALUES, word=word)
    advance(together, 10)
    for param, shape in zip(points(together), SHAPES, strict=True):
        alone = optim.RIKFAD([parameter(start(*shape))], **VALUES, word=word)
        advance(alone, 10)
        assert torch.equal(points(alone)[0], param)


def test_a_matrix_keeps_one_number_per_row_and_column() -> None:
    params = [parameter(torch.ones(30, 20)), parameter(torch.ones(8, 3, 5, 5))]
    optimizer = optim.RIKFAD(params, lr=0.01)
    advance(optimizer, 1)
    for param, rest in zip(params, (30 + 20, 8 + 75), strict=True):
        state = optimizer.state[param]
        assert set(state) == {"p", "rows", "cols"}
        assert sum(v.numel() for v in state.values()) == param.numel() + rest


@words
@pytest.mark.parametrize("through_a_file", [False, True])
def test_state_dict_continues_bit_for_bit(word: str, through_a_file: bool, tmp_path: Path) -> None:
    original = optim.RIKFAD(parameters(), **VALUES, word=word)
    advance(original, 5)
    saved = original.state_dict()
    if through_a_file:
        torch.save(saved, tmp_path / "state.pt")
        saved = torch.load(tmp_path / "state.pt", weights_only=True)
    restored = optim.RIKFAD([parameter(p) for p in points(original)], **VALUES, word=word)
    restored.load_state_dict(copy.deepcopy(saved))
    twin = copy.deepcopy(original)
    for optimizer in (original, restored, twin):
        advance(optimizer, 5)
    assert_same(original, restored)
    assert_same(original, twin)


def test_half_precision_parameters_keep_their_state_in_single() -> None:
    original = optim.RIKFAD(parameters(torch.bfloat16), **VALUES)
    advance(original, 3)
    restored = optim.RIKFAD(
        [parameter(p, torch.bfloat16) for p in points(original)],
        **VALUES,
    )
    restored.load_state_dict(original.state_dict())
    advance(original, 3)
    advance(restored, 3)
    assert_same(original, restored)
    for optimizer in (original, restored):
        for state in optimizer.state.values():
            assert {value.dtype for value in state.values()} == {torch.float32}


@words
def test_a_late_parameter_moves_as_if_its_optimizer_had_started_then(word: str) -> None:
    """Its first call has no closing piece: the parameters of the group have different last h."""
    early, late = parameter(start(3, 2)), parameter(start(2, 2, 2))
    together = optim.RIKFAD([early, late], **VALUES, word=word)
    alone = optim.RIKFAD([parameter(start(2, 2, 2))], **VALUES, word=word)
    gradient = CoupledMatrix(3, 2).df
    for _ in range(3):
        early.grad = gradient(early.detach())
        together.step()
    advance(together, 4)
    advance(alone, 4)
    assert (points(alone)[0] - late.detach()).abs().max() < 1e-14


def test_no_step_size_and_no_gradient_change_nothing() -> None:
    still = optim.RIKFAD(parameters(), lr=0.0)
    advance(still, 2)
    fresh = optim.RIKFAD(parameters(), lr=0.1)
    for param in fresh.param_groups[0]["params"]:
        param.grad = torch.zeros_like(param)
    fresh.step()
    assert_same(still, optim.RIKFAD(parameters()))
    assert_same(fresh, optim.RIKFAD(parameters()))


def test_arguments() -> None:
    group = optim.RIKFAD(parameters()).param_groups[0]
    twin = optim.IKFAD(parameters()).param_groups[0]
    for name in ("lr", "gamma", "alpha", "mu"):
        assert group[name] == twin[name]
    assert group["eps_stab"] == 0.0
    with pytest.raises(ValueError, match="eps_stab must be a finite number >= 0; got -1"):
        optim.RIKFAD(parameters(), eps_stab=-1.0)
    with pytest.raises(TypeError, match=r"dashpot\.dynamics\.RIKFAD"):
        optim.RIKFAD(0.1, 0.2)


def test_a_model_of_one_output_trains_as_with_ikfad() -> None:
    """Its weight [1, k] is one row and its bias a vector."""
    torch.manual_seed(0)
    x = torch.randn(64, 5, dtype=torch.float64)
    y = torch.sin(x.sum(1, keepdim=True))
    models = [torch.nn.Linear(5, 1).double()]
    models.append(copy.deepcopy(models[0]))
    losses: list[list[float]] = [[], []]
    for kind, model, seen in zip((optim.RIKFAD, optim.IKFAD), models, losses, strict=True):
        optimizer = kind(model.parameters(), lr=0.1, alpha=0.3, mu=0.2)
        for _ in range(100):
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
            seen.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], abs=1e-13)
    assert losses[0][-1] < 0.9 * losses[0][0]
