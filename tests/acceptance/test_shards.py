"""A matrix that is cut by columns, or both ways, moves as the whole it is of."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from ranks import on_ranks
from sharded_steps import on_shards, stepped, whole

pytestmark = pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="torch was built without gloo"
)


@pytest.mark.parametrize(
    ("transposed", "replicated"), [(False, False), (True, False), (False, True)], ids=str
)
def test_rounding_is_that_of_the_whole(transposed: bool, replicated: bool, tmp_path: Path) -> None:
    """Bit for bit, also where the gradient is laid out otherwise than the parameter."""
    settings = {"state_dtype": torch.bfloat16, "noise": 3}
    alone = stepped(*whole(transposed), **settings)
    ranks = on_ranks(on_shards, transposed, settings, replicated, folder=tmp_path, ranks=4)
    for result in ranks:
        for name, found in result.items():
            assert all(map(torch.equal, found, alone)), name
