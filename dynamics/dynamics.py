"""A dynamics: named parts whose rates add up to a vector field."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any, Self

import torch

from .call import refuse_unknown, signature, typed
from .noise.noisy import NoisyPart, heating
from .part import Part, is_scalar
from .state import State


class Dynamics:
    """A vector field made of parts.

        mine = Dynamics(Drift(), Kick(), LinearDamping(0.1), Quintic(1.0))

    Parameters
        parts      one `Part` per letter; a combined part (G = C + D) also provides its summands
        word       default order of the letters in a step; without it the parts that read the
                   gradient come first and those that move x last, which keeps steps bounded
        name       shown in results and messages
        citation   where the dynamics comes from

    Attributes
        parts            the summands, by letter
        combined         parts that stand for several summands, by letter
        variables        names of the state variables, x first
        hyperparameters  name and value; the same name in two parts is one hyperparameter
        arguments        of its class: what a subclass was made from, by name

    Raises TypeError for something that is not a part, ValueError for two parts of one letter,
    one hyperparameter name with two values, two noises with one driver, or a system in which
    nothing moves x.
    """

    word: str
    citation: str = ""
    _call: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        first = args[0] if args else None
        iterable = isinstance(first, Iterable) and not isinstance(first, str)
        parameters = iterable and not is_scalar(first)
        foreign = {"lr", "params"} & kwargs.keys() - signature(cls).parameters.keys()
        if cls is not Dynamics and (foreign or parameters):
            raise TypeError(
                f"dashpot.dynamics.{cls.__name__} is the dynamics and takes no parameters or lr; "
                f"the optimizer is optim.{cls.__name__}(params, lr=...): "
                "from dashpot.integrators import optim"
            )
        if args or kwargs:  # none when a dynamics is copied, as every optimizer step does
            refuse_unknown(cls, args, kwargs)
        made = super().__new__(cls)
        made._call = args, kwargs
        return made

    def __init__(
        self, *parts: Part, word: str | None = None, name: str | None = None, citation: str = ""
    ) -> None:
        self.parts: dict[str, Part] = {}
        self.combined: dict[str, Part] = {}
        for part in parts:
            if not isinstance(part, Part):
                hint = f"{part.__name__}(...)" if isinstance(part, type) else "Drift()"
                raise TypeError(f"Dynamics takes parts such as {hint}; got {part!r}")
            summands = part.split()
            if summands != (part,):
                self.combined[part.letter] = part
            for summand in summands:
                if summand.letter in self.parts:
                    raise ValueError(
                        f"two parts have the letter {summand.letter}: "
                        f"{self.parts[summand.letter]} and {summand}; "
                        "give one of them another free letter"
                    )
                self.parts[summand.letter] = summand
        self.name = name or type(self).__name__
        self.citation = citation or type(self).citation
        _refuse_conflicts(self.parts)
        _refuse_correlated_noise(self.parts, self.combined)
        moved = _unique(v for part in self.parts.values() for v in part.writes)
        if "x" not in moved:
            raise ValueError(f"{self.name}: no part moves x; add Drift()")
        read = _unique(v for part in self.parts.values() for v in part.reads if v != "g")
        self.variables: tuple[str, ...] = _unique(("x", *moved, *read))
        self.scalars: tuple[str, ...] = _unique(
            v for part in self.parts.values() for v in part.scalars
        )
        unknown = [a for a in word or "" if a.isupper() and a not in self.letters]
        if unknown:
            raise ValueError(
                f"{self.name}: the default word {word!r} has the letter {unknown[0]!r}, but the "
                f"parts have {', '.join(self.letters)}"
            )
        self.word = word or getattr(type(self), "word", "") or _cautious_word(self.parts)

    @property
    def letters(self) -> dict[str, Part]:
        """Every letter a word may use: the summands and the combined parts."""
        return {**self.parts, **self.combined}

    @property
    def is_noisy(self) -> bool:
        """Whether it is a stochastic equation: some part takes normal numbers."""
        return any(part.normals for part in self.parts.values())

    @property
    def hyperparameters(self) -> dict[str, Any]:
        return {k: v for part in self.parts.values() for k, v in part.hyperparameters.items()}

    @property
    def arguments(self) -> dict[str, Any]:
        """The named arguments of its class: numbers, and options that differ from their default.

        Those that are hyperparameters have the values they have now, also after `bind`.
        """
        args, kwargs = self._call
        call = signature(type(self)).bind(*args, **kwargs)
        call.apply_defaults()
        named = {
            p.name: p.default
            for p in call.signature.parameters.values()
            if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        }
        given = {**call.arguments, **self.hyperparameters}
        return {
            name: given[name]
            for name, default in named.items()
            if is_scalar(given[name]) or given[name] != default
        }

    def shape_of(self, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of a variable where x has `shape`: like x unless a part that has it differs."""
        parts = [p for p in self.parts.values() if name in (*p.writes, *p.reads)]
        shapes = (part.shape_of(name, shape) for part in parts)
        return next((own for own in shapes if own != shape), shape)

    def bind(self, values: Mapping[str, Any]) -> Self:
        """A copy with other hyperparameter values, unchecked (see `Part.bind`)."""
        bound = copy.copy(self)
        bound.parts = {letter: part.bind(values) for letter, part in self.parts.items()}
        bound.combined = {letter: part.bind(values) for letter, part in self.combined.items()}
        return bound

    def with_part(self, part: Part) -> Self:
        """A copy with one part more; its word is left as it is."""
        extended = copy.copy(self)
        whole = Dynamics(*self.parts.values(), part, name=self.name)
        extended.parts, extended.variables, extended.scalars = (
            whole.parts,
            whole.variables,
            whole.scalars,
        )
        return extended

    def rate(self, s: State) -> dict[str, Any]:
        """The vector field at `s`: the sum of the parts' rates, by variable. Needs `s.g`."""
        rates: dict[str, Any] = {}
        for part in self.parts.values():
            for name, value in part.rate(s).items():
                rates[name] = rates[name] + value if name in rates else value
        return rates

    def mechanical_energy(self, s: State, potential: Any) -> Any:
        """`potential` + the kinetic energy: f − f* + ½|p|² (mass m: |p|²/(2m); CADAM: H_C)."""
        kinetic = (part.energy(s) for part in self.parts.values() if "x" in part.writes)
        return sum(kinetic, start=potential)

    def energy(self, s: State, potential: Any) -> Any:
        """The Lyapunov energy: `potential` + everything the parts store (iKFAD: + μ/2 |ξ|²)."""
        return sum((part.energy(s) for part in self.parts.values()), start=potential)

    def energy_rate(self, s: State) -> Any:
        """d/dt of `energy` along the exact flow, by the chain rule. Needs tensors and `s.g`.

        With noise it is the expected rate, with Itô's term ½ Σ σᵢ² ∂²E/∂vᵢ²; for noise on x that
        needs second derivatives of the landscape, which are not known here: ValueError.
        """
        rates = self.rate(s)
        names = tuple(n for n in rates if n != "x")

        def stored(*values: Any) -> Any:
            moved = s.copy(**dict(zip(names, values, strict=True)))
            return torch.as_tensor(self.energy(moved, 0.0))

        slope = s.total(s.g * rates["x"])
        if names:
            primals = tuple(getattr(s, n) for n in names)
            tangents = tuple(rates[n] for n in names)
            slope = slope + torch.func.jvp(stored, primals, tangents)[1]
        noisy = [part for part in self.parts.values() if isinstance(part, NoisyPart)]
        return sum((heating(part, s, lambda at: self.energy(at, 0.0)) for part in noisy), slope)

    def __repr__(self) -> str:
        return typed(self, Dynamics)


