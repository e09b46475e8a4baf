"""The call that makes a dynamics: what its class takes, and how it is typed."""

import inspect
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
from torch import Tensor

from .part import Part


def signature(cls: type) -> inspect.Signature:
    """What the constructor of a class takes, without `self`."""
    whole = inspect.signature(cls.__init__)
    return whole.replace(parameters=[*whole.parameters.values()][1:])


def refuse_unknown(cls: type, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
    """TypeError for arguments that the class does not have, with those that it has."""
    parameters = signature(cls).parameters.values()
    kinds = {p.kind for p in parameters}
    names = [p.name for p in parameters]
    takes = f"takes {', '.join(str(p).split('=')[0].split(':')[0] for p in parameters)}"
    unknown = (
        [] if inspect.Parameter.VAR_KEYWORD in kinds else [k for k in kwargs if k not in names]
    )
    if unknown:
        close = get_close_matches(unknown[0], names, 1)
        hint = f"did you mean {close[0]!r}? It" if close else "it"
        raise TypeError(f"{cls.__name__} has no argument {unknown[0]!r}; {hint} {takes}")
    if inspect.Parameter.VAR_POSITIONAL not in kinds and len(args) > len(names):
        raise TypeError(f"{cls.__name__} {takes}; got {len(args)} values")


def typed(made: Any, base: type) -> str:
    """The expression that makes a dynamics again, with what `bind` and `with_part` changed.

    base: the class of dynamics that are made from their parts.
    Numbers are written to the last digit, several (one per trajectory) as torch prints them. A
    class without arguments of its own is written by its parts.
    """
    cls = type(made)
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    if any(p.kind in variadic for p in signature(cls).parameters.values()):
        return _by_parts(made, base)
    own = made.arguments
    try:
        again = cls(**own)
    except (TypeError, ValueError):  # `bind` does not check what it is given
        return _by_parts(made, base)
    text = f"{cls.__name__}({_keywords(own)})"
    for letter in [a for a in made.parts if a not in again.parts]:
        text += f".with_part({made.parts[letter]!r})"
        again = again.with_part(made.parts[letter])
    before = again.hyperparameters
    changed = {k: v for k, v in made.hyperparameters.items() if repr(v) != repr(before.get(k))}
    if not changed:
        return text
    return f"{text}.bind({{{', '.join(f'{k!r}: {_number(v)}' for k, v in changed.items())}}})"


def _by_parts(made: Any, base: type) -> str:
    by_letter: dict[str, Part] = {}
    for whole in made.combined.values():
        by_letter.update(dict.fromkeys((part.letter for part in whole.split()), whole))
    parts = [by_letter.get(letter, part) for letter, part in made.parts.items()]
    cls = type(made) if type(made).__init__ is base.__init__ else base
    settings = {"word": made.word}
    if made.name != cls.__name__:
        settings["name"] = made.name
    if made.citation != cls.citation:
        settings["citation"] = made.citation
    once = {id(part): repr(part) for part in parts}.values()
    return f"{cls.__name__}({', '.join((*once, _keywords(settings)))})"


def _keywords(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={_number(value)}" for name, value in values.items())


def name_of(function: Callable[..., Any]) -> str:
    """How a function is shown: by its name, without an address."""
    return getattr(function, "__name__", None) or repr(function)


def _number(value: Any) -> str:
    if callable(value):
        return name_of(value)
    single = isinstance(value, np.generic | np.ndarray | Tensor) and value.ndim == 0
    return repr(value.item() if single else value)
