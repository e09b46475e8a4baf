"""How noisy the gradient of a batch is, and the temperature that this noise makes."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ....integrators.convert import gradient_noise_temperature
from ....integrators.optimizers.tensors import computable
from ..parallel import shares
from ..task import Batch

if TYPE_CHECKING:
    from ..running import Training


class Noise:
    """The noise of a batch's gradient, from its two halves with gradients g₁ and g₂.

        n = (g₁ − g₂)/2,   E|n|² = tr Σ_B,   E g₁·g₂ = |∇f|²

    Σ_B is the covariance of the gradient of a batch like this one, whatever makes it vary: examples
    or dropout. Batch normalisation sees halves. Gradients are those before clipping; `scale` is
    what clipping did to that of the step.

    by_parameter     n of every parameter that has a gradient
    trace            tr Σ_B, 0-dim; for processes that share a batch, of all together
    gradient_square  |∇f|², which may come out negative where there is little but noise
    """

    def __init__(self, training: "Training", batch: Batch) -> None:
        ((own, weight),) = shares(batch, 1, training.ranks)
        half = len(own[0]) // 2
        one, other = (
            _gradients(training, (own[0][at], own[1][at]), weight / 2)
            for at in (slice(half), slice(half, 2 * half))
        )
        size = 2 * half / len(own[0])  # an odd one is left out
        self.by_parameter = {
            param: (a - b) * (weight * math.sqrt(size) / 2)
            for (param, a), b in zip(one.items(), other.values(), strict=True)
        }
        products = (_sum(a * b) for a, b in zip(one.values(), other.values(), strict=True))
        squares = (_sum(n * n) for n in self.by_parameter.values())
        sums = torch.stack((_sum_of(products), _sum_of(squares)))
        if training.ranks.size > 1:
            sums[0] /= training.ranks.size
        self.gradient_square, self.trace = training.ranks.added(sums)
        self.scale = torch.ones_like(self.trace)
        clip, norm = training.stepping.clip, training.stepping.norm
        if clip is not None and norm is not None:
            self.scale = (clip / norm).clamp(max=1.0).to(self.trace.device)

    def of(self, params: Iterable[Tensor]) -> list[Tensor]:
        """n of some parameters, in the shape in which they are computed with."""
        return [computable(self.by_parameter[param]) for param in params]


def _sum(values: Tensor) -> Tensor:
    return values.sum(dtype=torch.float64)


def _sum_of(values: Iterable[Tensor]) -> Tensor:
    return torch.stack([*values]).sum()


def temperature(heat: float, coordinates: int, h: float, friction: float) -> float | None:
    """T = h s²/(2Γ), see `convert.gradient_noise_temperature`; None without friction.

    heat      ½ Σ n²/m, so that s² = 2·heat/coordinates; m is the mass of a coordinate: √ζ + ε in
              CADAM, and 1 elsewhere
    friction  Γ of the step
    """
    if friction <= 0:
        return None
    return gradient_noise_temperature(h, math.sqrt(2 * heat / coordinates), friction)


def _gradients(training: "Training", batch: Batch, part: float) -> dict[Tensor, Tensor]:
    """Of the mean loss of some examples; parameters and their gradients are left alone.

    part  of the batch: an example then counts as in the step, so that what fits into the range of
          float16 there does here
    """
    params = [param for param in training.network.parameters() if param.requires_grad]
    inputs, targets = (tensor.to(training.device) for tensor in batch)
    with training.stepping.autocast():
        loss = training.task.loss(training.network, (inputs, targets))
    scaler = training.stepping.scaler
    found: Sequence[Any] = torch.autograd.grad(scaler.scale(loss * part), params, allow_unused=True)
    scale = part * (scaler.get_scale() if scaler.is_enabled() else 1.0)
    pairs = zip(params, found, strict=True)
    return {param: grad / scale for param, grad in pairs if grad is not None}
