"""What the tests of ensembles run in several processes."""

from typing import Any

import numpy as np
import torch

from dashpot.dynamics import Langevin
from dashpot.integrators.ensembles import Ensemble, FinalEnergy, FittedRate, ensemble
from dashpot.landscapes import Rosenbrock


class Interrupted(Rosenbrock):
    """Raises KeyboardInterrupt at the n-th gradient."""

    def __init__(self, at: int) -> None:
        super().__init__(2)
        self.left = at

    def df(self, x: torch.Tensor) -> torch.Tensor:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt
        return super().df(x)


def noisy_ensemble(
    out: Any = None, landscape: Rosenbrock | None = None, **changes: Any
) -> Ensemble:
    """300 trajectories with noise, at two step sizes in three chunks each; some are lost."""
    call: dict[str, Any] = {
        "grid": {"temperature": np.linspace(0, 1, 75), "step": [0.005, 0.5]},
        "steps": 30,
        "noise": 4,
        "reduce": [FinalEnergy(), FittedRate()],
        "store": ["x"],
        "every": 10,
        "chunk": 64,
        "backend": "torch",
    }
    x0 = torch.tensor([[-1.2, 1.0], [1.0, 1.1]], dtype=torch.float64)
    where = landscape or Rosenbrock(2)
    return ensemble(Langevin(1.0, 0.5), where, x0, **{**call, **changes}, out=out)


def on_a_rank(rank: int, out: Any) -> dict[str, torch.Tensor]:
    """The results that one of the processes has."""
    return _tensors(noisy_ensemble(out))


def interrupted_on_a_rank(rank: int, out: Any) -> dict[str, torch.Tensor]:
    """The same where the second of the processes is interrupted in its second chunk."""
    return _tensors(noisy_ensemble(out, Interrupted(40 if rank == 1 else 0)))


def _tensors(found: Ensemble) -> dict[str, torch.Tensor]:
    found.values["interrupted"] = np.array(found.status == "interrupted")
    return {name: torch.from_numpy(np.array(value)) for name, value in found.values.items()}
