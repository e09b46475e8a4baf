"""A flow with inertia whose momentum is not its velocity.

An equation with Hessian-driven damping, ü + γ u̇ + b ∇²f u̇ + k ∇f = 0, needs no Hessian: with
v = u̇ + b ∇f and p = m v, m = 1/(k − γ b), it is

    u' = p/m − b ∇f,    p' = −∇f − γ p:    letters A (mass m), F (b), B and D.

Its energy f − f* + |p|²/(2m) falls at the rate γ|p|²/m + b|∇f|².
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..damping import LinearDamping
from ..descent import Descent
from ..drift import MassiveDrift
from ..dynamics import Dynamics
from ..kick import Kick
from ..part import Part
from ..state import State
from .checks import is_single


class MomentumFlow(Dynamics):
    """A flow of u whose momentum is p = m (u̇ + η ∇f): u̇ is not p itself.

    `start` turns an initial velocity u̇(0) into a state, `velocity` a run's state into u̇.
    """

    def velocities(self, gradient: Tensor) -> dict[str, Tensor]:
        """Initial velocities u̇(0) by name, the most accurate first, from ∇f at the start."""
        return {"rest": torch.zeros_like(gradient)}

    def start(self, x0: Any, gradient_at_x0: Any, velocity: Any = None) -> dict[str, Tensor]:
        """The state {"x": ..., "p": ...} for `simulate` and `solve`, coordinates last as in x0.

        velocity: u̇(0), a name known to `velocities` ("matched", "published", "rest", as far as
        the method has them; None: the first of them) or numbers like x0.

        Raises ValueError for a name it does not know, a velocity that is not like x0, and a mass
        or η that is not one number, as it is in a batch of hyperparameters.
        """
        own = self.hyperparameters
        mass, eta = own.get("mass", 1.0), own.get("eta", 0.0)
        for name, value in (("mass", mass), ("eta", eta)):
            if not is_single(value):
                raise ValueError(
                    f"{self.name}.start needs one number {name}; got {value}: start each run of "
                    "the batch by itself, and stack the states"
                )
        x, gradient = _float64(x0), _float64(gradient_at_x0)
        if velocity is None or isinstance(velocity, str):
            known = self.velocities(gradient)
            name = velocity or next(iter(known))
            if name not in known:
                raise ValueError(
                    f"{self.name} has no initial velocity {name!r}; it has "
                    f"{', '.join(map(repr, known))}, or give u̇(0) itself as a tensor"
                )
            velocity = known[name]
        v = _float64(velocity)
        for what, value in (("gradient_at_x0", gradient), ("velocity", v)):
            if value.shape != x.shape[x.ndim - value.ndim :]:
                raise ValueError(
                    f"{what} must be shaped like x0, {tuple(x.shape)}; got {tuple(value.shape)}"
                )
        return {"x": x, "p": (mass * (v + eta * gradient)).broadcast_to(x.shape)}

    def velocity(self, states: Mapping[str, Tensor], gradient: Tensor) -> Tensor:
        """u̇ = p/m − η ∇f of `states` (such as run.states) with the gradients at their x."""
        s = State({"x": states["x"], "p": states["p"], "g": gradient})
        moving = [part for part in self.parts.values() if "x" in part.writes]
        return sum((part.rate(s)["x"] for part in moving), start=torch.zeros_like(s.x))


def second_order(
    gamma: float, force: float, hessian_damping: float | None = None
) -> tuple[Part, ...]:
    """The parts of ü + γ u̇ + b ∇²f u̇ + k ∇f = 0, k = `force`, b = `hessian_damping` or none."""
    b = hessian_damping or 0.0
    parts = (MassiveDrift(1 / (force - gamma * b)), Kick(), LinearDamping(gamma))
    return parts if hessian_damping is None else (*parts, Descent(b))


def _float64(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else torch.as_tensor(value, dtype=torch.float64)
