"""The momentum of torch's optimizers, as the dynamics that takes the same steps has it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.optim import SGD, Adam, Optimizer

from ....dynamics import Dynamics, State
from ....integrators import convert
from ....integrators.bundle import Bundle
from ....integrators.optimizers.tensors import computable


@dataclass(frozen=True)
class Momentum:
    """The parameters of a group, with the state that the corresponding dynamics has after a step.

    params    that have moved
    h, gamma  step size and friction of the dynamics
    """

    params: Sequence[Tensor]
    dynamics: Dynamics
    state: State
    h: float
    gamma: float


def momentum_of(optimizer: Optimizer, group: Mapping[str, Any]) -> Momentum | None:
    """SGD with momentum, by p = −h β B; Adam, by p = −h β₁ m/(1 − β₁) and ζ = v/α. Else None.

    B, m and v are torch's momentum_buffer, exp_avg and exp_avg_sq; h, γ and α are those of
    `convert.from_sgd` (word BAD, or BDFA) and `convert.from_adam`, which take the same steps.
    """
    params = [param for param in group["params"] if optimizer.state.get(param)]
    if not params or not float(group["lr"]):
        return None
    states = [optimizer.state[param] for param in params]
    if isinstance(optimizer, SGD) and group["momentum"] and not group["dampening"]:
        beta = float(group["momentum"])
        made = convert.from_sgd(float(group["lr"]), beta, nesterov=group["nesterov"])
        buffers = Bundle([computable(state["momentum_buffer"]) for state in states])
        variables = {"x": buffers, "p": buffers * (-made.lr * beta)}
    elif isinstance(optimizer, Adam) and not group["amsgrad"]:  # AdamW is one
        beta, beta2 = (float(one) for one in group["betas"])
        made = convert.from_adam(float(group["lr"]), (beta, beta2), float(group["eps"]))
        means, squares = (
            Bundle([computable(state[name]) for state in states])
            for name in ("exp_avg", "exp_avg_sq")
        )
        alpha = made.dynamics.hyperparameters["alpha"]
        time = Bundle([state["step"].double() * made.lr for state in states])
        p = means * (-made.lr * beta / (1 - beta))
        variables = {"x": means, "p": p, "zeta": squares * (1 / alpha), "t": time}
    else:
        return None
    gamma = -math.log(beta) / made.lr
    return Momentum(params, made.dynamics, State(variables), made.lr, gamma)
