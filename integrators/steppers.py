"""One step of a run, by a word or by a scheme for the whole vector field."""

from typing import Any, Protocol

from torch import Tensor

from ..dynamics import Dynamics, State
from . import schemes
from .backward import REMEDY, careful_step, largest_start, may_lack_a_past, reason_of
from .field import Field, SampledField
from .noise.draws import SampledGradient, SchemeNoise, Source, WordNoise
from .step import apply
from .words.word import Word


class Stepper(Protocol):
    """Advances a state by the n-th step."""

    def __call__(self, s: State, n: int, /) -> None: ...
    def explain(self, s: State) -> str:
        """Why a step from `s` does not exist; an empty text if it does."""
        ...


class WordStepper:
    """One step of a word, the n-th."""

    def __init__(
        self, plan: Word, step: float | Tensor, landscape: Field, source: Source | None
    ) -> None:
        self.plan, self._landscape = plan, landscape
        self._step: Any = step
        self.is_careful = may_lack_a_past(plan.substeps)
        self._pieces = [(u.part, float(u.fraction) * step) for u in plan.substeps]
        self._noise = source and WordNoise(source, plan.substeps)
        self._sampled = None
        if source is not None and isinstance(landscape, SampledField):
            moves = sum(u.moves_x for u in plan.substeps)
            self._sampled = SampledGradient(source, landscape, moves)
        if self.is_careful and isinstance(step, Tensor):
            raise ValueError(
                f"the word {plan.text!r} has negative fractions of flows that end, which needs one "
                "step size for all trajectories"
            )
        if self.is_careful and source is not None:
            raise ValueError(
                f"the word {plan.text!r} has negative fractions of flows that end, which cannot "
                "be combined with noise; take a word without negative fractions"
            )

    def __call__(self, s: State, n: int) -> None:
        if self.is_careful:
            careful_step(self.plan.substeps, self._step, s, self._landscape.df)
            return
        draw = self._noise and self._noise.at(n)
        if self._sampled is None:
            apply(self._pieces, s, self._landscape.df, draw=draw)
        else:
            self._sampled.begin(n)
            apply(self._pieces, s, self._sampled, after=self._sampled.moved, draw=draw)

    def explain(self, s: State) -> str:
        if not self.is_careful:
            return ""
        plan, step, landscape = self.plan, self._step, self._landscape
        reason = reason_of(careful_step(plan.substeps, step, s.copy(), landscape.df)[1])
        if not reason:
            return ""
        largest = largest_start(plan.substeps, step, s, landscape.df)
        works = "" if largest is None else f" (from there h = {largest:g} works)"
        return f"{reason}; {REMEDY}{works}"


class SchemeStepper:
    """One step of a scheme for the whole vector field, the n-th."""

    def __init__(
        self,
        dynamics: Dynamics,
        method: str,
        step: float | Tensor,
        landscape: Field,
        source: Source | None,
    ) -> None:
        self._dynamics, self._step, self._landscape = dynamics, step, landscape
        self._scheme = schemes.SCHEMES[method]
        self._noise = source and SchemeNoise(source)
        self._sampled = None
        if source is not None and isinstance(landscape, SampledField):
            points = schemes.gradients_per_step(method, dynamics)
            self._sampled = SampledGradient(source, landscape, points)

    def __call__(self, s: State, n: int) -> None:
        noise = self._noise.at(n) if self._noise else {}
        gradient = self._landscape.df
        if self._sampled is not None:
            self._sampled.begin(n)
            gradient = self._sampled.next
        self._scheme(self._dynamics, s, self._step, gradient, noise)

    def explain(self, s: State) -> str:
        return ""
