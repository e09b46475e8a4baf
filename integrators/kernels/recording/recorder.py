"""Torch's operations recorded as expressions while they run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from .aten import CHOOSES, MOVES, PLACED, RULES, SHAPES
from .expression import Graph
from .memory import MOST_NUMBERS, Memory, shares
from .untraceable import CHOICE, FUNCTION, NotTraceableError, too_many

_Call = tuple[tuple[Any, ...], dict[str, Any]]
_LEAVING = (Tensor.numpy, Tensor.tolist, Tensor.__array__, Tensor.data_ptr, Tensor.__dlpack__)


class Recorder(TorchDispatchMode):
    """Records what becomes of the symbols in `memory`, while everything is also computed.

    What follows from constants alone is only computed. Views need no rule: they see the same
    memory. Raises NotTraceableError for what cannot be recorded.
    """

    def __init__(self, graph: Graph, dtype: torch.dtype) -> None:
        super().__init__()
        self.memory = Memory(graph, dtype)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:  # for which torch would load its compiler, in seconds
        return False

    @contextmanager
    def recording(self) -> Iterator[None]:
        """What torch does inside is recorded; taking a value of x out of torch is refused."""
        with _InTorch(self.memory), self:
            yield

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        with torch._C.DisableTorchFunction():
            return self._run(func, (args, kwargs or {}))

    def _run(self, func: Any, call: _Call) -> Any:
        args, kwargs = call
        name, given = func._schema.name.partition("::")[2], _tensors(call)
        if torch.Tag.nondeterministic_seeded in func.tags:
            raise NotTraceableError(f"it draws random numbers ({func})", FUNCTION)
        if name in SHAPES or not any(map(self.memory.moves, given)):
            return self._computed(func, call, [] if name in SHAPES else given)
        if torch.Tag.data_dependent_output in func.tags:
            reason = f"it branches on a value of x, or takes one out ({func})"
            raise NotTraceableError(reason, CHOICE)
        if torch.Tag.inplace_view in func.tags:  # another shape, the same memory
            return func(*args, **kwargs)
        if func._schema.is_mutable:
            record = self._recorded(func, call, name.removesuffix("_") if name[-1] == "_" else "")
            return record(func(*args, **kwargs))
        result = func(*args, **kwargs)
        if shares(_tensors(result), given):
            return result
        if (count := sum(t.numel() for t in _tensors(result))) > MOST_NUMBERS:
            raise too_many(count)
        if func.namespace == "aten" and (name in RULES or name in MOVES or name in CHOOSES):
            return self._recorded(func, call, name)(result)
        with self:
            return _decomposition(func)(*args, **kwargs)

    def _computed(self, func: Any, call: _Call, given: list[Tensor]) -> Any:
        """An operation on constants."""
        literal = all(map(self.memory.is_literal, given))
        result = func(*call[0], **call[1])
        for t in _tensors(result):
            self.memory.computed(t, literal, changed=func._schema.is_mutable)
        return result

    def _recorded(self, func: Any, call: _Call, name: str) -> Callable[[Tensor], Tensor]:
        """What writes the symbols that an operation makes into the memory of its result."""
        moved = name in MOVES or name in CHOOSES
        apply: Any = func if moved else RULES.get(name)
        if apply is None:
            raise NotTraceableError(f"the operation {func} has no symbol")
        indexed = name in CHOOSES or name in PLACED

        def replaced(t: Tensor) -> Any:
            if indexed and not t.is_floating_point():
                if self.memory.moves(t):
                    reason = f"a value that depends on x says where ({func})"
                    raise NotTraceableError(reason, CHOICE)
                return t
            return self.memory.places(t).clone() if moved else self.memory.read(t)

        args, kwargs = tree_map_only(Tensor, replaced, call)
        if name == "constant_pad_nd":
            args = (*args[:2], self.memory.place(args[2] if len(args) > 2 else 0.0))
        try:
            made = apply(*args, **kwargs)
        except TypeError as error:
            raise NotTraceableError(f"the operation {func}, used so, has no symbol") from error

        write = self.memory.put if moved else self.memory.write

        def record(result: Tensor) -> Tensor:
            write(result, made)
            return result

        return record


class _InTorch(TorchFunctionMode):
    """Refuses what takes numbers out of torch without any operation."""

    def __init__(self, memory: Memory) -> None:
        super().__init__()
        self._memory = memory

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _LEAVING and self._memory.moves(args[0]):
            reason = f"it takes values of x out of torch ({func.__name__})"
            raise NotTraceableError(reason, FUNCTION)
        return func(*args, **(kwargs or {}))


def _tensors(values: Any) -> list[Tensor]:
    return [v for v in tree_leaves(values) if isinstance(v, Tensor)]


def _decomposition(func: Any) -> Callable[..., Any]:
    """An operation in terms of simpler ones."""
    from torch._decomp import decomposition_table

    if (decomposed := decomposition_table.get(func)) is None:
        raise NotTraceableError(f"the operation {func} has no symbol")
    return decomposed
