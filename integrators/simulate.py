"""Fixed-step simulation: any word on any landscape, for a batch of starting points."""

import math
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from ..dynamics import Dynamics, State
from .backward import REMEDY, NoPastError, careful_step, largest_start, may_lack_a_past, reason_of
from .field import Field
from .start import first_state, on_tensors
from .step import apply
from .trajectory import Status, Trajectory, record
from .words.word import Word

_BLOCK = 64  # steps between two looks for overflow


@torch.no_grad()
def simulate(
    dynamics: Dynamics,
    landscape: Field,
    x0: Any = None,
    *,
    step: float,
    steps: int,
    word: str | Word | None = None,
    save_every: int = 1,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    progress: bool = False,
) -> Trajectory:
    """Apply a word `steps` times with step size h = `step` and save every n-th state.

    dynamics    for example CD(gamma=0.5, c=2.0)
    landscape   for example Rosenbrock(2), or Landscape(f, shape=...) for your own function
    x0          starting points `[..., *shape]` (tensor, array, list), or a dict of variables by
                name ({"x": ..., "p": ...}); the others start at zero. None: landscape's start
    word        order of the letters; None: the dynamics' default word
    save_every  save the states of steps 0, n, 2n, ... and the last one
    dtype       torch.float64 unless x0 is a tensor of another floating type
    device      for example "cuda"; None: where x0 is
    progress    show a progress bar

    Returns a `Trajectory`; time k is k·h, never a running sum. A trajectory that overflows is
    frozen while others go on; its status is "diverged", and what it had is kept. Ctrl-C returns
    what is done with status "interrupted".

    Raises ValueError or TypeError for arguments that do not fit, before anything is computed;
    ValueError also where a word with negative fractions asks a flow for more of its past than
    there is, in the first step of every trajectory. It gives a step size that works. If only
    some ask for too much, or later in the run, they are lost like those that overflow.
    """
    s = first_state(dynamics, landscape, x0, dtype, device)
    dynamics = on_tensors(dynamics, s.x.device)
    plan = Word(dynamics.word if word is None else word, dynamics)
    step, steps, save_every = _check(step, steps, save_every)
    pieces = [(part.part, float(part.fraction) * step) for part in plan.substeps]

    def advance(state: State) -> None:
        apply(pieces, state, landscape.df)

    run = _Run(s, dynamics.variables, steps, save_every)
    if may_lack_a_past(plan.substeps):
        _refuse_to_start(plan, step, s, landscape)

        def advance(state: State) -> None:
            careful_step(plan.substeps, step, state, landscape.df)

        def explain(state: State) -> str:
            reason = reason_of(careful_step(plan.substeps, step, state.copy(), landscape.df)[1])
            if not reason:
                return ""
            largest = largest_start(plan.substeps, step, state, landscape.df)
            works = "" if largest is None else f" (from there h = {largest:g} works)"
            return f"{reason}; {REMEDY}{works}"

        run.explain = explain
    status: Status = "finished"
    with tqdm(total=steps, disable=not progress, desc=dynamics.name, unit="step") as bar:
        try:
            while run.done < steps and not run.all_lost:
                block = min(_BLOCK, steps - run.done)
                run.advance(block, advance)
                bar.update(block)
        except KeyboardInterrupt:
            status = "interrupted"
    if run.any_lost and status == "finished":
        status = "diverged"
    settings = {
        "word": plan.text,
        "step": step,
        "steps": steps,
        "save_every": save_every,
        "dtype": str(s.x.dtype).removeprefix("torch."),
        "device": str(s.x.device),
        "method": "word",
    }
    return record(
        dynamics,
        landscape,
        torch.tensor(run.indices, dtype=torch.float64) * step,
        run.stacked(),
        settings,
        status=status,
        message=run.message(status, step),
        stopped_at=run.stopped_at.cpu(),
    )


def _refuse_to_start(plan: Word, step: float, s: State, landscape: Field) -> None:
    """NoPastError with a step size that works, if the first step exists for no trajectory."""
    lost, shares = careful_step(plan.substeps, step, s.copy(), landscape.df)
    if not (lost.numel() and bool(lost.all())):
        return
    largest = largest_start(plan.substeps, step, s, landscape.df)
    if largest is None:
        helps = "no step size helps" + " every trajectory" * (lost.numel() > 1)
    else:
        helps = f"h = {largest:.3g} works"
    raise NoPastError(
        f"the word {plan.text!r} cannot start at x0 with h = {step:g}: {reason_of(shares)}; "
        f"{helps}; or take a word without negative fractions"
    )


