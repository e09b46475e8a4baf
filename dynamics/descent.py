"""Letter F: positions fall along the gradient."""

from dataclasses import dataclass
from typing import Any

from .elements import Scalar
from .part import Part
from .state import State


@dataclass(frozen=True)
class Descent(Part):
    """x' = −η ∇f(x); the flow is one explicit Euler step, x − h η ∇f(x): gradient descent.

    There is no closed form for a general f, so the flow is only consistent: words with F are of
    order 1. It is the step that torch's SGD takes, and with a kick at the same x Nesterov's.

    eta: mobility η, in units of time; negative values climb (some modified equations need them).
    """

    letter = "F"
    reads = ("g",)
    writes = ("x",)
    kind = "consistent"
    eta: Scalar

    def rate(self, s: State) -> dict[str, Any]:
        return {"x": -self.eta * s.g}

    def flow(self, s: State, h: Scalar) -> None:
        s.x = s.x - h * self.eta * s.g
