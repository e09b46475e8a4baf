"""The study that `dashpot study` runs: decay of the energy, order of words, a trained network."""

from typing import Literal, get_args

Section = Literal["decay", "order", "training"]
SECTIONS: tuple[Section, ...] = get_args(Section)
