"""Placeholder until the compiled generator arrives (same numbers are not promised)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Noise:
    seed: int
    finest: float | None = None
    first: int = 0

    def _draw(self, tick: int, channel: int, count: int, coordinates: int, n: int, kind: str) -> Tensor:
        out = np.empty((count, coordinates, n))
        for k in range(count):
            for c in range(coordinates):
                bits = np.random.Philox(counter=[0, c, tick, channel * 256 + k], key=[self.seed, 0])
                g = np.random.Generator(bits)
                draw: Any = g.standard_normal if kind == "normal" else g.random
                out[k, c] = draw(self.first + n)[self.first :]
        return torch.from_numpy(out)

    def normals(self, tick: int, channel: int, count: int, coordinates: int, trajectories: int) -> Tensor:
        return self._draw(tick, channel, count, coordinates, trajectories, "normal")

    def uniforms(self, tick: int, channel: int, count: int, coordinates: int, trajectories: int) -> Tensor:
        return self._draw(tick, channel, count, coordinates, trajectories, "uniform")

    def as_settings(self) -> dict[str, Any]:
        return {"seed": self.seed, "finest": self.finest, "first": self.first}
