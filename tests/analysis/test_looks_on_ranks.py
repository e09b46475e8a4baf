"""Two processes see the same steps as one does with the same batches."""

from pathlib import Path

import pytest
import torch.distributed as dist
from looks_on_ranks import RUNS, looked_at, on_a_rank
from ranks import on_ranks

from dashpot.analysis.training import log

pytestmark = pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="torch was built without gloo"
)


def test_sums_are_over_all_processes(tmp_path: Path) -> None:
    for name in RUNS:
        looked_at(tmp_path / "one", name)
    on_ranks(on_a_rank, tmp_path, folder=tmp_path)
    for name in RUNS:
        ones, twos = ([*log.lines(tmp_path / n / name, "look")] for n in ("one", "two"))
        assert len(ones) == len(twos) == 6
        for one, two in zip(ones, twos, strict=True):
            exact = ("coordinates", "kinetic", "letters", "frozen", "capped", "potential", "audit")
            for key in exact:
                assert (key in one) == (key in two)
                if key in one:
                    assert two[key] == pytest.approx(one[key], rel=1e-4, abs=1e-7), (name, key)
            assert list(one["layers"]) == list(two["layers"])
            for layer, seen in one["layers"].items():
                assert two["layers"][layer]["kinetic"] == pytest.approx(seen["kinetic"], rel=1e-4)
                assert two["layers"][layer]["gradient"] == pytest.approx(seen["gradient"], rel=1e-4)
        assert "noise" in ones[0]
        if name == "ddp":  # an estimate of the same from other halves
            mine, theirs = ones[0]["noise"], twos[0]["noise"]
            assert 0.3 * mine["trace"] < theirs["trace"] < 3 * mine["trace"]
            assert mine["scale"] < 1
            assert theirs["scale"] == pytest.approx(mine["scale"], rel=1e-4)
        else:
            assert "noise" not in twos[0]
