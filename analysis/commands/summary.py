"""What came out of a map, in words."""

import numpy as np

from ...integrators.ensembles import Ensemble


def summary(found: Ensemble, target: float) -> list[str]:
    """What came out, in a few lines."""
    done = found.computed
    time, lost = found["time_to_target"], found.stopped_at[done] >= 0
    reached = np.isfinite(time[done]) & ~lost
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
        f"{reached.mean():.1%} reached E <= {target:g}, {lost.mean():.1%} were lost to overflow"
    )
    if reached.any():
        best = np.unravel_index(np.nanargmin(time), time.shape)
        pairs = zip(found.axes.items(), best, strict=True)
        where = ", ".join(f"{name} = {axis[at]:.4g}" for (name, axis), at in pairs)
        lines.append(f"soonest at t = {time[best]:.4g}: {where}")
    return lines
