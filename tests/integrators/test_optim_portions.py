"""Large groups move in portions: the same bits, in little memory."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from optimizer_info import OURS, OptimizerInfo, give_gradients, parameters, values
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dashpot.dynamics import CADAM, CD, IKFAD, KFAD, LDHD, RIKFAD, Dynamics, Langevin
from dashpot.integrators import optim
from dashpot.integrators.optimizers import group, stepping
from dashpot.integrators.optimizers.portions import cut_up, whole_tensors
from dashpot.integrators.optimizers.reach import reach
from dashpot.integrators.optimizers.tensors import _ShardedSums
from dashpot.integrators.words.word import Word

LIMIT = 4
each = pytest.mark.parametrize("info", OURS, ids=str)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepping, "largest", lambda _: LIMIT)


shapes = st.lists(st.lists(st.integers(0, 5), max_size=4), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(shapes=shapes, order=st.randoms(use_true_random=False), limit=st.integers(1, 40))
def test_cuts_take_every_element_once(shapes: Any, order: Any, limit: int) -> None:
    tensors = []
    for shape in shapes:
        axes = order.sample(range(len(shape)), len(shape))
        numbers = torch.arange(math.prod(shape)).reshape(shape)
        tensors.append(numbers.permute(axes))
    portions = cut_up(tensors, limit)
    assert all(sum(cut.of(tensors[cut.place]).numel() for cut in p) <= limit for p in portions)
    cuts = [cut for portion in portions for cut in portion]
    for place, tensor in enumerate(tensors):
        mine = [cut for cut in cuts if cut.place == place]
        assert [cut.ends for cut in mine] == [False] * (len(mine) - 1) + [True]
        taken = torch.cat([cut.of(tensor).flatten() for cut in mine])
        assert sorted(taken.tolist()) == sorted(tensor.flatten().tolist())
        for cut in mine:
            if cut.of(tensor).numel():  # its numbers are where it lies in memory
                assert cut.of(tensor).flatten()[0] == cut.first(tensor.stride())
    whole = [
        cut for portion in whole_tensors([t.numel() for t in tensors], limit) for cut in portion
    ]
    assert [cut.place for cut in whole] == [*range(len(tensors))]
    assert not any(cut.windows for cut in whole)


MATRIX = {2}
REACHES: list[tuple[Dynamics, set[int], str]] = [
    (LDHD(0.3), MATRIX, "element"),
    (CD(0.3, 0.8), MATRIX, "element"),
    (IKFAD(0.3, 0.7, 0.9), MATRIX, "element"),
    (CADAM(0.3, 0.6, 0.5, 0.1, bias_correction=True), MATRIX, "element"),
    (Langevin(0.3, 0.5), MATRIX, "element"),
    (RIKFAD(0.3, 0.7, 0.9), {0}, "element"),
    (RIKFAD(0.3, 0.7, 0.9), {0} | MATRIX, "tensor"),
    (KFAD(0.3, 0.7, 0.9), {0}, "group"),
]


@pytest.mark.parametrize(("dynamics", "ranks", "expected"), REACHES, ids=str)
def test_how_far_flows_look(dynamics: Dynamics, ranks: set[int], expected: str) -> None:
    assert reach(dynamics, Word(dynamics.word, dynamics).substeps, ranks) == expected


@each
@pytest.mark.parametrize(
    "ways",
    [
        {"foreach": True},
        {"foreach": False},
        {"state_dtype": torch.bfloat16, "fused": False},
        {"capturable": True, "lr": torch.tensor(0.1, dtype=torch.float64)},
        {"momentum_init": "gradient", "maximize": True, "weight_decay": 0.1, "fused": False},
    ],
    ids=str,
)
def test_portions_change_no_bit(
    info: OptimizerInfo, ways: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    results = []
    for limit in (LIMIT, 10**6):
        monkeypatch.setattr(stepping, "largest", lambda _, limit=limit: limit)
        params = parameters(torch.float32)
        params.append(nn.Parameter(torch.view_as_complex(torch.ones(3, 4, 2))))
        if "state_dtype" in ways:
            params.pop()
        optimizer = info.make(params, **ways)
        for step in range(4):
            give_gradients(params[step == 1 :])  # one comes late, or pauses
            optimizer.step()
        results.append(values(params) + [
            value for state in optimizer.state.values() for value in state.values()
            if isinstance(value, Tensor)
        ])  # fmt: skip
    assert all(map(torch.equal, *results))


@pytest.mark.usefixtures("small")
def test_a_portion_asks_for_the_sums_of_its_own_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with shards, and a step size for each; the mean of the empty parameter would be 0."""
    results = []
    for sums_of in (group.sums_of, _ShardedSums):
        monkeypatch.setattr(group, "sums_of", sums_of)
        params = [nn.Parameter(torch.zeros(0, 2, dtype=torch.float64)), *parameters()]
        lr = torch.tensor(0.1, dtype=torch.float64)
        optimizer = optim.RIKFAD(params, lr, mu=0.9, word="ADCBCDA", capturable=True)
        for _ in range(3):
            give_gradients(params)
            optimizer.step()
        results.append(values(params))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-14, atol=1e-14)


@pytest.mark.usefixtures("small")
def test_noise_is_that_of_the_whole() -> None:
    params, twins = parameters(), parameters()
    dynamics = Langevin(0.3, 0.5)
    one, two = (optim.optimizer(dynamics, ps, 0.1, noise=3) for ps in (params, twins))
    for _ in range(3):
        give_gradients(params)
        give_gradients(twins)
        one.step()
        with pytest.MonkeyPatch.context() as whole:
            whole.setattr(stepping, "largest", lambda _: 10**6)
            two.step()
    assert all(map(torch.equal, params, twins))


class Largest(TorchDispatchMode):
    """Of all tensors that are made."""

    def __init__(self) -> None:
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if not func.is_view and "narrow" not in str(func):
            sizes = (t.numel() for t in tree_leaves(made) if isinstance(t, Tensor))
            self.numel = max(self.numel, *sizes, 0)
        return made


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("state_dtype", [None, torch.bfloat16])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("make", [optim.CD, optim.IKFAD, optim.CADAM])
def test_no_intermediate_result_is_larger_than_a_portion(
    make: Any, dtype: torch.dtype, state_dtype: torch.dtype | None
) -> None:
    param = nn.Parameter(torch.ones(3, 50, dtype=dtype))
    optimizer = make([param], state_dtype=state_dtype, fused=False)
    for seen in (None, Largest()):
        param.grad = torch.ones_like(param)
        if seen is None:  # makes the state
            optimizer.step()
        else:
            with seen:
                optimizer.step()
            assert 0 < seen.numel <= LIMIT
