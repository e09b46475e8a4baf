"""What stands around an optimizer in a training: schedulers, averages, scalers, wrappers."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from optimizer_info import (
    ALL,
    OURS,
    OptimizerInfo,
    give_gradients,
    parameters,
    values,
)
from torch.amp.grad_scaler import GradScaler
from torch.optim import lr_scheduler as schedulers
from torch.optim.swa_utils import SWALR, AveragedModel, get_ema_multi_avg_fn

from dashpot.integrators import optim

each = pytest.mark.parametrize("info", ALL, ids=str)
each_of_ours = pytest.mark.parametrize("info", OURS, ids=str)
STEPS = 12
SCHEDULERS: dict[str, Callable[[Any, float], Any]] = {
    "cosine": lambda o, lr: schedulers.CosineAnnealingLR(o, STEPS),
    "warm restarts": lambda o, lr: schedulers.CosineAnnealingWarmRestarts(o, 5),
    "sequence": lambda o, lr: schedulers.SequentialLR(
        o, [schedulers.LinearLR(o, 0.1, total_iters=3), schedulers.ExponentialLR(o, 0.8)], [4]
    ),
    "from zero": lambda o, lr: schedulers.LambdaLR(o, lambda n: n / STEPS),
    "one cycle": lambda o, lr: schedulers.OneCycleLR(o, lr, STEPS, cycle_momentum=False),
    "cyclic": lambda o, lr: schedulers.CyclicLR(o, lr / 4, lr, 3, cycle_momentum=False),
    "plateau": lambda o, lr: schedulers.ReduceLROnPlateau(o, factor=0.5, patience=1),
    "averaging": lambda o, lr: SWALR(o, lr / 5, anneal_epochs=5),
}


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("of_tensor", [False, True])
@each
def test_schedulers(info: OptimizerInfo, scheduler: str, of_tensor: bool) -> None:
    params = parameters()
    lr: Any = torch.tensor(info.lr, dtype=torch.float64) if of_tensor else info.lr
    if of_tensor and not info.ours:
        pytest.skip("torch's own take a tensor lr with capturable only")
    optimizer, loop = info.make(params, lr=lr), info.loop(params, 0.0)
    scheduled = SCHEDULERS[scheduler](optimizer, info.lr)
    sizes = []
    for _ in range(STEPS):
        sizes.append(float(optimizer.param_groups[0]["lr"]))
        loop.step(give_gradients(params), sizes[-1])
        optimizer.step()
        plateau = isinstance(scheduled, schedulers.ReduceLROnPlateau)
        scheduled.step(*([1.0] if plateau else []))
    assert len(set(sizes)) >= 3
    for p, x in zip(params, loop.x, strict=True):
        torch.testing.assert_close(p.detach(), x, rtol=1e-13, atol=1e-13)


@each_of_ours
def test_schedulers_of_the_momentum_are_refused(info: OptimizerInfo) -> None:
    """There is no β: the momentum kept is e^{−γ lr}. torch's own words say so."""
    for make in (
        lambda o: schedulers.OneCycleLR(o, 0.1, STEPS),
        lambda o: schedulers.CyclicLR(o, 0.01, 0.1, 3),
    ):
        with pytest.raises(ValueError, match=r"optimizer must support momentum .*cycle_momentum"):
            make(info.make(parameters()))


@each
def test_averaged_models(info: OptimizerInfo) -> None:
    model = torch.nn.ParameterList(parameters())
    optimizer = info.make(model.parameters())
    mean, moving = AveragedModel(model), AveragedModel(
        model, multi_avg_fn=get_ema_multi_avg_fn(0.9)
    )  # fmt: skip
    seen = []
    for _ in range(4):
        give_gradients(list(model.parameters()))
        optimizer.step()
        mean.update_parameters(model)
        moving.update_parameters(model)
        seen.append(values(list(model.parameters())))
    weights = [0.9**3, 0.1 * 0.9**2, 0.1 * 0.9, 0.1]
    for place, (a, b) in enumerate(zip(mean.parameters(), moving.parameters(), strict=True)):
        points = torch.stack([step[place] for step in seen])
        torch.testing.assert_close(a.detach(), points.mean(0), rtol=1e-13, atol=1e-13)
        expected = torch.tensordot(torch.tensor(weights, dtype=torch.float64), points, 1)
        torch.testing.assert_close(b.detach(), expected, rtol=1e-13, atol=1e-13)


@each
def test_clipped_gradients(info: OptimizerInfo) -> None:
    params = parameters()
    optimizer, loop = info.make(params), info.loop(params, 0.0)
    for _ in range(4):
        grads = [grad.clone() for grad in give_gradients(params)]
        norm = math.sqrt(sum(float(grad.square().sum()) for grad in grads))
        assert norm > 0.5
        torch.nn.utils.clip_grad_norm_(params, 0.5)
        loop.step([grad * (0.5 / (norm + 1e-6)) for grad in grads], info.lr)
        optimizer.step()
    for p, x in zip(params, loop.x, strict=True):
        torch.testing.assert_close(p.detach(), x, rtol=1e-12, atol=1e-12)


