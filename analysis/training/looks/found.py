"""What a look finds, of our optimizers and of torch's."""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.optim import Optimizer

from ....integrators.bundle import Bundle
from ....integrators.optimizer import WordOptimizer
from .damping import Damping
from .energy import Energy, kinetic
from .layers import Layers
from .noise import Noise
from .replay import can_replay, replay
from .torch_momentum import momentum_of


@dataclass
class Found:
    """Tensors on the device, by name; what an optimizer does not have is not there.

    by_layer   [layers, ...]
    fractions  hits, and of how many coordinates, [2, layers]
    numbers    of the whole network
    letters    what each adds to the kinetic energy of the network, in the order of the step
    moving     the letters that move x
    h          step size of the dynamics
    """

    by_layer: dict[str, Tensor] = field(default_factory=dict)
    fractions: dict[str, Tensor] = field(default_factory=dict)
    numbers: dict[str, Tensor] = field(default_factory=dict)
    letters: dict[str, Tensor] = field(default_factory=dict)
    moving: str = ""
    h: float = 0.0


@torch.no_grad()
def found_in_replay(optimizer: Optimizer, layers: Layers, noise: Noise | None) -> Found | None:
    """Before the step: what it will do; None for an optimizer that is not ours."""
    if not isinstance(optimizer, WordOptimizer) or not can_replay(optimizer):
        return None
    looks = energy, damping = Energy(optimizer, layers), Damping(layers)
    heat = layers.zeros()
    for portion in replay(optimizer):
        for look in looks:
            look.begin(portion)
        for substep in portion.substeps():
            for look in looks:
                look.see(portion, substep)
        for look in looks:
            look.end(portion)
        if noise is not None:
            s = portion.with_momentum(noise.of(portion.params))
            heat += layers.sums(portion.params, kinetic(portion.dynamics, s))
    h = float(optimizer.param_groups[0]["lr"])
    levels = energy.levels()
    numbers = {**damping.numbers(), "friction": energy.friction(levels, h)}
    if noise is not None:
        numbers["heat"] = heat.sum()
    return Found(
        {"kinetic": levels[-1], **damping.quantiles()},
        damping.fractions(),
        numbers,
        energy.changes(levels),
        energy.moving(),
        h,
    )


@torch.no_grad()
def found_in_state(optimizer: Optimizer, layers: Layers, noise: Noise | None) -> Found:
    """After the step, of torch's own optimizers: those that are a dynamics have its energy."""
    found = Found()
    momenta = [momentum_of(optimizer, group) for group in optimizer.param_groups]
    energies, heat = layers.zeros(), layers.zeros()
    for one in momenta:
        if one is None:
            return found
        energies += layers.sums(one.params, kinetic(one.dynamics, one.state))
        if noise is not None:
            s = one.state.copy(p=Bundle(noise.of(one.params)))
            heat += layers.sums(one.params, kinetic(one.dynamics, s))
        found.h = one.h
        found.numbers["friction"] = torch.tensor(one.gamma, dtype=torch.float64)
    found.by_layer["kinetic"] = layers.whole(energies)
    if noise is not None:
        found.numbers["heat"] = heat.sum()
    return found
