"""What was found out for the last few kinds of calls."""

from collections.abc import Callable
from typing import Generic, TypeVar

from ..errors import NoKernelError

Plan = TypeVar("Plan")
_KEPT = 8


class Recent(Generic[Plan]):
    """Plans by key, those used last: parameters may take turns (experts, frozen parts).

    Keys are compared, not hashed, which for lists of tensors' facts is cheaper. That there is no
    plan for a key is remembered too.
    """

    def __init__(self) -> None:
        self._known: list[tuple[object, Plan | str]] = []

    def get(self, key: object, make: Callable[[], Plan]) -> Plan:
        """The plan for a key, made if it is new; NoKernelError, as it was when it was made."""
        known = self._known
        place = next((i for i, (other, _) in enumerate(known) if other == key), None)
        if place is None:
            known.insert(0, (key, self._made(make)))
            del known[_KEPT:]
        elif place:
            known.insert(0, known.pop(place))
        plan = known[0][1]
        if isinstance(plan, str):
            raise NoKernelError(plan)
        return plan

    def _made(self, make: Callable[[], Plan]) -> Plan | str:
        try:
            return make()
        except NoKernelError as error:
            return str(error)  # the error itself would hold all that was there
