"""From what a user passes as `x0` to the first state of a run."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..dynamics import Dynamics, State
from .field import Field, SampledField
from .noise.noise import Noise
from .trajectory import inside


def on_tensors(dynamics: Dynamics, device: torch.device) -> Dynamics:
    """The dynamics with hyperparameters given as numpy arrays turned into tensors."""
    arrays = {k: v for k, v in dynamics.hyperparameters.items() if isinstance(v, np.ndarray)}
    return dynamics.bind({k: torch.as_tensor(v, device=device) for k, v in arrays.items()})


def refuse_shapes(dynamics: Dynamics, s: State) -> None:
    """ValueError for a hyperparameter that does not broadcast to x, coordinates first."""
    whole = tuple(s.x.shape)
    for name, value in dynamics.hyperparameters.items():
        given = tuple(value.shape) if isinstance(value, Tensor) else ()
        try:
            fits = np.broadcast_shapes(given, whole) == whole  # torch's would load sympy first
        except ValueError:
            fits = False
        if not fits:
            shape, batch = whole[: s.rank], whole[s.rank :]
            each = (*shape, *(1,) * len(batch))
            raise ValueError(
                f"{name} of {dynamics.name} has shape {given}; one number for each coordinate has "
                f"shape {each}, one for each trajectory {batch}, both {whole}"
            )


def noise_of_run(noise: int | Noise | None, dynamics: Dynamics, landscape: Field) -> Noise | None:
    """The noise of a run that has some, made from a seed where it is one."""
    given = noise if noise is None or isinstance(noise, Noise) else Noise(noise)
    if isinstance(dynamics, Dynamics) and dynamics.is_noisy:
        who = f"{dynamics.name} has noise"
    elif isinstance(landscape, SampledField):
        who = f"{landscape.name} samples its gradients"
    elif given is not None and isinstance(dynamics, Dynamics):
        raise ValueError(f"{dynamics.name} has no noise, nor has the landscape; leave out noise")
    else:
        return None
    if given is not None:
        return given
    raise ValueError(f"{who}: give a seed, such as noise=1, or noise=Noise(seed=1, ...)")


def first_state(
    dynamics: Dynamics,
    landscape: Field,
    x0: Any,
    dtype: torch.dtype | None,
    device: torch.device | str | None,
) -> State:
    """The state at time 0, coordinates first.

    `x0` is None (the landscape's start), points `[*batch, *shape]`, or a dict of variables by
    name; those not given are zero. Raises ValueError or TypeError for what does not fit.
    """
    if not isinstance(dynamics, Dynamics):
        raise TypeError(not_a_dynamics(dynamics))
    if not isinstance(landscape, Field):
        raise TypeError(
            f"expected a landscape such as Rosenbrock(2), or Landscape(f, shape=...) for your own "
            f"function; got {landscape!r}"
        )
    given = dict(x0) if isinstance(x0, Mapping) else {} if x0 is None else {"x": x0}
    unknown = sorted(set(given) - set(dynamics.variables))
    if unknown:
        raise ValueError(
            f"{dynamics.name} has no variable {unknown[0]!r}; it has "
            f"{', '.join(dynamics.variables)}"
        )
    x = _tensor("x", given.get("x", landscape.start), dtype, device)
    shape = tuple(landscape.shape)
    rank = len(shape)
    if tuple(x.shape[x.ndim - rank :]) != shape or x.ndim < rank:
        expected = ", ".join(("...", *map(str, shape)))
        raise ValueError(
            f"{landscape.name} takes points of shape ({expected}); got x0 of {tuple(x.shape)}"
        )
    batch = x.shape[: x.ndim - rank]
    variables = {"x": inside(x, rank)}
    for name in dynamics.variables[1:]:
        own = dynamics.shape_of(name, shape)
        full = (*batch, *own)
        kind = torch.float64 if name in dynamics.scalars else x.dtype
        value = _tensor(name, given.get(name, 0.0), kind, x.device)
        try:
            value = value.broadcast_to(full)
        except RuntimeError:
            raise ValueError(
                f"x0[{name!r}] must have shape {full}, or broadcast to it, where x0['x'] has shape "
                f"{tuple(x.shape)}; got {tuple(value.shape)}"
            ) from None
        variables[name] = inside(value, len(own))
    return State(variables, rank)


def _tensor(name: str, value: Any, dtype: torch.dtype | None, device: Any) -> Tensor:
    try:
        # lists and numbers in double precision: torch would read them in single
        plain = not isinstance(value, Tensor | np.ndarray)
        tensor = torch.as_tensor(value, dtype=torch.float64 if plain else None, device=device)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"x0: cannot read {name} as numbers: {error}") from None
    if dtype is None and isinstance(value, Tensor) and tensor.is_floating_point():
        dtype = tensor.dtype
    dtype = dtype or torch.float64
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"dtype must be torch.float32 or torch.float64; got {dtype}")
    if tensor.is_complex():
        raise TypeError(f"x0: {name} must be real; got {tensor.dtype}")
    tensor = tensor.to(dtype)
    wrong = torch.isfinite(tensor).logical_not().nonzero()
    if len(wrong):
        index = tuple(wrong[0].tolist())
        place = f" at {list(index)}" if index else ""
        raise ValueError(f"x0: {name} must be finite; got {tensor[index].item()}{place}")
    return tensor


def not_a_dynamics(value: Any) -> str:
    """What to say where a dynamics is expected and something else came."""
    if isinstance(value, torch.optim.Optimizer) or (
        isinstance(value, type) and issubclass(value, torch.optim.Optimizer)
    ):
        kind = value if isinstance(value, type) else type(value)
        return (
            f"{kind.__name__} is an optimizer already; here the dynamics of that name is expected: "
            f"from dashpot.dynamics import {kind.__name__}"
        )
    if isinstance(value, type) and issubclass(value, Dynamics):
        return f"expected a dynamics such as {value.__name__}(...), not the class {value.__name__}"
    return f"expected a dynamics such as CD(gamma=0.5, c=2.0); got {value!r}"
