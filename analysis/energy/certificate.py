"""What a Lyapunov certificate says: V and its bounds along a run, and where they fail."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

TOLERANCE = 1e-8  # relative, for what rounding may add


@dataclass(frozen=True)
class Worst:
    """The largest value along a run, and where: saved time, its index, index in the batch."""

    value: float
    time: float = math.nan
    index: int = -1
    trajectory: tuple[int, ...] = ()


@dataclass(frozen=True)
class Assumption:
    """What a theorem needs. `worst`: by how much (relatively) it fails most along the run."""

    text: str
    holds: bool
    worst: Worst | None = None


@dataclass(frozen=True)
class Certificate:
    """A Lyapunov function along a run, against what is proved of it.

    times        [T]
    V            [T, *batch] the Lyapunov function; NaN where it cannot be computed
    slope        V' by the exact vector field at the saved states
    allowed      the proved bound of V': −rate·V (CADAM: −Σ((γ − α/4) p² + c p⁴)/(√ζ + ε))
    limit        the proved bound of V: V(0) e^{−rate t} (CADAM: its least value so far)
    rate         [*batch] or []; 0 for CADAM
    violation    largest (V' − allowed)/(rate·V), <= 0 up to rounding wherever the assumptions
                 hold, whatever integrator made the states. (CADAM: relative to
                 Σ((γ + α/4) p² + c p⁴)/(√ζ + ε), nothing being proved of V'/V)
    overshoot    largest (V − limit)/V(0). This one is the run's own: an integrator's error may
                 miss the limit where the exact solution would not
    assumptions  each with whether it holds, and where along the run it fails most
    theorem      in words

    V' is not judged where V is below 1e-6 of the numbers it is the sum and difference of (|f|,
    |f*|, ½|p|², ...): rounding decides there. A worst value without any judged state is NaN.
    """

    times: Tensor
    V: Tensor
    slope: Tensor
    allowed: Tensor
    limit: Tensor
    rate: Tensor
    violation: Worst
    overshoot: Worst
    assumptions: tuple[Assumption, ...]
    theorem: str

    def __repr__(self) -> str:
        verdict = "holds" if self.holds else "does not hold"
        failed = [one.text for one in self.assumptions if not one.holds]
        why = f"; not satisfied: {'; '.join(failed)}" if failed else ""
        worst = f"worst violation {self.violation.value:.2g} at t = {self.violation.time:.4g}"
        return f"Certificate({self.theorem}: {verdict}{why}; {worst})"

    @property
    def holds(self) -> bool:
        """All assumptions hold and V' keeps to its bound (to rounding) at every state judged."""
        return all(a.holds for a in self.assumptions) and not self.violation.value > TOLERANCE


def worst(values: Tensor, times: Tensor, judged: Tensor | None = None) -> Worst:
    """The largest of values [T, *batch] that are judged and are numbers."""
    kept = torch.isfinite(values) if judged is None else torch.isfinite(values) & judged
    if not bool(kept.any()):
        return Worst(math.nan)
    flat = int(torch.where(kept, values, -math.inf).argmax())
    index, *trajectory = (int(i) for i in torch.unravel_index(torch.tensor(flat), values.shape))
    return Worst(float(values.flatten()[flat]), float(times[index]), index, tuple(trajectory))
