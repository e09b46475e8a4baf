"""What a step of an optimizer moves, and how: the parts of the word, one after the other."""

import copy
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import compress
from typing import Any

import torch
from torch import Tensor

from ...dynamics import Dynamics, State
from ..bundle import Bundle, copy_into
from ..kernels.fused.rounding import key, to_bfloat16
from ..words.word import Substep
from .options import kept_type
from .portions import Cut
from .sizes import StepSizes
from .tensors import as_found, at_least_single, computable, gradient_of, numbering, sums_of


class ActiveGroup:
    """The parameters of a group that have gradients, with their state, in one call of `step()`.

    closing, opening  the pieces of the word that belong to the last step and to this one
    group             the settings
    states            the optimizer's state of each parameter
    places            of each parameter, among all of the optimizer, where these are counted
    impulse           p/∇f at a parameter's first step; None for those that start at rest
    scale             by which gradients are to be divided, as a GradScaler says
    in_rows           whether kernels walk along rows, by which the elements are then counted
    tracing           for torch's compiler numbers are tensors: other numbers compile nothing anew

    With a tensor lr and `capturable` (or `differentiable`) the step sizes are tensors on the
    device, which nobody waits for. What lr = 0 must not change is then put back at the end.
    It is `begin`, for the whole or for its portions, that reads the tensors.
    """

    state: State

    def __init__(
        self,
        dynamics: Dynamics,
        closing: Sequence[Substep],
        opening: Sequence[Substep],
        group: dict[str, Any],
        params: Sequence[Tensor],
        states: Sequence[dict[str, Any]],
        places: Sequence[int],
        impulse: Any,
        scale: Tensor | None = None,
        tracing: bool = False,
        in_rows: bool = False,
    ) -> None:
        self.group, self.params, self.states, self.places = group, params, states, places
        self.dynamics, self._scale, self._impulse = dynamics, scale, impulse
        self.shared = [name for name in dynamics.scalars if name != "t"]
        self._cuts = [Cut(place) for place in range(len(params))]
        self._grads: list[Tensor] | None = None
        self._bundle = self._bundle_of(params)
        self._kept = self._found()
        self._numberings = self._counted(in_rows) if kept_type(group) else []
        x = self._bundle.like(self._kept["x"])
        self.sizes = StepSizes(dynamics, closing, opening, group, states, x, tracing)

    def begin(self) -> None:
        """Take the state and the gradients as they are now."""
        self.state = State({**self._read(), "g": self.gradients()})
        self._before = {name: getattr(self.state, name) for name in self._kept}
        if self._impulse is not None:
            self._start(self._impulse)

    def portions(self, portions: Sequence[Sequence[Cut]]) -> Iterator["ActiveGroup"]:
        """Itself in parts independent of each other, each of which begins when it is asked for."""
        grads = [gradient_of(param) for param in self.params]
        for cuts in portions:
            one = copy.copy(self)
            one._narrow(cuts, grads)
            one.begin()
            yield one

    def _narrow(self, cuts: Sequence[Cut], grads: Sequence[Tensor]) -> None:
        """Become what lies in some cuts."""
        self._cuts, everyone = [*cuts], range(len(self.params))

        def chosen(things: Sequence[Any]) -> list[Any]:
            return [things[cut.place] for cut in cuts]

        if [cut.place for cut in cuts] != [*everyone]:
            self.params, self.states = chosen(self.params), chosen(self.states)
            self.places = chosen(self.places) if self.places else []
            self._numberings = chosen(self._numberings) if self._numberings else []
            self._bundle = self._bundle_of(self.params)
        self._kept = {
            name: [
                t if name in self.dynamics.scalars else cut.of(t)
                for cut, t in zip(cuts, chosen(tensors), strict=True)
            ]
            for name, tensors in self._kept.items()
        }
        self._grads = [cut.of(grads[cut.place]) for cut in cuts]
        self.sizes = self.sizes.of(chosen, self._bundle)

    def _bundle_of(self, params: Sequence[Tensor]) -> Bundle:
        foreach = self.group["foreach"] is not False and not self._graph
        return Bundle([], sums_of(params), foreach)

    @property
    def _graph(self) -> bool:
        return self.group["differentiable"]

    # --- tensors that are computed with ------------------------------------------------------

    def _found(self) -> dict[str, list[Tensor]]:
        """By variable, where its numbers are kept."""
        names = self.dynamics.variables[1:]
        kept = {name: [computable(state[name]) for state in self.states] for name in names}
        return {"x": [computable(param) for param in self.params], **kept}

    def _counted(self, in_rows: bool) -> list[tuple[tuple[int, ...], int]]:
        mine = ({name: ts[i] for name, ts in self._kept.items()} for i in range(len(self.params)))
        pairs = zip(self.params, mine, strict=True)
        return [numbering(param, kept, in_rows) for param, kept in pairs]

    def _read(self) -> dict[str, Bundle]:
        variables = {}
        for name, tensors in self._kept.items():
            if name not in self.dynamics.scalars:
                tensors = [t.to(self._type(i)) for i, t in enumerate(tensors)]
            variables[name] = self._bundle.like(tensors)
        if self._graph:  # what a derivative needs must not be overwritten
            variables["x"] = self._bundle.like([t.clone() for t in variables["x"].tensors])
        return variables

    def _type(self, place: int) -> torch.dtype:
        return at_least_single(self._kept["x"][place].dtype)

    def gradients(self) -> Bundle:
        """The gradients as they are now."""
        if any(param.grad is None for param in self.params):
            raise RuntimeError("a gradient disappeared between two calls of the closure")
        grads = self._grads or [gradient_of(param) for param in self.params]
        bundle = self._bundle.like([grad.to(self._type(i)) for i, grad in enumerate(grads)])
        if self._scale is not None:
            bundle = bundle / self._scale
        return -bundle if self.group["maximize"] else bundle

    def _start(self, impulse: Any) -> None:
        """The momentum of parameters that make their first step."""
        last = self.sizes.last
        sizes = last.tensors if isinstance(last, Bundle) else [last] * len(self.params)
        pairs = zip(sizes, self.state.p.tensors, self.state.g.tensors, strict=True)
        self.state.p = self._bundle.like(
            [
                torch.where(size == 0, impulse * g, p)
                if isinstance(size, Tensor)
                else (p if size else impulse * g)
                for size, p, g in pairs
            ]
        )

    # --- a step ------------------------------------------------------------------------------

    def share_friction(self) -> None:
        """After the closing piece, a new parameter takes the friction of the others."""
        for name in self.shared:
            copies = getattr(self.state, name).tensors
            leader = self.sizes.leader(copies)
            self.state.__dict__[name] = self._bundle.like([leader.to(t.device) for t in copies])

    def write(self) -> None:
        """Put the parameters where they are now."""
        for kept, value in zip(self._kept["x"], self.state.x.tensors, strict=True):
            kept.copy_(value)

    def store(self) -> None:
        """Keep what has changed, in place; in a graph of derivatives state becomes new tensors."""
        for name, kept in self._kept.items():
            bundle = getattr(self.state, name)
            if bundle is self._before[name]:
                continue
            values = bundle.tensors
            if name in self.dynamics.scalars:  # the last cut of a parameter says how late it is
                ends = [cut.ends for cut in self._cuts]
                kept, values = [*compress(kept, ends)], [*compress(values, ends)]
                if not kept:
                    continue
            if (moves := self.sizes.moves) is not None:
                pairs = zip(values, kept, strict=True)
                values = [torch.where(moves.to(t.device), v, t) for v, t in pairs]
            if not self._graph:
                copy_into(kept, [*map(partial(self._rounded, name), range(len(values)), values)])
            elif name == "x":
                for place, value in zip(kept, values, strict=True):
                    place.copy_(value)
            else:
                for state, value in zip(self.states, values, strict=True):
                    state[name] = as_found(value, state[name])

    def _rounded(self, name: str, place: int, value: Tensor) -> Tensor:
        """As it is kept: state in bfloat16 is rounded stochastically, all else by torch."""
        kept = kept_type(self.group)
        if kept is None or name == "x" or self._kept[name][place].dtype != kept:
            return value
        stream = self.dynamics.variables.index(name)
        numbered = key(self.group["noise"], self.places[place], self.states[place]["steps"], stream)
        strides, first = self._numberings[place]
        return to_bfloat16(value, numbered, strides, first + self._cuts[place].first(strides))
