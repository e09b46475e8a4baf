"""One step of a word or a scheme with given normal numbers: what the exact measures run on."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ...dynamics import Dynamics, NoisyPart, State
from ...dynamics.elements import sqrt
from ...integrators import Word
from ...integrators.schemes import SCHEMES, Method, refuse_scheme
from ...integrators.start import not_a_dynamics
from ...integrators.step import apply
from ..stability.linear import with_dynamics


class OneStep:
    """A step of a word, or of a scheme for the whole vector field, as a function of its normals.

    scheme   a word with its dynamics; or a dynamics, for its default word or a `method`
    method   as in `simulate`
    name     the word, or the method
    normals  standard normal numbers that a coordinate takes in a step: those of the noisy
             letters in order; for a method one for every Brownian motion

    Raises TypeError or ValueError for what does not fit.
    """

    def __init__(self, scheme: Word | Dynamics, method: Method = "word") -> None:
        if isinstance(scheme, str):
            raise TypeError(
                f"expected a Word with its dynamics: Word({scheme!r}, dynamics), or a dynamics; "
                f"got {scheme!r}"
            )
        if not isinstance(scheme, Word | Dynamics):
            raise TypeError(not_a_dynamics(scheme))
        if method != "word":
            refuse_scheme(method, scheme if isinstance(scheme, Word) else None)
        self._scheme = SCHEMES.get(method)
        if isinstance(scheme, Dynamics) and self._scheme is not None:
            # without its word, which a dynamics whose parts have no flows does not have
            self.dynamics, self.name, self._substeps = scheme, method, ()
        else:
            plan = Word(scheme.word, scheme) if isinstance(scheme, Dynamics) else scheme
            self.dynamics, self.name = with_dynamics(plan), plan.text
            self._substeps = plan.substeps
        noisy = [p for p in self.dynamics.parts.values() if isinstance(p, NoisyPart)]
        self._drivers = list(dict.fromkeys(part.driver for part in noisy))
        self._first: dict[int, int] = {}  # of a noisy letter's numbers, by its place
        count = 0
        for place, substep in enumerate(self._substeps):
            if isinstance(substep.part, NoisyPart):
                self._first[place] = count
                count += substep.part.normals
        self.normals = count if self._scheme is None else len(self._drivers)

    def __call__(
        self,
        s: State,
        h: Any,
        z: Any,
        gradient: Callable[[Any], Any],
        values: Mapping[str, Any] | None = None,
    ) -> None:
        """Advance `s` by h with the numbers z[j], each shaped like x, and `values` bound."""
        values = values or {}
        if self._scheme is not None:
            noise = {driver: sqrt(h) * z[j] for j, driver in enumerate(self._drivers)}
            self._scheme(self.dynamics.bind(values), s, h, gradient, noise)
            return
        pieces = [(sub.part.bind(values), float(sub.fraction) * h) for sub in self._substeps]

        def draw(place: int) -> Iterator[tuple[Any, Any]]:
            part, first = self._substeps[place].part, self._first[place]
            yield pieces[place][1], z[first : first + part.normals]

        apply(pieces, s, gradient, draw=draw)
