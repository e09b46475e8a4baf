"""Which friction carries the gain: none besides γ, the cubic one, the adaptive one, or both.

    x' = p,   p' = −∇f − (γ + ξ) p − c p³,   ξ' = p²/μ − α ξ          per coordinate

with and without ξ, with and without c, all else equal: LDHD, CD, IKFAD and their union (see
`two_frictions.py`).
"""

from typing import Literal

from .methods import Hyperparameters
from .published import published

ABLATION = {
    "neither": "LDHD",
    "cubic": "CD",
    "adaptive": "IKFAD",
    "both": "IKFAD+cubic",
}
"""What damps besides γ, and the method (a key of METHODS)."""


def ablation(task: str, base: Literal["CD", "IKFAD"] = "CD") -> dict[str, Hyperparameters]:
    """Hyperparameters of the four in a task (a key of TASKS), by their name in ABLATION.

    All have lr and γ of the published `base`; c is the published CD's, α and μ are the published
    IKFAD's. ValueError for another base, or a task without published ones.
    """
    if base not in ("CD", "IKFAD"):
        raise ValueError(f"base must be CD or IKFAD; got {base!r}")
    cd, ikfad = published(task, "CD"), published(task, "IKFAD")
    common = {name: (cd if base == "CD" else ikfad)[name] for name in ("lr", "gamma")}
    cubic, adaptive = {"c": cd["c"]}, {name: ikfad[name] for name in ("alpha", "mu")}
    return {
        "neither": common,
        "cubic": {**common, **cubic},
        "adaptive": {**common, **adaptive},
        "both": {**common, **adaptive, **cubic},
    }
