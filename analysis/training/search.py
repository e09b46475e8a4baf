"""Where hyperparameters are sought: four numbers for every method, in ranges of one meaning.

    found = search("nano", "CD")
    Settings("nano", "small", "CD", **found.settings({name: low for name, (low, _) in …}))

The ranges are wide, and the published optimum of every method that has one lies in them:

    lr            of SGD, Nesterov, LDHD, CD and the three KFADs: from a tenth of the smallest lr
                  that is published for any of these in the task to ten times the largest, as lr of
                  torch's SGD; so in CADAM, AdamW, NAdamW and both lr of Muon, as lr of torch's Adam
    max_momentum  of CD and the three KFADs: the same, and at most 1, which is not felt; for
                  KFAD's norm of N momenta 10³ to 10⁴ times that (√N of these networks). Of CADAM,
                  some of whose published ones are not felt, 1e-5 to 1
    1 - momentum, 1 - beta1, 1 - beta2  the same in all tasks; lower where another friction stands
                  by the linear one
    alpha lr, decay, clip               the same in all methods and tasks

Without published numbers a task takes the ranges of another one with the same data.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from .draws import (
    LONGEST,
    NOT_FELT,
    Draw,
    from_hyperparameters,
    to_hyperparameters,
    to_weight_decay,
)
from .methods import Hyperparameters
from .published import LIKE, all_published

Range = tuple[float, float]


@dataclass(frozen=True)
class Search:
    """What is drawn for a method, log-uniformly: name -> (lowest, highest); see `draws`."""

    method: str
    ranges: Mapping[str, Range]

    def hyperparameters(self, draw: Draw) -> Hyperparameters:
        """What `Method.build` wants, without weight decay."""
        return to_hyperparameters(self.method, draw)

    def settings(self, draw: Draw) -> dict[str, Any]:
        """Arguments of `Settings`: hyperparameters; weight_decay and clip if they are drawn.

        Raises ValueError for a draw with other names.
        """
        if set(draw) != set(self.ranges):
            raise ValueError(
                f"{self.method} draws {', '.join(self.ranges)}; got {', '.join(draw) or 'nothing'}"
            )
        values = self.hyperparameters(draw)
        found: dict[str, Any] = {"hyperparameters": values}
        if "decay" in draw:
            found["weight_decay"] = to_weight_decay(self.method, draw, values)
        if "clip" in draw:
            found["clip"] = draw["clip"]
        return found


def search(task: str, method: str) -> Search:
    """The search of a method in a task: four numbers.

    Adam has none: it is AdamW. Raises ValueError for it, for unknown names, and for Muon in a
    task whose network has no hidden matrix.
    """
    if method not in _DRAWN:
        raise ValueError(f"a search is for one of {', '.join(_DRAWN)}; got {method!r}")
    if method == "Muon" and task in _WITHOUT_MATRICES:
        raise ValueError(
            f"the network of {task} has convolutions and no hidden matrix: Muon would be AdamW "
            "alone; take AdamW"
        )
    like = _LIKE.get(task, task)
    return Search(method, {name: _range(like, method, name) for name in _DRAWN[method]})


_LIKE = {**LIKE, "lstm": "nano", "cnn": "cifar"}
_WITHOUT_MATRICES = ("cifar", "cnn")

_HEAVY_BALL = ("lr", "1 - momentum", "decay", "clip")
_FAD = ("lr", "1 - momentum", "max_momentum", "alpha lr")
_ADAM = ("lr", "1 - beta1", "1 - beta2", "decay")
_DRAWN: dict[str, tuple[str, ...]] = {
    "LDHD": _HEAVY_BALL,
    "KFAD": _FAD,
    "IKFAD": _FAD,
    "RIKFAD": _FAD,
    "CD": ("lr", "1 - momentum", "max_momentum", "decay"),
    "CADAM": ("lr", "1 - beta1", "1 - beta2", "max_momentum"),
    "SGD": _HEAVY_BALL,
    "Nesterov": _HEAVY_BALL,
    "AdamW": _ADAM,
    "NAdamW": _ADAM,
    "Muon": ("lr", "1 - momentum", "decay", "adamw_lr"),
}
_LIKE_ADAM = ("CADAM", "AdamW", "NAdamW", "Muon")
_FRICTIONS = (*("KFAD", "IKFAD", "RIKFAD"), "CD", "CADAM")
_COMMON: dict[str, Range] = {
    "1 - momentum": (0.01, 0.5),
    "1 - beta1": (0.01, 0.5),
    "1 - beta2": (1e-4, 0.3),
    "alpha lr": (1e-4, 1.0),
    "decay": (1e-7, 1e-3),
    "clip": (0.1, 10.0),
}
_BESIDE_FRICTION: dict[str, Range] = {
    "1 - momentum": (1 / LONGEST, 0.5),
    "1 - beta1": (1e-3, 0.5),
    "1 - beta2": (1 / LONGEST, 0.3),
}


def _range(task: str, method: str, name: str) -> Range:
    if name in ("lr", "adamw_lr"):
        family = ("AdamW", "CADAM") if method in _LIKE_ADAM else ("SGD", "CD", "IKFAD")
        return _around(task, family, "lr")
    if name == "max_momentum":
        if method == "CADAM":
            return 1e-5, NOT_FELT
        low, high = _around(task, ("CD", "IKFAD"), name)
        return (1e3 * low, 1e4 * high) if method == "KFAD" else (low, min(high, NOT_FELT))
    if method in _FRICTIONS and name in _BESIDE_FRICTION:
        return _BESIDE_FRICTION[name]
    return _COMMON[name]


@cache
def _around(task: str, methods: tuple[str, ...], name: str) -> Range:
    """A decade beyond the published ones on either side, to two digits."""
    found = all_published(task)
    values = [from_hyperparameters(method, found[method])[name] for method in methods]
    low, high = (float(f"{value:.1e}") for value in (min(values) / 10, max(values) * 10))
    return low, high
