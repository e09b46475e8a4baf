"""The study of `dashpot study`: decay, order, theory, momentum, noise, a trained network."""

from typing import Literal, get_args

Section = Literal["decay", "order", "theory", "momentum", "noise", "training"]
SECTIONS: tuple[Section, ...] = get_args(Section)
