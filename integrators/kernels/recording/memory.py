"""Which node stands in each place of a tensor's memory, while a landscape is recorded."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .expression import Graph, Node
from .symbols import Symbols
from .untraceable import MOST_NODES, NotTraceableError, too_many

MOST_NUMBERS = 2 * MOST_NODES
"""Numbers, at most, that are kept; some may turn out not to be needed."""

_LARGEST = 10_000_000  # numbers of a tensor of which a few are used
_UNNAMED = -1


@dataclass
class _Storage:
    """A tensor's storage: the place in `Memory.nodes` of the node of every number in it.

    literal   the numbers were written in the code, not brought by a tensor from elsewhere
    """

    storage: torch.UntypedStorage  # kept, so that no other gets its address
    size: int
    places: Tensor
    literal: bool

    def seen(self, t: Tensor) -> Tensor:
        """The places of the numbers of t; what is written into them is written here."""
        if t.element_size() != self.size:
            raise NotTraceableError("it reads a tensor as one of another type")
        return self.places.as_strided(t.size(), t.stride(), t.storage_offset())


class Memory:
    """The nodes in the memory of tensors; all views of a tensor see the same.

    Numbers get a node when they are first asked for: an input of the graph, named `landscape 0`,
    `landscape 1`, ... in that order, with its value in `constants`; literal numbers, integers and
    truth values are constants of the graph. The node in place 0 is the constant 0.
    """

    def __init__(self, graph: Graph, dtype: torch.dtype) -> None:
        self.graph, self.dtype = graph, dtype
        self.constants: dict[str, float] = {}
        self._nodes: list[Node] = []
        self._place: dict[Node, int] = {}
        self._storages: dict[int, _Storage] = {}
        self.place(0.0)

    def write(self, t: Tensor, symbols: Symbols) -> None:
        """Let symbols stand in the memory of t."""
        places = torch.tensor([self.place(node) for node in symbols.nodes], dtype=torch.int64)
        self.put(t, places.reshape(symbols.shape))

    def read(self, t: Tensor) -> Symbols:
        """The symbols in the memory of t."""
        places = self.places(t).flatten().tolist()
        nodes = np.fromiter((self._nodes[place] for place in places), dtype=object)
        return Symbols(self.graph, nodes.reshape(tuple(t.shape)))

    def put(self, t: Tensor, places: Tensor) -> None:
        """Let the nodes in these places stand in the memory of t."""
        if t.is_floating_point() and t.element_size() < self.dtype.itemsize:
            raise NotTraceableError(f"it rounds numbers to {t.dtype}")
        if places.shape != t.shape:
            raise RuntimeError(f"{tuple(t.shape)} numbers were recorded as {tuple(places.shape)}")
        self._storage(t, literal=False).seen(t).copy_(places)

    def places(self, t: Tensor) -> Tensor:
        """The places of the nodes in the memory of t."""
        if t.numel() > MOST_NUMBERS:
            raise too_many(t.numel())
        storage = self._storage(t, literal=False)
        if (storage.seen(t) == _UNNAMED).any():
            literal = storage.literal or not t.is_floating_point()
            every = torch.arange(len(storage.places))
            where = every.as_strided(t.size(), t.stride(), t.storage_offset())
            for k, value in zip(where.flatten().tolist(), t.flatten().tolist(), strict=True):
                if storage.places[k] == _UNNAMED:
                    storage.places[k] = self.place(value if literal else self._input(value))
        return storage.seen(t)

    def place(self, what: Node | float) -> int:
        """The place of a node, or of a number's constant."""
        node = what if isinstance(what, Node) else self.graph.constant(what)
        if node not in self._place:
            if len(self._nodes) == MOST_NUMBERS:
                raise too_many(MOST_NUMBERS)
            self._place[node] = len(self._nodes)
            self._nodes.append(node)
        return self._place[node]

    def moves(self, t: Tensor) -> bool:
        """Whether t depends on the coordinates."""
        return any(p != _UNNAMED and self._nodes[p].kind == "element" for p in self._seen(t))

    def is_literal(self, t: Tensor) -> bool:
        """Whether all the numbers in t were written in the code."""
        known = self._storages.get(_address(t))
        literal = known is not None and known.literal
        return (known is not None or not t.numel()) and all(
            literal if p == _UNNAMED else self._nodes[p].op == "constant" for p in self._seen(t)
        )

    def computed(self, t: Tensor, literal: bool, changed: bool) -> None:
        """The numbers in t follow from constants: what was known of a changed t is forgotten."""
        known = self._storages.get(_address(t))
        if known is None and literal and t.numel() <= MOST_NUMBERS:
            self._storage(t, literal=True)
        elif known is not None and changed:
            known.seen(t).fill_(_UNNAMED)
            known.literal &= literal

    def _seen(self, t: Tensor) -> list[int]:
        known = self._storages.get(_address(t))
        return [] if known is None else known.seen(t).flatten().tolist()

    def _storage(self, t: Tensor, literal: bool) -> _Storage:
        address = _address(t)
        if address not in self._storages:
            storage = t.untyped_storage()
            count = storage.nbytes() // t.element_size()
            if count > _LARGEST:
                raise NotTraceableError(f"it reads from a tensor of {count} numbers")
            places = torch.full((count,), _UNNAMED)
            self._storages[address] = _Storage(storage, t.element_size(), places, literal)
        return self._storages[address]

    def _input(self, value: float) -> Node:
        name = f"landscape {len(self.constants)}"
        self.constants[name] = value
        return self.graph.input(name, "uniform")


def shares(some: Iterable[Tensor], others: Iterable[Tensor]) -> bool:
    """Whether one of some tensors is a view of one of the others."""
    return not {_address(t) for t in some}.isdisjoint(_address(t) for t in others)


def _address(t: Tensor) -> int:
    return t.untyped_storage()._cdata
