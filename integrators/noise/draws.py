"""What a run draws from its noise: normal numbers for letters, increments of W, minibatches."""

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import accumulate
from typing import Any

from torch import Tensor

from ...dynamics import SILENCE, Dynamics, NoisyPart, Part, State
from ...dynamics.elements import sqrt
from ..field import SampledField
from ..step import Draw
from ..words.word import Substep
from .noise import SAMPLES, Noise, channel_of


def quiet(pieces: Sequence[tuple[Part, Any]]) -> Draw:
    """A draw without noise: every normal number is 0."""
    return lambda place: [(pieces[place][1], SILENCE)]


def by_driver(substeps: Sequence[Substep]) -> list[list[int]]:
    """The places of a word's noisy letters, in order, for each Brownian motion."""
    drivers: dict[str, list[int]] = {}
    for place, substep in enumerate(substeps):
        if isinstance(substep.part, NoisyPart):
            drivers.setdefault(substep.part.driver, []).append(place)
    return list(drivers.values())


class Source:
    """The Brownian motions of a run: one for every driver, trajectory and coordinate.

    Time is cut into ticks. Without `noise.finest` a step has as many ticks as a word has flows
    of the same driver; with it a tick lasts `finest`, and flows take the ticks in their window.

    Raises ValueError if `finest` does not divide the step.
    """

    def __init__(self, noise: Noise, dynamics: Dynamics, s: State, step: float | Tensor) -> None:
        self.noise = noise
        self.step: Any = step
        self.dynamics = dynamics
        self._batch = tuple(s.x.shape[s.rank :])
        shape = tuple(s.x.shape[: s.rank])
        self._kinds = {
            name: (dynamics.shape_of(name, shape), getattr(s, name).dtype)
            for name in dynamics.variables
        }
        self._device = s.x.device
        self.per_step: int | None = None
        if noise.finest is not None:
            if isinstance(step, Tensor):
                raise ValueError("finest needs one step size for all trajectories")
            ratio = step / noise.finest
            self.per_step = round(ratio)
            if self.per_step < 1 or not math.isclose(ratio, self.per_step, rel_tol=1e-9):
                raise ValueError(
                    f"finest must be the step or a whole fraction of it, such as step/8; got "
                    f"finest = {noise.finest:g} with step = {step:g}"
                )

    @property
    def tick(self) -> Any:
        """How long a tick lasts: a whole fraction of the step, `finest` but for rounding."""
        return self.step / (self.per_step or 1)

    def normals(self, part: NoisyPart, tick: int, count: int) -> Tensor:
        """[count, *shape of the noisy variable, *batch], standard normal."""
        shape, dtype = self._kinds[part.noisy]
        channel = channel_of(part.driver)
        z = self.noise.normals(tick, channel, count, math.prod(shape), math.prod(self._batch))
        return z.reshape(count, *shape, *self._batch).to(self._device, dtype)

    def uniforms(self, tick: int, count: int) -> Tensor:
        """[count, *batch] in [0, 1)."""
        u = self.noise.uniforms(tick, SAMPLES, 1, count, math.prod(self._batch))
        return u.reshape(count, *self._batch).to(self._device)

    def increment(self, part: NoisyPart, ticks: range) -> Any:
        """W of the part's driver over several ticks."""
        parts = (part.increment(self.tick, self.normals(part, k, part.path_normals)) for k in ticks)
        return sum(parts, start=0.0)


class WordNoise:
    """The normal numbers of the noisy letters of a word.

    The n-th step's flows of one driver follow one another on its Brownian motion: a letter that
    comes after others of its driver, which had the time a·h, has the window from (n + a) h on.
    With `finest` an exact flow runs through the ticks of its window one by one, so that it adds
    up exactly over any step; a consistent one gets the increment of W over its window.

    Raises ValueError if `finest` does not divide the time of a letter.
    """

    def __init__(self, source: Source, substeps: Sequence[Substep]) -> None:
        self._source = source
        self.windows: dict[int, Window] = {}
        for places in by_driver(substeps):
            ends = accumulate(substeps[place].fraction for place in places)
            for number, (place, end) in enumerate(zip(places, ends, strict=True)):
                ticks = number, number + 1, len(places)
                if source.per_step is not None:
                    ticks = _ticks(substeps[place], end, source.per_step)
                self.windows[place] = Window(substeps[place], source.step, *ticks)

    def at(self, step: int) -> Draw:
        """The draw of one step."""

        def draw(place: int) -> Iterator[tuple[Any, Any]]:
            window, source = self.windows[place], self._source
            part, ticks = window.part, window.of_step(step)
            if source.per_step is None:
                yield window.time, source.normals(part, ticks[0], part.normals)
            elif part.kind == "exact":
                for tick in ticks:
                    yield source.tick, source.normals(part, tick, part.normals)
            else:
                yield window.time, (source.increment(part, ticks) / sqrt(window.time),)

        return draw


class Window:
    """Which ticks a noisy letter takes in every step."""

    def __init__(self, substep: Substep, step: Any, first: int, last: int, per_step: int) -> None:
        assert isinstance(substep.part, NoisyPart)
        self.part = substep.part
        self.time = float(substep.fraction) * step
        self.first, self.last, self.per_step = first, last, per_step

    def of_step(self, step: int) -> range:
        return range(step * self.per_step + self.first, step * self.per_step + self.last)


def _ticks(substep: Substep, end: Fraction, per_step: int) -> tuple[int, int, int]:
    first, last = (end - substep.fraction) * per_step, end * per_step
    if first.denominator != 1 or last.denominator != 1:
        part = substep.part
        raise ValueError(
            f"finest = step/{per_step} does not divide the time of letter {part.letter} "
            f"({type(part).__name__}), which runs for {substep.fraction} of a step; take "
            f"finest = step/{per_step * math.lcm(first.denominator, last.denominator)}"
        )
    return int(first), int(last), per_step


class SchemeNoise:
    """The increments of W in a step, for schemes that know amplitudes only."""

    def __init__(self, source: Source) -> None:
        self._source = source
        parts = source.dynamics.parts.values()
        self._parts = {part.driver: part for part in parts if isinstance(part, NoisyPart)}

    def at(self, step: int) -> dict[str, Tensor]:
        """By driver, each shaped like its noisy variable."""
        per_step = self._source.per_step or 1
        ticks = range(step * per_step, (step + 1) * per_step)
        return {d: self._source.increment(part, ticks) for d, part in self._parts.items()}


class SampledGradient:
    """The gradients of a landscape that samples them: a new sample wherever x has moved.

    The sample is numbered by how often x had moved, so that it is the same one whether the
    gradient at the end of a step was kept for the next or a resumed run takes it again.
    """

    def __init__(self, source: Source, landscape: SampledField, moves: int) -> None:
        self._source, self._landscape, self._moves = source, landscape, moves
        self._position = 0

    def begin(self, step: int) -> None:
        self._position = step * self._moves

    def moved(self, part: Part, s: State) -> None:
        """To be told after every part."""
        self._position += "x" in part.writes

    def next(self, x: Tensor) -> Tensor:
        """The gradient at a new point."""
        gradient = self(x)
        self._position += 1
        return gradient

    def __call__(self, x: Tensor) -> Tensor:
        u = self._source.uniforms(self._position, self._landscape.uniforms)
        return self._landscape.df_sampled(x, u)
