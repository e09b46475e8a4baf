"""How closely the other equations of momentum methods follow them: slopes between two steps."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from scipy.special import j1
from torch import Tensor

from ...dynamics import Dynamics, HighResolutionHB, HighResolutionNAGSC, Nesterov
from ...integrators import simulate, solve
from ...integrators.convert import from_sgd, ode_model_of_sgd
from ...landscapes import Quadratic
from .theorems import Claim

_MU, _STIFF = 0.5, 2.0  # curvatures of the quadratic, μ the strong convexity
_UNTIL = 2.0
_ROOTS = (0.02, 0.01)  # √s, √lr
_GAMMA = 0.8  # the friction that SGD keeps while lr → 0


def momentum_equations() -> list[Claim]:
    """High-resolution equations, the LDHD model of torch's SGD, and Nesterov's 3/t, measured.

    On a quadratic with curvatures 0.5 and 2, at t = 2: slopes of the error in √s (√lr) between
    0.02 and 0.01. Predicted: 2 from the matched initial velocity, 1 from the published one (Shi,
    Du, Jordan, Su 2018), and from rest. Nesterov's equation is compared with 2J₁(t)/t.
    """
    return [*_high_resolution(), *_sgd(), _bessel()]


def _high_resolution() -> Iterator[Claim]:
    for kind, nesterov in ((HighResolutionHB, False), (HighResolutionNAGSC, True)):
        for velocity, order in (("published", 1), ("matched", 2)):

            def error(
                root: float,
                kind: Any = kind,
                nesterov: bool = nesterov,
                velocity: str = velocity,
            ) -> float:
                s, drag = root * root, math.sqrt(_MU) * root
                beta = (1 - drag) / (1 + drag)
                made = from_sgd(s, beta, nesterov=nesterov)
                # their first step is (1 + β) s ∇f; look-ahead makes it by itself
                kick = 0.0 if nesterov else beta
                start = {"x": _X0, "p": -kick * made.lr * _G0}
                ode = kind(_MU, s)
                return _distance(made, start, made.lr, ode, ode.start(_X0, _G0, velocity))

            method = "Nesterov" if nesterov else "heavy ball"
            text = f"slope: high-resolution equation, {velocity} velocity"
            yield _claim("high resolution", method, text, order, error)


def _sgd() -> Iterator[Claim]:
    models = (("h = √lr, from rest", 1, from_sgd), ("h = √(2lr/(1+β))", 2, ode_model_of_sgd))
    for text, order, model in models:

        def error(root: float, model: Callable[..., Any] = model) -> float:
            beta = math.exp(-_GAMMA * root)
            made, flow = from_sgd(root**2, beta), model(root**2, beta)
            start = flow.start(_X0, _G0)
            return _distance(made, {"x": _X0}, flow.lr, flow.dynamics, start)

        yield _claim("LDHD", "heavy ball", f"slope: LDHD model of SGD, {text}", order, error)


def _bessel() -> Claim:
    run = solve(Nesterov(), Quadratic(1.0), [1.0], until=5.0, times=[5.0])
    measured = float(run["x"][-1, 0])
    text = "x(5) of ẍ + (3/t)ẋ + x = 0"
    return Claim("3/t", "Nesterov", None, text, 2 * j1(5.0) / 5, measured)


_BOWL = Quadratic([_MU, _STIFF])
_X0 = torch.tensor([1.0, -0.6], dtype=torch.float64)
_G0 = _BOWL.gradient(_X0)


def _distance(made: Any, start: dict[str, Any], clock: float, ode: Dynamics, begin: Any) -> float:
    """Between the word of torch's SGD and an equation, after the same number of steps."""
    steps = round(_UNTIL / clock)
    run = simulate(
        made.dynamics, _BOWL, start, step=made.lr, steps=steps, word=made.word, save_every=steps
    )
    until = steps * clock
    exact = solve(ode, _BOWL, begin, until=until, times=[until])
    difference: Tensor = run["x"][-1] - exact["x"][-1]
    return difference.norm().item()


def _claim(
    theorem: str, method: str, text: str, order: int, error: Callable[[float], float]
) -> Claim:
    """A slope in √s or √lr; the momentum λ tends to 1 with it."""
    errors = tuple(error(root) for root in _ROOTS)
    measured = math.log(errors[0] / errors[1]) / math.log(_ROOTS[0] / _ROOTS[1])
    return Claim(theorem, method, None, text, order, measured, _ROOTS, errors)
