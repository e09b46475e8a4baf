"""Settings of a run: what is refused, and that they survive as JSON."""

import json
import math
from typing import Any

import pytest
import torch
from small_training import HYPERPARAMETERS, settings
from torch import nn

from dashpot.analysis.training.settings import Settings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schedule": "cosin"}, "schedule must be one of constant, cosine, linear; got 'cosin'"),
        ({"final": 0.1}, "final is for a schedule: cosine or linear; got 0.1"),
        ({"precision": "fp8"}, "precision must be one of float32, bf16, fp16"),
        ({"parallel": "zero"}, "parallel must be one of ddp, fsdp"),
        ({"steps": 0}, "steps must be a whole number >= 1; got 0"),
        ({"batch_size": 2.5}, "batch_size must be a whole number >= 1; got 2.5"),
        ({"accumulate": True}, "accumulate must be a whole number >= 1; got True"),
        ({"seed": 1 << 32}, "seed must be less than 2³²"),
        ({"weight_decay": math.nan}, "weight_decay must be a finite number >= 0; got nan"),
        ({"clip": 0.0}, r"clip must be a number > 0 \(inf: no clipping\); got 0.0"),
        ({"options": {"lr": 1}}, "options: lr has a place of its own"),
        ({"options": {"state_dtype": torch.bfloat16}}, "a dtype by its name"),
        ({"options": {"shceme": "rotation"}}, "CD has no shceme"),
        ({"word": "BACX"}, "CD: .*X"),
        ({"hyperparameters": {"lr": -1.0, "gamma": 0.5, "c": 3.0}}, "CD: lr must be"),
        ({"hyperparameters": {"lr": "1", "gamma": 0.5, "c": 3.0}}, "lr must be a finite number"),
        ({"hyperparameters": {"lr": 0.1}}, "CD takes the hyperparameters lr, gamma, c; got lr"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings("CD", **changes)


def test_only_ours_have_a_word() -> None:
    with pytest.raises(ValueError, match="AdamW has no word"):
        settings("AdamW", word="BACD")
    with pytest.raises(ValueError, match="setting must be one of full, small, tiny; got 'big'"):
        Settings("sine", "big", "CD", HYPERPARAMETERS["CD"])  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("clip", [None, 1.0, math.inf])
def test_settings_survive_as_json(clip: float | None) -> None:
    given = settings("IKFAD", clip=clip, options={"scheme": "rotation"}, steps=7, word="BACD")
    text = json.dumps(given.as_json(), allow_nan=False)
    assert Settings.from_json(json.loads(text)) == given


def test_unknown_and_missing_names_are_named() -> None:
    values = settings("CD").as_json()
    with pytest.raises(ValueError, match="Settings has no warm_up; did you mean warmup"):
        Settings.from_json({**values, "warm_up": 3})
    del values["optimizer"]
    with pytest.raises(ValueError, match="Settings needs optimizer"):
        Settings.from_json(values)


def test_options_reach_the_optimizer() -> None:
    """A dtype by its name, as JSON has it."""
    params = [nn.Parameter(torch.ones(4))]
    made = settings("CD", options={"state_dtype": "bfloat16"}, weight_decay=0.25).build(params)
    params[0].grad = torch.ones(4)
    made.step()
    assert made.state[params[0]]["p"].dtype == torch.bfloat16
    assert made.param_groups[0]["weight_decay"] == 0.25
