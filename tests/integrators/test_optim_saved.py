"""State of every optimizer of the table: saved, loaded, copied, hooked, made by checkpointing."""

import copy
import io
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from optimizer_info import ALL, OURS, OptimizerInfo, give_gradients, parameters, values
from torch.distributed.checkpoint.state_dict import (
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)

from dashpot.integrators import optim

each = pytest.mark.parametrize("info", ALL, ids=str)
each_of_ours = pytest.mark.parametrize("info", OURS, ids=str)


def advance(optimizer: torch.optim.Optimizer, steps: int) -> None:
    for _ in range(steps):
        for group in optimizer.param_groups:
            give_gradients(group["params"])
        optimizer.step()


def points(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [p.detach() for group in optimizer.param_groups for p in group["params"]]


def through_a_file(state: Any) -> Any:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


@each
@pytest.mark.parametrize("first", ["single", "foreach", "fused", "capturable"])
@pytest.mark.parametrize("second", ["single", "foreach", "fused", "capturable"])
def test_state_goes_from_one_implementation_to_another(
    info: OptimizerInfo, first: str, second: str
) -> None:
    if not {first, second} <= {*info.implementations}:
        pytest.skip("torch's own needs a GPU for it")
    ways = {"single": {"foreach": False}}
    one, two, whole = parameters(), parameters(), parameters()
    old = info.make(one, **ways.get(first, {first: True}))
    advance(old, 3)
    for p, q in zip(two, values(one), strict=True):
        p.data.copy_(q)
    new = info.make(two, **ways.get(second, {second: True}))
    new.load_state_dict(through_a_file(old.state_dict()))
    if info.ours:  # how is computed was said when it was made
        assert new.param_groups[0]["fused"] is (True if second == "fused" else None)
    advance(new, 3)
    straight = info.make(whole)
    advance(straight, 6)
    for a, b in zip(points(new), points(straight), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-13, atol=1e-13)


@each
@pytest.mark.parametrize("how", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
@pytest.mark.parametrize("fused", [None, True])
def test_copies_go_on_by_themselves(info: OptimizerInfo, how: Any, fused: bool | None) -> None:
    original = info.make(parameters(), **({} if fused is None else {"fused": True}))
    advance(original, 2)
    twin = how(original)
    before = [p.clone() for p in points(original)]
    advance(twin, 2)
    for a, b in zip(points(original), before, strict=True):
        assert torch.equal(a, b)
    advance(original, 2)
    for a, b in zip(points(original), points(twin), strict=True):
        assert torch.equal(a, b)


@each_of_ours
@pytest.mark.parametrize("fused", [None, True])
def test_checkpointing_makes_the_state_without_a_step(
    info: OptimizerInfo, fused: bool | None
) -> None:
    """What torch.distributed.checkpoint does to a fresh optimizer: lr = 0, gradients 0, a step."""
    model, twin = (torch.nn.ParameterList(parameters()) for _ in range(2))
    optimizer, fresh = info.make(model.parameters(), fused=fused), info.make(twin.parameters())
    start = values(list(model.parameters()))
    made: Any = get_optimizer_state_dict(model, optimizer)["state"]
    for a, b in zip(model.parameters(), start, strict=True):
        assert torch.equal(a, b)
    advance(optimizer, 3)
    advance(fresh, 3)
    for a, b in zip(points(optimizer), points(fresh), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-14, atol=1e-14)
    for state in optimizer.state.values():
        assert all({*state} == {*names} for names in made.values())


@pytest.mark.parametrize("momentum_init", ["zero", "gradient"])
def test_the_first_step_after_rests_is_a_first_step(momentum_init: Any) -> None:
    for word in ("BCDA", "BCDADCB"):
        early, late = parameters(), parameters()
        one = optim.CD(early, lr=0.1, c=0.8, word=word, momentum_init=momentum_init)
        two = optim.CD(late, lr=0.0, c=0.8, word=word, momentum_init=momentum_init)
        advance(two, 2)
        two.param_groups[0]["lr"] = 0.1
        advance(one, 3)
        advance(two, 3)
        for a, b in zip(early, late, strict=True):
            assert torch.equal(a, b)


@each_of_ours
def test_a_checkpoint_by_names_goes_on(info: OptimizerInfo) -> None:
    model, other, whole = (torch.nn.ParameterList(parameters()) for _ in range(3))
    old = info.make(model.parameters())
    advance(old, 3)
    saved = copy.deepcopy(get_optimizer_state_dict(model, old))
    other.load_state_dict(model.state_dict())
    new = info.make(other.parameters(), lr=info.lr)
    set_optimizer_state_dict(other, new, saved)
    straight = info.make(whole.parameters())
    advance(new, 3)
    advance(straight, 6)
    for a, b in zip(points(new), points(straight), strict=True):
        assert torch.equal(a, b)


@each
def test_hooks_see_and_may_change_what_is_saved_and_loaded(info: OptimizerInfo) -> None:
    old, new = info.make(parameters()), info.make(parameters())
    advance(old, 2)
    seen: list[str] = []
    old.register_state_dict_pre_hook(lambda _: seen.append("before saving"))
    old.register_state_dict_post_hook(lambda _, state: seen.append("after saving") or None)
    saved = old.state_dict()

    def halve(_: Any, state: dict[str, Any]) -> dict[str, Any]:
        seen.append("before loading")
        groups = [{**group, "lr": group["lr"] / 2} for group in state["param_groups"]]
        return {**state, "param_groups": groups, "state": {}}

    new.register_load_state_dict_pre_hook(halve)
    new.register_load_state_dict_post_hook(lambda _: seen.append("after loading"))
    new.load_state_dict(saved)
    assert seen == ["before saving", "after saving", "before loading", "after loading"]
    assert new.param_groups[0]["lr"] == info.lr / 2
    assert not new.state
    assert old.param_groups[0]["lr"] == info.lr


def test_hooks_after_loading_see_the_precision_that_is_kept() -> None:
    half = parameters(torch.bfloat16)
    old, new = optim.CD(half), optim.CD(parameters(torch.bfloat16))
    advance(old, 2)
    types = set()
    new.register_load_state_dict_post_hook(
        lambda loaded: types.update(state["p"].dtype for state in loaded.state.values())
    )
    new.load_state_dict(old.state_dict())
    assert types == {torch.float32}
    assert not new._optimizer_load_state_dict_pre_hooks


@each
def test_hooks_around_steps(info: OptimizerInfo) -> None:
    seen: list[str] = []
    optimizer = info.make(parameters())
    optimizer.register_step_pre_hook(lambda *_: seen.append("before"))
    optimizer.register_step_post_hook(lambda *_: seen.append("after"))
    advance(optimizer, 2)
    assert seen == ["before", "after"] * 2


@each_of_ours
def test_a_saved_dict_is_plain(info: OptimizerInfo) -> None:
    optimizer = info.make(parameters())
    advance(optimizer, 1)
    saved = through_a_file(optimizer.state_dict())
    for state in saved["state"].values():
        assert all(isinstance(value, torch.Tensor | float | int) for value in state.values())
    plain = float | int | str | bool | None | list
    assert all(isinstance(value, plain) for value in saved["param_groups"][0].values())


def test_an_optimizer_pickled_before_there_were_ways_goes_on() -> None:
    params, twins = parameters(), parameters()
    optimizer, straight = optim.CD(params), optim.CD(twins)
    advance(optimizer, 2)
    state = optimizer.__getstate__()
    state["plan"] = state["plan"][:2]
    for settings in (state["defaults"], *state["param_groups"]):
        for name in ("foreach", "fused", "capturable", "differentiable", "state_dtype"):
            del settings[name]
    old = optim.CD.__new__(optim.CD)
    old.__setstate__(state)
    advance(old, 2)
    old.add_param_group({"params": [torch.nn.Parameter(torch.ones(2))]})
    advance(straight, 4)
    for a, b in zip(params, twins, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_one_number_for_a_group_returns_to_double_precision(dtype: torch.dtype) -> None:
    old, new = optim.KFAD(parameters(torch.float32)), optim.KFAD(parameters(torch.float32))
    advance(old, 2)
    saved = old.state_dict()
    for state in saved["state"].values():
        state["xi"] = state["xi"].to(dtype)
    new.load_state_dict(saved)
    assert all(state["xi"].dtype == torch.float64 for state in new.state.values())


@each_of_ours
def test_state_of_other_shapes_is_refused(info: OptimizerInfo) -> None:
    old = info.make([torch.nn.Parameter(torch.ones(6, 2))])
    names = iter([("layer.weight", torch.nn.Parameter(torch.ones(2, 6)))])
    params = [torch.nn.Parameter(torch.ones(2, 6))]
    advance(old, 1)
    for new, who in ((info.make(params), "parameter 0"), (info.make(names), "layer.weight")):
        message = rf"the loaded \w+ of {who}.* has the shape \(6, ..*of shape \(2, 6\)"
        with pytest.raises(ValueError, match=message):
            new.load_state_dict(old.state_dict())
        assert not new.state


def test_tensors_that_a_captured_graph_looks_at_stay() -> None:
    params = parameters()
    lr, gamma = (torch.tensor(n, dtype=torch.float64) for n in (0.1, 0.3))
    new = optim.CD(
        [{"params": params[:2]}, {"params": params[2:]}], lr, gamma, c=0.8, capturable=True
    )
    old = optim.CD([{"params": params[:2]}, {"params": params[2:], "gamma": 0.5}], 0.2, 0.4, c=0.8)
    new.load_state_dict(through_a_file(old.state_dict()))
    first, second = new.param_groups
    assert first["lr"] is second["lr"] is lr
    assert first["gamma"] is gamma
    assert float(lr) == 0.2
    assert [float(group["gamma"]) for group in (first, second)] == [0.4, 0.5]
    assert first["capturable"] is True  # how is computed was said when it was made
    old.load_state_dict(new.state_dict())
    assert old.param_groups[0]["capturable"] is False
    assert old.param_groups[0]["foreach"] is None


def test_numbers_of_numpy_can_be_saved() -> None:
    group = {"params": parameters()[3:], "lr": np.float64(0.2), "c": np.array([0.8])}
    optimizer = optim.CD([{"params": parameters()[:3]}, group], np.float32(0.1), np.float64(0.3))  # type: ignore[arg-type]
    advance(optimizer, 1)
    saved = through_a_file(optimizer.state_dict())["param_groups"]
    assert saved[0]["lr"] == float(np.float32(0.1))
    assert (saved[1]["lr"], saved[1]["c"], saved[1]["gamma"]) == (0.2, 0.8, 0.3)


@pytest.mark.parametrize("name", ["lr", "gamma", "c"])
def test_loaded_groups_have_all_their_numbers(name: str) -> None:
    optimizer = optim.CD(parameters())
    state, before = optimizer.state_dict(), copy.deepcopy(optimizer.param_groups)
    del state["param_groups"][0][name]
    with pytest.raises(ValueError, match=f"group 0 of the loaded state has no {name}"):
        optimizer.load_state_dict(state)
    for old, new in zip(before, optimizer.param_groups, strict=True):
        assert {k: v for k, v in old.items() if k != "params"} == {
            k: v for k, v in new.items() if k != "params"
        }


def test_a_momentum_that_exists_does_not_start_again() -> None:
    """As when the state was saved before the last step size was kept for such a word."""
    one, two = parameters(), parameters()
    straight, resumed = (optim.CD(p, momentum_init="gradient") for p in (one, two))
    advance(straight, 3)
    advance(resumed, 3)
    state = resumed.state_dict()
    for kept in state["state"].values():
        del kept["h"]
    resumed.load_state_dict(state)
    advance(straight, 2)
    advance(resumed, 2)
    assert all(map(torch.equal, points(straight), points(resumed)))
