"""What `dashpot word` tells of one word, line by line."""

import inspect
import math
import textwrap
from dataclasses import replace
from fractions import Fraction

from ...dynamics import Dynamics
from ...integrators import Word
from ...integrators.backward import may_lack_a_past
from ...integrators.convert import to_adam, to_sgd
from ..sampling.equation import stationary_exact
from ..sampling.linear import moment_map
from ..stability.large_steps import LADDER, boundedness
from ..stability.maps import scaled_limit, stability_limit

FRICTIONS = (0.0, 0.5, 2.0, 6.0)  # γh at which the stability limit is told
NONE = 1e-6  # a limit of stability below it is none
SAMPLE = 0.1  # the step size at which the rest is told, unless one is given


def describe(word: Word, step: float | None) -> list[str]:
    """The lines that `dashpot word` prints."""
    made = _made(word)
    lines = [f"{word.text} of {made!r}", ""]
    for place, substep in enumerate(word.substeps):
        law = (inspect.getdoc(type(substep.part)) or "").splitlines()[0]
        law = law.partition(";")[0].rstrip(".")
        time = "h" if substep.fraction == 1 else f"{_fraction(substep.fraction)} h"
        lines.append(line("" if place else "a step", f"{substep.part.letter}  {time:<12}{law}"))
    lines += [
        "",
        line("weak order" if made.is_noisy else "order", str(word.order())[len("order ") :]),
        line("gradients", f"{word.gradients_per_step} per step"),
        *(_stability(word, step) if not made.is_noisy or is_affine(made) else []),
        *(_sampling(word, step) if made.is_noisy else []),
        line("adjoint", _adjoint(word)),
        line("torch", _torch(word, step)),
    ]
    return lines


def line(title: str, text: str) -> str:
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
            lines.append(line("stable for", f"h√L < {', '.join(found)}"))
        if never := [f"{v:g}" for v, limit in limits if limit <= NONE]:
            lines.append(line("unstable", f"at every h√L for γh = {', '.join(never)}"))
        if free := [f"{v:g}" for v, limit in limits if limit == math.inf]:
            lines.append(line("stable for", f"every h√L at γh = {', '.join(free)}"))
    if "zeta" in made.variables:
        lines.append(line("", "where √ζ + ε = 1; elsewhere L is the curvature over √ζ + ε"))
    h = SAMPLE if step is None else step
    if "p" not in made.variables:
        scale, reach = scaled_limit(word, h)
        told = f"{scale} < {reach:.4f}" if reach < math.inf else f"every {scale}"
        lines.append(line("stable for", told))
    limit = stability_limit(word, step=h)
    most = f"L < {(limit / h) ** 2:.6g}" if limit < math.inf else "every L"
    lines.append(line("" if lines else "stable for", f"{most} at h = {h:g}"))
    if "C" in made.parts and not made.is_noisy:
        reach = boundedness(word, step=h).limit
        text = f"h√L = {reach:g}, far from the minimum as well (tried up to {LADDER[-1]:g})"
        if not reach:
            text = f"no h√L: far from the minimum not even {LADDER[0]:g}"
            if may_lack_a_past(word.substeps):
                text += "; a flow runs backwards for longer than it has a past"
        lines.append(line("bounded to", text))
    return lines


def _sampling(word: Word, step: float | None) -> list[str]:
    """What the word's law on f = ½x² is, over that of the equation."""
    made = _made(word)
    if not is_affine(made):
        return [line("sampling", "not linear on a quadratic: no law and no stability known")]
    h = SAMPLE if step is None else step
    laws = [moment_map(word, h).stationary, stationary_exact(made)]
    x, *p = (laws[0].diagonal() / laws[1].diagonal()).tolist()
    text = f"on f = ½x² at h = {h:g}: ⟨x²⟩ = {x:.6g} T"
    return [line("sampling", text + (f", ⟨p²⟩ = {p[0]:.6g} T" if p else ""))]


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
        call = f"optim.optimizer({made!r}, params, lr={h:g}, word={word.text!r}, noise=1)"
        return f"none; as a sampler of e^(−loss/T): {call}"
    linear = made.bind({"c": 0.0})
    try:
        found = (to_adam if "zeta" in made.variables else to_sgd)(linear, word.text, h)
    except ValueError as error:
        return f"none: {error}"
    cubic = "c = 0, " if made.hyperparameters.get("c") else ""
    wrapped = [text for note in found.notes for text in textwrap.wrap(note, 84)]
    notes = "".join(f"\n{line('', text)}" for text in wrapped)
    return f"{found.code()} at {cubic}h = {h:g}{notes}"
