"""The lines of Python that make an optimizer, every number to its last digit."""

import re
from typing import Any

from ... import dynamics as catalogue
from ...dynamics import CADAM, CD, LDHD, Dynamics
from .checks import number

_BY_NAME = (LDHD, CD, CADAM)  # `optim` has an optimizer of the same name


def optimizer_line(dynamics: Dynamics, lr: float, **common: Any) -> str:
    """`optim.LDHD(params, ...)`, or `optim.optimizer(dynamics...., params, ...)` for others."""
    kind, made = type(dynamics), dynamics_line(dynamics)
    if kind in _BY_NAME and made == dynamics_line(kind(**dynamics.arguments)):
        settings = {"lr": lr, **dynamics.arguments, **common}
        return f"optim.{kind.__name__}(params, {arguments(settings)})"
    return f"optim.optimizer({made}, params, {arguments({'lr': lr, **common})})"


def dynamics_line(dynamics: Dynamics) -> str:
    """The repr, with the names of this package as `dynamics.` has them.

    Raises ValueError for a hyperparameter that is not one number.
    """
    for name in dynamics.hyperparameters:
        number(dynamics, name)

    def in_module(name: re.Match[str]) -> str:
        return f"dynamics.{name[0]}" if hasattr(catalogue, name[0]) else name[0]

    return re.sub(r"\b[A-Z]\w*(?=\()", in_module, repr(dynamics))


def arguments(values: dict[str, Any]) -> str:
    """Keyword arguments as they are written in a call."""
    return ", ".join(f"{name}={_show(value)}" for name, value in values.items())


def _show(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_show, value))})"
    if isinstance(value, str):
        return f'"{value}"'
    return repr(value) if isinstance(value, bool) else repr(float(value))
