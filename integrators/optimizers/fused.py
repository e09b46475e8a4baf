"""A step of a group by a generated kernel, and when there is one."""

from collections.abc import Iterable, Mapping, Sequence
from operator import is_, itemgetter
from typing import Any

import torch
from torch import Tensor

from ...dynamics import Dynamics, State
from ..bundle import Bundle, Sums, copy_into
from ..kernels.errors import NoKernelError
from ..kernels.fused.step import FusedStep
from ..step import apply
from ..words.word import Substep
from .options import number, waits
from .tensors import computable, gradient_of, is_sharded, real_shape

WORTHWHILE = 100_000  # elements of a group from which on a kernel is made without being asked for


class FusedGroup:
    """The tensors of one group as its kernel takes them, looked up anew when something changes."""

    def __init__(
        self, dynamics: Dynamics, closing: Sequence[Substep], opening: Sequence[Substep]
    ) -> None:
        self._dynamics, self._pieces = dynamics, (*closing, *opening)
        self._step = FusedStep(dynamics, closing, opening)
        self._shared = any(name != "t" for name in dynamics.scalars)
        self._params: list[Tensor] = []
        self._of_all: list[Any] = []

    def finds(self, params: list[Tensor], states: Mapping[Tensor, dict[str, Any]]) -> bool:
        """Whether these are the tensors of the last call; states are those of the optimizer."""
        return (
            _same(self._params, params)
            and _same(self._of_all, states.values())
            and all(_same(map(itemgetter(n), self.states), t) for n, t in self._kept.items())
        )

    def look_up(
        self,
        params: list[Tensor],
        states: Mapping[Tensor, dict[str, Any]],
        places: Sequence[int],
    ) -> None:
        """Take other tensors; places are those of the parameters in the optimizer."""
        self._places = places
        self._params, self._of_all = params, list(states.values())
        self.states = [states[param] for param in params]
        names = self._dynamics.variables[1:]
        self._kept = {name: [state[name] for state in self.states] for name in names}
        self.elements = sum(param.numel() for param in params)
        self._plain = not any(is_sharded(p) or p.is_complex() for p in params)
        self.refusal = self._refused()

    def _refused(self) -> str:
        """Why there is no kernel for these tensors, as far as that is seen from here."""
        if len({param.device for param in self._params}) > 1:
            return "the parameters of a group are on several devices"
        sharded = any(map(is_sharded, self._params))
        if sharded and "steps" in self.states[0]:
            return "rounding is by the elements of whole parameters; these lie on several ranks"
        if sharded and _takes_sums(self._dynamics, self._pieces, self._params):
            return f"{self._dynamics.name} takes sums over parameters that lie on several ranks"
        return ""

    def step(
        self,
        group: Mapping[str, Any],
        grads: list[Tensor],
        starts: bool,
        grad_scale: Tensor | None,
        found_inf: Tensor | None,
    ) -> bool:
        """One call; False if there is no kernel for it, and another way is to be taken.

        Raises NoKernelError if there never is one for a group that asks for it.
        """
        asked = group["fused"]
        if not asked and (self.elements < WORTHWHILE or self.refusal):
            return False
        times = self._times(group, starts, found_inf)
        if times is None:
            return False
        if isinstance(times.h, float):
            if times.h == 0 or (found_inf is not None and bool(found_inf.item())):
                return True
            found_inf = None
        inverse = None if grad_scale is None else grad_scale.double().reciprocal()
        try:
            if self.refusal:
                raise NoKernelError(self.refusal)
            self._run(group, grads, times, inverse, found_inf)
        except NoKernelError as error:
            if asked:
                raise NoKernelError(
                    f"there is no fused kernel here, leave out fused: {error}"
                ) from error
            self.refusal = str(error)
            return False
        times.keep(self.states)
        return True

    def _times(
        self, group: Mapping[str, Any], starts: bool, found_inf: Tensor | None
    ) -> "_Times | None":
        """The step size now and the last ones; None where these need another way."""
        lr = group["lr"]
        sized = "h" in self.states[0]
        if not waits(group):
            if sized and (starts or self._shared):  # nobody may look which parameters are new
                return None
            return _TimesOnDevice(lr, self.states, found_inf)
        last = [float(state["h"]) for state in self.states] if sized else [0.0] * len(self.states)
        if sized and 0.0 in last and (starts or (self._shared and any(last))):
            return None
        return _Times(number(lr), last)

    def _run(
        self,
        group: Mapping[str, Any],
        grads: list[Tensor],
        times: "_Times",
        inv_scale: Tensor | None,
        found_inf: Tensor | None,
    ) -> None:
        params, kept = self._params, self._kept
        if not self._plain:
            params = [computable(param) for param in params]
            kept = {name: [computable(t) for t in tensors] for name, tensors in kept.items()}
            grads = [gradient_of(param) for param in self._params]
        rounding: dict[str, Any] = {}
        if group["state_dtype"] is not None:
            ticks = [state["steps"] for state in self.states]
            rounding = {"seed": group["noise"], "places": self._places, "ticks": ticks}
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


def _same(these: Iterable[Any], those: Iterable[Any]) -> bool:
    """Whether they are the same objects."""
    these, those = list(these), list(those)
    return len(these) == len(those) and all(map(is_, these, those))


class _Spy(Sums):
    """Notices that a sum is taken."""

    seen = False

    def totals(self, sums: list[Tensor]) -> list[Tensor]:
        self.seen = True
        return sums

    def mean(self, tensor: Tensor, place: int, axes: tuple[int, ...]) -> Tensor:
        self.seen = True
        return tensor.mean(dim=axes, keepdim=True) if axes else tensor


def _takes_sums(dynamics: Dynamics, pieces: Iterable[Substep], params: Iterable[Tensor]) -> bool:
    """Whether the flows add up over the elements of such parameters; seen by trying them."""
    spy = _Spy()
    for rank in {len(real_shape(param)) for param in params}:
        shape = (2,) * rank
        variables = {
            name: Bundle([torch.ones(dynamics.shape_of(name, shape), dtype=torch.float64)], spy)
            for name in dynamics.variables
        }
        ones = Bundle([torch.ones(shape, dtype=torch.float64)], spy)
        state = State({**variables, "g": ones})
        apply([(piece.part, 0.0) for piece in pieces], state, lambda _, ones=ones: ones)
    return spy.seen