class _Run:
    """The states of a run so far, and which trajectories were lost to overflow at which step."""

    def __init__(self, s: State, names: tuple[str, ...], steps: int, save_every: int) -> None:
        self.s = s
        self.names = names
        self.steps = steps
        self.save_every = save_every
        self.done = 0
        self.batch = s.x.shape[s.rank :]
        self.stopped_at = torch.full(self.batch, -1, dtype=torch.int64, device=s.x.device)
        self.indices: list[int] = []
        self.saved: dict[str, list[Tensor]] = {name: [] for name in names}
        self.any_lost = self.all_lost = False
        self.last_words = ""
        self.explain: Callable[[State], str] | None = None
        self.reason = "overflow"
        self.save()

    def is_due(self, index: int) -> bool:
        return index % self.save_every == 0 or index == self.steps

    def save(self) -> None:
        if self.all_lost:
            return
        self.indices.append(self.done)
        for name in self.names:
            value = getattr(self.s, name)
            if self.any_lost:
                value = torch.where(self.stopped_at >= 0, math.nan, value)
            self.saved[name].append(value.clone())

    def forget(self, count: int) -> None:
        """Take back everything saved after the first `count` states."""
        del self.indices[count:]
        for values in self.saved.values():
            del values[count:]

    def stacked(self) -> dict[str, Tensor]:
        return {name: torch.stack(values) for name, values in self.saved.items()}

    def advance(self, steps: int, advance: Callable[[State], None]) -> None:
        """Several steps; if anything overflowed, once more, one by one, to see what and when."""
        if not self.any_lost:
            before, done, count = self.s.copy(), self.done, len(self.indices)
            for _ in range(steps):
                advance(self.s)
                self.done += 1
                if self.is_due(self.done):
                    self.save()
            if bool(self._finite(self.s).all()):
                return
            self.s, self.done = before, done
            self.forget(count)
        for _ in range(steps):
            previous = self.s.copy()
            advance(self.s)
            self._freeze(previous)
            self.done += 1
            if self.all_lost:
                return
            if self.is_due(self.done):
                self.save()

    def _freeze(self, previous: State) -> None:
        finite = self._finite(self.s)
        lost_now = ~finite & (self.stopped_at < 0)
        if bool(lost_now.any()):
            self.stopped_at[lost_now] = self.done + 1
            self.any_lost = True
            self.all_lost = bool((self.stopped_at >= 0).all())
            if not self.last_words:
                self.last_words = _describe(previous, lost_now, self.names)
                self.reason = (self.explain and self.explain(previous)) or "overflow"
        if self.any_lost:
            frozen = self.stopped_at >= 0
            for name in self.names:
                old, new = getattr(previous, name), getattr(self.s, name)
                setattr(self.s, name, torch.where(frozen, old, new))
            self.s.g = None

    def _finite(self, s: State) -> Tensor:
        finite = torch.ones(self.batch, dtype=torch.bool, device=s.x.device)
        for name in self.names:
            value = torch.isfinite(getattr(s, name))
            extra = value.ndim - len(self.batch)
            finite &= value.flatten(0, extra - 1).all(0) if extra else value
        return finite

    def message(self, status: Status, step: float) -> str:
        if status == "interrupted":
            return f"interrupted after step {self.done}"
        if not self.any_lost:
            return ""
        lost = self.stopped_at[self.stopped_at >= 0]
        first = int(lost.min())
        many = f"{len(lost)} of {self.stopped_at.numel()} trajectories; the first " * (
            self.stopped_at.numel() > 1
        )
        where = f"{many}at step {first} (t = {first * step:g}), coming from {self.last_words}"
        if self.reason != "overflow":
            return f"no flow backwards: {where}: {self.reason}"
        return (
            f"overflow: {where}. Try a smaller step, or a word in which every kick is damped "
            "before the drift that follows, such as BCDA"
        )


def _describe(s: State, lost: Tensor, names: tuple[str, ...]) -> str:
    """The variables of the first lost trajectory just before it was lost."""
    index = tuple(lost.nonzero()[0].tolist())
    parts = []
    for name in names:
        value = getattr(s, name)
        value = value[(..., *index)] if index else value
        values = value.flatten()[:4].tolist()
        dots = ", ..." if value.numel() > 4 else ""
        parts.append(f"{name} = [{', '.join(f'{v:.3g}' for v in values)}{dots}]")
    return ", ".join(parts)


def _check(step: Any, steps: Any, save_every: Any) -> tuple[float, int, int]:
    try:
        step = float(step)
    except (TypeError, ValueError):
        raise TypeError(f"step must be a number; got {step!r}") from None
    if not (math.isfinite(step) and step > 0):
        raise ValueError(f"step must be a finite number > 0; got {step}")
    return step, _count("steps", steps), _count("save_every", save_every)


def _count(name: str, value: Any) -> int:
    try:
        count = operator.index(value)
    except TypeError:
        count = 0
    if isinstance(value, bool) or count < 1:
        raise ValueError(f"{name} must be a whole number >= 1; got {value!r}")
    return count