@each
def test_a_closure_is_called_for_the_gradient(info: OptimizerInfo) -> None:
    params, twins = parameters(), parameters()
    one, two = info.make(params), info.make(twins)

    def closure() -> Any:
        one.zero_grad()
        loss = sum((p**4 / 4 + p**2 / 2).sum() for p in params)
        assert isinstance(loss, torch.Tensor)
        loss.backward()
        return loss

    for _ in range(3):
        before = sum(float((p**4 / 4 + p**2 / 2).detach().sum()) for p in params)
        assert float(one.step(closure)) == pytest.approx(before, rel=1e-14)
        give_gradients(twins)
        two.step()
    for a, b in zip(params, twins, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-13, atol=1e-13)


@each
@pytest.mark.parametrize("fused", [False, True])
def test_a_scaler_changes_nothing_but_the_range(info: OptimizerInfo, fused: bool) -> None:
    params, twins = parameters(), parameters()
    optimizer, plain = info.make(params, fused=fused), info.make(twins)
    assert getattr(optimizer, "_step_supports_amp_scaling", False) is fused
    scaler = GradScaler("cpu", init_scale=2.0**10, growth_interval=3)
    scales = set()
    for step in range(6):
        # ours also before the first step that is one; torch's fused SGD then starts from garbage
        overflow = step == 3 or (step == 0 and info.ours)
        give_gradients(params, scaler.get_scale())
        for p in params[:1] if overflow else ():
            assert p.grad is not None
            p.grad[0, 0] = math.inf
        scaler.scale(torch.zeros(()))
        scales.add(scaler.get_scale())
        if step == 4:
            scaler.unscale_(optimizer)  # as one does to clip
        before = values(params)
        scaler.step(optimizer)
        scaler.update()
        if overflow:
            assert all(map(torch.equal, params, before))
        else:
            give_gradients(twins)
            plain.step()
    assert len(scales) > 1
    for a, b in zip(params, twins, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("word", ["BCDA", "BCDADCB"])
def test_a_scaled_gradient_starts_the_momentum_unscaled(word: str) -> None:
    runs = []
    for scaled in (True, False):
        params = parameters()
        optimizer = optim.CD(
            params, 0.1, 0.3, 0.8, word=word, momentum_init="gradient", fused=scaled or None
        )
        scaler = GradScaler("cpu", init_scale=2.0**10, enabled=scaled)
        for _ in range(3):
            give_gradients(params, scaler.get_scale())
            scaler.scale(torch.zeros(()))
            scaler.step(optimizer)
            scaler.update()
        runs.append(values(params))
    for a, b in zip(*runs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-13, atol=1e-13)


@each
def test_parameters_without_gradients_stand_still(info: OptimizerInfo) -> None:
    params, twins = parameters(), parameters()
    optimizer, loop = info.make(params), info.loop(twins[:2], 0.0)
    for _ in range(3):
        loop.step(give_gradients(params[:2]), info.lr)
        optimizer.step()
    for p, x in zip(params[:2], loop.x, strict=True):
        torch.testing.assert_close(p.detach(), x, rtol=1e-13, atol=1e-13)
    for p, twin in zip(params[2:], twins[2:], strict=True):
        assert torch.equal(p, twin)
        assert p not in optimizer.state


@each
def test_a_group_added_later(info: OptimizerInfo) -> None:
    params = parameters()
    optimizer = info.make(params[:2])
    loops = [info.loop(params[:2], 0.0), info.loop(params[2:], 0.0)]
    for step in range(5):
        if step == 2:
            optimizer.add_param_group({"params": params[2:], "lr": info.lr / 2})
        for group, loop in zip(optimizer.param_groups, loops, strict=False):
            loop.step(give_gradients(group["params"]), group["lr"])
        optimizer.step()
    for p, x in zip(params, [*loops[0].x, *loops[1].x], strict=True):
        torch.testing.assert_close(p.detach(), x, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (optim.IKFAD, {"scheme": "rotation", "word": "BCDA", "weight_decay": 0.1}),
        (optim.CADAM, {"bias_correction": True, "lr": 0.2}),
        (optim.CD, {"max_step": 0.01, "word": None}),
        (optim.CD, {"word": "BCDA", "foreach": False, "noise": None}),
    ],
)
def test_a_group_may_repeat_the_settings_of_the_optimizer(make: Any, settings: Any) -> None:
    """Wrappers give a group all the arguments of the constructor."""
    first, second = parameters(), parameters(seed=1)
    optimizer = make(first, **settings)
    optimizer.add_param_group({"params": second, **settings})
    given, repeated = optimizer.param_groups
    assert given.keys() == repeated.keys()
    assert all(given[name] == repeated[name] for name in given if name != "params")
