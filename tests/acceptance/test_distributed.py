"""Two processes train as one: DDP, FSDP2, ZeRO, and checkpoints that move between them."""

from pathlib import Path

import pytest
import torch.distributed as dist
from parallel_trainings import (
    STEPS,
    Layout,
    Way,
    Weights,
    advance,
    resumed,
    saved,
    split_by_zero,
    state_of,
    trained,
    weights,
)
from ranks import on_ranks
from trainings import OPTIMIZERS, decayed, network, optimizer, rounding

ROUNDING = rounding(2 * STEPS)
EVERY = list(OPTIMIZERS)

pytestmark = pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="torch was built without gloo"
)


def difference(some: Weights, others: Weights) -> float:
    """The largest difference of a weight."""
    assert some.keys() == others.keys()
    pairs = ((a, b) for name in some for a, b in zip(some[name], others[name], strict=True))
    return max((a - b).abs().max().item() for a, b in pairs)


JOBS: dict[Layout, list[tuple[Layout, Way]]] = {
    "ddp": [("ddp", "shards"), ("fsdp", "whole")],
    "fsdp": [("fsdp", "shards"), ("fsdp", "whole"), ("ddp", "shards")],
}


@pytest.mark.parametrize("layout", JOBS)
def test_two_processes_train_as_one_and_others_go_on(layout: Layout, tmp_path: Path) -> None:
    """A checkpoint continues bit for bit in a job that is laid out alike, else to rounding."""
    one, start = trained(EVERY, 2 * STEPS), weights(network())
    assert all(difference({"": start}, {"": end}) > 0.01 for end in one.values())
    ranks = on_ranks(saved, layout, EVERY, tmp_path, folder=tmp_path)
    assert max(difference(rank, one) for rank in ranks) < ROUNDING

    alone = resumed(0, [("one", "shards"), ("one", "whole")], EVERY, tmp_path)
    assert max(difference(weights, ranks[0]) for weights in alone) < ROUNDING
    for rank in on_ranks(resumed, JOBS[layout], EVERY, tmp_path, folder=tmp_path):
        for (new, way), reached in zip(JOBS[layout], rank, strict=True):
            bound = 0.0 if new == layout else ROUNDING
            assert difference(reached, ranks[0]) <= bound, (new, way)


def test_zero_redundancy(tmp_path: Path) -> None:
    """Not KFAD: its ξ would be one per process. Nor chance: it goes by place in the optimizer."""
    names = [name for name in EVERY if name not in ("KFAD", "Langevin", "CD bfloat16")]
    straight, again = on_ranks(split_by_zero, names, folder=tmp_path)[0]
    assert difference(straight, trained(names, 2 * STEPS)) < ROUNDING
    assert difference(again, straight) == 0.0


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_materialised_state_changes_nothing(name: str) -> None:
    """Loading starts with a step of lr = 0 and no gradient: the first step stays a first step."""
    model = network()
    opt = optimizer(name, decayed(model))
    before = weights(model)
    state = state_of(model, opt)["optimizer"]["state"]
    assert difference({"": weights(model)}, {"": before}) == 0.0
    advance(model, opt)
    assert difference({name: weights(model)}, trained([name])) == 0.0
    names = {k: set(v) for k, v in state_of(model, opt)["optimizer"]["state"].items()}
    assert {k: set(v) for k, v in state.items()} == names
