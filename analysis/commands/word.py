"""`dashpot word BCDA --dynamics CD`: what theory knows of a word, or the table of all words."""

import inspect
import math
import sys
import textwrap
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Annotated

import matplotlib.pyplot as plt
import numpy as np
import tyro

from ... import dynamics as catalogue
from ...dynamics import Dynamics
from ...integrators import Word
from ...integrators.backward import may_lack_a_past
from ...integrators.convert import to_adam, to_sgd
from ...integrators.files import atomic
from ..plots import plot_stability
from ..sampling.equation import stationary_exact
from ..sampling.linear import moment_map
from ..sampling.words import sampling_table, sampling_words
from ..stability.large_steps import LADDER, boundedness
from ..stability.maps import stability_limit, stability_map
from ..words.search import search, table
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
FRICTIONS = (0.0, 0.5, 2.0, 6.0)  # γh at which the stability limit is told
NONE = 1e-6  # a limit of stability below it is none
SAMPLE = 0.1  # the step size at which the rest is told, unless one is given


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
            print(_line("figure", str(self.figure)))
        return 0


@cache
def named_dynamics() -> dict[str, tuple[str, ...]]:
    """The dynamics that can be made from ordinary hyperparameters, and the names of these."""
    found: dict[str, tuple[str, ...]] = {}
    for name, cls in vars(catalogue).items():
        if isinstance(cls, type) and issubclass(cls, Dynamics) and cls is not Dynamics:
            required = inspect.signature(cls).parameters.values()
            names = tuple(p.name for p in required if p.default is p.empty or p.name in ORDINARY)
            if set(names) <= set(ORDINARY):
                found[name] = names
    return dict(sorted(found.items()))


def describe(word: Word, step: float | None) -> list[str]:
    """The lines that `dashpot word` prints."""
    made = _made(word)
    lines = [f"{word.text} of {made!r}", ""]
    for place, substep in enumerate(word.substeps):
        law = (inspect.getdoc(type(substep.part)) or "").splitlines()[0]
        law = law.partition(";")[0].rstrip(".")
        time = "h" if substep.fraction == 1 else f"{_fraction(substep.fraction)} h"
        lines.append(_line("" if place else "a step", f"{substep.part.letter}  {time:<12}{law}"))
    lines += [
        "",
        _line("weak order" if made.is_noisy else "order", str(word.order())[len("order ") :]),
        _line("gradients", f"{word.gradients_per_step} per step"),
        *(_stability(word, step) if not made.is_noisy or is_affine(made) else []),
        *(_sampling(word, step) if made.is_noisy else []),
        _line("adjoint", _adjoint(word)),
        _line("torch", _torch(word, step)),
    ]
    return lines


def _line(title: str, text: str) -> str:
    return f"{title:<13}{text}"


def _fraction(value: Fraction) -> str:
    return str(value) if value.denominator < 1000 else f"{float(value):.6f}"


def _stability(word: Word, step: float | None) -> list[str]:
    made = _made(word)
    lines = []
    if "gamma" in made.hyperparameters:
        least = 0 if _allows_no_friction(made) else 1
        limits = [(v, stability_limit(word, gamma_h=v)) for v in FRICTIONS[least:]]
        within = [(v, limit) for v, limit in limits if NONE < limit < math.inf]
        if found := [f"{limit:.4f} at γh = {v:g}" for v, limit in within]:
            lines.append(_line("stable for", f"h√L < {', '.join(found)}"))
        if never := [f"{v:g}" for v, limit in limits if limit <= NONE]:
            lines.append(_line("unstable", f"at every h√L for γh = {', '.join(never)}"))
        if free := [f"{v:g}" for v, limit in limits if limit == math.inf]:
            lines.append(_line("stable for", f"every h√L at γh = {', '.join(free)}"))
    if "zeta" in made.variables:
        lines.append(_line("", "where √ζ + ε = 1; elsewhere L is the curvature over √ζ + ε"))
    h = SAMPLE if step is None else step
    limit = stability_limit(word, step=h)
    most = f"L < {(limit / h) ** 2:.6g}" if limit < math.inf else "every L"
    lines.append(_line("" if lines else "stable for", f"{most} at h = {h:g}"))
    if "C" in made.parts and not made.is_noisy:
        reach = boundedness(word, step=h).limit
        text = f"h√L = {reach:g}, far from the minimum as well (tried up to {LADDER[-1]:g})"
        if not reach:
            text = f"no h√L: far from the minimum not even {LADDER[0]:g}"
            if may_lack_a_past(word.substeps):
                text += "; a flow runs backwards for longer than it has a past"
        lines.append(_line("bounded to", text))
    return lines


def _sampling(word: Word, step: float | None) -> list[str]:
    """What the word's law on f = ½x² is, over that of the equation."""
    made = _made(word)
    if not is_affine(made):
        return [_line("sampling", "not linear on a quadratic: no law and no stability known")]
    h = SAMPLE if step is None else step
    laws = [moment_map(word, h).stationary, stationary_exact(made)]
    x, *p = (laws[0].diagonal() / laws[1].diagonal()).tolist()
    text = f"on f = ½x² at h = {h:g}: ⟨x²⟩ = {x:.6g} T"
    return [_line("sampling", text + (f", ⟨p²⟩ = {p[0]:.6g} T" if p else ""))]


def is_affine(made: Dynamics) -> bool:
    """Whether a step of it on a quadratic is affine, so that its law is known."""
    try:
        stationary_exact(made)
    except ValueError:
        return False
    return True


def _made(word: Word) -> Dynamics:
    assert word.dynamics is not None
    return word.dynamics


def _allows_no_friction(made: Dynamics) -> bool:
    """Whether γ = 0 is in the range of every part that has a γ (bias correction divides by it)."""
    try:
        for part in made.parts.values():
            if "gamma" in part.hyperparameters:
                replace(part, gamma=0.0)
    except ValueError:
        return False
    return True


def _adjoint(word: Word) -> str:
    if word.is_symmetric:
        return "itself: the word is symmetric"
    try:
        return f"{word.adjoint()}, of the same order"
    except ValueError:
        return "not a word: a flow that is only consistent has another one as its adjoint"


def _torch(word: Word, step: float | None) -> str:
    made = _made(word)
    h = SAMPLE if step is None else step
    if made.is_noisy:
        call = f"optim.optimizer({made!r}, params, lr={h:g}, word={word.text!r}, noise=0)"
        return f"none; as a sampler of e^(−loss/T): {call}"
    linear = made.bind({"c": 0.0})
    try:
        found = (to_adam if "zeta" in made.variables else to_sgd)(linear, word.text, h)
    except ValueError as error:
        return f"none: {error}"
    cubic = "c = 0, " if made.hyperparameters.get("c") else ""
    lines = [line for note in found.notes for line in textwrap.wrap(note, 84)]
    notes = "".join(f"\n{_line('', line)}" for line in lines)
    return f"{found.code()} at {cubic}h = {h:g}{notes}"


def draw(word: Word, path: Path) -> None:
    """The stability map of a word as a file."""

    axis = np.linspace(0.01, 4.0, 240)
    found = stability_map(word, axis, np.linspace(0.0, 8.0, 200))
    figure, ax = plt.subplots(figsize=(6.0, 4.2), layout="constrained")
    plot_stability(found, ax=ax)
    with atomic(path) as handle:
        figure.savefig(handle, format=path.suffix[1:], dpi=150)
    plt.close(figure)
