"""Heavy ball and Nesterov's method with fixed momentum, run as words of their dynamics."""

import torch
from torch import Tensor

from ...dynamics import FixedMomentum, State
from ...integrators import Word, simulate
from ...integrators.convert.sgd import from_sgd
from ...integrators.step import apply
from ...landscapes import Landscape


def iterates(
    scheme: FixedMomentum, landscape: Landscape, x0: Tensor, d0: Tensor | float = 0.0, *, steps: int
) -> Tensor:
    """u_0 ... u_n of the scheme, [steps + 1, *batch, *shape]: the word of torch's SGD.

    d0: (u_0 − u_{−1})/h, like x0. The momentum after D is p_n = λ √h d_n, and Nesterov's word
    moves the look-ahead point x_n = u_n + √h p_n.
    """
    made = from_sgd(scheme.h, scheme.momentum, nesterov=scheme.nesterov)
    p = scheme.momentum * made.lr * (torch.zeros_like(x0) + d0)
    reach = made.lr if scheme.nesterov else 0.0
    start = {"x": x0 + reach * p, "p": p}
    run = simulate(made.dynamics, landscape, start, step=made.lr, steps=steps, word=made.word)
    if run.status != "finished":
        raise ValueError(f"the scheme with h = {scheme.h:g} did not finish: {run.message}")
    return run["x"] - reach * run["p"]


def contraction(scheme: FixedMomentum, landscape: Landscape, x: Tensor, p: Tensor) -> float:
    """Determinant of the Jacobian of one step in (x, p), by automatic differentiation.

    λ^d for heavy ball, det(λ (1 − h ∇²Φ(x))) for Nesterov, whose gradient is taken at x.
    """
    made = from_sgd(scheme.h, scheme.momentum, nesterov=scheme.nesterov)
    substeps = Word(made.word, made.dynamics).substeps
    pieces = [(substep.part, float(substep.fraction) * made.lr) for substep in substeps]

    def step(z: Tensor) -> Tensor:
        s = State({"x": z[: x.numel()].reshape(x.shape), "p": z[x.numel() :].reshape(x.shape)})
        apply(pieces, s, landscape.df)
        return torch.cat((s.x.flatten(), s.p.flatten()))

    jacobian = torch.func.jacrev(step)(torch.cat((x.flatten(), p.flatten())))
    assert isinstance(jacobian, Tensor)
    return torch.linalg.det(jacobian).item()
