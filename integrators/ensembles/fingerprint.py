"""What a function is made of, so that a saved ensemble knows another one from it."""

import dis
import functools
import hashlib
import types
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

_PLAIN = (str, bytes, bool, int, float, complex, type(None), type(...))


def fingerprint(value: Any) -> str:
    """A short text that differs where the code or the data of `value` differ.

    Of a function: its instructions, constants, default values, what it captured, and what it reads
    from its module; functions of other modules count by name. Of an object: its class and its
    attributes, or what pickle would keep; of what cannot be pickled, its class. The instructions
    of another version of Python are others.
    """
    hashed = hashlib.sha256()
    for piece in _pieces(value, None, ()):
        hashed.update(piece.encode() if isinstance(piece, str) else piece)
        hashed.update(b";")
    return hashed.hexdigest()[:12]


def is_told_by_repr(value: Any) -> bool:
    """Whether its repr says all of it: numbers, texts, and tuples of them."""
    if isinstance(value, tuple | list):
        return all(map(is_told_by_repr, value))
    return isinstance(value, _PLAIN)


def _pieces(value: Any, home: Any, above: tuple[int, ...]) -> Iterable[str | bytes]:
    """`home` has the globals of the module that is looked into, `above` what led here."""
    if isinstance(value, _PLAIN):
        yield f"{type(value).__name__} {value!r}"
        return
    if id(value) in above:  # a function that calls itself
        yield f"again {above.index(id(value))}"
        return
    above = (*above, id(value))
    if isinstance(value, Tensor):
        plain = value.detach().cpu().resolve_conj().resolve_neg()
        yield f"tensor {plain.dtype} {plain.shape}"
        yield plain.reshape(-1).contiguous().view(torch.uint8).numpy().tobytes()
        return
    if isinstance(value, np.ndarray | np.generic):
        yield f"array {value.dtype} {value.shape}"
        yield value.tobytes()
        return
    if isinstance(value, types.FunctionType) and (home is None or home is value.__globals__):
        yield "function"
        yield from _of_function(value, above)
        return
    yield _name(value)
    if _has_a_name(value):
        return
    if isinstance(value, types.CodeType):
        yield value.co_code
        for part in (value.co_consts, value.co_names):
            yield from _pieces(part, home, above)
    elif isinstance(value, types.MethodType):
        yield from _pieces((value.__func__, value.__self__), home, above)
    elif isinstance(value, functools.partial):
        yield from _pieces((value.func, value.args, value.keywords), home, above)
    elif isinstance(value, Mapping):
        for key in value:
            yield from _pieces((key, value[key]), home, above)
    elif isinstance(value, set | frozenset):
        yield from _pieces(sorted(value, key=repr), home, above)
    elif isinstance(value, tuple | list):
        for one in value:
            yield from _pieces(one, home, above)
    else:
        yield from _pieces(_attributes(value), home, above)


def _of_function(function: types.FunctionType, above: tuple[int, ...]) -> Iterable[str | bytes]:
    code, home = function.__code__, function.__globals__
    captured = [_content(cell) for cell in function.__closure__ or ()]
    read = {name: home[name] for name in sorted(_names(code)) if name in home}
    for part in (code, function.__defaults__, function.__kwdefaults__, captured, read):
        yield from _pieces(part, home, above)


def _attributes(value: Any) -> Any:
    if hasattr(value, "__dict__"):
        return vars(value)
    try:
        return value.__reduce_ex__(2)
    except Exception:  # whatever a class answers
        return None


def _names(code: types.CodeType) -> set[str]:
    """What a function, and those within it, read from the module."""
    own = {one.argval for one in dis.get_instructions(code) if one.opname == "LOAD_GLOBAL"}
    inner = [one for one in code.co_consts if isinstance(one, types.CodeType)]
    return own.union(*map(_names, inner))


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


def _has_a_name(value: Any) -> bool:
    """Whether it is known by its name: a module, a class, a function that is not looked into."""
    kinds = (types.ModuleType, type, types.FunctionType, types.BuiltinFunctionType)
    return isinstance(value, kinds)


def _name(value: Any) -> str:
    if isinstance(value, types.ModuleType):
        return f"module {value.__name__}"
    named = value if _has_a_name(value) else type(value)
    return f"{named.__module__}.{named.__qualname__}"
