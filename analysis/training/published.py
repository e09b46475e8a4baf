"""The hyperparameters published with the methods, by task.

    published("nano", "CD")                     # {"lr": 0.499…, "gamma": 0.00375…, "c": 186961.1…}
    published("nano", "CD", frictionless=True)  # the best ones with γ = 0

They were found with the tasks' full settings: no schedule and no weight decay, clip 1 for GPT. In
ours lr is the step size h of the default word. The published code starts CD and LDHD at the
momentum p = +∇f, here `momentum_init="gradient"`; the default is a start at rest.

Source: Karoni, Rajpal, Leimkuhler, Stoltz, Adaptive Momentum and Nonlinear Damping for Neural
Network Training (2026), arXiv:2602.00334.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from .methods import Hyperparameters

LIKE = {"gpt2": "owt"}
"""Tasks without published hyperparameters that take those of another: larger, on the same text."""


def published(task: str, method: str, *, frictionless: bool = False) -> Hyperparameters:
    """The published hyperparameters of a method (a key of METHODS) in a task (one of TASKS).

    frictionless  the best ones with γ = 0

    Adam's stand under AdamW, which without weight decay is the same. Raises ValueError, naming
    what there is, where nothing is published.
    """
    found = all_published(task, frictionless=frictionless)
    if method not in found:
        raise ValueError(
            f"nothing is published for {method} in {task}{' with γ = 0' if frictionless else ''}; "
            f"there is {', '.join(found)}"
        )
    return found[method]


def all_published(task: str, *, frictionless: bool = False) -> dict[str, Hyperparameters]:
    """What is published for a task, by method; ValueError if nothing is, see `published`."""
    kind = "frictionless" if frictionless else "tuned"
    tasks = {name: found[kind] for name, found in _read().items() if kind in found}
    likes = {name: tasks[other] for name, other in LIKE.items() if other in tasks}
    if task not in (tasks := {**tasks, **likes}):
        raise ValueError(
            f"nothing is published for {task}{' with γ = 0' if frictionless else ''}; there is "
            f"{', '.join(tasks)}"
        )
    return {method: dict(values) for method, values in tasks[task].items()}


@cache
def _read() -> dict[str, dict[str, dict[str, Any]]]:
    text = Path(__file__).with_name("published.json").read_text(encoding="utf-8")
    return json.loads(text)["tasks"]
