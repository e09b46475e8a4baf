"""What the integrators ask of a landscape."""

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Field(Protocol):
    """A function f on points of shape `shape`, with its gradient; coordinates come first.

    `f` takes `[*shape, *batch]` and returns `[*batch]`; `df` returns the gradients, shaped like
    its argument. `minimum` is the least value of f, or None where it is not known.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def name(self) -> str: ...
    @property
    def minimum(self) -> float | None: ...
    @property
    def start(self) -> Tensor: ...

    def f(self, x: Tensor, /) -> Tensor: ...
    def df(self, x: Tensor, /) -> Tensor: ...


@runtime_checkable
class SampledField(Field, Protocol):
    """A field whose gradients are sampled, such as the loss of a network seen in minibatches.

    `df_sampled(x, u)` gives gradients at x [*shape, *batch] made with numbers u
    [uniforms, *batch] in [0, 1), each trajectory with its own; `f` and `df` stay exact.
    """

    @property
    def uniforms(self) -> int: ...

    def df_sampled(self, x: Tensor, u: Tensor, /) -> Tensor: ...
