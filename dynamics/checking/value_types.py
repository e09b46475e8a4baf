"""Does a part run on everything it must: floats, numpy arrays, tensors and lists of tensors?"""

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import elements
from ..noise.noisy import NoisyPart
from ..part import Part
from ..state import State

_TIME = 0.05
_ALLOWED = 1e-10  # a float32 constant in between costs 1e-8


def errors_of_types(part: Part, start: State) -> float:
    """The largest relative difference of rate and flow between tensors and all other types.

    Of a part with noise also its amplitude and increment; its normal numbers are of each type too.

    `start` has tensors; floats are tried where each of its variables is one number. Raises
    ValueError for a part that does not run on some type, or differs there by more than 1e-10.
    """
    # symbols first: they see a branch that tensors would report in words of their own
    symbols = _run(part, start, "symbols (which stand for lists of tensors)", _symbol(start.rank))
    others = {"symbols": symbols, "numpy arrays": _run(part, start, "numpy arrays", _array)}
    if all(v.numel() == 1 for v in _tensors(start).values()):
        others["floats"] = _run(part, start, "floats", _float)
    tensors = _run(part, start, "tensors", lambda value: value)
    worst = 0.0
    for kind, results in others.items():
        for key, expected in tensors.items():
            error = _difference(results[key], expected)
            if not error <= _ALLOWED:
                raise ValueError(
                    f"{type(part).__name__} fails its check: its {key[0]} of {key[1]} is not the "
                    f"same on {kind} as on tensors (error {error:.2g}); use {_WHAT_MAY_BE_USED}"
                )
            worst = max(worst, error)
    return worst


_COUNT = {"flow": "normals", "increment": "path_normals"}
_ELEMENTS = "exp, sqrt, abs, log1p, sin, cos, tanh, maximum, nonzero, phi1, tanh_gap, soft_cap"
_SUMS = "s.total, s.rowmean, s.colmean"
_WHAT_MAY_BE_USED = (
    f"+ - * / ** and the functions of dashpot.dynamics.elements: {_ELEMENTS}; and {_SUMS}"
)


def _run(
    part: Part, start: State, kind: str, convert: Callable[[Tensor], Any]
) -> dict[tuple[str, str], Any]:
    """What a part answers on one type, by ("rate", "flow", ..., and variable)."""
    if kind == "numpy arrays":
        batch = {n: v for n, v in part.hyperparameters.items() if isinstance(v, Tensor)}
        part = part.bind({n: convert(v) for n, v in batch.items()})
    still, moved = (
        State({n: convert(v.clone()) for n, v in _tensors(start).items()}, start.rank)
        for _ in range(2)
    )
    # the step may be a list too, in an optimizer whose parameters took different last steps
    h = convert(torch.tensor(_TIME, dtype=torch.float64)) if kind.startswith("symbols") else _TIME
    with np.errstate(all="ignore"):
        results = {("rate", n): v for n, v in asked(part, "rate", still, kind=kind).items()}
        z: tuple[Any, ...] = ()
        if isinstance(part, NoisyPart):
            results["amplitude", part.noisy] = asked(part, "amplitude", still, kind=kind)
            z = ([convert(v) for v in normals_of(part, start, part.path_normals)],)
            results["increment", "W"] = asked(part, "increment", h, *z, kind=kind)
            z = (z[0][: part.normals],)
        if part.has_flow:
            asked(part, "flow", moved, h, *z, kind=kind)
            results |= {("flow", n): getattr(moved, n) for n in part.writes}
    return results


def normals_of(part: Part, s: State, count: int) -> list[Tensor]:
    """Some numbers, none of them 0, for the noise of a part at the state `s`."""
    if not isinstance(part, NoisyPart):
        return []
    like = getattr(s, part.noisy)
    numbers = torch.linspace(-1.7, 1.9, count * like.numel(), dtype=like.dtype)
    return list(numbers.reshape(count, *like.shape))


