"""Ctrl-C ends a run quietly; what needs the whole run hears of it here."""

from ..integrators import Trajectory


def uninterrupted(run: Trajectory) -> Trajectory:
    """The run; KeyboardInterrupt again if it ended by one."""
    if run.status == "interrupted":
        raise KeyboardInterrupt
    return run
