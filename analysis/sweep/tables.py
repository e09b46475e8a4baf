"""The tables of a sweep, for Markdown and for the page."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf

from ..study.report import number
from .comparison import Compared, Comparison, Scanned, Searched, Spread
from .inside import Inside
from .sentences import summary, warnings

_Ends = tuple[float, float] | None


@dataclass(frozen=True)
class Table:
    """Title, what its columns mean, header and cells; labels in the first column."""

    title: str
    note: str
    header: Sequence[str]
    cells: Sequence[Sequence[str]]


def tables(found: Comparison) -> Iterator[Table]:
    """Those that have rows."""
    if found.compared:
        yield _comparison(found)
        yield _costs(found)
    if found.searched:
        yield _search(found)
    if any(one.curve for one in found.searched):
        yield _curves(found)
    if found.scanned:
        yield _widths(found)
    if any(one.inside for one in found.compared):
        yield _inside(found)


def markdown(found: Comparison, command: str) -> str:
    """The whole report as Markdown."""
    head = found.head
    lines = [f"# {head.name}, {head.setting}", "", f"`{command}`", ""]
    for line in (*(f"**{line}**" for line in warnings(found)), *summary(found)):
        lines += [line, ""]
    for table in tables(found):
        lines += [f"## {table.title}", "", *_markdown(table), "", table.note, ""]
    return "\n".join(lines)


def _markdown(table: Table) -> Iterator[str]:
    for row in (table.header, ["---"] * len(table.header), *table.cells):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


def _comparison(found: Comparison) -> Table:
    metric = found.head.metric
    tested = any(one.test for one in found.compared)
    header = [
        "optimizer", f"best validation {metric}", f"minus {found.reference}", "bootstrap 95 %",
        "Student 95 %", "verdict", *([f"test {metric}"] * tested), "runs",
    ]  # fmt: skip
    cells = [
        [
            one.label, plus_minus(one.best), *_difference(one, found),
            *([plus_minus(one.test)] * tested), _ended(one),
        ]
        for one in found.compared
    ]  # fmt: skip
    note = (
        f"Means ± standard deviations over seeds of the best validation {metric} of each run, of "
        "one that diverged too: its loss was not finite, or in the end worse than before the first "
        "step. "
        "Differences are of runs with the same seed, so with the same batches; the bootstrap is "
        "the percentile one, too narrow for few seeds (of normal differences five give 85 %, three "
        "75 %), Student's interval is exact for normal ones. “Better” and “worse” where neither "
        "holds zero, row by row: there is no correction for many rows."
    )
    if tested:
        note += f" The test {metric} is that of the weights with the best validation {metric}."
    return Table("Comparison", note, header, cells)


def _costs(found: Comparison) -> Table:
    target = number(found.target)
    header = [
        "optimizer", f"steps to {target}", "seconds", "reached", "ms per step", "state, MiB",
        "hyperparameters",
    ]  # fmt: skip
    cells = [
        [
            one.label, _range(one.steps), _seconds(one.seconds),
            f"{one.reached} of {one.seeds - one.unfinished}", number(one.ms_per_step, 3),
            _mebibytes(one),
            ", ".join(f"{name} {value:.4g}" for name, value in one.hyperparameters.items()),
        ]
        for one in found.compared
    ]  # fmt: skip
    note = (
        f"Steps of training until the validation {found.head.metric} is {target}, by default the "
        f"best that all runs of {found.reference} reach: median over the seeds (lowest–highest). "
        "Seconds are those of the median at the ms per step of the row: the lowest decile over the "
        "intervals between looks, for other work on a machine only slows. The state is what the "
        "optimizer keeps besides the weights."
    )
    return Table("Time and memory", note, header, cells)


def plus_minus(spread: Spread | None) -> str:
    if spread is None:
        return "–"
    deviation = "" if spread.deviation is None else f" ± {spread.deviation:.2g}"
    return f"{spread.mean:.4f}{deviation}"


def _difference(one: Compared, found: Comparison) -> list[str]:
    if (difference := one.difference) is None:
        return ["–"] * 4
    verdict = "not told apart"
    if difference.bootstrap is None:
        verdict = "one seed"
    elif difference.is_clear:
        verdict = "better" if found.head.cost(difference.mean) < 0 else "worse"
    ends = (_interval(difference.bootstrap), _interval(difference.student))
    pairs = f" ({difference.pairs} of {one.seeds} seeds)" * (difference.pairs < one.seeds)
    return [f"{difference.mean:+.4f}{pairs}", *ends, verdict]


def percent(share: float) -> str:
    per_cent = 100 * share
    return f"{per_cent:.0f} %" if abs(per_cent) >= 99.5 else f"{per_cent:.2g} %"


def _interval(ends: _Ends) -> str:
    return "–" if ends is None else f"{ends[0]:+.4f} … {ends[1]:+.4f}"


def _range(values: tuple[float, float, float] | None) -> str:
    if values is None:
        return "–"
    middle, low, high = ("never" if value == inf else f"{value:g}" for value in values)
    return middle if low == high else f"{middle} ({low}–{high})"


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{float(number(value)):g}"


def _mebibytes(one: Compared) -> str:
    return "–" if one.state_bytes is None else f"{one.state_bytes / 2**20:.3g}"


def _ended(one: Compared) -> str:
    told = [str(one.seeds)]
    told += [f"{one.diverged} diverged"] * (one.diverged > 0)
    told += [f"{one.unfinished} unfinished"] * (one.unfinished > 0)
    return ", ".join(told)


def _search(found: Comparison) -> Table:
    metric = found.head.metric
    header = [
        "optimizer", "trials", "diverged", "pruned", "unfinished", f"best {metric}",
        f"median {metric}", "chosen trial",
    ]  # fmt: skip
    cells = [
        [
            one.label, str(one.trials), str(one.diverged), str(one.pruned), str(one.unfinished),
            number(one.best), number(one.median), "–" if one.chosen is None else str(one.chosen),
        ]
        for one in found.searched
    ]  # fmt: skip
    note = (
        f"Every optimizer draws four numbers. A trial counts by its best validation {metric}, one "
        "that diverged or was pruned by what it had reached; neither is chosen."
    )
    return Table("Search", note, header, cells)


def _curves(found: Comparison) -> Table:
    longest = max(len(one.curve) for one in found.searched)
    ks = list(_powers(longest))
    cells = [[one.label, *(_at(one, k) for k in ks)] for one in found.searched]
    note = (
        f"The expected best validation {found.head.metric} of k trials drawn without replacement, "
        "exact over all orders: Σᵢ cᵢ C(n−i, k−1)/C(n, k) with the trials' values from best to "
        "worst."
    )
    return Table("Best of k trials", note, ["optimizer", *(f"k = {k}" for k in ks)], cells)


def _at(one: Searched, k: int) -> str:
    return number(one.curve[k - 1]) if k <= len(one.curve) else "–"


def _powers(most: int) -> Iterator[int]:
    k = 1
    while k < most:
        yield k
        k *= 2
    yield most


def _widths(found: Comparison) -> Table:
    whose = f"{found.lr_name} lr"
    header = ["optimizer", whose, "best lr", "good from", "to", "decades", "diverged"]
    cells = [[one.label, f"{one.chosen:.3g}", *_width(one)] for one in found.scanned]
    note = (
        f"The range of lr around the best one of those that were run beside the {whose}, all else "
        f"fixed, in which the validation {found.head.metric} is within {percent(found.tolerance)} "
        "of the best, linear in log lr between the runs; ≤ and ≥ where the runs end, or one "
        "diverges, before that is passed."
    )
    return Table("Range of good learning rates", note, header, cells)


def _width(one: Scanned) -> list[str]:
    diverged = str(sum(value is None for value in one.values.values()))
    if (width := one.width) is None:
        return ["–"] * 4 + [diverged]
    low = f"{'≤ ' * width.low_is_open}{width.low:.3g}"
    high = f"{'≥ ' * width.high_is_open}{width.high:.3g}"
    is_open = width.low_is_open or width.high_is_open
    return [f"{width.lr:.3g}", low, high, f"{'≥ ' * is_open}{width.decades:.2f}", diverged]


def _inside(found: Comparison) -> Table:
    header = [
        "optimizer", "energy taken", "frozen", "at most", "longest, steps", "at the cap", "at most",
    ]  # fmt: skip
    cells = [[one.label, *_fractions(one.inside)] for one in found.compared if one.inside]
    note = (
        "Of the kinetic energy that the kicks of the gradient gave, what each letter took away; "
        "coordinates of which the damping of a step leaves less than a tenth of the momentum, the "
        "mean over all looks and the most at one; for how many steps one of those that are "
        "followed stayed so; and coordinates whose p² the cubic damping halves in a step."
    )
    return Table("Inside the runs", note, header, cells)


def _fractions(inside: Inside) -> list[str]:
    frozen, capped = (
        ["–"] * 2 if ends is None else [percent(end) for end in ends]
        for ends in (inside.frozen, inside.capped)
    )
    taken = ", ".join(f"{letter} {percent(part)}" for letter, part in inside.taken.items())
    longest = "–" if inside.frozen is None else str(inside.longest)
    return [taken or "–", *frozen, longest, *capped]
