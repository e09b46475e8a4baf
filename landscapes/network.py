"""The loss of a neural network as a landscape over its parameters."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Never, TypeAlias

import torch
from torch import Tensor, nn

from .constant import Constant
from .landscape import BatchingError, Landscape

Parameters: TypeAlias = nn.Module | Mapping[str, Tensor] | Iterable[tuple[str, Tensor]]

_AT_ONCE = 4_000_000  # numbers in the gradients that are computed together


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
        *apart: Never,
        name: str | None = None,
    ) -> None:
        if not isinstance(module, nn.Module):
            raise TypeError(f"module must be a torch.nn.Module; got {type(module).__name__}")
        if apart or isinstance(data, Tensor):
            raise TypeError(
                "data is one pair (inputs, targets): Network(module, loss, (inputs, targets))"
            )
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
        self._is_mean = False  # not known before `require_mean`
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

    # The examples one by one, for stochastic gradients.

    @property
    def examples(self) -> int:
        """How many examples the data has: the length of its first axis."""
        inputs, targets = self._inputs.value, self._targets.value
        if not (inputs.ndim and targets.ndim and len(inputs) == len(targets) > 0):
            raise ValueError(
                f"{self!r}: inputs {tuple(inputs.shape)} and targets {tuple(targets.shape)} must "
                "have one row per example, as many as each other"
            )
        return len(inputs)

    def loss_of(self, vector: Tensor, indices: Tensor) -> Tensor:
        """The loss of the examples `indices` [k] alone, at one vector [dimension]: 0-dim."""
        inputs, targets = self._inputs.like(vector), self._targets.like(vector)
        return self._loss(self._output(vector, inputs[indices]), targets[indices])

    def example_losses(self, vector: Tensor) -> Tensor:
        """The loss of every example, [examples], at one vector [dimension]."""
        output = self._output(vector, self._inputs.like(vector))
        return self.each(
            lambda row, target: self._loss(row[None], target[None]),
            output,
            self._targets.like(vector),
        )

    def per_example_gradients(self, x: Tensor, indices: Tensor) -> Tensor:
        """The gradients of the losses of the examples `indices` [k] at one x: [k, dimension]."""
        if x.shape != (self.dimension,):
            raise ValueError(f"x must be one point ({self.dimension},); got {tuple(x.shape)}")
        slope = torch.func.grad(self.loss_of)
        return self.each(lambda index: slope(x, index[None]), indices)

    def each(self, function: Callable[..., Tensor], *values: Tensor) -> Tensor:
        """function(*rows) for the rows of the values, stacked; by vmap where the module allows it.

        Some rows at a time, so that their gradients take a bounded memory.
        """
        if self._batches:
            at_once = max(1, _AT_ONCE // self.dimension)
            try:
                return torch.func.vmap(function, chunk_size=at_once)(*values)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError:
                function(*(rows[0] for rows in values))  # an error of its own says more
                self._batches = False
        return torch.stack([function(*rows) for rows in zip(*values, strict=True)])

    def require_mean(self) -> None:
        """ValueError unless the loss is the mean of the losses of its examples (at the start).

        Gradients of minibatches estimate the gradient of such a loss only. Examples must not see
        each other in the module, and the loss must weigh them alike.
        """
        if self._is_mean:
            return
        start, every = self.start, torch.arange(self.examples)
        alone = self.each(lambda index: self.loss_of(start, index[None]), every)
        whole = self.f(start)
        rounding = 1e-9 * float(alone.abs().max())
        if not torch.allclose(alone.mean(), whole, rtol=0, atol=rounding):
            raise ValueError(
                f"{self!r}: the loss must be the mean of the losses of its examples "
                f'(reduction="mean", without weights); it is {whole.item():.6g} and their mean '
                f"{alone.mean().item():.6g}"
            )
        if not torch.allclose(alone, self.example_losses(start), rtol=0, atol=rounding):
            raise ValueError(f"{self!r}: the output for an example depends on the other examples")
        self._is_mean = True

    def _evaluate(self, vector: Tensor) -> Tensor:
        inputs, targets = self._inputs.like(vector), self._targets.like(vector)
        output = self._output(vector, inputs)
        try:
            return self._loss(output, targets)
        except (RuntimeError, ValueError) as error:
            if inputs.shape[:1] == targets.shape[:1]:
                raise
            # a RuntimeError stays one: it may be vmap's, and then `f` goes on point by point
            kind = ValueError if isinstance(error, ValueError) else RuntimeError
            raise kind(
                f"{self!r}: the loss fails on an output {tuple(output.shape)} for inputs "
                f"{tuple(inputs.shape)} and targets {tuple(targets.shape)}: as many targets as "
                f"inputs? ({error})"
            ) from error

    def _output(self, vector: Tensor, inputs: Tensor) -> Tensor:
        # Buffers are handed over as copies: a module that writes to them leaves f as it is.
        buffers = {key: buffer.like(vector).clone() for key, buffer in self._buffers.items()}
        return torch.func.functional_call(
            self._module, {**self.unflatten(vector), **buffers}, (inputs,)
        )

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
