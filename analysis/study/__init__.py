"""The study that `dashpot study` runs: decay, order, theory, momentum, and a trained network."""

from typing import Literal, get_args

Section = Literal["decay", "order", "theory", "momentum", "training"]
SECTIONS: tuple[Section, ...] = get_args(Section)
