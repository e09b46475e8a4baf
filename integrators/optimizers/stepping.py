"""How a call of `step()` moves the parameters of an optimizer that runs a word."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._compile import _disable_dynamo as not_traced

from ..backward import REMEDY, missing
from ..bundle import Bundle
from ..cut import letters_of
from ..step import provide
from ..words.word import Substep
from .flow import flow
from .fused import FusedGroup, is_fusable
from .group import ActiveGroup
from .keeping import Places, StateOptimizer
from .noise import StepNoise
from .options import number, waits
from .portions import cut_up, largest, whole_tensors
from .reach import Reach, reach
from .state import refuse_sparse
from .tensors import computable, real_shape

_look_whether_captured: Callable[[torch.optim.Optimizer], None] = (
    getattr(torch.optim.Optimizer, "_accelerator_graph_capture_health_check", None)
    or torch.optim.Optimizer._cuda_graph_capture_health_check
)
"""torch's own, by either name: RuntimeError where steps are captured that cannot be."""


class SteppingOptimizer(StateOptimizer):
    """An optimizer whose word is cut into the pieces of a call.

    opening, closing  the pieces before and after the cut, of which a call does `closing` first
    gradients         how many a call takes
    backward          whether flows run backwards, and may end
    """

    opening: Sequence[Substep]
    gradients: int
    backward: bool
    _fused: dict[int, FusedGroup]
    _reaches: dict[frozenset[int], Reach]

    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """One step of size lr. With a closure, it is called for the gradient and returned."""
        if closure is None and self.gradients > 1:
            letters = letters_of((*self.opening, *self.closing), self.param_groups)
            raise RuntimeError(
                f"the word {letters} takes {self.gradients} gradients a step; call step(closure) "
                "with a closure that clears the gradients, computes the loss, calls backward() and "
                "returns the loss"
            )
        _look_whether_captured(self)
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            if torch.compiler.is_compiling() and self._is_simple:
                self._move_traced()
            else:
                self._move(closure)
        return loss

    @property
    def _is_simple(self) -> bool:
        """Whether a call is one flow of numbers, without anything that happens in between."""
        several = self.gradients > 1 or self.backward
        return not (several or self.noise or self.defaults["state_dtype"])

    def _move_traced(self) -> None:
        """What torch's compiler records is the flow; what goes before and after it, Python does."""
        tracing = torch.compiler.is_compiling()  # frames that do not name torch are not recorded
        active = self._gather(tracing)
        flow(active, len(self.closing))
        for one in active:
            one.store()
        self._count(active)

    @not_traced
    def _move(self, closure: Callable[[], Any] | None) -> None:
        together = self.gradients > 1 or self.backward or self.defaults["differentiable"]
        undo = self._undo() if self.backward else None
        places = Places(self.param_groups)
        active = self._gather(False, places, begun=together)
        draw = None
        if self.noise is not None:
            draw = StepNoise(self.noise, self.closing, self.opening, self.state, places)
        if together:
            self._flow_together(active, closure, undo, draw)
        else:
            for one in active:
                for portion in self._portions(one):
                    flow([portion], len(self.closing), draw=draw)
                    portion.store()
        self._count(active)

    def _flow_together(
        self,
        active: Sequence[ActiveGroup],
        closure: Callable[[], Any] | None,
        undo: Callable[[], None] | None,
        draw: StepNoise | None,
    ) -> None:
        """All groups arrive where a gradient is asked for before it is."""

        def gradient(asking: ActiveGroup, _: Bundle) -> Bundle:
            """The gradient at a point inside the step, where all groups have arrived by now."""
            assert closure is not None
            for one in active:
                one.write()
            with torch.enable_grad():
                closure()
            for one in active:
                one.state.g = one.gradients()
            return asking.state.g

        def look(one: ActiveGroup, place: int) -> None:
            substep, piece = (*self.closing, *self.opening)[place], one.sizes.pieces[place]
            if undo is None or piece is None or substep.fraction >= 0:
                return
            part, time = piece
            provide(part, one.state, lambda x: gradient(one, x))
            h = one.sizes.last if place < len(self.closing) else one.sizes.h
            if reason := missing(substep, part.backward_limit(one.state) / -time, h):
                undo()
                raise RuntimeError(f"nothing was changed: {reason}; {REMEDY}")

        flow(active, len(self.closing), gradient, look, draw)
        for one in active:
            one.store()

    def _portions(self, one: ActiveGroup) -> Iterator[ActiveGroup]:
        """A group in parts that move independently, so that a step needs little memory."""
        sizes = [param.numel() for param in one.params]  # of whole ones: alike on every rank
        limit = largest(one.params[0].device)
        if sum(sizes) > limit:
            far = self._reach(one.params)
            if far == "element" and self.noise is None:
                return one.portions(cut_up([*map(computable, one.params)], limit))
            if far != "group":
                return one.portions(whole_tensors(sizes, limit))
        one.begin()
        return iter((one,))

    def _reach(self, params: Iterable[Tensor]) -> Reach:
        ranks = frozenset(len(real_shape(param)) for param in params)
        if ranks not in self._reaches:
            pieces = (*self.closing, *self.opening)
            self._reaches[ranks] = reach(self.dynamics, pieces, ranks)
        return self._reaches[ranks]

    @not_traced
    def _gather(
        self, tracing: bool, places: Places | None = None, begun: bool = True
    ) -> list[ActiveGroup]:
        """The groups that move, after those were moved for which there is a kernel."""
        places = places or Places(self.param_groups)
        gradients = [[param.grad for param in group["params"]] for group in self.param_groups]
        for group, grads in zip(self.param_groups, gradients, strict=True):
            refuse_sparse(group, grads)
        active = []
        for index, (group, grads) in enumerate(zip(self.param_groups, gradients, strict=True)):
            params = [p for p, g in zip(group["params"], grads, strict=True) if g is not None]
            if not params:
                continue
            present = [grad for grad in grads if grad is not None]
            counted = self.noise is not None or group["state_dtype"] is not None
            numbers = places(params) if counted else []
            if not tracing and self._fused_step(index, group, params, present, numbers):
                continue
            self._prepare(group, params)
            if (waits(group) and number(group["lr"]) == 0) or self._overflowed():
                continue
            one = ActiveGroup(
                self.dynamics,
                self.closing,
                self.opening,
                group,
                params,
                [self.state[param] for param in params],
                numbers,
                self._impulse(group),
                self._from_scaler("grad_scale"),
                tracing,
                group["state_dtype"] is not None and self._reach(params) == "tensor",
            )
            if begun:
                one.begin()
            active.append(one)
        return active

    def _fused_step(
        self,
        index: int,
        group: dict[str, Any],
        params: list[Tensor],
        grads: list[Tensor],
        places: list[int],
    ) -> bool:
        """The call for one group by its kernel; False where there is none."""
        if self.noise or self.gradients > 1 or self.backward or not is_fusable(group):
            return False
        fast = self._fused.get(index)
        if fast is None:
            fast = self._fused[index] = FusedGroup(self.dynamics, self.closing, self.opening)
        states = self._prepare(group, params)
        starts = self._impulse(group) is not None
        scaled = self._from_scaler("grad_scale"), self._from_scaler("found_inf")
        if not fast.step(group, params, grads, states, places, starts, *scaled):
            return False
        self._share(group, params)
        return True

    def _from_scaler(self, name: str) -> Tensor | None:
        """What a GradScaler hands over by an attribute, while it steps."""
        return getattr(self, name, None)

    def _overflowed(self) -> bool:
        """Whether a GradScaler has found a gradient that is not finite."""
        found = self._from_scaler("found_inf")
        return found is not None and bool(found.item())

    @not_traced
    def _count(self, active: Iterable[ActiveGroup]) -> None:
        for one in active:
            one.sizes.count(one.states)
            self._share(one.group, one.params)

    def _undo(self) -> Callable[[], None]:
        """How to put back parameters that were moved to where a gradient was asked for."""
        params = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        points = [p.clone() for p in params]
        fresh = [p for p in params if p not in self.state]

        def undo() -> None:
            for param, point in zip(params, points, strict=True):
                param.copy_(point)
            for param in fresh:
                self.state.pop(param, None)

        return undo
