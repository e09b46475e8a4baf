"""What came out of a map, in words."""

import numpy as np

from ...integrators.ensembles import Ensemble
from ..plots.maps import share


def summary(found: Ensemble, target: float) -> list[str]:
    """What came out, in a few lines."""
    done = found.computed
    time = np.where(found.stopped_at < 0, found["time_to_target"], np.nan)
    lost, reached = found.stopped_at[done] >= 0, np.isfinite(time[done])
    size = f"{done.size} trajectories ({found.settings['backend']})"
    ended = found.status
    if found.status == "interrupted":
        ended += f" after {done.sum()} of them" if done.any() else " before one was finished"
    lines = [
        f"{found.settings['dynamics']} {found.settings['word']} on "
        f"{found.settings['landscape']}: {size}, {ended}",
    ]
    if not done.any():
        return lines
    lines.append(
        f"{share(reached.mean(), 1)} reached E <= {target:g}, {share(lost.mean(), 1)} were lost to "
        "overflow"
    )
    if not (lost.all() or reached.all()) and "final_energy" in found:
        ended_at = found["final_energy"][done][~lost]
        lines.append(f"E at the end: least {ended_at.min():.4g}, median {np.median(ended_at):.4g}")
    if reached.any():
        best = np.unravel_index(np.nanargmin(time), time.shape)
        pairs = zip(found.axes.items(), best, strict=True)
        where = ", ".join(f"{name} = {axis[at]:.4g}" for (name, axis), at in pairs)
        lines.append(f"soonest at t = {time[best]:.4g}: {where}")
    return lines
