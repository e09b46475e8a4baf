"""The momentum section: Kovachki and Stuart's theorems on heavy ball and Nesterov, measured."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from ..momentum.equations import momentum_equations
from ..momentum.theorems import Claim, kovachki_stuart
from ..plots.momentum import plot_theorems
from .section import Finding, Job, Picture, Scope, canvas, rows_by_kind

MOMENTA = (0.5, 0.9)


def jobs(scope: Scope) -> list[Job]:
    """One job for each momentum λ."""
    chosen = MOMENTA[-1:] if scope.quick else MOMENTA
    theorems = [
        Job("momentum", place, measure, (momentum, scope.quick))
        for place, momentum in enumerate(chosen)
    ]
    return [*theorems, Job("momentum", len(theorems), measure_equations, ())]


def measure(momentum: float, quick: bool) -> Finding:
    """All claims of the three theorems at one momentum."""
    claims = kovachki_stuart(momenta=(momentum,), quick=quick)
    return Finding("theorems", tuple(asdict(claim) for claim in claims), claims)


def measure_equations() -> Finding:
    """High-resolution equations, the LDHD model of SGD, Nesterov's 3/t."""
    return Finding("equations", tuple(asdict(claim) for claim in momentum_equations()))


rows = rows_by_kind


def pictures(results: Sequence[Finding], runs: Path) -> Iterator[Picture]:
    """Errors of each theorem's equations against the scheme's step."""
    claims: list[Claim] = [claim for finding in results for claim in finding.drawn or ()]
    if not claims:
        return
    with canvas(1, 3, size=(13.0, 5.2)) as (figure, axes):
        plot_theorems(claims, axes=list(axes[0]))
        yield Picture(
            "theorems",
            "momentum",
            "Momentum methods as flows",
            "Distance between the iterates of heavy ball (solid) and Nesterov's method (dashed) "
            "and three equations, against the step h (Kovachki, Stuart 2021). (i) The rescaled "
            "gradient flow is of order 1: dotted, the displacement lost in the transient. (ii) The "
            "second-order equation is of order 1 as well while the transient lasts; afterwards it "
            "is of order 2, if its initial velocity makes up for the transient. (iii) The gradient "
            "flow of the modified loss is of order 2 on the invariant manifold.",
            figure,
        )
