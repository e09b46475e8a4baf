"""Settings that do not fit together, and what is said of them."""

from typing import Any

import pytest
import torch
from optimizer_info import give_gradients, parameters, values

from dashpot.dynamics import CD, LDHD, Langevin
from dashpot.integrators import optim

LANGEVIN = Langevin(gamma=0.8, temperature=0.5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"foreach": True, "fused": True}, "foreach=True and fused=True exclude each other"),
        ({"fused": True, "differentiable": True}, "fused=True and differentiable=True exclude"),
        ({"foreach": True, "differentiable": True}, "foreach=True and differentiable=True exclude"),
        ({"fused": True, "word": "BACDBAB"}, r"BACDBAB takes 2 gradients a step.*leave out fused"),
        ({"fused": True, "word": "yoshida(BACDCAB)"}, "takes 3 gradients a step"),
        ({"capturable": True, "word": "C:-1/2BADC:3/2"}, "run backwards.*leave out capturable"),
        ({"fused": True, "word": "C:-1/2BADC:3/2"}, "run backwards.*leave out fused"),
        ({"state_dtype": torch.float16}, r"None .*or torch.bfloat16; got torch.float16"),
        ({"state_dtype": torch.bfloat16, "capturable": True}, "on the CPU: leave out capturable"),
        ({"state_dtype": torch.bfloat16, "differentiable": True}, "leave out differentiable"),
        ({"lr": torch.tensor([0.1, 0.2])}, r"expected one number; got a tensor of shape \(2,\)"),
        ({"lr": torch.tensor(-0.1)}, "lr must be a finite number > 0 to give c"),
        ({"lr": torch.tensor(-0.1), "c": 1.0}, "lr must be a finite number >= 0"),
        ({"lr": "0.1", "c": 1.0}, "lr must be a finite number >= 0; got '0.1'"),
        ({"lr": None, "c": 1.0}, "lr must be a finite number >= 0; got None"),
        ({"lr": None}, "lr must be a finite number > 0 to give c; got None"),
        ({"gamma": torch.ones(3)}, r"gamma must be one number .*; got a tensor of shape \(3,\)"),
        ({"weight_decay": torch.tensor(-1.0)}, "weight_decay must be a finite number >= 0"),
        ({"noise": 3}, "CD has no noise"),
        ({"fused": "yes"}, "fused must be True, False or None; got 'yes'"),
        ({"foreach": 1}, "foreach must be True, False or None; got 1"),
        ({"capturable": None}, "capturable must be True or False; got None"),
    ],
    ids=str,
)
def test_settings_that_do_not_fit(settings: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"lr": 0.1, **settings}
    with pytest.raises(ValueError, match=message):
        optim.CD(parameters(), **given)


@pytest.mark.parametrize("setting", ["fused", "capturable"])
def test_noise_is_made_on_the_cpu(setting: str) -> None:
    with pytest.raises(ValueError, match=f"Langevin has noise, .*leave out {setting}"):
        optim.optimizer(LANGEVIN, parameters(), 0.1, noise=1, **{setting: True})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ({"differentiable": True}, "differentiable is the same for all groups: False"),
        ({"state_dtype": torch.bfloat16}, "state_dtype is the same for all groups: None"),
        ({"word": "BDA"}, "all groups run the word BWACD; a group asks for 'BDA'"),
        ({"max_step": 0.1}, "'max_step' is not per group; give it to the optimizer"),
        ({"gama": 1.0}, "'gama'; did you mean 'gamma'"),
        ({"noise": 5}, "CD has no noise; a group has 5"),
        ({"fused": True, "foreach": True}, "exclude each other"),
    ],
    ids=str,
)
def test_groups_that_do_not_fit(group: dict[str, Any], message: str) -> None:
    params = parameters()
    optimizer = optim.CD(params[:2], word="BACD")
    with pytest.raises(ValueError, match=message):
        optimizer.add_param_group({"params": params[2:], **group})
    assert len(optimizer.param_groups) == 1


