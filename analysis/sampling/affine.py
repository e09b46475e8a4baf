"""Linear algebra of moments, and affine functions read off by evaluating them."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ...dynamics import Dynamics

_LINEAR = 1e-9  # relative to what is summed: far above round-off


def names_of(dynamics: Dynamics) -> tuple[str, ...]:
    """The variables of a dynamics whose moments may close: x, or x and p; ValueError else."""
    if others := [name for name in dynamics.variables if name not in ("x", "p")]:
        raise ValueError(
            f"exact moments need a dynamics of x, or of x and p; {dynamics.name} has {others[0]} "
            "too, in which it is not linear; simulate it and take averages instead"
        )
    return ("x", "p") if "p" in dynamics.variables else ("x",)


def affine(
    function: Callable[[Sequence[Tensor]], Sequence[Any]],
    size: int,
    modes: int,
    what: str,
    homogeneous: bool,
) -> tuple[Tensor, Tensor]:
    """Offset [N, n] and matrix [N, n, size] of an affine function of `size` numbers, N modes.

    It is evaluated at 0 and at unit vectors, and once more where all numbers differ from 0: a
    function that is not affine (nor linear, if `homogeneous`) is refused there.
    """
    everywhere = torch.tensor(
        [(-1.0) ** j * (1.7 + 0.6 * j) for j in range(size)], dtype=torch.float64
    )
    unit = torch.eye(size, dtype=torch.float64)
    rows = torch.cat((torch.zeros_like(unit[:1]), unit, everywhere[None]))
    inputs = rows.T[:, None, :, None].expand(-1, 1, -1, modes)
    plain = torch.zeros_like(inputs[0])
    found = torch.stack([plain + value for value in function(list(inputs))])[:, 0].permute(2, 0, 1)
    offset, last = found[..., 0], found[..., -1]
    matrix = found[..., 1:-1] - offset[..., None]
    weights = rows[-1]
    expected = (matrix @ weights) + (0.0 if homogeneous else offset)
    allowed = _LINEAR * (matrix.abs() @ weights.abs() + offset.abs())
    fits = bool(((last - expected).abs() <= allowed).all())  # not so where anything is NaN
    if not fits or (homogeneous and bool(offset.any())):
        kind = "linear" if homogeneous else "affine"
        raise ValueError(
            f"{what} is not {kind} in x, p and the noise on f = ½kx², so its moments do not close; "
            "simulate it and take averages instead, or measure one step by `local_weak_order`"
        )
    return offset, matrix


def laws(mean: Any, covariance: Any, size: int) -> tuple[Tensor, Tensor]:
    """Mean and covariance as tensors; ValueError for other shapes."""
    m = torch.as_tensor(mean, dtype=torch.float64)
    spread = torch.as_tensor(covariance, dtype=torch.float64)
    if m.ndim < 1 or m.shape[-1] != size or spread.shape[-2:] != (size, size):
        raise ValueError(
            f"mean and covariance must have the shapes [..., {size}] and [..., {size}, {size}]; "
            f"got {tuple(m.shape)} and {tuple(spread.shape)}"
        )
    return m, spread


def at_rest(change: Tensor, noise: Tensor, decays: Tensor) -> Tensor:
    """The symmetric S with `change` vec S + vec noise = 0; NaN where it does not decay to it."""
    eye = torch.eye(change.shape[-1], dtype=torch.float64)
    safe = torch.where(decays[..., None, None], change, eye)
    found = torch.linalg.solve(safe, -noise.flatten(-2)[..., None])[..., 0].reshape(noise.shape)
    return torch.where(decays[..., None, None], (found + found.mT) / 2, torch.nan)


def kron(a: Tensor, b: Tensor) -> Tensor:
    """The Kronecker product of the last two axes: (a ⊗ b) vec S = vec(a S bᵀ), row by row."""
    product = a[..., :, None, :, None] * b[..., None, :, None, :]
    return product.flatten(-4, -3).flatten(-2)


def outer(m: Tensor) -> Tensor:
    """m mᵀ of the last axis."""
    return m[..., :, None] * m[..., None, :]
