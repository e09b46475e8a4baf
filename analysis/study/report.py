"""The report: a self-contained page, figures as files, and a short table for the terminal."""

import base64
import io
import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from jinja2 import Environment, PackageLoader, StrictUndefined

from ...integrators.files import atomic
from .section import Picture

_PIXELS_PER_INCH = 96


def write_report(
    out: Path,
    results: dict[str, Any],
    drawings: Iterable[Picture],
) -> Path:
    """Draw the figures into `out` (PNG and SVG) and write `index.html` with them inside."""
    pictures = saved(out, drawings)
    environment = Environment(
        loader=PackageLoader("dashpot.analysis.study", "."),
        autoescape=True,
        undefined=StrictUndefined,
    )
    environment.filters["number"] = number
    page = environment.get_template("report.html").render(
        pictures=pictures, results=results, training=training_summary(results["training"])
    )
    with atomic(out / "index.html", "w") as handle:
        handle.write(page)
    return out / "index.html"


def saved(out: Path, drawings: Iterable[Picture]) -> list[dict[str, Any]]:
    """Figures into `out` (PNG and SVG); their fields with "data", to go inside a page, "width"."""
    mpl.use("Agg")
    pictures = []
    for picture in drawings:
        picture.figure.savefig(out / f"{picture.stem}.svg", metadata={"Date": None})
        buffer = io.BytesIO()
        picture.figure.savefig(buffer, format="png", dpi=150)
        (out / f"{picture.stem}.png").write_bytes(buffer.getvalue())
        data = base64.b64encode(buffer.getvalue()).decode()
        width = round(_PIXELS_PER_INCH * picture.figure.get_figwidth())  # one size of letters
        source = f"data:image/png;base64,{data}"
        pictures.append({**picture.__dict__, "data": source, "width": width})
    return pictures


