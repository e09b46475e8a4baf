"""How a word becomes the call of an optimizer: where it is cut, and where weight decay stands."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..dynamics import Dynamics, WeightDecay
from .words.word import Substep, Word, count_gradients


def gradient_cut(substeps: Sequence[Substep]) -> int:
    """Where to cut a word into opening and closing piece.

    A step of the optimizer starts where the gradient is known and runs closing + opening, so the
    cut is where that order needs the fewest further gradients (none, for a word with one gradient
    a step); among those the one with the longest opening piece.
    """
    return max(
        range(len(substeps), -1, -1),
        key=lambda cut: -count_gradients((*substeps[cut:], *substeps[:cut]), fresh=True),
    )


def letters_of(substeps: Iterable[Substep], groups: Iterable[Mapping[str, Any]]) -> str:
    """The letters as a user wrote them: without the W put in for a weight decay of 0."""
    decays = any(group["weight_decay"] for group in groups)
    shown = (u.part for u in substeps if decays or not isinstance(u.part, WeightDecay))
    return "".join(part.letter for part in shown)


def insert_decay(word: Word, dynamics: Dynamics) -> Word:
    """W before the first drift of the innermost word, or at the end of one without a drift.

    If that word is symmetric, W also follows the last drift: half each, and it stays symmetric.
    """
    drifts = {
        letter
        for letter, part in dynamics.letters.items()
        if "x" in part.writes and "g" not in part.reads
    }
    before, inner, after = word.innermost
    tokens = Word(inner).tokens
    places = [i for i, token in enumerate(tokens) if token[0] in drifts]
    if places and Word(inner).is_symmetric:
        tokens.insert(places[-1] + 1, "W")
    tokens.insert(min(places, default=len(tokens)), "W")
    return Word(f"{before}{''.join(tokens)}{after}")
