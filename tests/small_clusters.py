"""Small Lennard-Jones clusters and how to tell their minima, shared by the tests."""

from torch import Tensor

from dashpot.landscapes import LennardJones

LJ7, LJ13 = LennardJones(7), LennardJones(13)


def found(energy: Tensor, minimum: float | None) -> Tensor:
    """Quenched to 1e-6: the energy is then off by |∇f|²/(2m) < 1e-10."""
    assert minimum is not None
    assert energy.min().item() > minimum - 1e-9
    return energy < minimum + 1e-9


class Interrupting(LennardJones):
    """Ctrl-C at the n-th gradient."""

    def __init__(self, n: int, after: int) -> None:
        super().__init__(n)
        self.after = after

    def df(self, x: Tensor) -> Tensor:
        self.after -= 1
        if self.after == 0:
            raise KeyboardInterrupt
        return super().df(x)
