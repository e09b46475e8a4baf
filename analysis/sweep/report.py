"""The report of a sweep, from the folders of its runs alone."""

import json
from itertools import chain
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ...integrators.files import atomic
from ..study.report import saved
from ..study.run import versions
from ..study.section import finite
from .compare import compare
from .comparison import Comparison
from .folders import PAGE, RESULTS, TABLES, head_of, planned_rows, rows
from .pictures import inside, pictures
from .sentences import summary, warnings
from .tables import markdown, tables


def report(
    out: Path,
    *,
    command: str = "",
    reference: str | None = None,
    target: float | None = None,
    tolerance: float = 0.02,
) -> Comparison:
    """Read the runs in `out`; write there results.json, report.md, figures and index.html.

    command  that writes this report again, for its readers
    The others are of `compare`. ValueError for a folder that is not a sweep's.
    """
    head = head_of(out)
    found = compare(
        head,
        list(rows(out, head)),
        planned=planned_rows(out),
        reference=reference,
        target=target,
        tolerance=tolerance,
    )
    with atomic(out / RESULTS, "w") as handle:
        results = {"command": command, **found.as_json(), "versions": versions()}
        json.dump(_finite(results), handle, indent=1, allow_nan=False)
    with atomic(out / TABLES, "w") as handle:
        handle.write(markdown(found, command))
    environment = Environment(
        loader=PackageLoader("dashpot.analysis.sweep", "."),
        autoescape=True,
        undefined=StrictUndefined,
    )
    environment.filters["together"] = lambda text: text.replace(" %", "\N{NO-BREAK SPACE}%")
    page = environment.get_template("report.html").render(
        head=head,
        warnings=warnings(found),
        summary=summary(found),
        tables=list(tables(found)),
        pictures=saved(out, chain(pictures(found), inside(out, found))),
        command=command,
        versions=versions(),
    )
    with atomic(out / PAGE, "w") as handle:
        handle.write(page)
    return found


def _finite(value: Any) -> Any:
    """What JSON can hold: infinity and NaN become null."""
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return finite(value)
