"""The numbers of an optimizer, as a command is given them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..training.methods import METHODS
from .errors import BadCallError

HYPERPARAMETERS = tuple({name: None for method in METHODS.values() for name in method.names})
_RELATED = {  # what plays a part in the ones and in the others
    "gamma": ("momentum", "beta1"),
    "momentum": ("gamma", "beta1"),
    "beta1": ("gamma", "momentum"),
    "alpha": ("beta2",),
    "beta2": ("alpha",),
    "mu": ("c",),
    "c": ("mu",),
}


def hyperparameters(
    optimizer: str, given: Mapping[str, float], published: Mapping[str, float]
) -> dict[str, float]:
    """What is given, on top of what is published and of defaults.

    BadCallError for what the optimizer has not, and for what it needs.
    """
    names = METHODS[optimizer].names
    has = f"it has {', '.join(map(option, names))}"
    for name in given:
        if name not in names:
            meant = next((other for other in _RELATED.get(name, ()) if other in names), None)
            hint = f"; did you mean {option(meant)}?" if meant else ""
            raise BadCallError(f"{optimizer} has no {option(name)}; {has}{hint}")
    values = {**METHODS[optimizer].defaults, **published, **given}
    missing = [option(name) for name in names if name not in values]
    if missing:
        raise BadCallError(f"{optimizer} needs {', '.join(missing)}, or --published")
    return {name: values[name] for name in names}


def others(texts: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE, a value as in JSON, or a word."""
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise BadCallError(f"--options must be NAME=VALUE; got {text!r}")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
