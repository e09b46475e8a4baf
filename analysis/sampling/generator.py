"""The generator of an equation, applied by sympy: expectations after a short time, as a series."""

from collections.abc import Mapping
from typing import Any

import sympy
from sympy import Expr, Symbol

from ...dynamics import Dynamics, NoisyPart, State


def symbols(dynamics: Dynamics) -> dict[str, Symbol]:
    """One real symbol for every variable, of one coordinate."""
    return {name: Symbol(name, real=True) for name in dynamics.variables}


def read(expression: Any, known: Mapping[str, Symbol]) -> Expr:
    """A sympy expression, or its text, in the `known` symbols; ValueError for other ones."""
    try:
        found = sympy.sympify(expression)
    except (sympy.SympifyError, SyntaxError, TypeError, AttributeError) as error:
        raise ValueError(f"cannot read {expression!r} as an expression: {error}") from None
    if not isinstance(found, Expr):
        raise ValueError(f"{expression!r} is no expression such as 'x**4/4 + x**2/2'")
    unknown = sorted({str(s) for s in found.free_symbols} - set(known))
    if unknown:
        raise ValueError(
            f"{expression} has the symbol {unknown[0]}; it may have {', '.join(known)}"
        )
    return found.subs({symbol: known[str(symbol)] for symbol in found.free_symbols})


class Generator:
    """L φ = Σ_v a_v ∂φ/∂v + ½ Σ (b·∇)² φ, a sum over Brownian motions with amplitudes b.

    Read off the dynamics' own `rate` and `amplitude`, called on symbols for one coordinate, with
    the gradient of `potential`. ValueError where they take functions that sympy does not know.
    """

    def __init__(self, dynamics: Dynamics, potential: Expr) -> None:
        self.variables = symbols(dynamics)
        s = _Symbols({**self.variables, "g": potential.diff(self.variables["x"])}, rank=0)
        self._amplitudes: dict[str, dict[str, Any]] = {}
        try:
            self._rates = dynamics.rate(s)
            for part in dynamics.parts.values():
                if isinstance(part, NoisyPart):
                    of_driver = self._amplitudes.setdefault(part.driver, {})
                    of_driver[part.noisy] = of_driver.get(part.noisy, 0) + part.amplitude(s)
        except (AttributeError, TypeError) as error:
            raise ValueError(
                f"the rate of {dynamics.name} cannot be written in symbols ({error}): it needs "
                "+ - * / and powers of the variables"
            ) from None

    def __call__(self, function: Expr) -> Expr:
        v = self.variables
        found = sum(rate * function.diff(v[name]) for name, rate in self._rates.items())
        for b in self._amplitudes.values():
            for name, one in b.items():
                for other, two in b.items():
                    found += one * two * function.diff(v[name], v[other]) / 2
        return sympy.expand(found)

    def series(self, function: Expr, at: Mapping[str, float], powers: int) -> list[float]:
        """The coefficients L^j φ/j! at a point, j = 0, ..., powers: E φ after h is Σ cⱼ hʲ + …"""
        place: dict[Any, Any] = {self.variables[name]: value for name, value in at.items()}
        found, coefficients = function, []
        for j in range(powers + 1):
            coefficients.append(float(found.subs(place)))
            if j < powers:
                found = self(found) / (j + 1)
        return coefficients


class _Symbols(State):
    """A system of one coordinate: sums over coordinates are the value itself."""

    def total(self, value: Any) -> Any:
        return value
