"""The loss of a neural network as a landscape over its parameters."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor, nn

from .constant import Constant
from .landscape import BatchingError, Landscape

Parameters: TypeAlias = nn.Module | Mapping[str, Tensor] | Iterable[tuple[str, Tensor]]


class Network(Landscape):
    """f(θ) = loss(module_θ(inputs), targets), θ the flattened parameters, [dimension].

    The parameters follow one another in the order of `module.named_parameters()`. The start is
    their present value; the minimum is not known.

    The module is copied and never modified, so training it later changes nothing here. The copy is
    in evaluation mode (no dropout, stored batch statistics): a landscape is a function, with one
    value at each point. Inputs, targets and buffers follow θ to its device and, if they are
    floating, to its dtype. Several θ are evaluated at once by torch.func.vmap, or one by one where
    the module does not allow that.

    Args:
        module: any torch module.
        loss: maps (output, targets) to a 0-dim tensor, for example torch's cross_entropy.
        data: the pair (inputs, targets), used in full at every evaluation.
        name: for titles and messages; the module's class if absent.

    A classifier of handwritten digits, 4810 parameters:

        from torch.nn.functional import cross_entropy
        landscape = Network(classifier(seed=0), cross_entropy, digits().train)
        gradient = landscape.gradient(landscape.start)
    """

    def __init__(
        self,
        module: nn.Module,
        loss: Callable[[Tensor, Tensor], Tensor],
        data: tuple[Tensor, Tensor],
        *,
        name: str | None = None,
    ) -> None:
        if not isinstance(module, nn.Module):
            raise TypeError(f"module must be a torch.nn.Module; got {type(module).__name__}")
        try:
            inputs, targets = data
        except (TypeError, ValueError):
            raise TypeError("data must be a pair of tensors (inputs, targets)") from None
        for part, value in (("inputs", inputs), ("targets", targets)):
            if not isinstance(value, Tensor):
                raise TypeError(f"{part} must be a tensor; got {type(value).__name__}")
        self._module = copy.deepcopy(module).eval().requires_grad_(False)
        self._shapes = {key: value.shape for key, value in self._module.named_parameters()}
        if not self._shapes:
            raise ValueError(f"{type(module).__name__} has no parameters to move")
        self._loss = loss
        self._inputs, self._targets = Constant(inputs), Constant(targets)
        self._buffers = {key: Constant(value) for key, value in self._module.named_buffers()}
        self._batches = True
        start = self.flatten(self._module)
        super().__init__(
            self._evaluate,
            start.numel(),
            name=name or type(module).__name__,
            start=start,
        )

    def __repr__(self) -> str:
        return f"Network({self.name}, dimension={self.dimension})"

    def f(self, x: Tensor) -> Tensor:
        if self._batches or x.ndim == 1 or x.numel() == 0:
            try:
                return super().f(x)
            except BatchingError:
                self._batches = False
        points = x.flatten(1).unbind(-1)
        return torch.stack([self._point(point) for point in points]).reshape(x.shape[1:])

    def flatten(self, parameters: Parameters) -> Tensor:
        """One vector [..., dimension] from a module (detached) or from named tensors.

        Raises:
            ValueError: if a parameter is missing, unknown or of another shape.
        """
        named = self._match(parameters)
        rows = []
        for key, shape in self._shapes.items():
            value = named[key]
            batch = value.shape[: value.ndim - len(shape)]
            if value.shape != (*batch, *shape):
                raise ValueError(
                    f"parameter {key!r} must have shape {tuple(shape)}; got {tuple(value.shape)}"
                )
            rows.append(value.reshape(*batch, shape.numel()))
        return torch.cat(rows, dim=-1)

    def unflatten(self, vector: Tensor) -> dict[str, Tensor]:
        """The named parameters, each [..., *its shape], in a vector [..., dimension]."""
        sizes = [shape.numel() for shape in self._shapes.values()]
        if vector.ndim == 0 or vector.shape[-1] != sum(sizes):
            raise ValueError(
                f"the vector must have shape (..., {sum(sizes)}); got {tuple(vector.shape)}"
            )
        rows = vector.split(sizes, dim=-1)
        return {
            key: row.reshape(*row.shape[:-1], *shape)
            for (key, shape), row in zip(self._shapes.items(), rows, strict=True)
        }

    def load_into(self, module: nn.Module, vector: Tensor) -> None:
        """Writes one vector [dimension] into a module's parameters, in their own dtype."""
        if vector.shape != (self.dimension,):
            raise ValueError(
                f"the vector must have shape ({self.dimension},); got {tuple(vector.shape)}"
            )
        self.flatten(module)  # refuses a module of other shapes before anything is written
        own = dict(module.named_parameters())
        with torch.no_grad():
            for key, value in self.unflatten(vector).items():
                own[key].copy_(value)

    def _evaluate(self, vector: Tensor) -> Tensor:
        # Buffers are handed over as copies: a module that writes to them leaves f as it is.
        buffers = {key: buffer.like(vector).clone() for key, buffer in self._buffers.items()}
        output = torch.func.functional_call(
            self._module, {**self.unflatten(vector), **buffers}, (self._inputs.like(vector),)
        )
        return self._loss(output, self._targets.like(vector))

    def _match(self, parameters: Parameters) -> dict[str, Tensor]:
        if isinstance(parameters, nn.Module):
            named = {key: value.detach() for key, value in parameters.named_parameters()}
        else:
            named = dict(parameters)
        if named.keys() != self._shapes.keys():
            missing = sorted(self._shapes.keys() - named.keys())
            unknown = sorted(named.keys() - self._shapes.keys())
            raise ValueError(f"parameters do not match: missing {missing}, unknown {unknown}")
        return named
