"""Where the energy goes: what every letter of a word removes or adds, step by step."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...dynamics import Dynamics, Part, State
from ...integrators import Trajectory, Word, simulate
from ...integrators.start import on_tensors
from ...integrators.step import apply
from ...integrators.trajectory import in_pieces, inside, plain
from ...landscapes import Landscape
from ..noiseless import refuse_noise, refuse_sampled


@dataclass(frozen=True)
class EnergyAudit:
    """What each letter did to the dynamics' Lyapunov energy E (`run.energy`) in each of T steps.

        E(t_{n+1}) − E(t_n) = Σ over the letters of change[letter][n]        (to rounding)

    run         the audited trajectory, all T + 1 states, with its status and message; from the
                step on at which a trajectory overflows, its entries are NaN
    word        the letters of a step, in order, one per substep
    by_substep  [T, len(word), *batch] energy added by each substep (negative: removed). Where E
                is infinite within a step (CADAM's at √ζ + ε = 0, after a kick from ζ = 0 and with
                bias correction from t = 0), the letter that makes it finite again is booked
                with the whole change since it was finite, and those before it with 0
    exact       by letter [T, *batch]: ∫ of the rate at which that part alone changes E, taken along
                the states at the ends of the steps; NaN next to a state from which E jumps to
                infinity, or its rate is infinite, as at ζ = 0. Summed over a run, change − exact
                is of the word's order in h
    conversion  the letters that turn potential into kinetic energy and back: those that move x by
                p, and those that read the gradient and do not move x (A, B; CADAM: A, B, E). The
                exact rates of A and B cancel, ∇f·p − ∇f·p = 0; E's is what its ζ takes from the
                kinetic energy. W and F, which move x without p, are not among them
    shadowed    the letters with shadow work: all that move x or read the gradient
    """

    run: Trajectory
    word: tuple[str, ...]
    by_substep: Tensor
    exact: dict[str, Tensor]
    conversion: tuple[str, ...]
    shadowed: tuple[str, ...]

    def __repr__(self) -> str:
        settings = self.run.settings
        label = f"{settings.get('dynamics')} {''.join(self.word)} on {settings.get('landscape')}"
        sums = {letter: float(change.sum()) for letter, change in self.change.items()}
        told = ", ".join(f"{letter} {energy:+.3g}" for letter, energy in sums.items())
        return f"EnergyAudit({label}, {len(self.run) - 1} steps: {told})"

    @property
    def change(self) -> dict[str, Tensor]:
        """Energy added by each letter, over all its substeps: [T, *batch]."""
        places = {a: [i for i, b in enumerate(self.word) if a == b] for a in self.word}
        return {letter: self.by_substep[:, at].sum(1) for letter, at in places.items()}

    @property
    def shadow(self) -> Tensor:
        """Shadow work [T, *batch]: change − exact of the letters in `shadowed`.

        The numerical part of the energy change. Where these are A and B, whose exact rates cancel,
        it is the change over A and B: with a symplectic word and no friction it stays O(h²) for
        long times, since a shadow Hamiltonian is conserved instead.
        """
        change = self.change
        parts = [change[letter] - self.exact[letter] for letter in self.shadowed]
        return torch.stack(parts).sum(0)


def _refuse(dynamics: Dynamics, landscape: Landscape) -> None:
    """ValueError for noise of either."""
    why = "an audit is of the energy that an ODE's letters take"
    instead = (
        "its expected rate is dynamics.energy_rate, its averages come from stationary(run, ...)"
    )
    refuse_noise(dynamics, why, instead)
    refuse_sampled(landscape, why)


def energy_audit(
    dynamics: Dynamics,
    landscape: Landscape,
    x0: Any = None,
    *,
    step: float,
    steps: int,
    word: str | Word | None = None,
) -> EnergyAudit:
    """Run a word as `simulate` does, in float64, and audit the run; see `EnergyAudit`.

    Raises ValueError or TypeError for arguments that do not fit. Overflow ends a trajectory with
    status "diverged" (`audit.run`), and the audit keeps everything up to there.
    """
    _refuse(dynamics, landscape)
    run = simulate(dynamics, landscape, x0, step=step, steps=steps, word=word, dtype=torch.float64)
    return audit_run(dynamics, landscape, run)


@torch.no_grad()
def audit_run(dynamics: Dynamics, landscape: Landscape, run: Trajectory) -> EnergyAudit:
    """Audit a run that `simulate` made with this dynamics and landscape; see `EnergyAudit`.

    A run that saved every n-th state only is run again from its first state. Energies have the
    precision of the run: audit float64 runs where shadow work below 1e-6 of E matters.
    Raises ValueError for a run by `solve`, which has no letters, or of another dynamics.
    """
    refuse_other_run(dynamics, landscape, run)
    _refuse(dynamics, landscape)
    if run.settings.get("method") != "word":
        raise ValueError(
            f"only a run of a word has letters to audit; this one was made by "
            f"{run.settings.get('method', 'hand')}. Use simulate(...), or "
            "energy_audit(dynamics, landscape, x0, step=..., steps=...)"
        )
    h, word = float(run.settings["step"]), Word(run.settings["word"], dynamics)
    if run.settings["save_every"] > 1:
        start = {name: values[0] for name, values in run.states.items()}
        steps = run.settings["steps"]
        run = simulate(dynamics, landscape, start, step=h, steps=steps, word=word)
    bound = on_tensors(dynamics, run["x"].device)
    word = Word(word, bound)
    s = saved_states(bound, landscape, run)
    parts = {a: bound.letters[a] for a in word.letters}
    no_rate = _jumps(bound, s)
    rates = {
        a: torch.where(no_rate, math.nan, _Share(bound, part).energy_rate(s))
        for a, part in parts.items()
    }
    weights = dict.fromkeys(parts, 0.0)  # 1 unless a combined letter shares the step with its own
    for substep in word.substeps:
        weights[substep.part.letter] += float(substep.fraction)
    return EnergyAudit(
        run=run,
        word=word.letters,
        by_substep=_replay(bound, landscape, word, h, s)[:-1],
        exact={a: weights[a] * step_integrals(rate, h) for a, rate in rates.items()},
        conversion=tuple(a for a, part in parts.items() if _converts(part)),
        shadowed=tuple(a for a, part in parts.items() if "x" in part.writes or "g" in part.reads),
    )


def _converts(part: Part) -> bool:
    if "g" in part.reads:
        return "x" not in part.writes
    return "x" in part.writes and "p" in part.reads


def _replay(dynamics: Dynamics, landscape: Landscape, word: Word, h: float, s: State) -> Tensor:
    """One step from every saved state at once: the energy that each substep adds, [T, S, *batch].

    The states of a run are independent starts of one step each, so time is a batch axis.
    """
    s = s.copy()
    rank = s.rank
    minimum = landscape.minimum or 0.0
    potential = in_pieces(landscape.f, s.x, rank, 0) - minimum
    levels = [dynamics.energy(s, potential)]

    def after(part: Part, s: State) -> None:
        nonlocal potential
        if "x" in part.writes:
            potential = in_pieces(landscape.f, s.x, rank, 0) - minimum
        levels.append(dynamics.energy(s, potential))

    pieces = [(substep.part, float(substep.fraction) * h) for substep in word.substeps]
    apply(pieces, s, lambda x: in_pieces(landscape.df, x, rank, rank), after)
    _step_over_infinity(levels)
    return torch.stack(levels, dim=1).diff(dim=1)


def _step_over_infinity(levels: list[Tensor]) -> None:
    """Within a step from a finite level to a finite one, infinite levels are the last finite."""
    ends = levels[0].isfinite() & levels[-1].isfinite()
    for k in range(1, len(levels) - 1):
        levels[k] = torch.where(ends & _infinite(levels[k]), levels[k - 1], levels[k])


def _infinite(energy: Tensor) -> Tensor:
    """p²/√ζ at ζ = 0 divides by the smallest number `tiny` (see `nonzero`): about 1/tiny."""
    return ~(energy.abs() < torch.finfo(energy.dtype).tiny ** -0.5)


def _jumps(dynamics: Dynamics, s: State) -> Tensor:
    """Whether E is infinite for the next p, [T + 1, *batch]: there its rate is 0/0."""
    rates = dynamics.rate(s)
    moved = s.copy(p=s.p + rates["p"]) if "p" in rates else s
    return _infinite(dynamics.energy(moved, torch.zeros_like(s.total(s.x))))


class _Share(Dynamics):
    """The vector field of one part, with the energy of the whole: its chain rule is inherited."""

    def __init__(self, whole: Dynamics, part: Part) -> None:
        self.__dict__.update(whole.__dict__)
        self._whole, self._part = whole, part

    def rate(self, s: State) -> dict[str, Any]:
        return {"x": torch.zeros_like(s.x), **self._part.rate(s)}

    def energy(self, s: State, potential: Any) -> Any:
        return self._whole.energy(s, potential)


def step_integrals(rates: Tensor, h: float) -> Tensor:
    """∫ over each of T steps of a rate known at their T + 1 ends, [T + 1, ...] to [T, ...].

    The integral of the cubic through the four nearest ends (fewer where there are fewer): its
    error, O(h⁵) in a step and O(h⁴) over a run, leaves words up to order 4 as they are.
    """
    steps = len(rates) - 1
    size = min(4, steps + 1)
    nodes = torch.arange(size, dtype=torch.float64)
    # weights for a step from node k to node k + 1, exact for 1, t, t², ...
    table = [
        torch.linalg.solve(
            torch.stack([(nodes - k) ** power for power in range(size)]),
            1 / torch.arange(1, size + 1, dtype=torch.float64),
        )
        for k in range(max(1, size - 1))
    ]
    first = (torch.arange(steps) - 1).clamp(min=0, max=steps + 1 - size)
    weights = torch.stack(table)[torch.arange(steps) - first].to(rates)
    nearby = rates[first[:, None] + torch.arange(size)]
    return h * torch.einsum("ns,ns...->n...", weights, nearby)


def saved_states(dynamics: Dynamics, landscape: Landscape, run: Trajectory) -> State:
    """All saved states with their gradients: variables [*shape, T, *batch], time one more batch."""
    rank = len(landscape.shape)
    axes = {name: len(dynamics.shape_of(name, landscape.shape)) for name in run.states}
    s = State({name: inside(value, axes[name]) for name, value in run.states.items()}, rank)
    s.g = in_pieces(landscape.df, s.x, rank, rank)
    return s


def refuse_other_run(dynamics: Dynamics, landscape: Landscape, run: Trajectory) -> None:
    """Raise ValueError if the settings of a run name another dynamics or landscape than these."""
    here = {
        "dynamics": dynamics.name,
        "hyperparameters": {k: plain(v) for k, v in dynamics.hyperparameters.items()},
        "landscape": landscape.name,
    }
    for name, value in here.items():
        made = run.settings.get(name, value)
        if made != value:
            raise ValueError(
                f"this run was made with {name} {made}, not {value}; pass the dynamics and the "
                "landscape that made it"
            )
    if set(run.states) != set(dynamics.variables):
        raise ValueError(
            f"{dynamics.name} has the variables {', '.join(dynamics.variables)}; this run has "
            f"{', '.join(run.states)}"
        )
