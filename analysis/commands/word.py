"""`dashpot word BCDA --dynamics CD`: what theory knows of a word, or the table of all words."""

import inspect
import math
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

import matplotlib.pyplot as plt
import numpy as np
import tyro

from ... import dynamics as catalogue
from ...dynamics import Dynamics
from ...integrators import Word
from ...integrators.files import atomic
from ..plots import plot_stability
from ..sampling.words import sampling_table, sampling_words
from ..stability.maps import stability_map
from ..words.search import search, table
from .description import SAMPLE, describe, is_affine, line
from .errors import BadCallError

ORDINARY = {
    "gamma": 0.5,
    "alpha": 1.0,
    "mu": 1.0,
    "c": 2.0,
    "eps": 1e-8,
    "eta": 1.0,
    "temperature": 1.0,
}


@dataclass(frozen=True)
class Describe:
    """Order, gradients, stability and torch equivalent of a word; without a word, of all of them.

    dashpot word BCDA --dynamics CD --step 0.1; dashpot word "yoshida(BADAB)" --dynamics LDHD
    """

    word: Annotated[str | None, tyro.conf.Positional] = None
    """Letters of one step in order, or a composition such as "suzuki(BADAB)"."""
    dynamics: str = "CD"
    """Name in dashpot.dynamics: LDHD, KFAD, IKFAD, RIKFAD, CD, CADAM, NAG, AdamODE, Langevin..."""
    step: float | None = None
    """Step size h: also tells the largest curvature and the torch optimizer at this h."""
    gamma: float | None = None
    """Linear friction γ (default 0.5)."""
    alpha: float | None = None
    """Decay rate α of ξ or ζ (default 1)."""
    mu: float | None = None
    """Thermal mass μ (default 1)."""
    c: float | None = None
    """Cubic friction c (default 2)."""
    eps: float | None = None
    """CADAM's ε (default 1e-8)."""
    eta: float | None = None
    """Mobility η of gradient flow and NAG (default 1)."""
    temperature: float | None = None
    """Temperature T of Langevin and other dynamics with noise (default 1)."""
    bias_correction: bool = False
    """CADAM and AdamODE with the drift and the clock of torch's Adam (words with T)."""
    gradients: int = 1
    """Gradients per step of the words in the table."""
    figure: Path | None = None
    """Draw the word's stability map into this file (PNG, SVG or PDF)."""

    def check(self) -> None:
        """Everything that can be wrong with a call, before any work is done."""
        if self.step is not None and not (math.isfinite(self.step) and self.step > 0):
            raise BadCallError(f"--step must be a finite number > 0; got {self.step}")
        if self.word is None and self.figure is not None:
            raise BadCallError("--figure draws one word; name it: dashpot word BCDA --figure ...")
        if self.gradients < 1:
            raise BadCallError(f"--gradients must be a whole number >= 1; got {self.gradients}")
        if self.word is not None and self.gradients != 1:
            raise BadCallError("--gradients is for the table; leave the word out")
        if self.figure is not None and self.figure.suffix not in (".png", ".svg", ".pdf"):
            raise BadCallError(f"--figure must end in .png, .svg or .pdf; got {self.figure}")
        try:
            made = self.build()
            if self.word is not None:
                Word(self.word, made)
            elif made.is_noisy and not is_affine(made):
                raise BadCallError(
                    f"{made.name} is not linear on a quadratic, so no law is known to compare its "
                    f"words by; name one, such as dashpot word {made.word} --dynamics {made.name}"
                )
        except (TypeError, ValueError) as error:
            raise BadCallError(str(error)) from None

    def build(self) -> Dynamics:
        """The dynamics with the values given, and ordinary ones for the rest."""
        known = named_dynamics()
        if self.dynamics not in known:
            meant = next((name for name in known if name.lower() == self.dynamics.lower()), None)
            if meant is not None:
                raise BadCallError(f"no --dynamics {self.dynamics}; did you mean {meant}?")
            if self.dynamics in (others := hyperparameters()):
                word = self.word or getattr(catalogue, self.dynamics).word
                without = [name for name in others[self.dynamics] if name not in ORDINARY]
                raise BadCallError(
                    f"{self.dynamics} needs {' and '.join(without)}, for which there are no "
                    f'options; in Python: print(Word("{word}", {self.dynamics}(...)).order())'
                )
            raise BadCallError(
                f"--dynamics must be one of {', '.join(known)}; got {self.dynamics!r} (for others, "
                "and your own, in Python: print(Word(word, dynamics).order()))"
            )
        names = known[self.dynamics]
        given = {name: getattr(self, name) for name in ORDINARY}
        for name, value in given.items():
            if value is not None and name not in names:
                raise BadCallError(
                    f"{self.dynamics} has no --{name}; it has "
                    f"{', '.join(f'--{n}' for n in names) or 'no hyperparameters'}"
                )
        values = {n: ORDINARY[n] if given[n] is None else given[n] for n in names}
        cls = getattr(catalogue, self.dynamics)
        if not self.bias_correction:
            return cls(**values)
        if "bias_correction" not in inspect.signature(cls).parameters:
            raise BadCallError(f"{self.dynamics} has no --bias-correction; CADAM and AdamODE have")
        return cls(**values, bias_correction=True)

    def run(self) -> int:
        made = self.build()
        if self.word is None:
            many = "one gradient" if self.gradients == 1 else f"{self.gradients} gradients"
            print(f"words of {made} with {many} per step\n")
            h = SAMPLE if self.step is None else self.step
            if made.is_noisy:
                print(sampling_table(sampling_words(made, self.gradients, step=h)))
                print(f"\nthe law of each word on f = ½x² at h = {h:g}, over that of the equation")
                return 0
            print(table(search(made, self.gradients, step=h, progress=sys.stderr.isatty())))
            print(f"\nstability and boundedness at h = {h:g}; error at t = 1 on a coupled quartic")
            return 0
        word = Word(self.word, made)
        print("\n".join(describe(word, self.step)))
        if self.figure is not None:
            draw(word, self.figure)
            print(line("figure", str(self.figure)))
        return 0


def named_dynamics() -> dict[str, tuple[str, ...]]:
    """The dynamics that can be made from ordinary hyperparameters, and the names of these."""
    return {name: names for name, names in hyperparameters().items() if set(names) <= set(ORDINARY)}


@cache
def hyperparameters() -> dict[str, tuple[str, ...]]:
    """For every dynamics, the names of what it needs and of what the options can give it."""
    found: dict[str, tuple[str, ...]] = {}
    for name, cls in vars(catalogue).items():
        if not (isinstance(cls, type) and issubclass(cls, Dynamics)):
            continue
        taken = inspect.signature(cls).parameters.values()
        if not any(p.kind is p.VAR_POSITIONAL for p in taken):  # a base class has no own ones
            found[name] = tuple(p.name for p in taken if p.default is p.empty or p.name in ORDINARY)
    return dict(sorted(found.items()))


def draw(word: Word, path: Path) -> None:
    """The stability map of a word as a file."""

    axis = np.linspace(0.01, 4.0, 240)
    found = stability_map(word, axis, np.linspace(0.0, 8.0, 200))
    figure, ax = plt.subplots(figsize=(6.0, 4.2), layout="constrained")
    plot_stability(found, ax=ax)
    with atomic(path) as handle:
        figure.savefig(handle, format=path.suffix[1:], dpi=150)
    plt.close(figure)