def asked(part: Part, what: str, *arguments: Any, kind: str = "tensors") -> Any:
    """What rate or flow returns; ValueError if it fails or returns something else than it must."""
    name = type(part).__name__
    try:
        answer = getattr(part, what)(*arguments)
    except _BranchError:
        raise ValueError(
            f"{name}: no branch on a value in {what}: it must run on whole arrays at once; "
            f"use {_WHAT_MAY_BE_USED}"
        ) from None
    except NotImplementedError:
        raise
    except Exception as error:
        if isinstance(error, AttributeError) and isinstance(error.obj, State):
            text = f"it reads s.{error.name}, which neither `reads` nor `writes` names"
        elif isinstance(error, IndexError) and isinstance(part, NoisyPart):
            text = f"it takes more than {_COUNT[what]}={getattr(part, _COUNT[what])} normal numbers"
        else:
            text = f"{type(error).__name__}: {error}; use {_WHAT_MAY_BE_USED}"
        raise ValueError(f"{name}: its {what} does not run on {kind}: {text}") from error
    if what == "rate" and not isinstance(answer, Mapping):
        raise ValueError(
            f"{name}.rate must return a dict of rates by variable, "
            f"{{{', '.join(f'{n!r}: ...' for n in part.writes)}}}; got {type(answer).__name__}"
        )
    if what == "flow" and answer is not None:
        raise ValueError(
            f"{name}.flow returns something; it must change the state instead: "
            f"{'; '.join(f's.{n} = ...' for n in part.writes)}"
        )
    return answer


def refuse_changes_in_place(part: Part, s: State) -> None:
    """ValueError if rate or flow writes into the arrays it is given."""
    for what in ("rate", "flow") if part.has_flow else ("rate",):
        given = clone(s)
        asked(part, what, given.copy(), *(() if what == "rate" else arguments(part, s, _TIME)))
        for name, value in given.__dict__.items():
            if name != "rank" and not torch.equal(value, getattr(s, name)):
                raise ValueError(
                    f"{type(part).__name__}: {what} changes s.{name} in place; write s.{name} = … "
                    "(others hold the same array)"
                )


def arguments(part: Part, s: State, h: float) -> tuple[Any, ...]:
    """What a flow takes besides the state: the time, and the normal numbers of a noise."""
    return (h, normals_of(part, s, part.normals)) if isinstance(part, NoisyPart) else (h,)


def clone(s: State) -> State:
    return s.copy(**{n: v.clone() for n, v in s.__dict__.items() if isinstance(v, Tensor)})


def _tensors(s: State) -> dict[str, Tensor]:
    return {n: v for n, v in s.__dict__.items() if n != "rank"}


def _array(value: Tensor) -> Any:
    return value.detach().numpy()


def _float(value: Tensor) -> Any:
    return value.reshape(-1)[0].item()


def _symbol(rank: int) -> Callable[[Tensor], Any]:
    return lambda value: Symbol(value, rank)


def _difference(a: Any, b: Any) -> float:
    a = a.value if isinstance(a, Symbol) else a
    u, v = torch.as_tensor(a, dtype=torch.float64), torch.as_tensor(b, dtype=torch.float64)
    same = (u == v) | (u.isnan() & v.isnan())
    return torch.where(same, 0.0, (u - v).abs() / (1 + v.abs())).max().item()


class _BranchError(Exception):
    """Somebody asked whether a value is true."""


def _method(function: Callable[..., Any], *, reflected: bool = False) -> Callable[..., Any]:
    def method(self: "Symbol", *others: Any) -> "Symbol":
        values = [v.value if isinstance(v, Symbol) else v for v in (self, *others)]
        return Symbol(function(*(reversed(values) if reflected else values)), self.rank)

    return method


def _reduction(function: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: "Symbol", *others: "Symbol") -> "Symbol":
        values = (v.value for v in (self, *others))
        return Symbol(function(*values, self.rank), self.rank)

    return method


def _refuse(*_: Any) -> bool:
    raise _BranchError


class Symbol:
    """A tensor of which nothing can be asked but what a flow may use."""

    __slots__ = ("rank", "value")
    __array_ufunc__ = None  # numpy leaves arithmetic with it to the methods below

    def __init__(self, value: Tensor, rank: int) -> None:
        self.value, self.rank = value, rank

    __add__, __radd__ = _method(operator.add), _method(operator.add)
    __sub__, __rsub__ = _method(operator.sub), _method(operator.sub, reflected=True)
    __mul__, __rmul__ = _method(operator.mul), _method(operator.mul)
    __truediv__ = _method(operator.truediv)
    __rtruediv__ = _method(operator.truediv, reflected=True)
    __pow__, __neg__ = _method(operator.pow), _method(operator.neg)

    exp, sqrt, abs = _method(elements.exp), _method(elements.sqrt), _method(elements.abs)
    log1p, phi1 = _method(elements.log1p), _method(elements.phi1)
    sin, cos, tanh = _method(elements.sin), _method(elements.cos), _method(elements.tanh)
    maximum, nonzero = _method(elements.maximum), _method(elements.nonzero)
    tanh_gap = _method(elements.tanh_gap)

    total, rowmean = _reduction(elements.total), _reduction(elements.rowmean)
    colmean, where_matrix = _reduction(elements.colmean), _reduction(elements.where_matrix)

    __bool__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
