"""A step of a group by a generated kernel, and when there is one."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ...dynamics import Dynamics
from ..bundle import copy_into
from ..kernels.errors import NoKernelError
from ..kernels.fused.step import FusedStep
from ..words.word import Substep
from .options import number, waits
from .reach import Reach, reach
from .tensors import computable, gradient_of, real_shape, sharded_among

WORTHWHILE = 100_000  # elements of a group, or
MANY = 16  # tensors, from which on a kernel is made without being asked for


class FusedGroup:
    """The step of one group by its kernel, where there is one.

    Without being asked for, a kernel is made for groups of `WORTHWHILE` elements or `MANY`
    tensors: compiling it once per machine takes as long as a thousand steps of so many tensors by
    foreach, at most. This rule does not look at time or at earlier steps, so that a run that is
    resumed goes on bit by bit as it would have. Nothing is held between steps: no tensor outlives
    the optimizer's own state.
    """

    def __init__(
        self, dynamics: Dynamics, closing: Sequence[Substep], opening: Sequence[Substep]
    ) -> None:
        self._dynamics, self._pieces = dynamics, (*closing, *opening)
        self._step = FusedStep(dynamics, closing, opening)
        self._shared = any(name != "t" for name in dynamics.scalars)
        self._reach: dict[frozenset[int], Reach] = {}

    def step(
        self,
        group: Mapping[str, Any],
        params: Sequence[Tensor],
        grads: Sequence[Tensor],
        states: Sequence[dict[str, Any]],
        places: Sequence[int],
        starts: bool,
        grad_scale: Tensor | None,
        found_inf: Tensor | None,
    ) -> bool:
        """One call; False if there is no kernel for it, and another way is to be taken.

        states   of the parameters, complete
        places   of the parameters in the optimizer, for stochastic rounding
        starts   whether a momentum starts otherwise than at 0

        Raises NoKernelError if there is none for a group that asks for it, ValueError for tensors
        that do not belong together.
        """
        if not group["fused"] and not is_worthwhile(params):
            return False
        times = self._times(group, states, starts, found_inf)
        if times is None:
            return False
        if isinstance(times.h, float):
            if times.h == 0 or (found_inf is not None and bool(found_inf.item())):
                return True
            found_inf = None
        inverse = None if grad_scale is None else grad_scale.double().reciprocal()
        try:
            self._run(group, params, grads, states, places, times, inverse, found_inf)
        except NoKernelError as error:
            if group["fused"]:
                raise NoKernelError(
                    f"there is no fused kernel here, leave out fused: {error}"
                ) from error
            return False
        times.keep(states)
        return True

    def _times(
        self,
        group: Mapping[str, Any],
        states: Sequence[dict[str, Any]],
        starts: bool,
        found_inf: Tensor | None,
    ) -> "_Times | None":
        """The step size now and the last ones; None where these need another way."""
        lr = group["lr"]
        sized = "h" in states[0]
        if not waits(group):
            if sized and (starts or self._shared):  # nobody may look which parameters are new
                return None
            return _TimesOnDevice(lr, states, found_inf)
        last = [float(state["h"]) for state in states] if sized else [0.0] * len(states)
        if starts and 0.0 in last:
            return None
        if self._shared and len(set(last)) > 1:  # one friction, but closed over different times
            return None
        return _Times(number(lr), last)

    def _run(
        self,
        group: Mapping[str, Any],
        params: Sequence[Tensor],
        grads: Sequence[Tensor],
        states: Sequence[dict[str, Any]],
        places: Sequence[int],
        times: "_Times",
        inv_scale: Tensor | None,
        found_inf: Tensor | None,
    ) -> None:
        variables = self._dynamics.variables[1:]
        kept = {name: [state[name] for state in states] for name in variables}
        rounding: dict[str, Any] = {}
        if group["state_dtype"] is not None:
            ticks = [state["steps"] for state in states]
            rounding = {"seed": group["noise"], "places": places, "ticks": ticks}
        sharded = sharded_among(params)
        if sharded:
            self._refuse_sums(sharded, bool(rounding))
        if sharded or any(map(Tensor.is_complex, params)):
            grads = [gradient_of(param) for param in params]
            params = [computable(param) for param in params]
            kept = {name: [computable(t) for t in tensors] for name, tensors in kept.items()}
        values = {name: group[name] for name in self._dynamics.hyperparameters}
        self._step.run(
            params,
            grads,
            kept,
            values,
            times.h,
            times.last,
            maximize=group["maximize"],
            inv_scale=inv_scale,
            found_inf=found_inf,
            **rounding,
        )

    def _refuse_sums(self, sharded: Sequence[Tensor], rounds: bool) -> None:
        """NoKernelError for what takes more than the part of a parameter that is here."""
        if rounds:
            raise NoKernelError(
                "rounding is by the elements of whole parameters; these lie on several ranks"
            )
        ranks = frozenset(len(real_shape(param)) for param in sharded)
        if ranks not in self._reach:
            self._reach[ranks] = reach(self._dynamics, self._pieces, ranks)
        if self._reach[ranks] != "element":
            raise NoKernelError(
                f"{self._dynamics.name} takes sums over parameters that lie on several ranks"
            )


def is_worthwhile(params: Sequence[Tensor]) -> bool:
    """Whether a kernel is made for these without being asked for."""
    return len(params) >= MANY or sum(map(Tensor.numel, params)) >= WORTHWHILE


class _Times:
    """The step size of a call, and the last one of every parameter, 0 where it is new."""

    def __init__(self, h: Any, last: Any) -> None:
        self.h, self.last = h, last

    def keep(self, states: Iterable[dict[str, Any]]) -> None:
        for state in states:
            if "h" in state:
                state["h"] = self.h
            if "steps" in state:
                state["steps"] += 1


class _TimesOnDevice(_Times):
    """The same without waiting for the device: a size of 0 leaves everything as it is."""

    def __init__(
        self, lr: Tensor, states: Iterable[dict[str, Any]], found_inf: Tensor | None
    ) -> None:
        h = lr.reshape(()).double()
        self._moves = h != 0 if found_inf is None else (h != 0) & (found_inf.reshape(()) == 0)
        self._last = []
        for state in states:
            if "h" in state and not isinstance(state["h"], Tensor):
                state["h"] = torch.full_like(h, state["h"])
            self._last.append(state.get("h", torch.zeros_like(h)))
        super().__init__(h, torch.stack(self._last) * self._moves)

    def keep(self, states: Iterable[dict[str, Any]]) -> None:
        sizes = [torch.where(self._moves, self.h, last) for last in self._last]
        copy_into(self._last, sizes)


def is_fusable(group: Mapping[str, Any]) -> bool:
    """Whether the settings of a group allow a kernel."""
    if group["fused"] is not None:
        return bool(group["fused"])
    ways = ("capturable", "differentiable", "foreach")
    return not any(group[way] for way in ways) and group["foreach"] is None
