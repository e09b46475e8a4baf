"""The problem of `ensembles.py` written for other tools, as one writes it there.

A state is a tuple of arrays [N], one for each coordinate of x, p and ξ or ζ, which suits compilers
best; `m` is their module, torch or jax.numpy. Every letter of a word is a function of a state.
The eager loop has letters of its own, in place on arrays [2, N].
"""

import math
import os
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

# read when jax is imported: one thread, as for all others
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault(
    "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)

STEP, GAMMA, ALPHA, MU, C, EPS, TEMPERATURE = 1e-3, 0.5, 1.0, 0.5, 2.0, 1e-8, 0.5
TOLERANCES = {"rtol": 1e-6, "atol": 1e-8}
UNROLLED = 10
DAMPED, KEPT = math.exp(-GAMMA * STEP), math.exp(-ALPHA * STEP)
WEIGHT = (1 - KEPT) / ALPHA

Arrays = tuple[Any, ...]
Run = Callable[[], Tensor]


def gradient(x: Any, y: Any) -> Arrays:
    """Of (1 − x)² + 100 (y − x²)²."""
    b = 200 * (y - x * x)
    return 2 * (x - 1) - 2 * x * b, b


def kick(m: Any, s: Arrays) -> Arrays:
    x, y, p, q, *rest = s
    a, b = gradient(x, y)
    return x, y, p - STEP * a, q - STEP * b, *rest


def drift(m: Any, s: Arrays) -> Arrays:
    x, y, p, q, *rest = s
    return x + STEP * p, y + STEP * q, p, q, *rest


def preconditioned_drift(m: Any, s: Arrays) -> Arrays:
    x, y, p, q, u, v = s
    return x + STEP * p / (m.sqrt(u) + EPS), y + STEP * q / (m.sqrt(v) + EPS), p, q, u, v


def damping(m: Any, s: Arrays) -> Arrays:
    x, y, p, q, *rest = s
    return x, y, DAMPED * p, DAMPED * q, *rest


def cubic(m: Any, s: Arrays) -> Arrays:
    x, y, p, q, *rest = s
    a = 2 * C * STEP
    return x, y, p / m.sqrt(1 + a * p * p), q / m.sqrt(1 + a * q * q), *rest


def kinetic(m: Any, s: Arrays) -> Arrays:
    x, y, p, q, u, v = s
    p, q = m.exp(-STEP / 2 * u) * p, m.exp(-STEP / 2 * v) * q
    u, v = KEPT * u + WEIGHT / MU * (p * p), KEPT * v + WEIGHT / MU * (q * q)
    return x, y, m.exp(-STEP / 2 * u) * p, m.exp(-STEP / 2 * v) * q, u, v


def moment(m: Any, s: Arrays) -> Arrays:
    x, y, p, q, u, v = s
    a, b = gradient(x, y)  # that of the kick before, as a compiler sees
    return x, y, p, q, KEPT * u + WEIGHT * (a * a), KEPT * v + WEIGHT * (b * b)


LETTERS: dict[str, dict[str, Callable[[Any, Arrays], Arrays]]] = {
    "iKFAD": {"A": drift, "B": kick, "C": kinetic, "D": damping},
    "CD": {"A": drift, "B": kick, "C": cubic, "D": damping},
    "CADAM": {"A": preconditioned_drift, "B": kick, "C": cubic, "D": damping, "E": moment},
}


def one_step(m: Any, name: str, word: str, s: Arrays) -> Arrays:
    for letter in word:
        s = LETTERS[name][letter](m, s)
    return s


def rate(m: Any, name: str, s: Arrays) -> Arrays:
    """The vector field."""
    x, y, p, q, *rest = s
    a, b = gradient(x, y)
    if name == "iKFAD":
        u, v = rest
        heats = p * p / MU - ALPHA * u, q * q / MU - ALPHA * v
        return p, q, -a - (GAMMA + u) * p, -b - (GAMMA + v) * q, *heats
    forces = -a - GAMMA * p - C * p * p * p, -b - GAMMA * q - C * q * q * q
    if name == "CD":
        return p, q, *forces
    u, v = rest
    moves = p / (m.sqrt(u) + EPS), q / (m.sqrt(v) + EPS)
    return *moves, *forces, a * a - ALPHA * u, b * b - ALPHA * v


def eager_loop(name: str, word: str, rows: Tensor, steps: int) -> Run:
    """A loop over operations of torch in place."""

    def run() -> Tensor:
        x, p, *rest = (pair.clone() for pair in rows.reshape(-1, 2, rows.shape[1]))
        u = rest[0] if rest else torch.empty_like(x)
        g, e, square = torch.empty_like(x), torch.empty_like(x), torch.empty_like(x[0])
        (first, second), (by_first, by_second) = x, g

        def kick() -> None:
            torch.mul(first, first, out=square)
            torch.sub(second, square, out=by_second).mul_(200)
            torch.mul(first, by_second, out=by_first).sub_(first).add_(1).mul_(-2)
            p.add_(g, alpha=-STEP)

        def kinetic() -> None:
            p.mul_(torch.mul(u, -STEP / 2, out=e).exp_())
            u.mul_(KEPT).addcmul_(p, p, value=WEIGHT / MU)
            p.mul_(torch.mul(u, -STEP / 2, out=e).exp_())

        def cubic() -> None:
            p.mul_(torch.mul(p, p, out=e).mul_(2 * C * STEP).add_(1).rsqrt_())

        def preconditioned_drift() -> None:
            x.addcdiv_(p, torch.sqrt(u, out=e).add_(EPS), value=STEP)

        letters: dict[str, Callable[[], object]] = {
            "A": preconditioned_drift if name == "CADAM" else lambda: x.add_(p, alpha=STEP),
            "B": kick,
            "C": kinetic if name == "iKFAD" else cubic,
            "D": lambda: p.mul_(DAMPED),
            "E": lambda: u.mul_(KEPT).addcmul_(g, g, value=WEIGHT),
        }
        calls = [letters[letter] for letter in word]
        for _ in range(steps):
            for call in calls:
                call()
        return x

    return run


def torch_compiled(name: str, word: str, rows: Tensor, steps: int) -> tuple[Run, float]:
    """torch.compile of `UNROLLED` steps, and the seconds that it takes without a cache."""
    from torch._inductor import config

    config.force_disable_caches = True

    def several(s: Arrays) -> Arrays:
        for _ in range(UNROLLED):
            s = one_step(torch, name, word, s)
        return s

    # programs of one code are looked up together, and are eight at most
    several.__code__ = several.__code__.replace(co_name=f"{name}_{word}_{rows.shape[1]}_{steps}")
    program = torch.compile(several, fullgraph=True, dynamic=False)

    def run() -> Tensor:
        s = tuple(rows)
        for _ in range(steps // UNROLLED):
            s = program(s)
        return torch.stack(s[:2])

    began = time.perf_counter()
    program(tuple(rows))
    return run, time.perf_counter() - began


def torch_ode(method: str, name: str, rows: Tensor, steps: int) -> Run:
    """torchdiffeq over the time of so many steps."""
    from torchdiffeq import odeint

    ends = torch.tensor([0.0, steps * STEP], dtype=torch.float64)
    options: dict[str, Any] = TOLERANCES if method == "dopri5" else {"options": {"step_size": STEP}}

    def field(t: Tensor, s: Tensor) -> Tensor:
        return torch.stack(rate(torch, name, tuple(s)))

    @torch.no_grad()
    def run() -> Tensor:
        path = odeint(field, rows, ends, method=method, **options)
        assert isinstance(path, Tensor)
        return path[-1, :2]

    return run


def torch_sde(method: str, starts: Tensor, steps: int) -> Run:
    """torchsde on kinetic Langevin dynamics, y = (x, p), starts [N, 2]."""
    import torchsde  # pyright: ignore[reportMissingImports]  # the extra `peers`

    class Equation(torch.nn.Module):
        noise_type, sde_type = "diagonal", "ito"
        amplitude = torch.tensor([0.0, 0.0, 1.0, 1.0], dtype=torch.float64).expand(len(starts), 4)

        def f(self, t: Tensor, y: Tensor) -> Tensor:
            a, b = gradient(y[:, 0], y[:, 1])
            p, q = y[:, 2], y[:, 3]
            return torch.stack([p, q, -a - GAMMA * p, -b - GAMMA * q], 1)

        def g(self, t: Tensor, y: Tensor) -> Tensor:
            return self.amplitude * math.sqrt(2 * GAMMA * TEMPERATURE)

    equation, ends = Equation(), torch.tensor([0.0, steps * STEP], dtype=torch.float64)
    y0 = torch.cat([starts, torch.zeros_like(starts)], 1)

    @torch.no_grad()
    def run() -> Tensor:
        path = torchsde.sdeint(equation, y0, ends, method=method, dt=STEP)
        assert isinstance(path, Tensor)
        return path[-1, :, :2].T

    return run


def jax_scan(name: str, word: str, rows: Tensor, steps: int) -> tuple[Run, float]:
    """jax.lax.scan of the same step, vmap over the trajectories; and its compile time."""
    import jax  # pyright: ignore[reportMissingImports]  # the extra `peers`

    def step(s: Arrays, _: None) -> tuple[Arrays, None]:
        return one_step(jax.numpy, name, word, s), None

    return _jitted(jax.vmap(lambda s: jax.lax.scan(step, s, None, length=steps)[0]), rows)


def diffrax_solve(solver: str, name: str, rows: Tensor, steps: int) -> tuple[Run, float]:
    """diffrax with steps of one size, all trajectories as one system; and its compile time."""
    import diffrax  # pyright: ignore[reportMissingImports]  # the extra `peers`
    import jax  # pyright: ignore[reportMissingImports]

    term = diffrax.ODETerm(lambda t, s, _: rate(jax.numpy, name, s))

    def whole(s: Arrays) -> Arrays:
        found = diffrax.diffeqsolve(
            term, getattr(diffrax, solver)(), 0.0, steps * STEP, STEP, s, max_steps=None,
            saveat=diffrax.SaveAt(t1=True),
        )  # fmt: skip
        return tuple(row[-1] for row in found.ys)

    return _jitted(whole, rows)


def _jitted(whole: Callable[[Arrays], Arrays], rows: Tensor) -> tuple[Run, float]:
    import jax  # pyright: ignore[reportMissingImports]
    import numpy as np

    s = tuple(jax.numpy.asarray(row.numpy()) for row in rows)
    began = time.perf_counter()
    program = jax.jit(whole).lower(s).compile()
    spent = time.perf_counter() - began

    def run() -> Tensor:
        first, second, *_ = jax.block_until_ready(program(s))
        return torch.from_numpy(np.stack([first, second]))

    return run, spent
