"""What the rows of a sweep say: comparison, search, width of the range of good lr."""

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, median

from .best_of_k import best_of_k
from .comparison import Compared, Comparison, Scanned, Searched, Spread
from .differences import paired_difference
from .folders import Row
from .head import Head
from .inside import Inside
from .plan import row_name
from .sensitivity import sensitivity
from .target import ms_per_step, steps_to_target, worst_of_the_best


def compare(
    head: Head,
    rows: Sequence[Row],
    *,
    planned: Mapping[str, Sequence[int]] | None = None,
    reference: str | None = None,
    target: float | None = None,
    tolerance: float = 0.02,
) -> Comparison:
    """The tables of a sweep, best first.

    planned    rows that were asked for, in this order, and their seeds; None: those that are there
    reference  row to which differences are taken; None: AdamW, or else the first
    target     value whose time is taken; None: the best that all finished runs of the reference
               reach
    tolerance  of the cost, relative, within which an lr is good

    ValueError for a reference that is not there.
    """
    searched = {label: _searched(head, label, some) for label, some in _by_label(rows, "tune")}
    reported, planned = _reported(rows, searched), planned or {}
    order = dict.fromkeys((*planned, *reported))
    reported = {name: reported[name] for name in order if name in reported}
    if reference is None:
        reference = "AdamW" if "AdamW" in reported else next(iter(reported), "")
    elif reference not in reported:
        raise ValueError(f"no row {reference!r}; there are {', '.join(reported) or 'none'}")
    anchors = reported.get(reference, ())
    if target is None:
        ended = (row for row in anchors if row.state == "finished" and not row.has_diverged)
        bests = [row.value for row in ended if row.value is not None]
        target = worst_of_the_best(bests, head.larger_is_better)
    anchor = _by_seed(anchors)
    compared = [
        _compared(head, label, some, None if label == reference else anchor, target)
        for label, some in reported.items()
    ]
    scanned = (_scanned(head, label, some, tolerance) for label, some in _scans(rows, searched))
    return Comparison(
        head=head,
        reference=reference,
        target=target,
        tolerance=tolerance,
        compared=sorted(compared, key=lambda one: _order(head, one.best and one.best.mean)),
        searched=sorted(searched.values(), key=lambda one: _order(head, one.best)),
        scanned=[one for one in scanned if len(one.values) > 1],
        rows=rows,
        reported=reported,
        planned=planned,
    )


# --- which rows -----------------------------------------------------------------------------------


def _by_label(rows: Iterable[Row], kind: str) -> list[tuple[str, list[Row]]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row.kind == kind:
            found.setdefault(row.label, []).append(row)
    return list(found.items())


def _reported(rows: Iterable[Row], searched: Mapping[str, Searched]) -> dict[str, list[Row]]:
    """Rows of the comparison; after a search only those of the trial that is chosen now."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row.kind == "report" and _is_current(row, searched):
            found.setdefault(row_name(row.label, row.factor), []).append(row)
    return found


def _scans(rows: Sequence[Row], searched: Mapping[str, Searched]) -> list[tuple[str, list[Row]]]:
    """Runs that differ in lr and seed only: the scan with its trial, or a grid of factors."""
    kinds = ("tune", "scan") if searched else ("report",)
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row.kind in kinds and _is_current(row, searched):
            found.setdefault(row.label, []).append(row)
    return list(found.items())


def _is_current(row: Row, searched: Mapping[str, Searched]) -> bool:
    return row.label not in searched or row.trial == searched[row.label].chosen


def _by_seed(rows: Iterable[Row]) -> dict[int, float]:
    return {row.settings.seed: row.value for row in rows if row.is_over and row.value is not None}


def _order(head: Head, value: float | None) -> float:
    """Best first, nothing last."""
    return float("inf") if value is None else head.cost(value)


# --- what they say --------------------------------------------------------------------------------


def _compared(
    head: Head,
    label: str,
    rows: Sequence[Row],
    anchor: Mapping[int, float] | None,
    target: float | None,
) -> Compared:
    results = [row.result for row in rows if row.result is not None]
    values = _by_seed(rows)
    tests = [result.test[head.metric] for result in results if result.test is not None]
    ended = [row for row in rows if row.is_over]
    steps: list[float] = []
    if target is not None:
        steps = [steps_to_target(row.looks, target, head.larger_is_better) for row in ended]
    reached = sum(map(math.isfinite, steps))
    middle, speed = median(steps) if reached else math.inf, ms_per_step(row.looks for row in ended)
    return Compared(
        label=label,
        seeds=len(rows),
        unfinished=len(rows) - len(ended),
        diverged=sum(row.has_diverged for row in rows),
        best=Spread.of(list(values.values())),
        difference=None if anchor is None else paired_difference(values, anchor),
        test=Spread.of(tests),
        reached=reached,
        steps=(middle, min(steps), max(steps)) if reached else None,
        seconds=None if speed is None or middle == math.inf else middle * speed / 1e3,
        ms_per_step=speed,
        state_bytes=max((result.state_bytes for result in results), default=None),
        hyperparameters=_all_that_was_drawn(rows[0]),
        inside=Inside.of_runs(row.inside for row in ended),
    )


def _all_that_was_drawn(row: Row) -> dict[str, float]:
    found = dict(row.settings.hyperparameters)
    if row.settings.weight_decay:
        found["weight decay"] = row.settings.weight_decay
    if row.settings.clip is not None:
        found["clip"] = row.settings.clip
    return found


def _searched(head: Head, label: str, rows: Sequence[Row]) -> Searched:
    """A trial is as good as the mean over its runs; one that ended early as it was then."""
    trials: dict[int, list[Row]] = {}
    for row in rows:
        assert row.trial is not None
        trials.setdefault(row.trial, []).append(row)
    seeds = max(len(some) for some in trials.values())
    states = {number: {row.state for row in some} for number, some in trials.items()}
    values = {n: _mean([row.value for row in some]) for n, some in trials.items()}
    costs = {
        number: head.cost(value)
        for number, value in values.items()
        if value is not None and "unfinished" not in states[number]
    }
    whole = [n for n in costs if states[n] == {"finished"} and len(trials[n]) == seeds]
    chosen = min(whole, key=lambda number: (costs[number], number), default=None)
    known = [head.cost(cost) for cost in costs.values()]  # the cost of a cost is the value
    return Searched(
        label=label,
        trials=len(trials),
        unfinished=sum("unfinished" in state for state in states.values()),
        diverged=sum(any(row.has_diverged for row in some) for some in trials.values()),
        pruned=sum("pruned" in state for state in states.values()),
        chosen=chosen,
        best=None if chosen is None else values[chosen],
        median=median(known) if known else None,
        curve=tuple(head.cost(cost) for cost in best_of_k(list(costs.values()))),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _scanned(head: Head, label: str, rows: Sequence[Row], tolerance: float) -> Scanned:
    """By lr; where one of the seeds diverged, the lr did."""
    by_lr: dict[float, list[float | None]] = {}
    for row in rows:
        if row.state in ("finished", "diverged"):
            value = None if row.has_diverged else row.value
            by_lr.setdefault(row.settings.hyperparameters["lr"], []).append(value)
    values = {lr: None if None in some else _mean(some) for lr, some in sorted(by_lr.items())}
    costs = {lr: None if value is None else head.cost(value) for lr, value in values.items()}
    row = min(rows, key=lambda row: abs(math.log(row.factor)))
    chosen = row.settings.hyperparameters["lr"] / row.factor
    return Scanned(label, chosen, values, sensitivity(costs, tolerance))
