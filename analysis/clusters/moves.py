"""Trial moves of basin hopping."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ...integrators import Noise
from ...landscapes import Cluster
from ...landscapes.clusters import direction

_ALL, _ANGLES = 1, 2  # channels of the uniforms


@dataclass(frozen=True)
class Moves:
    """Where walkers at x [W, n, 3] try to go in a hop: [W, n, 3].

    step     every coordinate moves by a uniform number in ±step
    surface  α in (0, 1), or None: where the weakest atom's pair energy lies above α times that
             of the strongest, this atom alone goes to a uniform direction, as far from the centre
             as the outermost atom
    noise    the hop k of walker w has its uniforms at tick k, trajectory w

    Atoms farther from the centre than the container, whose radius is that of the close-packed
    ball and one more, go back onto it: otherwise the cluster would evaporate.
    """

    landscape: Cluster
    step: float
    surface: float | None
    noise: Noise

    def __post_init__(self) -> None:
        if not (math.isfinite(self.step) and self.step > 0):
            raise ValueError(f"step must be a length > 0; got {self.step!r}")
        if self.surface is not None and not 0 < self.surface < 1:
            raise ValueError(
                f"surface must be None, or a fraction of a pair energy in (0, 1); got "
                f"{self.surface!r}"
            )

    def __call__(self, hop: int, x: Tensor) -> Tensor:
        walkers, atoms = x.shape[:2]
        u = self.noise.uniforms(hop, _ALL, 3, atoms, walkers)
        tried = x + self.step * (2 * u - 1).permute(2, 1, 0)
        if self.surface is not None:
            energies = self.landscape.atom_energies(x)
            loose = energies.amax(1) > self.surface * energies.amin(1)
            tried = torch.where(loose[:, None, None], self._on_surface(hop, x, energies), tried)
        away = tried - tried.mean(1, keepdim=True)
        radius = 1 + self.landscape.radius
        return tried - away * (1 - radius / away.norm(dim=2, keepdim=True)).clamp_min(0)

    def _on_surface(self, hop: int, x: Tensor, energies: Tensor) -> Tensor:
        u = self.noise.uniforms(hop, _ANGLES, 2, 1, len(x))[:, 0]
        centre = x.mean(1)
        farthest = (x - centre[:, None]).norm(dim=2).amax(1)
        moved = x.clone()
        moved[torch.arange(len(x)), energies.argmax(1)] = centre + farthest[:, None] * direction(
            u[0], u[1]
        )
        return moved
