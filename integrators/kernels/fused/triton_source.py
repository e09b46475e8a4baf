"""The text of the Triton kernels of an optimizer's call: `prepare` and `write`.

`prepare` computes, once for each tensor, what is the same for all its elements, and moves numbers a
tensor has one of (a time); `write` goes through all elements of all tensors in one launch.
"""

from collections.abc import Mapping, Sequence

from ..errors import NoKernelError
from ..recording.expression import Node, frontier, in_order
from ..triton_code import Lines, function
from .trace import LAST, STEP, FusedTrace

BESIDES = ("size", "place", "tick")
"""What the table says of a tensor after its pointers: elements; what rounding depends on."""

_POINTER = "tl.load(row + {}).to(tl.pointer_type(tl.{}))"


class FusedText:
    """The kernels for one choice of types.

    traces   of a call that closes the last step, and of one that does not, for a new parameter;
             the latter alone where there is nothing to close
    dtypes   the names of the types of the variables and the gradient `g`
    given    the names of the numbers that `prepare` is given
    width    how many numbers a tensor has after it

    Raises NoKernelError for sums, and for variables shaped neither like x nor like a number.
    """

    def __init__(self, traces: Sequence[FusedTrace], dtypes: Mapping[str, str]) -> None:
        for trace in traces:
            _refuse(trace)
        self._traces, self._dtypes = traces, dtypes
        self._variables = {n: name for trace in traces for n, name in trace.variables.items()}
        self.slots = {name: slot for slot, name in enumerate(traces[0].inputs)}
        self._numbers = [n for n, node in traces[0].inputs.items() if node.kind == "scalar"]
        names = dict.fromkeys([STEP, *(name for trace in traces for name in trace.uniform)])
        self.given = [name for name in names if name != LAST]
        self._hoisted = [_hoisted(trace, self._numbers) for trace in traces]
        self.width = sum(map(len, self._hoisted))

    @property
    def moves_numbers(self) -> bool:
        """Whether `prepare` is a part of the step itself."""
        return any(name in trace.outputs for trace in self._traces for name in self._numbers)

    @property
    def rounded(self) -> list[str]:
        """What is rounded by chance: state in bfloat16, not parameters."""
        states = list(self.slots)[1:-1]
        return [name for name in states if self._dtypes[name] == "bfloat16"]

    def text(self) -> str:
        return self._prepare() + self._write()

    def _row(self) -> str:
        return f"row = table + i * {len(self.slots) + len(BESIDES)}"

    def _going(self) -> list[str]:
        """Whether the call does anything."""
        return [
            f"going = tl.load(given + {self.given.index(STEP)}) != 0",
            "if HAS_FOUND:",
            "    going &= tl.load(found) == 0",
        ]

    def _prepare(self) -> str:
        lines = Lines()
        lines.add("i = tl.program_id(0).to(tl.int64)", self._row(), "past = tl.load(last + i)")
        for name in self._numbers:
            lines.add(f"m_{name} = {_POINTER.format(self.slots[name], self._dtypes[name])}")
            lines.add(f"old_{name} = tl.load(m_{name}).to(tl.float64)")
        ends: dict[str, list[str]] = {name: [] for name in self._numbers}
        begin = 0
        for prefix, trace, hoisted in zip("ab", self._traces, self._hoisted, strict=False):
            part = Lines(prefix)
            moved = {n: trace.outputs.get(n, trace.inputs[n]) for n in self._numbers}
            for node in in_order([*hoisted, *moved.values()]):
                if node.op == "input":
                    part.give(node, self._given(node))
            part.compute([*hoisted, *moved.values()])
            for k, node in enumerate(hoisted, begin):
                part.add(f"tl.store(hoisted + i * {self.width} + {k}, {part.name(node)})")
            begin += len(hoisted)
            lines.text += part.text
            for name, node in moved.items():
                ends[name].append(part.name(node))
        lines.add(*self._going())
        for name, (closed, *new) in ends.items():
            end = f"tl.where(past != 0, {closed}, {new[0]})" if new else closed
            lines.add(f"tl.store(m_{name}, {end}, mask=going)")
        arguments = ["table", "given", "last", "hoisted", "found", "HAS_FOUND: tl.constexpr"]
        return function("prepare", arguments, lines.text, ())

    def _given(self, node: Node) -> str:
        if node.kind == "scalar":
            return f"old_{self._variables[node]}"
        return "past" if node.value == LAST else f"tl.load(given + {self.given.index(node.value)})"

    def _write(self) -> str:
        lines = Lines()
        lines.add(
            "i = tl.load(chunks + 2 * tl.program_id(0)).to(tl.int64)",
            "start = tl.load(chunks + 2 * tl.program_id(0) + 1).to(tl.int64) * BLOCK",
            self._row(),
            f"size = tl.load(row + {len(self.slots)})",
            "past = tl.load(last + i)",
            *self._going(),
            "size = tl.where(going, size, 0)",  # then nothing is written
            "e = tl.arange(0, BLOCK)",
        )
        for name, slot in self.slots.items():
            if name not in self._numbers:
                lines.add(f"m_{name} = {_POINTER.format(slot, self._dtypes[name])} + start")
                lines.add("if ALIGNED:", f"    m_{name} = tl.multiple_of(m_{name}, 16)")
        count = len(self.slots)
        for name in self.rounded:
            lines.add(
                f"k_{name} = rounding_key(seed, tl.load(row + {count + 1}), "
                f"tl.load(row + {count + 2}), {self.slots[name]})"
            )
        text = lines.text
        if len(self._traces) == 2:
            text += ["    if past != 0:", *self._cases(0, 2), "    else:", *self._cases(1, 2)]
        else:
            text += self._cases(0, 1)
        arguments = [
            "chunks", "table", "given", "last", "hoisted", "found", "seed", "BLOCK: tl.constexpr",
            "E: tl.constexpr", "ALIGNED: tl.constexpr", "HAS_FOUND: tl.constexpr",
        ]  # fmt: skip
        return function("write", arguments, text, ("seed",))

    def _cases(self, which: int, indent: int) -> list[str]:
        """A whole block needs no mask, and is moved in the widest words there are."""
        at = "    " * indent
        return [
            f"{at}if start + BLOCK <= size:", *self._block(which, indent + 1, "whole", ""),
            f"{at}else:", *self._block(which, indent + 1, "end", ", mask=start + e < size"),
        ]  # fmt: skip

    def _block(self, which: int, indent: int, case: str, mask: str) -> list[str]:
        """What becomes of a block of elements."""
        trace, begin = self._traces[which], sum(map(len, self._hoisted[:which]))
        lines = Lines(f"{case}{which}_", indent)  # no name may mean two things in two branches
        new = {n: node for n, node in trace.outputs.items() if n not in self._numbers}
        for k, node in enumerate(self._hoisted[which], begin):
            lines.give(node, f"tl.load(hoisted + i * {self.width} + {k})")
        for node in in_order(new.values(), stop=self._hoisted[which]):
            if node.op == "input" and node.kind == "element":
                lines.give(node, f"tl.load(m_{self._variables[node]} + e{mask}).to(E)")
        lines.compute(new.values())
        for name, node in new.items():
            value = lines.name(node)
            value = value if node.kind == "element" else f"tl.zeros((BLOCK,), E) + {value}.to(E)"
            stored = f"({value}).to(tl.{self._dtypes[name]})"
            if name in self.rounded:
                stored = f"to_bfloat16({value}, rounding_bits(start + e, k_{name}))"
            lines.add(f"tl.store(m_{name} + e, {stored}{mask})")
        return lines.text


def _hoisted(trace: FusedTrace, numbers: Sequence[str]) -> list[Node]:
    """What elements need that is the same for all of a tensor, beside constants."""
    results = [node for name, node in trace.outputs.items() if name not in numbers]
    found = frontier(results, "uniform", ("element",)) + frontier(results, "scalar", ("element",))
    return [node for node in found if node.op != "constant"]


def _refuse(trace: FusedTrace) -> None:
    if trace.levels:
        raise NoKernelError("on CUDA there is no kernel for sums over the elements of tensors")
    odd = [n for n, node in trace.inputs.items()
           if node.kind == "element" and trace.graph.axes_of(node) != trace.whole]  # fmt: skip
    if trace.by_shape or odd:
        raise NoKernelError(
            f"on CUDA there is no kernel for {', '.join(odd) or 'rows and columns'}"
        )
