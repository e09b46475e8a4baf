"""What moves a network, measured while it trains."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.distributed.fsdp import FSDPModule

from ..order import mixed
from ..parallel import shares
from ..task import Batch
from .found import Found, found_in_replay, found_in_state
from .layers import Layers
from .noise import Noise, temperature
from .numbers import plain

if TYPE_CHECKING:
    from ..running import Training

FULL = 10
"""Every so many looks one is in full: with losses and gradients of its own."""

_LOOK = 1 << 37  # what dropout draws for them


class Looks:
    """Looks at the steps of a run; what one finds depends on its step alone, nothing is kept.

    A look replays the coming step, letter by letter, on copies of the state.
    Energies and fractions are of all coordinates; quantiles are of a sample, the same one always
    (see `layers`). Of every step that is looked at:

    coordinates  how many there are
    kinetic      ½|p|² after the step (CADAM: ½ Σ p²/(√ζ + ε)), torch's SGD and Adam too
    letters      what each letter adds to it
    frozen, capped  fractions of the coordinates that have a momentum: those of which the damping
                 of the step leaves less than a tenth, and those whose p² the cubic damping halves
    watched      which of 4096 coordinates, the same ones always, are frozen
    thaw         IKFAD: for how many steps frozen ones stay so at least (mean, most): until
                 e^{−(γ+ξ)h} is a tenth if nothing heats ξ
    layers       by name: "kinetic"; "gradient", root mean square of a coordinate's, clipped;
                 "frozen", "capped"; quantiles (5, 25, 50, 75, 95 %) of "momentum", the factor
                 that the damping of the step leaves, and of "friction", ξ after it

    Of every tenth of them besides:

    potential    f, the loss of the batch, before the step and after it
    audit        what each letter adds to E = f + ½|p|², the change of f going to those that move x
    noise        "trace" and "gradient_square", |∇f|², of the gradient before clipping; the "scale"
                 of clipping; "friction" Γ, all letters that damp multiplying the kinetic energy
                 by e^{−2Γh}; "temperature" h s²/(2Γ), with s² the mean variance of a
                 coordinate of the gradient as it is clipped (CADAM: over √ζ + ε); and
                 "kinetic_temperature", 2·kinetic/coordinates, to be compared with it

    Looked at every 20 steps, a transformer of 200,000 parameters on a processor takes some 2.5 %
    longer, larger networks less; at every 10 steps twice that.

    What an optimizer does not have is left out: of torch's own only SGD with momentum and Adam
    have a kinetic energy. Weights, state, gradients, random numbers and the statistics of batch
    normalisation are as they would be without looking. Where parameters are sharded, quantiles
    and `watched` are of the first process' shards, and there is no noise.
    """

    def __init__(self, training: "Training") -> None:
        self._layers = Layers(training.network, training.ranks)

    def before(self, training: "Training", batch: Batch) -> None:
        """The gradients are there, clipped; the optimizer has not moved."""
        self._is_full = training.step // training.settings.look_every % FULL == 0
        self._noise = None
        if self._is_full:
            with _undisturbed(training):
                self._loss = _loss(training, batch)
                if not self._layers.sharded and len(batch[0]) >= 2 * training.ranks.size:
                    self._noise = Noise(training, batch)
        self._gradient = self._layers.gradient()
        self._replayed = found_in_replay(training.optimizer, self._layers, self._noise)

    def after(self, training: "Training", batch: Batch) -> dict[str, Any]:
        """It has; what is to be logged."""
        found = self._replayed or found_in_state(training.optimizer, self._layers, self._noise)
        found.by_layer["gradient"] = self._gradient
        if self._is_full:
            with _undisturbed(training):
                after = _loss(training, batch)
            found.numbers["potential"] = torch.stack((self._loss, after, after - self._loss))
        if (noise := self._noise) is not None:
            found.numbers["noise"] = torch.stack((noise.trace, noise.gradient_square, noise.scale))
        return self._line(found)

    def _line(self, found: Found) -> dict[str, Any]:
        """All of it as numbers, and what follows from them."""
        told = plain(
            {
                "layers": {**found.by_layer, **found.fractions},
                "letters": found.letters,
                "numbers": found.numbers,
            }
        )
        columns, letters, numbers = told["layers"], told["letters"], told["numbers"]
        size = int(self._layers.sizes.sum())
        line: dict[str, Any] = {"coordinates": size}
        if "kinetic" in columns:
            line["kinetic"] = _total(columns["kinetic"])
        if letters:
            line["letters"] = letters
        for name in found.fractions:
            hits, of = columns.pop(name)
            line[name] = _ratio(sum(hits), sum(of))
            columns[name] = [_ratio(*pair) for pair in zip(hits, of, strict=True)]
        if "thaw" in numbers:
            line["thaw"] = numbers["thaw"]
        if "watched" in numbers:
            line["watched"] = [int(place) for place in numbers["watched"]]
        if "potential" in numbers:
            *line["potential"], change = numbers["potential"]
            if letters:
                kept = {name: one for name, one in letters.items() if name not in found.moving}
                line["audit"] = {**kept, found.moving: change}
        if "noise" in numbers:
            line["noise"] = _noise(numbers, line.get("kinetic"), size, found.h)
        line["layers"] = {
            name: {column: values[place] for column, values in columns.items()}
            for place, name in enumerate(self._layers.names)
        }
        return line


def _total(values: list[float | None]) -> float | None:
    """None where one is not finite, as in steps that diverge."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _ratio(hits: float, of: float) -> float | None:
    return hits / of if of else None


def _noise(
    numbers: dict[str, Any], kinetic: float | None, size: int, h: float
) -> dict[str, float | None]:
    trace, gradient_square, scale = numbers["noise"]
    line = {"trace": trace, "gradient_square": gradient_square, "scale": scale}
    friction, heat = numbers.get("friction"), numbers.get("heat")
    if not (friction is None or heat is None or kinetic is None or scale is None):
        line["friction"] = friction
        line["temperature"] = temperature(heat * scale**2, size, h, friction)
        line["kinetic_temperature"] = 2 * kinetic / size
    return line


@torch.no_grad()
def _loss(training: "Training", batch: Batch) -> Tensor:
    """Of the batch, on all processes together, 0-dim in float64."""
    total: Any = 0.0
    for part, weight in shares(batch, training.settings.accumulate, training.ranks):
        here = (part[0].to(training.device), part[1].to(training.device))
        with training.stepping.autocast():
            total = total + training.task.loss(training.layout.module, here).double() * weight
    return training.ranks.added(total)


@contextmanager
def _undisturbed(training: "Training") -> Iterator[None]:
    """What the network draws depends on the step; its buffers and torch's generators are kept."""
    buffers = [(buffer, buffer.clone()) for buffer in training.network.buffers()]
    device = training.device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(mixed(training.settings.seed, _LOOK, training.step, training.ranks.rank))
        yield
    with torch.no_grad():
        for buffer, before in buffers:
            buffer.copy_(before)
    for module in training.network.modules():
        if isinstance(module, FSDPModule):
            module.reshard()  # else gathered weights outlive the step that moves them
