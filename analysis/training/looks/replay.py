"""A step of one of our optimizers on copies of its state, letter by letter."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ....dynamics import CubicDamping, CubicLinearDamping, Part, State
from ....dynamics.elements import exp
from ....integrators.bundle import Bundle
from ....integrators.optimizer import WordOptimizer
from ....integrators.optimizers.group import ActiveGroup
from ....integrators.optimizers.options import waits
from ....integrators.optimizers.portions import largest, whole_tensors
from ....integrators.optimizers.state import fresh, last_size
from ....integrators.optimizers.tensors import computable, gradient_of
from ....integrators.step import apply


@dataclass
class Substep:
    """A letter at its place in the step.

    part, time     what flows, and for how long; a time is a number, or one for every coordinate
    before, after  the momenta, in one row
    """

    place: int
    part: Part
    time: Any
    before: Tensor
    after: Tensor


class Portion:
    """Some of the tensors that the coming step moves.

    params    the parameters, some of those that have gradients
    state     their variables, each a list of tensors, or all in one row where that is the same
              and much faster; it moves as `substeps` is run through
    dynamics  with the hyperparameters of their group
    """

    def __init__(
        self, optimizer: WordOptimizer, params: Sequence[Tensor], moved: ActiveGroup
    ) -> None:
        self._moved, self._closing = moved, len(optimizer.closing)
        self.params, self.state = params, moved.state
        self.dynamics = optimizer.dynamics.bind(moved.group)

    def substeps(self) -> Iterator[Substep]:
        """What the step does, one part after the other, each done when it is asked for."""
        for place, piece in enumerate(self._moved.sizes.pieces):
            if piece is not None:
                before, (part, time) = joined(self.state.p), piece
                apply([piece], self.state, _no_more_gradients)
                after = joined(self.state.p) if "p" in part.writes else before
                yield Substep(place, part, self._spread(time), before, after)
            if place + 1 == self._closing:
                self._moved.share_friction()

    def with_momentum(self, p: Sequence[Tensor]) -> State:
        """The state it is in with another momentum, given parameter by parameter."""
        now = self.state.p.tensors
        parts = joined(Bundle(p)).split([one.numel() for one in now])
        pairs = zip(parts, now, strict=True)
        return self.state.copy(p=Bundle([part.view_as(one) for part, one in pairs]))

    def _spread(self, time: Any) -> Any:
        if not isinstance(time, Bundle):
            return time
        pairs = zip(time.tensors, self.state.p.tensors, strict=True)
        return joined(Bundle([one.expand_as(p) for one, p in pairs]))


def joined(bundle: Bundle) -> Tensor:
    """All of it in one row."""
    rows = [one.flatten() for one in bundle.tensors]
    return rows[0] if len(rows) == 1 else torch.cat(rows)


def letters(optimizer: WordOptimizer) -> list[str]:
    """The letters of a call, by their place."""
    return [substep.part.letter for substep in (*optimizer.closing, *optimizer.opening)]


def damps(part: Part) -> bool:
    """Whether it takes from the momentum, whatever the gradient is."""
    return "p" in part.writes and "g" not in part.reads


def can_replay(optimizer: Any) -> bool:
    """Whether it is one of ours, whose step takes the gradient that is there, and no noise."""
    if not isinstance(optimizer, WordOptimizer):
        return False
    return optimizer.gradients == 1 and not (optimizer.noise or optimizer.backward)


@torch.no_grad()
def replay(optimizer: WordOptimizer) -> Iterator[Portion]:
    """All that the coming step moves; neither parameters nor the optimizer's state are touched.

    To be asked for when the gradients are there and the step is not made. A sharded parameter is
    what this process has of it.
    """
    for group in optimizer.param_groups:
        params = [param for param in group["params"] if param.grad is not None]
        if not params:
            continue
        far, limit = optimizer._reach(params), largest(params[0].device)
        cuts = whole_tensors([param.numel() for param in params], limit)
        for some in (
            [params] if far == "group" else [[params[c.place] for c in one] for one in cuts]
        ):
            states = [_state(optimizer, param) for param in some]
            moves, kept = some, states
            if far == "element" and _are_alike(optimizer, group, some, states):
                moves, kept = _in_a_row(optimizer, some, states)
            moved = ActiveGroup(
                optimizer.dynamics,
                optimizer.closing,
                optimizer.opening,
                group,
                moves,
                kept,
                range(len(moves)),
                optimizer._impulse(group),
            )
            moved.begin()
            yield Portion(optimizer, some, moved)


def _are_alike(
    optimizer: WordOptimizer,
    group: dict[str, Any],
    params: Sequence[Tensor],
    states: Sequence[dict[str, Any]],
) -> bool:
    """Whether the step treats all coordinates in the same way."""
    if optimizer.dynamics.scalars or not waits(group):
        return False
    return (
        len({(p.dtype, p.device, last_size(s)) for p, s in zip(params, states, strict=True)}) == 1
    )


def _in_a_row(
    optimizer: WordOptimizer, params: Sequence[Tensor], states: Sequence[dict[str, Any]]
) -> tuple[list[Tensor], list[dict[str, Any]]]:
    """Parameters that are alike as one, with its gradient, and its state."""
    row = joined(Bundle([computable(param) for param in params])).detach()
    row.grad = joined(Bundle([gradient_of(param) for param in params])).to(row.dtype)
    variables = {
        name: joined(Bundle([computable(state[name]) for state in states]))
        for name in optimizer.dynamics.variables[1:]
    }
    return [row], [{**states[0], **variables}]


def _state(optimizer: WordOptimizer, param: Tensor) -> dict[str, Any]:
    """The optimizer's state of a parameter, or what it will start with."""
    kept = optimizer.state.get(param, {})
    new = {*optimizer.dynamics.variables[1:]} - {*kept}
    return {**kept, **{name: fresh(optimizer.dynamics, name, param, None) for name in new}}


def _no_more_gradients(_: Any) -> Any:
    raise AssertionError("this word takes one gradient a step")


# --- the cubic cap --------------------------------------------------------------------------------


def is_cubic(part: Part) -> bool:
    return isinstance(part, CubicDamping | CubicLinearDamping)


def feels_cap(substep: Substep) -> Tensor:
    """Where the cubic damping at least halves p²: 2chp² >= 1 just before it (G: cφp² >= 1)."""
    part = substep.part
    linear = exp(-part.gamma * substep.time) if isinstance(part, CubicLinearDamping) else 1.0
    left = (substep.after / substep.before).abs()  # squares of momenta under- and overflow
    return math.sqrt(2) * left <= linear


@torch.no_grad()
def capped(optimizer: WordOptimizer) -> Tensor:
    """The fraction of coordinates that feel the cap in the coming step, 0-dim; see `feels_cap`."""
    felt = []
    for portion in replay(optimizer):
        for substep in portion.substeps():
            if is_cubic(substep.part):
                felt.append(feels_cap(substep))
                break
    return torch.cat(felt).double().mean()