def test_a_group_is_a_dict() -> None:
    params = parameters()
    with pytest.raises(TypeError, match=r'a parameter group is a dict with "params"; got \['):
        optim.CD(params[:2]).add_param_group(params[2:])  # type: ignore[arg-type]


def test_what_is_kept_in_bfloat16_is_real() -> None:
    param = torch.nn.Parameter(torch.ones(2, dtype=torch.complex64))
    message = r"state_dtype=bfloat16 is for real parameters only"
    with pytest.raises(ValueError, match=message):
        optim.CD([param], state_dtype=torch.bfloat16)
    optimizer = optim.CD(parameters(), state_dtype=torch.bfloat16)
    with pytest.raises(ValueError, match=message):
        optimizer.add_param_group({"params": [param]})
    assert len(optimizer.param_groups) == 1


def test_unknown_settings_are_answered_with_those_there_are() -> None:
    with pytest.raises(TypeError, match="did you mean capturable"):
        optim.CD(parameters(), capturabel=True)  # type: ignore[call-arg]


def test_the_numbers_of_noise_of_a_dynamics_that_rounds_too() -> None:
    """One seed for both; a sampler keeps its state in bfloat16 as others do."""
    params = parameters(torch.float32)
    optimizer = optim.optimizer(LANGEVIN, params, 0.1, noise=4, state_dtype=torch.bfloat16)
    for p in params:
        p.grad = p.detach().clone()
    optimizer.step()
    assert {state["p"].dtype for state in optimizer.state.values()} == {torch.bfloat16}
    assert {state["steps"] for state in optimizer.state.values()} == {1}


def test_dynamics_are_not_changed_by_their_optimizers() -> None:
    made = [CD(0.3, 0.8), LDHD(0.4)]
    before = [repr(one) for one in made]
    for one in made:
        optim.optimizer(one, parameters(), 0.1, weight_decay=0.3)
    assert [repr(one) for one in made] == before


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.int32, torch.bool], ids=str)
def test_parameters_that_cannot_move(dtype: torch.dtype) -> None:
    param = torch.zeros(2, 3).to(dtype)
    with pytest.raises(ValueError, match=rf"parameter 1 .*\(2, 3\).* is of {dtype}; .* 16 bits"):
        optim.CD([torch.zeros(2), param])


@pytest.mark.parametrize("fused", [None, True])
def test_a_sparse_gradient_is_refused_before_anything_moves(fused: bool | None) -> None:
    params = parameters()
    optimizer = optim.CD([{"params": params[:1]}, {"params": params[1:4]}], fused=fused)
    for sparse in (False, True):  # also where the gradient was dense before
        give_gradients(params)
        if sparse:
            assert params[3].grad is not None
            params[3].grad = params[3].grad.to_sparse()
            before = values(params)
            with pytest.raises(RuntimeError, match=r"parameter 2 of the group .*sparse gradient"):
                optimizer.step()
            assert all(map(torch.equal, values(params), before))
        else:
            optimizer.step()


def test_a_tensor_of_one_number_is_that_number() -> None:
    one, two = parameters(), parameters()
    given = optim.CD(
        one, torch.tensor([0.1]), torch.tensor([0.3]), weight_decay=torch.tensor([0.2])
    )
    plain = optim.CD(two, torch.tensor(0.1), torch.tensor(0.3), weight_decay=torch.tensor(0.2))
    for params, optimizer in ((one, given), (two, plain)):
        give_gradients(params)
        optimizer.step()
    assert all(map(torch.equal, one, two))


def test_memory_that_several_elements_share_is_refused() -> None:
    params = [torch.ones(3, requires_grad=True), torch.ones(1).expand(4).requires_grad_()]
    with pytest.raises(ValueError, match=r"parameter 1 of the group .*\(4,\).*clone\(\)"):
        optim.CD(params)
