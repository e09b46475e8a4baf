"""The base of every landscape: a function of one point, its derivatives and what is known of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from . import checks

Points: TypeAlias = Tensor | np.ndarray | Sequence[Any] | float
"""What users pass as points, coordinates last. Lists and integers are read as float64."""


class BatchingError(RuntimeError):
    """torch.func.vmap cannot evaluate a function on many points at once."""


class Landscape:
    """A function f to move on, with its gradient, Hessian, known minima and constants.

    Users pass points with their coordinates last, x of shape [..., *shape], as a tensor, an array
    or a list; results are tensors of x's dtype:

        landscape(x)           f,                        [...]
        landscape.gradient(x)  ∇f,                       [..., *shape]
        landscape.hvp(x, v)    ∇²f · v,                  [..., *shape]
        landscape.hessian(x)   ∇²f at one point, flat,   [dimension, dimension]

    Integrators call `f` and `df`, which take and return tensors with the coordinates first,
    [*shape, *batch], so that each coordinate is one contiguous array.

    Args:
        f: maps one point, a tensor of shape `shape`, to a 0-dim tensor by torch operations.
            Many points are evaluated at once by torch.func.vmap.
        shape: the shape of one point, an int or a tuple of ints.
        name: for titles and messages; f's own name if absent.
        minimisers: the known global minimisers, [k, *shape], or one of shape [*shape].
        minimum: the value of f there, f*.
        m: strong convexity constant, the smallest eigenvalue of ∇²f anywhere (None: unknown).
        L: smoothness constant, the largest eigenvalue of ∇²f anywhere (None: unknown or infinite).
        start: a point from which to start, zeros if absent.
        source: where the function comes from, a citation.

    Raises:
        TypeError, ValueError: for arguments that contradict each other, for points whose trailing
            shape is not `shape`, and for an f that does not return a 0-dim tensor.

    A subclass may override `f`, coordinates first, in place of passing it, and `df` where writing
    the gradient out is faster than differentiating f.
    """

    def __init__(
        self,
        f: Callable[[Tensor], Tensor] | None,
        shape: int | Sequence[int],
        *,
        name: str | None = None,
        minimisers: Points | None = None,
        minimum: float | None = None,
        m: float | None = None,
        L: float | None = None,
        start: Points | None = None,
        source: str = "",
    ) -> None:
        if f is None and type(self).f is Landscape.f:
            raise TypeError("Landscape needs f, a callable from one point to a 0-dim tensor")
        if f is not None and not callable(f):
            raise TypeError(f"f must be callable, from one point to a 0-dim tensor; got {f!r}")
        self._function = f
        sizes = shape if isinstance(shape, Sequence) else (shape,)
        self.shape = tuple(checks.integer(size, "each size in shape", 1) for size in sizes)
        self.dimension = math.prod(self.shape)
        self.name = name or getattr(f, "__name__", type(self).__name__)
        self.source = source
        self.minimisers = None if minimisers is None else self._known("minimisers", minimisers)
        self.minimum = None if minimum is None else float(minimum)
        self.m = None if m is None else float(m)
        self.L = None if L is None else float(L)
        if self.m is not None and self.L is not None and self.m > self.L:
            raise ValueError(f"strong convexity m = {self.m} exceeds smoothness L = {self.L}")
        start = torch.zeros(self.shape) if start is None else start
        self.start = self._known("start", start).reshape(self.shape)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, shape={self.shape})"

    # Coordinates last: what users call.

    def __call__(self, x: Points) -> Tensor:
        """f at x of shape [..., *shape]: a tensor of shape [...]."""
        return self.f(self._first(self._points(x)))

    def gradient(self, x: Points) -> Tensor:
        """∇f at x of shape [..., *shape]: a tensor like x."""
        return self._last(self.df(self._first(self._points(x))))

    def hvp(self, x: Points, v: Points) -> Tensor:
        """The Hessian at x times v, both [..., *shape] and broadcast against each other."""
        point = self._points(x)
        point, vector = torch.broadcast_tensors(point, self._points(v).to(point))
        if not torch.is_grad_enabled():
            point = point.detach()
        # The Hessian is symmetric, so vᵀ∇(df), one backward pass through df, is the product.
        with torch.enable_grad():
            pull_back = torch.func.vjp(self.df, self._first(point))[1]
            return self._last(pull_back(self._first(vector))[0])

    def hessian(self, x: Points) -> Tensor:
        """The Hessian at one point x of shape [*shape], flattened: [dimension, dimension]."""
        x = self._points(x)
        if x.shape != self.shape:
            raise ValueError(f"hessian takes one point of shape {self.shape}; got {tuple(x.shape)}")
        units = torch.eye(self.dimension, dtype=x.dtype, device=x.device)
        # A few rows at a time, for the memory of large networks.
        rows = [self.hvp(x, v.reshape(-1, *self.shape)) for v in units.split(128)]
        return torch.cat(rows).reshape(self.dimension, self.dimension)

    # Coordinates first: what integrators call.

    def f(self, x: Tensor) -> Tensor:
        """f at x of shape [*shape, *batch]: a tensor of shape [*batch]."""
        axes = len(self.shape)
        if x.ndim == axes:
            return self._point(x)
        if x.numel() == 0:  # no points; vmap would hand f a point without coordinates
            return x.reshape(self.dimension, *x.shape[axes:]).sum(0)
        points = x.flatten(axes)
        try:
            values = torch.func.vmap(self._point, in_dims=-1)(points)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self._point(points[..., 0])  # if one point fails too, that error says more
            raise BatchingError(
                f"{self!r} cannot be evaluated on many points by torch.func.vmap: {error}\n"
                "Write f without .item(), float(), in-place writes or Python branches on values "
                "(use torch.where), or override Landscape.f for coordinates first."
            ) from error
        return values.reshape(x.shape[axes:])

    def df(self, x: Tensor) -> Tensor:
        """∇f at x of shape [*shape, *batch]: a tensor like x.

        Differentiable in x when x requires a gradient and gradients are enabled; detached
        otherwise.
        """
        if x.requires_grad and torch.is_grad_enabled():
            return self._differentiate(x, differentiable=True)
        if not torch.is_inference_mode_enabled():
            try:
                leaf = x.detach().requires_grad_()
            except RuntimeError:
                pass  # inside a torch.func transform, which has its own way to differentiate
            else:
                with torch.enable_grad():
                    return self._differentiate(leaf, differentiable=False)
        return torch.func.grad(lambda y: self.f(y).sum())(x.clone())

    def _differentiate(self, x: Tensor, *, differentiable: bool) -> Tensor:
        # The points of a batch do not see each other, so the gradient of the sum has all gradients.
        total = self.f(x).sum()
        if not total.requires_grad:
            raise ValueError(
                f"f of {self!r} does not depend on x through torch operations, so it has no "
                "gradient; avoid .detach(), .item() and numpy in f (a flat f is 0 * x.sum())"
            )
        return torch.autograd.grad(
            total, x, create_graph=differentiable, materialize_grads=differentiable
        )[0]

    def _point(self, x: Tensor) -> Tensor:
        """The user's f at one point, with its answer checked."""
        assert self._function is not None
        try:
            value = self._function(x)
        except RuntimeError as error:
            if "numpy()" not in str(error):
                raise
            raise TypeError(
                f"f of {self!r} must use torch operations on x throughout, such as torch.sin for "
                f"numpy.sin: {error}"
            ) from error
        if not isinstance(value, Tensor):
            raise TypeError(
                f"f of {self!r} must return a 0-dim tensor; got {type(value).__name__} "
                "(use torch operations on x throughout)"
            )
        if value.ndim != 0:
            raise ValueError(
                f"f of {self!r} must map one point of shape {self.shape} to a 0-dim tensor; "
                f"got shape {tuple(value.shape)} (did you forget .sum()?)"
            )
        return value

    # Turning and checking.

    def _first(self, x: Tensor) -> Tensor:
        axes = range(len(self.shape))
        return x.movedim([a - len(axes) for a in axes], list(axes)).contiguous()

    def _last(self, x: Tensor) -> Tensor:
        axes = range(len(self.shape))
        return x.movedim(list(axes), [a - len(axes) for a in axes]).contiguous()

    def _points(self, x: Points) -> Tensor:
        # numpy reads Python floats as float64, torch would round them to float32.
        points = x if isinstance(x, Tensor) else torch.from_numpy(np.array(x))
        if points.is_complex():
            raise TypeError(f"{self!r} takes real points; got {points.dtype}")
        if not points.is_floating_point():
            points = points.to(torch.float64)
        if points.shape[max(0, points.ndim - len(self.shape)) :] != self.shape:
            wanted = ", ".join(("...", *map(str, self.shape)))
            raise ValueError(
                f"{self!r} takes points of shape ({wanted}); got {tuple(points.shape)}"
            )
        return points

    def _known(self, what: str, value: Points) -> Tensor:
        tensor = checks.array(value, what)
        if tensor.shape == self.shape:
            return tensor.unsqueeze(0)
        if what == "minimisers" and tensor.shape[1:] == self.shape and tensor.ndim > 0:
            return tensor
        raise ValueError(f"{what} must have shape {self.shape}; got {tuple(tensor.shape)}")
