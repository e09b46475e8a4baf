"""Every scheduler of torch.optim.lr_scheduler sets the step size."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import Optimizer, lr_scheduler, swa_utils
from trainings import OPTIMIZERS, decayed, loss_of, network, optimizer

Scheduler = lr_scheduler.LRScheduler
STEPS = 12
SCHEDULERS: dict[str, Callable[[Any], Scheduler]] = {
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda n: 1 / (1 + n)),
    "MultiplicativeLR": lambda o: lr_scheduler.MultiplicativeLR(o, lambda n: 0.9),
    "StepLR": lambda o: lr_scheduler.StepLR(o, 3, 0.5),
    "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [2, 7], 0.5),
    "ConstantLR": lambda o: lr_scheduler.ConstantLR(o, 0.5, 4),
    "LinearLR": lambda o: lr_scheduler.LinearLR(o, 0.1, total_iters=5),
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.9),
    "SequentialLR": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.LinearLR(o, 0.1, total_iters=4), lr_scheduler.ExponentialLR(o, 0.9)], [4]
    ),
    "ChainedScheduler": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.ConstantLR(o, 0.5, 3), lr_scheduler.ExponentialLR(o, 0.9)]
    ),
    "PolynomialLR": lambda o: lr_scheduler.PolynomialLR(o, 10, 2.0),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 10),
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 5),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.2, 3, cycle_momentum=False),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.2, 30, cycle_momentum=False),
    "ReduceLROnPlateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=1),
    "SWALR": lambda o: swa_utils.SWALR(o, swa_lr=0.05, anneal_epochs=5),
}


def test_no_scheduler_of_torch_is_missing() -> None:
    known = {
        name
        for name, kind in vars(lr_scheduler).items()
        if isinstance(kind, type) and issubclass(kind, Scheduler) and not name.startswith("_")
    }
    assert known - {"LRScheduler"} <= set(SCHEDULERS)


def schedule(optimizer: Optimizer, name: str) -> list[list[float]]:
    """The step sizes of every group after every step, on a loss that never falls."""
    scheduler: Any = SCHEDULERS[name](optimizer)
    sizes = [[float(group["lr"]) for group in optimizer.param_groups]]
    for _ in range(STEPS):
        optimizer.step()
        scheduler.step(*([1.0] if name == "ReduceLROnPlateau" else []))
        sizes.append([float(group["lr"]) for group in optimizer.param_groups])
    return sizes


@pytest.mark.parametrize("tensor", [False, True], ids=["number", "tensor"])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_step_sizes_are_those_of_sgd(name: str, tensor: bool) -> None:
    ours, theirs = decayed(network()), decayed(network())
    for groups in (ours, theirs):
        for group, size in zip(groups, (0.2, 0.1), strict=True):
            group["lr"] = torch.tensor(size, dtype=torch.float64) if tensor else size
    sizes = schedule(optimizer("CD symmetric", ours), name)
    assert sizes == schedule(torch.optim.SGD(theirs), name)
    assert len({first for first, _ in sizes}) > 1


def train(
    made: Optimizer, model: torch.nn.Module, steps: range, after: Callable[[int], Any]
) -> None:
    for step in steps:
        made.zero_grad()
        loss_of(model, step).backward()
        made.step()
        after(step)


def weights(model: torch.nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in model.parameters()]


@pytest.mark.parametrize("schedule", ["StepLR", "OneCycleLR", "ReduceLROnPlateau"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_schedule_is_step_sizes_given_by_hand(name: str, schedule: str) -> None:
    """Also across a checkpoint of optimizer and scheduler, taken after six steps."""
    model, twin = network(), network()
    made, by_hand = optimizer(name, decayed(model)), optimizer(name, decayed(twin))
    scheduler: Any = SCHEDULERS[schedule](made)
    sizes = [float(made.param_groups[0]["lr"])]

    def follow(scheduler: Any, made: Optimizer) -> Callable[[int], None]:
        def after(step: int) -> None:
            scheduler.step(*([1.0] if schedule == "ReduceLROnPlateau" else []))
            sizes.append(float(made.param_groups[0]["lr"]))

        return after

    train(made, model, range(6), follow(scheduler, made))
    again = optimizer(name, decayed(model), lr=1.0)
    other: Any = SCHEDULERS[schedule](again)
    again.load_state_dict(made.state_dict())
    other.load_state_dict(scheduler.state_dict())
    train(again, model, range(6, STEPS), follow(other, again))

    for step in range(STEPS):
        for group in by_hand.param_groups:
            group["lr"] = sizes[step]
        train(by_hand, twin, range(step, step + 1), lambda _: None)
    assert len(set(sizes)) > 1
    assert all(torch.equal(a, b) for a, b in zip(weights(model), weights(twin), strict=True))


@pytest.mark.parametrize("name", ["CyclicLR", "OneCycleLR"])
def test_a_momentum_that_cycles_is_refused(name: str) -> None:
    made = optimizer("CD", decayed(network()))
    make: Any = getattr(lr_scheduler, name)
    given = (made, 0.01, 0.2) if name == "CyclicLR" else (made, 0.2, 30)
    with pytest.raises(ValueError, match="momentum"):
        make(*given, cycle_momentum=True)
