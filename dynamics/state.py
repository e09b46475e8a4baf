"""The variables of one system at one instant."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import elements


class State:
    """A system's variables as attributes: `s.x` position, `s.p` momentum, `s.xi` friction, ...

    Besides the variables it carries `s.g`, the gradient at the present `s.x` (None when x has
    moved since it was last computed). Arrays have the coordinates first: `[*shape, *batch]`;
    `rank` is the number of coordinate axes.
    """

    # A plain class: torch's compiler cannot trace types.SimpleNamespace.

    def __init__(self, variables: Mapping[str, Any], rank: int = 1) -> None:
        self.__dict__.update(variables)
        self.rank = rank
        self.__dict__.setdefault("g", None)

    if TYPE_CHECKING:  # any variable may be set; only the type checker needs to be told

        def __setattr__(self, name: str, value: Any) -> None: ...

    def __getattr__(self, name: str) -> Any:
        known = ", ".join(n for n in self.__dict__ if n != "rank")
        raise AttributeError(f"the state has no variable {name!r}; it has {known}")

    def total(self, value: Any) -> Any:
        """Sum over all coordinates, one number per system."""
        return elements.total(value, self.rank)

    def rowmean(self, value: Any) -> Any:
        """The mean of each row of a matrix, [m, 1, *batch] of [m, n, *batch]."""
        return elements.rowmean(value, self.rank)

    def colmean(self, value: Any) -> Any:
        """The mean of each column of a matrix, [1, n, *batch] of [m, n, *batch]."""
        return elements.colmean(value, self.rank)

    def where_matrix(self, value: Any, otherwise: Any) -> Any:
        """`value` where x is a matrix, `otherwise` where it is a vector or a number."""
        return elements.where_matrix(value, otherwise, self.rank)

    def copy(self, **changes: Any) -> "State":
        """A new state with the same arrays, except for the `changes`."""
        return State({**self.__dict__, **changes}, self.rank)
