"""What a report says before its tables."""

from .comparison import Comparison


def warnings(found: Comparison) -> list[str]:
    """What keeps the tables from being what they seem to be, in sentences."""
    head, lines = found.head, []
    if head.is_standin:
        lines.append(f"These are stand-in data, not those of {head.task}: {head.source}.")
    if len({one.trials - one.unfinished for one in found.searched}) > 1:
        told = ", ".join(f"{one.label} {one.trials - one.unfinished}" for one in found.searched)
        lines.append(f"The numbers of trials that are over differ, which is not fair: {told}.")
    if lost := [one.label for one in found.searched if one.chosen is None and not one.unfinished]:
        lines.append(f"No trial came to its end, so nothing is compared, of {', '.join(lost)}.")
    if missing := found.missing:
        told = "; ".join(f"{label} {', '.join(map(str, some))}" for label, some in missing.items())
        lines.append(f"Runs are missing, so that means are over different seeds: {told}.")
    return lines


def summary(found: Comparison) -> list[str]:
    """What was run, in sentences."""
    head, lines = found.head, []
    if not head.is_standin:
        lines.append(f"Data: {head.source}.")
    common = ", ".join(f"{name} {value}" for name, value in head.common.items())
    where = f"; on {head.device}" if head.device else ""
    lines.append(f"All runs: {common or 'as the task plans'}{where}.")
    if head.search is None:
        lines.append("Nothing was searched: hyperparameters are given below.")
    else:
        seeds = ", ".join(map(str, head.search["seeds"]))
        lines.append(
            f"Hyperparameters are the best of the trials ({head.search['sampler']} of seed "
            f"{head.search['seed']}, pruner {head.search['pruner']}; training seed {seeds}, which "
            "is in no reported run)."
        )
    if not head.has_test:
        lines.append(
            "The published split of these data has no test part: the values below are the best "
            "ones on the data that chose them."
        )
    return lines