def training_summary(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean and standard deviation over seeds, best test accuracy first."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["optimizer"], []).append(row)
    summary = []
    for name, members in groups.items():
        finished = [row for row in members if row["test_accuracy"] is not None]
        scores = [100 * row["test_accuracy"] for row in finished] or [math.nan]
        summary.append(
            {
                "optimizer": name,
                "seeds": len(members),
                "diverged": len(members) - len(finished),
                "accuracy": statistics.fmean(scores),
                "shown": _mean(scores),
                "loss": statistics.fmean(row["train_loss"] for row in members),
                "seconds": statistics.fmean(row["seconds"] for row in members),
                "hyperparameters": members[0]["hyperparameters"],
            }
        )
    return sorted(summary, key=lambda row: -row["accuracy"])


def _mean(scores: Sequence[float]) -> str:
    mean = f"{statistics.fmean(scores):.2f}"
    return f"{mean} ± {statistics.stdev(scores):.2f} %" if len(scores) > 2 else f"{mean} %"


def number(value: Any, digits: int = 4) -> str:
    """A number for a table; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}g}"


def terminal_tables(results: dict[str, Any]) -> str:
    """The results as short aligned tables."""
    return "\n\n".join(_table(*one) for one in _tables(results) if one[1])


_Table = tuple[Sequence[str], Sequence[Sequence[str]]]


def _tables(results: dict[str, Any]) -> Iterator[_Table]:
    """Header and rows of each."""
    yield ("landscape", "dynamics", "γ", "decay", "rate", "[low, high]", "theory", "proved"), [
        (
            row["landscape"], row["dynamics"], number(row["gamma"]),
            row["model"] if row["decided"] else "undecided",
            number(row["rate"]), f"[{number(row['rate_low'])}, {number(row['rate_high'])}]"
            if row["rate"] is not None else "–",
            number(row["predicted"]), number(row["bound"]),
        )
        for row in results["decay"]
    ]  # fmt: skip
    yield (
        ("dynamics", "word", "order", "measured slope"),
        [
            (row["dynamics"], row["word"], str(row["order"]), f"{row['slope']:.3f}")
            for row in results["order"]
        ],
    )
    theory = results["theory"]
    yield ("dynamics", "word", "adjoint", "order", "stable to", "bounded to", "error/h^order"), [
        (
            row["dynamics"], row["word"], row["adjoint"] or "itself", str(row["order"]),
            number(row["stability_limit"]), number(row["bounded"]),
            number(row["error_constant"], 3),
        )
        for row in theory.get("words", [])
    ]  # fmt: skip
    yield ("word", "lr / tuned", "seed", "training loss", "validation", "status"), [
        (
            row["word"], number(row["factor"]), str(row["seed"]), number(row["train_loss"], 3),
            f"{100 * row['validation_accuracy']:.1f} %", row["status"],
        )
        for row in theory.get("ladder", [])
    ]  # fmt: skip
    yield ("dynamics", "landscape", "proved rate", "worst violation", "assumptions"), [
        (
            row["dynamics"], row["landscape"], number(row["rate"]), number(row["violation"], 2),
            "fail: " + "; ".join(row["failed"]) if row["failed"] else "hold",
        )
        for row in theory.get("certificate", [])
    ]  # fmt: skip
    yield ("matrix", "ε", "law", "slope", "d(E^-q)/dt", "then", "theory", "its limit"), [
        (
            " × ".join(map(str, row["shape"])), number(row["eps"]),
            "1/√t" if row["q"] == 2 else "1/t",
            *(number(row[k]) for k in ("slope", "first", "second", "predicted", "limit")),
        )
        for row in theory.get("rank_one", [])
    ]  # fmt: skip
    yield ("theorem", "method", "λ", "quantity", "predicted", "measured"), [
        (
            row["theorem"], row["method"], number(row["momentum"]), row["quantity"],
            number(row["predicted"]), number(row["measured"]),
        )
        for kind in ("theorems", "equations")
        for row in results["momentum"].get(kind, [])
    ]  # fmt: skip
    yield from _noise_tables(results["noise"])
    yield ("optimizer", "test accuracy", "training loss", "time", "seeds"), [
        (
            row["optimizer"], row["shown"],
            number(row["loss"], 3), f"{row['seconds']:.1f} s", str(row["seeds"]),
        )
        for row in training_summary(results["training"])
    ]  # fmt: skip


def _noise_tables(noise: dict[str, Any]) -> Iterator[_Table]:
    yield ("word", "weak order", "⟨x²⟩k/T", "simulated", "⟨p²⟩/T", "simulated"), [
        (
            row["word"], str(row["weak_order"]),
            number(row["x2"], 7), _plusminus(row["x2_measured"], row["x2_error"]),
            number(row["p2"], 7), _plusminus(row["p2_measured"], row["p2_error"]),
        )
        for row in noise.get("laws", [])
    ]  # fmt: skip
    yield (
        ("word", "strong order"),
        [
            (row["word"], f"{row['order']:.2f} ± {row['uncertainty']:.2g}")
            for row in noise.get("paths", [])
        ],
    )
    yield ("landscape", "h", "T", "kinetic", "virial", "configurational", "to Gibbs", "p value"), [
        (
            row["landscape"], number(row["step"]), number(row["temperature"]),
            *(
                _plusminus(row[kind], row[f"{kind}_error"])
                for kind in ("kinetic", "virial", "configurational")
            ),
            number(row["total_variation"], 2), number(row["p_value"], 2),
        )
        for row in noise.get("temperatures", [])
    ]  # fmt: skip
    yield (
        ("method", "h", "model", "loss over seeds"),
        [
            (row["method"], number(row["step"], 3), row["model"], row["verdict"])
            for row in noise.get("models", [])
        ],
    )
    yield ("cluster", "search", "starts", "found", "gradients per success"), [
        (
            row["cluster"], row["search"], str(row["starts"]), str(row["found"]),
            number(row["gradients_per_success"]),
        )
        for row in noise.get("clusters", [])
    ]  # fmt: skip


def _plusminus(value: Any, error: Any) -> str:
    return f"{number(value)} ± {number(error, 2)}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    texts = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in lines]
    rule = "-" * (sum(widths) + 2 * len(widths) - 2)
    return "\n".join(text.rstrip() for text in (texts[0], rule, *texts[1:]))
