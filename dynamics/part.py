"""A part: one summand of a vector field, with its rate of change and its flow."""

import copy
import math
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

import numpy as np
import torch
from torch import Tensor

from .elements import Scalar
from .state import State


@dataclass(frozen=True)
class Range:
    """The valid range of a hyperparameter: finite, and >= 0 or > 0 where so declared."""

    text: str
    lowest: float = -math.inf
    included: bool = True

    def holds(self, value: Scalar) -> bool:
        try:
            v = torch.as_tensor(value, dtype=torch.float64).detach()
        except OverflowError:  # an integer beyond the largest float
            return False
        above = v >= self.lowest if self.included else v > self.lowest
        return bool((torch.isfinite(v) & above).all())


Kind = Literal["exact", "symmetric", "consistent"]
FINITE = Range("a finite number")
NonNegative = Annotated[Scalar, Range("a finite number >= 0", 0.0)]
Positive = Annotated[Scalar, Range("a finite number > 0", 0.0, included=False)]


def is_scalar(value: Any) -> bool:
    """Whether a field holds a number (or numbers) that can be bound anew: a hyperparameter."""
    return isinstance(value, float | int | Tensor | np.ndarray | np.generic) and not isinstance(
        value, bool
    )


def is_letter(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 1 and "A" <= value <= "Z"


@dataclass(frozen=True)
class Part:
    """One summand of a vector field; subclass it as a small frozen dataclass.

        @dataclass(frozen=True)
        class Quintic(Part):
            '''p' = -k p^5; exact flow p / (1 + 4 k h p^4)^(1/4).'''
            letter, reads, writes = "Q", ("p",), ("p",)
            k: NonNegative
            def rate(self, s):    return {"p": -self.k * s.p**5}
            def flow(self, s, h): s.p = s.p / sqrt(sqrt(1 + 4 * self.k * h * s.p**4))

    Class facts
        letter    one capital, the part's name in words
        reads     variables the rate and the flow depend on; "g" is the gradient at x
        writes    variables the part changes; exactly the keys of `rate`
        kind      "exact" (the flow is the solution), "symmetric" (second order, S(-h) S(h) = 1), or
                  "consistent" (first order: only d/dh flow at h = 0 is the rate)
        normals   standard normal numbers per coordinate the flow consumes (0: deterministic)
        reversible  whether there is a flow backwards in time at all (False: noise, for example)

    A flow that exists backwards for a limited time only says so by the method `backward_limit`;
    without one, words with negative fractions rely on NaN beyond that time.

    Variables are shaped like x unless `scalars` or `shape_of` says otherwise.

    Fields are hyperparameters; annotate them `NonNegative`, `Positive` or `Scalar` (any finite
    number) and they are checked when the part is made (ValueError). Write `rate` and `flow` with
    + - * / and the functions of `dashpot.dynamics.elements`. `check(part)` tests a new part.
    """

    letter: ClassVar[str]
    reads: ClassVar[tuple[str, ...]]
    writes: ClassVar[tuple[str, ...]]
    kind: ClassVar[Kind] = "exact"
    normals: ClassVar[int] = 0
    reversible: ClassVar[bool] = True

    def __init_subclass__(cls, *, abstract: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if abstract:  # the base of other parts, not one itself
            return
        for name in ("letter", "reads", "writes"):
            if not hasattr(cls, name):
                raise TypeError(f"{cls.__name__} must declare `{name}`; see Part for an example")
        if not is_letter(cls.letter):
            raise TypeError(f"{cls.__name__}.letter must be one capital A to Z; got {cls.letter!r}")
        for name in ("reads", "writes"):
            if isinstance(getattr(cls, name), str):
                raise TypeError(
                    f'{cls.__name__}.{name} must be a tuple of names such as ("p",); '
                    f"got the string {getattr(cls, name)!r}"
                )
        if cls.kind not in get_args(Kind):
            raise TypeError(
                f"{cls.__name__}.kind must be 'exact', 'symmetric' or 'consistent'; "
                f"got {cls.kind!r}"
            )
        if not isinstance(cls.normals, int) or isinstance(cls.normals, bool) or cls.normals < 0:
            raise TypeError(
                f"{cls.__name__}.normals must be a whole number >= 0; got {cls.normals!r}"
            )
        if not isinstance(cls.reversible, bool):
            raise TypeError(
                f"{cls.__name__}.reversible must be True or False; got {cls.reversible!r}"
            )

    def __post_init__(self) -> None:
        declared = ranges(type(self))
        for name, value in self.hyperparameters.items():
            valid = declared.get(name, FINITE)
            if not valid.holds(value):
                raise ValueError(_refusal(self, name, valid, value))
        for name, valid in declared.items():
            if name not in self.hyperparameters:
                raise ValueError(_refusal(self, name, valid, repr(getattr(self, name))))

    def rate(self, s: State) -> dict[str, Any]:
        """The time derivative this part contributes, by variable."""
        raise NotImplementedError(f"{type(self).__name__} has no rate")

    def flow(self, s: State, h: Scalar) -> None:
        """Advance `s` by the time h under this part alone."""
        raise NotImplementedError(
            f"{type(self).__name__} has no flow, so it cannot stand in a word; "
            "use solve(...), which needs the rate only"
        )

    def backward_limit(self, s: State) -> Any:
        """The time for which the flow exists backwards from `s`, ∞ for most; it ends before that.

        A number, or one per system or per coordinate; a step that asks for more is refused,
        whatever the flow returns. Time itself starts at 0: a part that advances t has a past of
        t, unless it says otherwise. If `reads` names the gradient, `s.g` is given.
        """
        return s.t if "t" in self.writes else math.inf

    def energy(self, s: State) -> Any:
        """The energy this part keeps in the variables other than x; 0 for most."""
        return 0.0

    def split(self) -> tuple["Part", ...]:
        """The parts whose sum this is: itself, unless it combines several letters."""
        return (self,)

    @property
    def scalars(self) -> tuple[str, ...]:
        """The variables it writes that hold one number per system, not one per coordinate."""
        return ()

    def shape_of(self, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of one of its variables where x has `shape`: like x, or () for `scalars`.

        Override it for a variable of another shape, such as one number per row of a matrix.
        """
        return () if name in self.scalars else shape

    @property
    def has_flow(self) -> bool:
        return type(self).flow is not Part.flow

    @property
    def has_backward_limit(self) -> bool:
        return "t" in self.writes or type(self).backward_limit is not Part.backward_limit

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """Name and value of every numeric field."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in values.items() if is_scalar(value)}

    @property
    def options(self) -> dict[str, Any]:
        """The other fields, such as a scheme, where they differ from their default."""
        return {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if f.default is not MISSING
            and not is_scalar(getattr(self, f.name))
            and getattr(self, f.name) != f.default
        }

    def bind(self, values: Mapping[str, Any]) -> Self:
        """A copy with other hyperparameter values, unchecked: tensors, arrays or symbols."""
        bound = copy.copy(self)
        for name in self.hyperparameters:
            if name in values:
                object.__setattr__(bound, name, values[name])
        return bound


def _refusal(part: Part, name: str, valid: Range, value: Any) -> str:
    return f"{name} must be {valid.text}; got {value} (in {type(part).__name__})"


def ranges(cls: type[Part]) -> dict[str, Range]:
    """The valid ranges of the fields that are annotated as numbers."""
    try:
        hints = typing.get_type_hints(cls, include_extras=True)
    except NameError:  # a class made inside a function, with annotations kept as text
        hints = {}
    return {
        name: valid
        for name, hint in hints.items()
        for valid in (FINITE if hint == Scalar else None, *getattr(hint, "__metadata__", ()))
        if isinstance(valid, Range)
    }