def _unique(names: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _refuse_conflicts(parts: Mapping[str, Part]) -> None:
    seen: dict[str, tuple[Part, Any]] = {}
    for part in parts.values():
        for name, value in part.hyperparameters.items():
            first, known = seen.setdefault(name, (part, value))
            if known is not value and not bool((torch.as_tensor(known) == value).all()):
                raise ValueError(
                    f"the hyperparameter {name} is {known} in {type(first).__name__} and {value} "
                    f"in {type(part).__name__}; give both the same value, or rename the field"
                )


def _refuse_correlated_noise(parts: Mapping[str, Part], combined: Mapping[str, Part]) -> None:
    known: dict[str, NoisyPart] = {}
    for part in parts.values():
        if not isinstance(part, NoisyPart):
            continue
        if part.driver in known:
            raise ValueError(
                f"correlated noise is not supported: {known[part.driver]} and {part} both have "
                f"the driver {part.driver!r}; give each its own"
            )
        known[part.driver] = part
    for part in combined.values():
        own, theirs = _drivers((part,)), _drivers(part.split())
        if own != theirs:
            raise ValueError(
                f"{part} must have the driver of its noisy summand: they have "
                f"{', '.join(theirs) or 'none'}, it has {', '.join(own) or 'none'}"
            )


def _drivers(parts: Iterable[Part]) -> list[str]:
    return [part.driver for part in parts if isinstance(part, NoisyPart)]


def _cautious_word(parts: Mapping[str, Part]) -> str:
    def rank(letter: str) -> int:
        part = parts[letter]
        return 2 if "x" in part.writes else 0 if "g" in part.reads else 1

    return "".join(sorted(parts, key=rank))
