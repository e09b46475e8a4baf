"""Hyperparameters that need no search: the published ones, and the ablation made of them."""

from collections.abc import Sequence
from typing import Literal

from ..training.ablation import ABLATION, ablation
from ..training.published import all_published, published
from .plan import Known


def published_ones(
    task: str, optimizers: Sequence[str] = (), *, frictionless: bool = False
) -> dict[str, Known]:
    """Of the named optimizers, or of all; ValueError where nothing is published.

    frictionless  the best ones with γ = 0
    """
    names = optimizers or tuple(all_published(task, frictionless=frictionless))
    note = " γ=0" if frictionless else ""
    return {n + note: (n, published(task, n, frictionless=frictionless)) for n in names}


def ablated_ones(task: str, base: Literal["CD", "IKFAD"] = "CD") -> dict[str, Known]:
    """With and without cubic and adaptive friction, at the lr and γ of the published `base`."""
    found = ablation(task, base)
    return {f"{ABLATION[what]} ({what})": (ABLATION[what], found[what]) for what in ABLATION}
